"""Where the time of the tests goes: the slowest files, and the CPU of all that they started.

The hooks of this module are those of ``tests/conftest.py``; with xdist each worker measures the
files that it runs, and hands that to the process that reports.
"""

import os
import time
from collections import Counter
from collections.abc import Generator

import pytest

N_SHOWN = 10

_MEASURED: pytest.StashKey["Times"] = pytest.StashKey()


class Times:
    """Seconds by file, of the clock and of the CPU, and the CPU of whole processes."""

    def __init__(self) -> None:
        self.clock: Counter[str] = Counter()
        self.cpu: Counter[str] = Counter()
        self.total = 0.0

    def add(self, file: str, clock: float, cpu: float) -> None:
        """Add what a test of a file took."""
        self.clock[file] += clock
        self.cpu[file] += cpu


def cpu_seconds() -> float:
    """Return the CPU of this process and of all that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def pytest_configure(config: pytest.Config) -> None:
    """Begin to measure."""
    config.stash[_MEASURED] = Times()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure a test with its fixtures."""
    clock, cpu = time.perf_counter(), cpu_seconds()
    try:
        return (yield)
    finally:
        file = item.nodeid.partition("::")[0]
        times = item.config.stash[_MEASURED]
        times.add(file, time.perf_counter() - clock, cpu_seconds() - cpu)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what a worker of xdist has measured."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        times = session.config.stash[_MEASURED]
        output["times"] = (dict(times.clock), dict(times.cpu), cpu_seconds())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take what a worker of xdist has measured; one that died has nothing."""
    output = getattr(node, "workeroutput", {})
    if "times" in output:
        times = node.config.stash[_MEASURED]  # type: ignore[attr-defined]
        clock, cpu, total = output["times"]
        times.clock.update(clock)
        times.cpu.update(cpu)
        times.total += total


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the slowest files, all with ``--durations=0``, and the CPU-minutes of everything."""
    times = config.stash[_MEASURED]
    total = times.total or cpu_seconds()
    n_shown = None if config.getoption("durations") == 0 else N_SHOWN
    terminalreporter.section(f"slowest files; {total / 60:.1f} CPU-minutes in all")
    for file, seconds in times.clock.most_common(n_shown):
        terminalreporter.write_line(f"{seconds:7.1f} s  {times.cpu[file]:7.1f} s of CPU  {file}")
