"""The browser, of which there is one for all tests of a process."""

from tests.study_tests.browser import browser

__all__ = ["browser"]
