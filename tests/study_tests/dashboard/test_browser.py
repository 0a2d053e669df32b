"""The dashboard in a real browser: its pages show what the study's trials left."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.study_tests.dashboards import Served

WAIT_MS = 60_000
Open = Callable[[str], Page]
"""Goes to a page of the dashboard, as to the address that it printed."""


@pytest.fixture
def tab(browser: Browser, served: Served) -> Iterator[Open]:
    """What opens pages in a tab in which nothing may go wrong."""
    page, wrong = browser.new_context(viewport={"width": 1280, "height": 900}).new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.on("response", lambda got: got.status >= 400 and wrong.append(f"{got.status} {got.url}"))

    def go(path: str) -> Page:
        page.goto(f"{served.address}{path}{'&' if '?' in path else '?'}token={served.token}")
        page.wait_for_url(f"{served.address}{path}**")
        return page

    yield go
    page.context.close()
    assert wrong == []


def test_study_has_our_charts_and_a_note_that_leads_to_the_report(tab: Open) -> None:
    """The list leads to it, past no button that would change something, and a banner says why."""
    page = tab("/dashboard")
    expect(page.get_by_text("1. faces")).to_be_visible(timeout=WAIT_MS)
    for name in ("create", "rename study", "delete study"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    page = tab("/")
    page.get_by_role("row", name="faces").get_by_role("link", name="Charts").click()
    page.wait_for_url("**/dashboard/studies/1")
    expect(page.get_by_text("emoji-study dashboard --allow-edit")).to_be_visible()
    for title in ("Learning curves of the best 10 trials", "Families: lowest, middle half"):
        chart = page.locator(".js-plotly-plot", has_text=title)
        expect(chart).to_be_visible(timeout=WAIT_MS)
        assert chart.locator("path").count() > 5
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    page = tab("/dashboard/studies/1/note")
    expect(page.get_by_role("heading", name="What you see")).to_be_visible(timeout=WAIT_MS)
    page.locator("#banner").get_by_role("link", name="Report of this study").click()
    expect(page.locator("html")).to_have_attribute("data-trials", "ready", timeout=WAIT_MS)
    page.evaluate("drawAll()")
    expect(page.locator("html")).to_have_attribute("data-charts", "drawn", timeout=WAIT_MS)
    assert page.title() == "faces"


def test_trial_pages(tab: Open) -> None:
    """Whatever a trial's end, its page says why, and shows its pictures and its curves."""
    page = tab("/dashboard/studies/1/trials?numbers=0%2C1%2C2%2C4")
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
    expect(page.locator('img[src^="/artifacts/"]')).to_have_count(8, timeout=WAIT_MS)
    drawn = "[...document.images].every(image => image.complete && image.naturalWidth > 100)"
    page.wait_for_function(drawn, timeout=WAIT_MS)
    card = page.locator(".MuiCard-root", has_text="curves.csv")
    expect(card).to_have_count(4)
    card.nth(1).scroll_into_view_if_needed()
    card.nth(1).get_by_role("button").first.click()
    header = page.get_by_role("columnheader", name="validation_mse")
    expect(header).to_be_visible(timeout=WAIT_MS)
    assert len(page.get_by_role("rowgroup").last.get_by_role("row").all()) == 2
