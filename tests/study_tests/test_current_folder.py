"""The folder in which a command runs is the user's: what lies there is no module of ours."""

import re
import subprocess
import sys
import threading
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from storage.annotations import noted_trials
from storage.rdb import open_storage
from study.analysis.surrogate import get_surrogate
from study.report.processes import OtherProcesses
from study.running.job import WorkerJob
from study.running.refresher import _refresh_there
from tests.study_tests.studies import claim_point
from tests.study_tests.synthetic import planted

pytestmark = pytest.mark.whole

COMMAND = Path(sys.executable).with_name("emoji-study")
MODULES = (
    *("random.py", "storage.py", "json.py", "torch.py", "study/__init__.py"),
    *("sitecustomize.py", "usercustomize.py", "__main__.py", "encodings/__init__.py"),
    *("numpy.py", "optuna/__init__.py", "joblib.py", "signal.py", "emoji_study.py"),
)
"""Named like modules of Python, of other packages and of this program, and what Python looks for
by itself.
"""


@pytest.fixture
def imports(tmp_path: Path) -> Path:
    """The file in which modules of a user's project note that they were imported.

    The project lies beside it, in ``project``.
    """
    noted = tmp_path / "imports"
    for name in MODULES:
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"import sys\nopen({str(noted)!r}, 'a').write(f'{name} by {{sys.orig_argv}}\\n')\n"
        )
    return noted


def run(folder: Path, *command: str | Path) -> str:
    """Run a command in a folder; return what it says."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return done.stdout


@pytest.mark.parametrize("backend", ["local", pytest.param("dask", marks=pytest.mark.slow)])
def test_no_process_imports_what_lies_there(
    imports: Path, toy: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """Workers, refreshes, analyses, Dask's tasks and the dashboard use their own modules."""
    project = imports.parent / "project"
    url = f"sqlite:///{project / 'study.db'}"
    where = ("--study", "study", "--storage", url, "--threads", "1")
    run(project, COMMAND, "run", f"{toy}:TOY", *where, "--total", "2", "--backend", backend)
    study = optuna.load_study(study_name="study", storage=open_storage(url, write=True))
    assert [trial.state for trial in study.get_trials()] == [TrialState.COMPLETE] * 2
    if backend == "dask":
        serve(project, url)

    monkeypatch.chdir(project)
    study.tell(claim_point(study, {}), state=TrialState.FAIL)
    assert len(noted_trials(study)) == 2
    job = WorkerJob(
        url=url, study="study", artifacts=Path("artifacts"), data=None, device="cpu", threads=1
    )
    _refresh_there(job, threading.Event())
    assert len(noted_trials(study)) == 3

    processes = OtherProcesses(1)
    assert 0 < processes.begin(get_surrogate, planted(60), family="CNN")().n_trials < 60
    processes.close()

    assert not imports.exists(), imports.read_text()


def serve(project: Path, url: str) -> None:
    """Look at the dashboard of a study once."""
    command = (COMMAND, "dashboard", "--storage", url, "--port", "0")
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as dashboard:
        found = re.search(r"http://\S+", dashboard.stdout.readline())
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        browser.open(found.group()).close()
        dashboard.terminate()
