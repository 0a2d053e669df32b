"""What there is once for all tests: a browser in each process, and pages in each run."""

from tests.study_tests.browser import browser
from tests.study_tests.pages import made_once, multitask_page, pareto_page, search_page

__all__ = ["browser", "made_once", "multitask_page", "pareto_page", "search_page"]
