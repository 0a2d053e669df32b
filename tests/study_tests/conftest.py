"""What there is once for all tests: a browser in each process, pages in each run; one thread."""

import sys
from collections.abc import Iterator

import pytest

from tests.study_tests.browser import browser
from tests.study_tests.pages import made_once, multitask_page, pareto_page, search_page

__all__ = ["browser", "made_once", "multitask_page", "pareto_page", "search_page"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Take back the threads that a command gives to trainings in its own process."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
