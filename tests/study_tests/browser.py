"""A real headless Chromium, and a page opened in it with every request and message recorded."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.servers import require

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, for all tests of a process."""
    require(CHROMIUM is not None, "Chromium, or its path as CHROMIUM", "apt-get install chromium")
    expect.set_options(timeout=60_000)  # on a busy machine, drawing takes as long as it takes
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def visited(
    browser: Browser, source: str, folder: Path, *, width: int = 1280, scheme: str = "light"
) -> Iterator[Page]:
    """Open a page whose charts are drawn, which asks for nothing and complains of nothing."""
    report = folder / "page.html"
    report.write_text(source)
    requests: list[str] = []
    messages: list[str] = []

    def answer(route: Route) -> None:
        requests.append(route.request.url)
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            route.abort()

    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    with closing(context):
        page = context.new_page()
        page.route("**/*", answer)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(report.as_uri())
        page.evaluate("drawAll()")  # near or not
        expect(page.locator("html")).to_have_attribute("data-charts", "drawn")
        if page.locator("#trial-reading").count():
            expect(page.locator("html")).to_have_attribute("data-trials", "ready")
        yield page
        assert requests == [report.as_uri()]
        assert messages == []
