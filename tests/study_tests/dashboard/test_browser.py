"""The dashboard in a real browser: its pages show what the study's trials left."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.study_tests.dashboard.conftest import N_TRIALS
from tests.study_tests.dashboards import Served

WAIT_MS = 60_000


class Tab:
    """A tab that notes what goes wrong in it."""

    def __init__(self, browser: Browser, served: Served) -> None:
        self._served = served
        self.page: Page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda m: m.type == "error" and self.wrong.append(m.text))
        self.page.on(
            "response", lambda r: r.status >= 400 and self.wrong.append(f"{r.status} {r.url}")
        )

    def open(self, path: str) -> Page:
        """Go to a page of the dashboard, as to the address that it printed."""
        token = f"{'&' if '?' in path else '?'}token={self._served.token}"
        self.page.goto(f"{self._served.address}{path}{token}")
        self.page.wait_for_url(f"{self._served.address}{path}**")
        return self.page


@pytest.fixture
def tab(browser: Browser, served: Served) -> Iterator[Tab]:
    """A tab of its own, in which nothing may go wrong."""
    opened = Tab(browser, served)
    yield opened
    opened.page.context.close()
    assert opened.wrong == []


def expect_pictures(page: Page, n: int) -> None:
    """Check that so many pictures of trials are there and really drawn."""
    selector = 'img[src^="/artifacts/"]'
    expect(page.locator(selector)).to_have_count(n, timeout=WAIT_MS)
    drawn = f"""() => [...document.querySelectorAll({selector!r})]
        .every(image => image.complete && image.naturalWidth > 100)"""
    page.wait_for_function(drawn, timeout=WAIT_MS)


def test_study_has_our_charts_and_a_note_that_leads_to_the_report(tab: Tab) -> None:
    """The list leads to it; beside the dashboard's charts stand its own; the note is drawn."""
    page = tab.open("/dashboard")
    page.get_by_text("faces").first.click(timeout=WAIT_MS)
    page.wait_for_url("**/dashboard/studies/1")
    for title in ("Learning curves of the best 10 trials", "Families: lowest, middle half"):
        chart = page.locator(".js-plotly-plot", has_text=title)
        expect(chart).to_be_visible(timeout=WAIT_MS)
        assert chart.locator("path").count() > 5
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    page = tab.open("/dashboard/studies/1/note")
    expect(page.get_by_role("heading", name="What you see")).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("link", name="Report of this study").click()
    expect(page.locator("html")).to_have_attribute("data-charts", "drawn", timeout=WAIT_MS)
    assert page.title() == "faces"


def test_trial_pages(tab: Tab) -> None:
    """Whatever a trial's end, its page says why, and shows its pictures and its curves."""
    page = tab.open("/dashboard/studies/1/trials?numbers=0%2C1%2C2%2C4")
    for number, state, end in (
        (0, "Fail", "its worker died. It was queued again as trial 1."),
        (1, "Complete", "all of its epochs were trained."),
        (2, "Pruned", "the none pruner stopped it after 1 of 2 epochs."),
        (4, "Fail", "interrupted after epoch 1"),
    ):
        title = page.get_by_role("heading", name=f"Trial {number} (")
        expect(title).to_be_visible(timeout=WAIT_MS)
        label = title.locator("xpath=following::*[contains(@class, 'MuiChip-label')][1]")
        expect(label).to_have_text(state)
        expect(page.get_by_text(f"Why it ended: {end}")).to_be_visible()
    expect_pictures(page, 8)
    card = page.locator(".MuiCard-root", has_text="curves.csv")
    expect(card).to_have_count(4)
    card.nth(1).scroll_into_view_if_needed()
    card.nth(1).get_by_role("button").first.click()
    header = page.get_by_role("columnheader", name="validation_mse")
    expect(header).to_be_visible(timeout=WAIT_MS)
    assert len(page.get_by_role("rowgroup").last.get_by_role("row").all()) == 2


def test_gallery_shows_all_trials(browser: Browser, served: Served, folder: Path) -> None:
    """Below the coordinates stands every ended trial's picture, also where a file is lost."""
    lost = min((folder / "artifacts").glob("00-*"))
    content = lost.read_bytes()
    lost.unlink()
    try:
        opened = Tab(browser, served)
        page = opened.open("/dashboard/studies/1/smartSelection")
        expect(page.locator(".parcoords").first).to_be_attached(timeout=WAIT_MS)
        page.get_by_label("Show Artifacts").click()
        # The dead first trial, those that were trained, but none of the one that waits.
        expect_pictures(page, N_TRIALS + 1)
        assert len([text for text in opened.wrong if lost.name not in text]) == 1  # of the lost
        page.context.close()
    finally:
        lost.write_bytes(content)
