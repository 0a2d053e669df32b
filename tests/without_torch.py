"""Leaves out what cannot be done without torch: ``pytest -p tests.without_torch``.

For a Python that is tried beside the one of the tests, where torch is gigabytes to install. Other
processes that miss it fail; their tests are marked ``whole``.
"""

from collections.abc import Generator
from typing import Any

import pytest

MISSING = "No module named 'torch'"
REASON = "Skipped: needs torch"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Take a module that imports torch as skipped."""
    report = yield
    if report.failed and MISSING in str(report.longrepr):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, REASON)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take a test that comes to import torch as skipped."""
    report = yield
    missing = call.excinfo is not None and MISSING in str(call.excinfo.value)
    if report.failed and missing:
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, REASON)
    return report
