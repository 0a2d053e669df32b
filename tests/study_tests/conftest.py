"""What there is once for all tests: a browser in each process, pages in each run; one thread."""

import sys

from tests.study_tests.browser import browser
from tests.study_tests.pages import made_once, multitask_page, pareto_page, search_page

__all__ = ["browser", "made_once", "multitask_page", "pareto_page", "search_page"]


def pytest_runtest_teardown() -> None:
    """Take back the threads that a command gave to trainings in its own process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
