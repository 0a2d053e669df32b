"""A real headless Chromium, and a page opened in it with every request and message recorded."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Where the project is checked for good, a missing browser is an error, not a reason to skip.
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true",
    reason="no chromium found; set CHROMIUM to its path",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    assert CHROMIUM is not None, "CI needs a chromium; set CHROMIUM to its path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Visit:
    """A page whose charts are drawn; requests for anything but itself are refused."""

    def __init__(
        self, browser: Browser, report: Path, *, width: int = 1280, scheme: str = "light"
    ) -> None:
        self.requests: list[str] = []
        self.messages: list[str] = []
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = context.new_page()
        self.page.route("**/*", self._record)
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.goto(report.as_uri())
        expect(self.page.locator("html")).to_have_attribute("data-charts", "drawn", timeout=60_000)
        if self.page.locator("#trial-reading").count():
            expect(self.page.locator("html")).to_have_attribute("data-trials", "ready")

    def _record(self, route: Route) -> None:
        url = route.request.url
        self.requests.append(url)
        if url.startswith("file:"):
            route.continue_()
        else:
            route.abort()

    def close(self) -> None:
        """Leave the page."""
        self.page.context.close()
