"""``emoji-study report``: studies of a real storage, several at once, and older pages again."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.trial import create_trial

from storage.errors import UnknownStudyError
from study.commands.import_csv import import_csv
from study.commands.report import report_request
from study.errors import StudyError
from study.exchange.write_table import write_table
from study.report import read_report_data
from study.requests import ImportRequest, ReportRequest
from tests.servers import opened
from tests.study_tests.synthetic import planted

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with the studies ``one`` and ``two/b``."""
    folder = tmp_path_factory.mktemp("studies")
    url = f"sqlite:///{folder / 'study.db'}"
    for name, seed in (("one", 0), ("two/b", 1)):
        write_table(planted(40, seed=seed), folder / "trials.csv")
        import_csv(ImportRequest(file=folder / "trials.csv", url=url, study=name), say=str)
    return url


def report(
    url: str,
    *,
    studies: Sequence[str] = (),
    pages: Sequence[Path] = (),
    out: Path | None = None,
    independent: bool = False,
) -> Path:
    """Write a report; return its path."""
    return report_request(
        ReportRequest(
            url=url, studies=tuple(studies), pages=tuple(pages), out=out, independent=independent
        )
    )


def test_one_study(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``out`` the page stands in ``runs`` under the study's name."""
    monkeypatch.chdir(tmp_path)
    assert report(url, studies=["one"]) == Path("runs/one.html")
    assert report(url, studies=["two/b"]) == Path("runs/two_b-18a92cf3.html")
    assert sorted(path.name for path in Path("runs").iterdir()) == [
        "one.html",
        "two_b-18a92cf3.html",
    ]
    assert "The study “one” holds 40 trials" in Path("runs/one.html").read_text()


def test_several_studies_are_compared(url: str, tmp_path: Path) -> None:
    """The page names both, and holds both."""
    out = report(url, studies=["one", "two/b"], out=tmp_path / "new" / "both.html")
    assert "one and two/b – comparison of studies</title>" in out.read_text()
    assert [record.name for record in read_report_data(out).studies] == ["one", "two/b"]


@pytest.mark.parametrize("studies", [["one"], ["one", "two/b"]])
def test_a_page_is_made_from_an_older_one(url: str, tmp_path: Path, studies: list[str]) -> None:
    """Without a database, byte by byte, even over the older one."""
    old = report(url, studies=studies, out=tmp_path / "old.html")
    content = old.read_bytes()
    nowhere = "sqlite:///nowhere/study.db"
    assert report(nowhere, pages=[old], out=tmp_path / "new.html").read_bytes() == content
    assert report(nowhere, pages=[old], out=old).read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.html", "old.html"]


def test_older_pages_and_stored_studies_are_compared(url: str, tmp_path: Path) -> None:
    """A page stands for its study, whatever storage that came from."""
    old = report(url, studies=["one"], out=tmp_path / "old.html")
    out = report(url, studies=["two/b"], pages=[old], out=tmp_path / "both.html")
    assert [record.name for record in read_report_data(out).studies] == ["one", "two/b"]


def test_correlations_of_independent_trials_can_be_asked_for_later(
    url: str, tmp_path: Path
) -> None:
    """Also of an older page."""
    old = report(url, studies=["one"], out=tmp_path / "old.html")
    new = report(url, pages=[old], out=tmp_path / "new.html", independent=True)
    assert read_report_data(old).correlated == "all"
    assert read_report_data(new).correlated == "independent"


def test_wrong_requests_are_one_line(url: str, tmp_path: Path) -> None:
    """And write nothing."""
    old = report(url, studies=["one"], out=tmp_path / "old.html")
    out = tmp_path / "out.html"
    with pytest.raises(StudyError, match="different names, but one comes twice"):
        report(url, studies=["one", "one"], out=out)
    with pytest.raises(StudyError, match="different names, but one comes twice"):
        report(url, studies=["one"], pages=[old], out=out)
    with pytest.raises(UnknownStudyError, match=r"Name one study with --study.*one, two/b"):
        report(url, out=out)
    with pytest.raises(UnknownStudyError, match="no study named 'three'"):
        report(url, studies=["one", "three"], out=out)
    with pytest.raises(StudyError, match="--independent belongs to the report of one study, but "):
        report(url, studies=["one", "two/b"], out=out, independent=True)
    with pytest.raises(FileNotFoundError):
        report(url, pages=[tmp_path / "none.html"], out=out)
    assert [path.name for path in tmp_path.iterdir()] == ["old.html"]


def test_a_failed_write_keeps_the_folder_clean(url: str, tmp_path: Path) -> None:
    """Where the target cannot be replaced, the error is raised and nothing is left behind."""
    out = tmp_path / "report.html"
    out.mkdir()
    with pytest.raises(OSError, match=re.escape(out.name)):
        report(url, studies=["one"], out=out)
    assert list(tmp_path.iterdir()) == [out]


CHANGES = (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
"""When Berlin's clocks go on an hour, and back an hour."""

ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York"),
    *("Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati"),
]

SHOW = """
import sys
from study.cli import app

url, out = sys.argv[1:]
for command in ("status", "report", "export"):
    options = {"status": [], "report": ["--out", out + ".html"], "export": ["--out", out + ".csv"]}
    app([command, "--storage", url, *options[command]], standalone_mode=False)
"""


def store_across_changes(url: str) -> None:
    """Store a search of which each half has a change of the clocks in its middle."""
    record = planted(24)
    half = timedelta(minutes=len(record.trials) // 8)
    with opened(url, create=True, write=True) as storage:
        study = optuna.create_study(storage=storage, study_name=record.name)
        for name, value in record.user_attrs.items():
            study.set_user_attr(name, value)
        for trial in record.trials:
            made = create_trial(
                state=trial.state,
                value=trial.value,
                params=dict(trial.params),
                distributions=dict(trial.distributions),
                user_attrs=dict(trial.user_attrs),
                intermediate_values=dict(trial.intermediate_values),
            )
            assert trial.started is not None
            assert trial.completed is not None
            first = record.trials[12 * (trial.number // 12)].started
            assert first is not None
            shift = CHANGES[trial.number // 12] - first - half - timedelta(seconds=30)
            made.datetime_start = trial.started + shift
            made.datetime_complete = trial.completed + shift
            study.add_trial(made)


@pytest.mark.parametrize(
    "zones", [ZONES[:2], pytest.param(ZONES, marks=pytest.mark.slow)], ids=["two", "six"]
)
def test_zones_change_nothing(tmp_path: Path, zones: list[str]) -> None:
    """A page, a table and a status are the same bytes in every zone, whatever its clocks do."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    store_across_changes(url)
    seen = set()
    for zone in zones:
        out = tmp_path / "out"
        status = subprocess.check_output(
            [sys.executable, "-c", SHOW, url, str(out)], env=os.environ | {"TZ": zone}
        )
        seen.add((status, *(out.with_suffix(s).read_bytes() for s in (".html", ".csv"))))
    assert len(seen) == 1
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["duration_s"].tolist() == [60.0] * 24
    assert table["started"][0] == "2026-03-29 00:56:30+00:00"
    page = (tmp_path / "out.html").read_text()
    assert "trials up to 2026-10-25 01:02 UTC" in page
    remade = report(url, pages=[tmp_path / "out.html"], out=tmp_path / "again.html")
    assert remade.read_text() == page
