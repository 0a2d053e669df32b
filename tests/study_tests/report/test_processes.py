"""Other processes give what this one would, and their death costs nothing but time."""

import os
import signal
from collections.abc import Iterator

import joblib
import pytest

from study.analysis.agreement import get_agreement
from study.report import ReportData, render_data
from study.report.processes import MIN_TRIALS, OtherProcesses, other_processes
from tests.study_tests.synthetic import planted


@pytest.fixture
def processes() -> Iterator[OtherProcesses]:
    """Return one other process."""
    found = OtherProcesses(1)
    yield found
    found.close()


def die_elsewhere(home: int) -> str:
    """Kill any process but the one at home."""
    if os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done at home"


def test_another_process_does_the_work(processes: OtherProcesses) -> None:
    """What is begun first runs elsewhere, and its result comes back."""
    assert processes.begin(os.getpid)() != os.getpid()
    record = planted(60)
    there = processes.begin(get_agreement, record, family="CNN")
    assert there() == get_agreement(record, family="CNN")


def test_what_nobody_has_begun_is_done_here(processes: OtherProcesses) -> None:
    """While the other process is at something else, this one takes over what comes last."""
    slow = processes.begin(get_agreement, planted(100), family="CNN")
    assert processes.begin(os.getpid)() == os.getpid()
    assert slow().family == "CNN"


def test_a_killed_process_loses_nothing(processes: OtherProcesses) -> None:
    """The work of a process that was killed is done here, and so is all that follows."""
    assert processes.begin(die_elsewhere, os.getpid())() == "done at home"
    assert processes.begin(os.getpid)() == os.getpid()


def test_an_error_of_the_work_is_raised(processes: OtherProcesses) -> None:
    """It is the error that the function would have raised here."""
    with pytest.raises(ValueError, match="invalid literal"):
        processes.begin(int, "no number")()


def test_only_large_studies_get_processes() -> None:
    """A start would cost more than it saves, and there must be a second core."""
    with other_processes(MIN_TRIALS - 1) as none:
        assert none is None
    with other_processes(MIN_TRIALS) as some:
        assert (some is None) == (joblib.cpu_count() == 1)


def test_pages_do_not_depend_on_processes(processes: OtherProcesses) -> None:
    """The same study gives the same bytes, whoever worked on it."""
    data = ReportData(studies=(planted(60),))
    assert render_data(data, processes=processes) == render_data(data)
