"""Pages of records, without a database or files; those that several tests read are made once."""

import fcntl
import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from storage.records import StudyRecord
from study.report import ReportData, render_data
from tests.study_tests.synthetic import planted, planted_multitask


def render_report(record: StudyRecord, *, followups: Sequence = (), **more: Any) -> str:
    """Return the report of a study; the rest is of ``ReportData``."""
    return render_data(ReportData(studies=(record,), followups=tuple(followups), **more))


def render_comparison(records: Sequence[StudyRecord]) -> str:
    """Return the comparison of studies."""
    return render_data(ReportData(studies=tuple(records)))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, StudyRecord], str]:
    """Return a function that renders a report under a name, once in all processes of a run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def made(name: str, record: StudyRecord) -> str:
        page = folder / f"{name}.html"
        with page.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not page.exists():
                page.write_text(render_report(record))
        return page.read_text()

    return made


@pytest.fixture(scope="session")
def search_page(made_once: Callable[[str, StudyRecord], str]) -> str:
    """The report of 120 trials with a planted answer."""
    return made_once("search", planted())


@pytest.fixture(scope="session")
def multitask_page(made_once: Callable[[str, StudyRecord], str]) -> str:
    """The report of 120 trials that classify, with a constraint."""
    return made_once("multitask", planted_multitask())


@pytest.fixture(scope="session")
def pareto_page(made_once: Callable[[str, StudyRecord], str]) -> str:
    """The report of 40 trials with two objectives."""
    return made_once("pareto", planted_multitask(40, pareto=True, min_accuracy=None))
