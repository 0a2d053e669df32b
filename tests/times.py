"""What tests end with: why some were skipped, and where the time went.

The hooks of this module are those of ``tests/conftest.py``; with xdist each worker measures the
files that it runs, and hands that to the process that reports. ``make test-times`` shows all files
and which programs each of them starts, and how often.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

N_SHOWN = 10

_MEASURED: pytest.StashKey["Times"] = pytest.StashKey()


class Times:
    """Seconds by file, of the clock and of the CPU, started processes, and the CPU of whole runs.

    What is not waited for, such as a server of the session, counts in the end alone.
    """

    def __init__(self) -> None:
        self.clock: Counter[str] = Counter()
        self.cpu: Counter[str] = Counter()
        self.of_processes: Counter[str] = Counter()
        self.started: Counter[tuple[str, str]] = Counter()
        self.total = 0.0
        self._file = ""

    def notice(self, event: str, args: tuple[object, ...]) -> None:
        """Count a process that this one starts, by its program; an audit hook."""
        if event == "subprocess.Popen" and self._file:
            command = args[1] if isinstance(args[1], list | tuple) else [args[1]]
            program = os.path.basename(str(args[0] or command[0])).rstrip("0123456789.")
            self.started[self._file, program] += 1

    @contextmanager
    def measured(self, file: str) -> Iterator[None]:
        """Add what happens in the block to a file."""
        self._file = file
        clock, (own, others) = time.perf_counter(), cpu_seconds()
        try:
            yield
        finally:
            own_now, others_now = cpu_seconds()
            self.clock[file] += time.perf_counter() - clock
            self.cpu[file] += own_now - own + others_now - others
            self.of_processes[file] += others_now - others
            self._file = ""

    def to_plain(self) -> tuple[object, ...]:
        """Return everything as what xdist can send."""
        started = [[*key, n] for key, n in self.started.items()]
        counters = (self.clock, self.cpu, self.of_processes)
        return (*map(dict, counters), started, sum(cpu_seconds()))

    def add(self, plain: tuple[Any, ...]) -> None:
        """Add what another process has measured."""
        *counters, started, total = plain
        for mine, its in zip((self.clock, self.cpu, self.of_processes), counters, strict=True):
            mine.update(its)
        self.started.update({(file, program): n for file, program, n in started})
        self.total += total

    def rows(self, n: int | None) -> Iterator[str]:
        """Yield a line for each of the ``n`` slowest files, or all of them."""
        for file, seconds in self.clock.most_common(n):
            line = f"{seconds:7.1f} s  {self.cpu[file]:7.1f} s of CPU  {file}"
            if n is None:
                of_file = {p: k for (f, p), k in sorted(self.started.items()) if f == file}
                programs = ", ".join(f"{k} {program}" for program, k in of_file.items())
                line += f"  ({self.of_processes[file]:.1f} s in {programs})" if of_file else ""
            yield line


def cpu_seconds() -> tuple[float, float]:
    """Return the CPU of this process, and of all that it started and that have ended."""
    used = os.times()
    return used.user + used.system, used.children_user + used.children_system


def pytest_configure(config: pytest.Config) -> None:
    """Begin to measure."""
    times = config.stash[_MEASURED] = Times()
    sys.addaudithook(times.notice)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure a test with its fixtures."""
    with item.config.stash[_MEASURED].measured(item.nodeid.partition("::")[0]):
        return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what a worker of xdist has measured."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["times"] = session.config.stash[_MEASURED].to_plain()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker of xdist has measured; one that died has nothing."""
    output = getattr(node, "workeroutput", {})
    if "times" in output:
        node.config.stash[_MEASURED].add(output["times"])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show what is missing here, the slowest files, all with ``--durations=0``, and the CPU."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, n in sorted(reasons.items()):
        terminalreporter.write_line(f"{n} skipped: {reason.removeprefix('Skipped: ')}")
    times = config.stash[_MEASURED]
    total = times.total or sum(cpu_seconds())
    terminalreporter.section(f"slowest files; {total / 60:.1f} CPU-minutes in all")
    for row in times.rows(None if config.getoption("durations") == 0 else N_SHOWN):
        terminalreporter.write_line(row)
