"""Leaves out the modules that cannot be imported without torch: ``pytest -p tests.without_torch``.

For a Python that is tried beside the one of the tests, where torch is gigabytes to install.
"""

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Take a module that asks for torch as skipped."""
    report = yield
    if report.failed and "No module named 'torch'" in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, "Skipped: needs torch")
    return report
