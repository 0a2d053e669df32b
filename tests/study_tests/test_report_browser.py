"""The report in a real browser: drawn, silent, offline, and no wider than a phone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from study.report import write_report
from tests.study_tests.synthetic import planted, planted_multitask, study

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
IN_CI = os.environ.get("CI") == "true"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Where the project is checked for good, a missing browser is an error, not a reason to skip.
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not IN_CI, reason="no chromium found; set CHROMIUM to its path"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    assert CHROMIUM is not None, "CI needs a chromium; set CHROMIUM to its path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of 120 trials with a planted answer."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    write_report(planted(), out=out)
    return out


class Visit:
    """A page opened with every request and message recorded; requests elsewhere are refused."""

    def __init__(self, browser: Browser, report: Path, *, width: int, scheme: str) -> None:
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
        for chart in self.page.locator(".chart").all():
            expect(chart.locator(".main-svg").first).to_be_attached()
        self.page.wait_for_load_state("networkidle")

    def _record(self, route: Route) -> None:
        url = route.request.url
        self.requests.append(url)
        if url.startswith("file:"):
            route.continue_()
        else:
            route.abort()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_report_draws_offline_without_overflow(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    """Every chart is drawn, nothing is requested or complained about, nothing sticks out."""
    visit = Visit(browser, report, width=width, scheme=scheme)
    assert visit.page.locator(".js-plotly-plot").count() == 6
    assert visit.requests == [report.as_uri()]
    assert visit.messages == []
    # The tables behind the charts must not widen the page either.
    visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.parametrize(("pareto", "n_charts"), [(False, 9), (True, 7)])
def test_multitask_report_draws_offline_without_overflow(
    browser: Browser, tmp_path: Path, width: int, scheme: str, pareto: bool, n_charts: int
) -> None:
    """What a study that classifies adds is drawn, silent and no wider than the page."""
    out = tmp_path / "multitask.html"
    write_report(planted_multitask(60, pareto=pareto), out=out)
    visit = Visit(browser, out, width=width, scheme=scheme)
    assert visit.page.locator(".js-plotly-plot").count() == n_charts
    assert visit.requests == [out.as_uri()]
    assert visit.messages == []
    visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    # Neither a number beside a bar nor the end of an axis title is cut off.
    cut = """[...document.querySelectorAll('.chart')].filter(chart => {
        const edge = chart.getBoundingClientRect();
        return [...chart.querySelectorAll('text')].some(text => {
            const box = text.getBoundingClientRect();
            return box.width && (box.left < edge.left - 1 || box.right > edge.right + 1);
        });
    }).map(chart => chart.id)"""
    assert visit.page.evaluate(cut) == []
    visit.page.context.close()


def test_multitask_tables_scroll_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    """On a phone the confusion matrix gets the focus and moves with the arrow keys."""
    out = tmp_path / "multitask.html"
    write_report(planted_multitask(60), out=out)
    visit = Visit(browser, out, width=390, scheme="light")
    region = visit.page.get_by_role("region", name="Confusion matrix")
    region.focus()
    expect(region).to_be_focused()
    last = region.get_by_role("columnheader").last
    expect(last).not_to_be_in_viewport(ratio=0.9)
    visit.page.keyboard.press("ArrowRight")
    expect(last).to_be_in_viewport(ratio=0.9)
    visit.page.context.close()


def test_charts_follow_the_colour_scheme(browser: Browser, report: Path) -> None:
    """When the system turns dark, the texts of the charts turn light."""
    visit = Visit(browser, report, width=1280, scheme="light")
    tick = visit.page.locator("#chart-history .xtick text").first
    expect(tick).to_have_css("fill", "rgb(28, 33, 38)")
    visit.page.emulate_media(color_scheme="dark")
    expect(tick).to_have_css("fill", "rgb(228, 231, 234)")
    visit.page.emulate_media(color_scheme="dark", media="print")
    expect(tick).to_have_css("fill", "rgb(0, 0, 0)")
    assert visit.messages == []
    visit.page.context.close()


def test_report_of_an_empty_study_opens(browser: Browser, tmp_path: Path) -> None:
    """A study without trials has a quiet page without charts."""
    out = tmp_path / "empty.html"
    write_report(study(), out=out)
    visit = Visit(browser, out, width=390, scheme="light")
    assert visit.page.locator("section").count() == 17
    assert visit.page.locator(".chart").count() == 0
    assert visit.requests == [out.as_uri()]
    assert visit.messages == []
    visit.page.context.close()
