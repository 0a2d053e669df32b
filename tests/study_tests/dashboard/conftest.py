"""A study whose trials ended in every way, one with dangerous files, and their two dashboards."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import upload_artifact

from storage.artifacts import open_artifacts
from storage.rdb import close_all
from study.dashboard.refresh import refresh
from study.settings import StudySettings
from tests.study_tests.dashboards import Served, add_trials, begin_study, serving, url_of

N_TRIALS = 14
SECRET = "secret-name"
"""The second study: of one trial, with files that run a script where a browser lets them."""
UPLOADED = {
    "page.html": "<!doctype html><script>alert(1)</script>",
    "picture.svg": '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "data.xml": '<x><script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script></x>',
}


def upload(folder: Path, name: str) -> dict[str, str]:
    """Create a study with dangerous files; return their addresses by name."""
    study = optuna.create_study(storage=url_of(folder), study_name=name)
    trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    own = {"artifact_store": open_artifacts(folder / "artifacts"), "study_or_trial": trial}
    paths = {}
    for file, content in UPLOADED.items():
        (folder / file).write_text(content)
        key = upload_artifact(file_path=str(folder / file), **own)
        paths[file] = f"/artifacts/{study._study_id}/{trial._trial_id}/{key}"
    study.tell(trial, 1.0)
    return paths


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, settings: StudySettings) -> Path:
    """A folder with both studies and what the dashboard shows of the first."""
    made = tmp_path_factory.mktemp("dashboard")
    optuna.storages.RDBStorage(url_of(made))  # without a write-ahead log
    study = begin_study(made, settings)
    add_trials(study, made, settings, N_TRIALS)
    refresh(study._storage, "faces", url=url_of(made), artifacts=made / "artifacts")
    close_all()
    return made


@pytest.fixture(scope="session")
def uploaded(folder: Path) -> dict[str, str]:
    """The addresses of the dangerous files."""
    return upload(folder, SECRET)


@pytest.fixture(scope="session")
def served(folder: Path, uploaded: dict[str, str]) -> Iterator[Served]:
    """The dashboard of that folder, in which no test leaves a traceback."""
    with serving(url_of(folder)) as dashboard:
        yield dashboard
        assert "Traceback" not in dashboard.end()


@pytest.fixture
def copied(folder: Path, uploaded: dict[str, str], tmp_path: Path) -> Path:
    """A copy of the folder, for a test that changes it."""
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(scope="session")
def changed(
    folder: Path, uploaded: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A copy of the folder whose studies may be changed, but not removed, by all tests."""
    return shutil.copytree(folder, tmp_path_factory.mktemp("changed") / "copy")


@pytest.fixture(scope="session")
def editable(changed: Path) -> Iterator[Served]:
    """Its dashboard, which may change studies, and in which no test leaves a traceback."""
    with serving(url_of(changed), "--allow-edit") as dashboard:
        yield dashboard
        assert "Traceback" not in dashboard.end()
