"""Other processes give what this one would, and their death costs nothing but time."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest

from study.analysis.surrogate import get_surrogate
from study.report import ReportData, render_data
from study.report.processes import MIN_TRIALS, OtherProcesses, other_processes
from tests.conftest import Wait
from tests.study_tests.synthetic import planted


@pytest.fixture
def processes() -> Iterator[OtherProcesses]:
    """Return one other process; none outlives a test that may have killed it."""
    found = OtherProcesses(1)
    yield found
    found.close()


def held(begun: Path, pipe: Path) -> int:
    """Say that it has begun, wait until somebody opens the pipe, and return its process."""
    begun.touch()
    pipe.read_bytes()
    return os.getpid()


def die_elsewhere(begun: Path, home: int) -> str:
    """Say that it has begun, and kill any process but the one at home."""
    begun.touch()
    if os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done at home"


def test_another_process_does_the_work(
    processes: OtherProcesses, tmp_path: Path, wait_until: Wait
) -> None:
    """What is begun first runs elsewhere; what comes meanwhile here; the page is the same."""
    begun, pipe = tmp_path / "begun", tmp_path / "pipe"
    os.mkfifo(pipe)
    there = processes.begin(held, begun, pipe)
    wait_until(begun.exists)
    assert processes.begin(os.getpid)() == os.getpid()
    pipe.write_bytes(b"")
    assert there() != os.getpid()
    record = planted(60)
    found = processes.begin(get_surrogate, record, family="CNN")()
    assert found == get_surrogate(record, family="CNN")
    data = ReportData(studies=(planted(24),))
    assert render_data(data, processes=processes) == render_data(data)


def test_errors_and_deaths_elsewhere(
    processes: OtherProcesses, tmp_path: Path, wait_until: Wait
) -> None:
    """An error is raised as here; the work of a killed process is done here, as is all later."""
    with pytest.raises(ValueError, match="invalid literal"):
        processes.begin(int, "no number")()
    there = processes.begin(die_elsewhere, tmp_path / "begun", os.getpid())
    wait_until((tmp_path / "begun").exists)
    assert there() == "done at home"
    assert processes.begin(os.getpid)() == os.getpid()


def test_only_large_studies_get_processes() -> None:
    """A start would cost more than it saves, and there must be a second core."""
    with other_processes(MIN_TRIALS - 1) as none:
        assert none is None
    with other_processes(MIN_TRIALS) as some:
        assert (some is None) == (joblib.cpu_count() == 1)
