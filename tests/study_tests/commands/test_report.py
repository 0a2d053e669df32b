"""``emoji-study report``: studies of a real storage, several at once, and older pages again."""

import re
from pathlib import Path
from typing import Any

import pytest

from storage.errors import UnknownStudyError
from study.commands.import_csv import import_csv
from study.commands.report import report_request
from study.errors import StudyError
from study.exchange.write_table import write_table
from study.report import read_report_data
from study.requests import ImportRequest, ReportRequest
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


def report(url: str, **asked: Any) -> Path:
    """Write a report; return its path."""
    several = {name: tuple(asked.pop(name, ())) for name in ("studies", "pages")}
    return report_request(ReportRequest(url=url, **several, **asked))


def test_pages(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``out`` a page stands in ``runs``; older pages stand for their studies anywhere."""
    monkeypatch.chdir(tmp_path)
    old = report(url, studies=["one"])
    assert old == Path("runs/one.html")
    assert report(url, studies=["two/b"]) == Path("runs/two_b-18a92cf3.html")
    assert {path.name for path in Path("runs").iterdir()} == {"one.html", "two_b-18a92cf3.html"}
    content = old.read_text()
    assert "Study “one”" in content
    assert "40 trainings of small autoencoders" in content
    both = report(url, studies=["one", "two/b"], out=tmp_path / "new" / "both.html")
    assert "one and two/b – comparison of studies</title>" in both.read_text()
    assert [record.name for record in read_report_data(both).studies] == ["one", "two/b"]

    nowhere = "sqlite:///nowhere/study.db"
    for page in (old, both):
        before = page.read_bytes()
        assert report(nowhere, pages=[page], out=tmp_path / "again.html").read_bytes() == before
    assert report(nowhere, pages=[old], out=old).read_text() == content
    mixed = report(url, studies=["two/b"], pages=[old], out=tmp_path / "mixed.html")
    assert [record.name for record in read_report_data(mixed).studies] == ["one", "two/b"]
    new = report(nowhere, pages=[old], out=tmp_path / "again.html", independent=True)
    assert read_report_data(old).correlated == "all"
    assert read_report_data(new).correlated == "independent"
    there = {"again.html", "mixed.html", "new", "runs"}
    assert {path.name for path in tmp_path.iterdir()} == there

    out = tmp_path / "out.html"
    twice = "different names, but one comes twice"
    for studies, pages, error, message in (
        (["one", "one"], [], StudyError, twice),
        (["one"], [old], StudyError, twice),
        ([], [], UnknownStudyError, r"Name one study with --study.*one, two/b"),
        (["one", "three"], [], UnknownStudyError, "no study named 'three'"),
        ([], [tmp_path / "none.html"], FileNotFoundError, "none.html"),
    ):
        with pytest.raises(error, match=message):
            report(url, studies=studies, pages=pages, out=out)
    with pytest.raises(StudyError, match="--independent belongs to the report of one study, but "):
        report(url, studies=["one", "two/b"], out=out, independent=True)
    assert not out.exists()
    out.mkdir()  # a failed write keeps the folder clean
    with pytest.raises(OSError, match=re.escape(out.name)):
        report(nowhere, pages=[old], out=out)
    assert len(list(tmp_path.iterdir())) == 5
