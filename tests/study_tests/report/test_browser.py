"""The pages in a real browser: drawn, silent, offline, and no wider than a phone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from study.emoji.describe import describe_data
from study.requests import DescribeRequest
from tests.study_tests import pages
from tests.study_tests.browser import needs_browser, visited
from tests.study_tests.pages import render_comparison, render_report
from tests.study_tests.synthetic import SETTINGS, planted, study

pytestmark = needs_browser

CUT = """[...document.querySelectorAll('.chart')].filter(chart => {
    const edge = chart.getBoundingClientRect();
    return [...chart.querySelectorAll('text')].some(text => {
        const box = text.getBoundingClientRect();
        return box.width && (box.left < edge.left - 1 || box.right > edge.right + 1);
    });
}).map(chart => chart.id)"""
"""Charts of which a number beside a bar or the end of an axis title is cut off."""


def comparison_page() -> str:
    """Return the comparison of two studies."""
    return render_comparison([planted(40), replace(planted(60, seed=1), name="other")])


def data_page(out: Path) -> str:
    """Return the page about the embedded data set."""
    asked = DescribeRequest(data=None, split="group", data_seed=42, out=out)
    return describe_data(asked).read_text()


@pytest.mark.parametrize(
    ("source", "n_charts", "n_sections", "cut"),
    [
        (lambda _: pages.search_page(), 11, 25, False),
        (lambda _: pages.multitask_page(), 15, 28, True),
        (lambda _: pages.pareto_page(), 12, 28, True),
        (lambda _: render_report(study(settings=SETTINGS)), 0, 25, False),
        (lambda _: comparison_page(), 4, 7, False),
        (data_page, 3, None, False),
    ],
    ids=["search", "multitask", "pareto", "empty", "comparison", "data"],
)
def test_pages_draw_offline_without_overflow(
    browser: Browser,
    tmp_path: Path,
    source: Callable[[Path], str],
    n_charts: int,
    n_sections: int | None,
    cut: bool,
) -> None:
    """Every chart is drawn, nothing is requested or complained about, nothing sticks out."""
    content = source(tmp_path / "data.html")
    for width, scheme in ((390, "dark"), (1280, "light")):
        with visited(browser, content, tmp_path, width=width, scheme=scheme) as page:
            assert page.locator(".js-plotly-plot").count() == n_charts
            assert page.locator("img:not([alt]), img[alt='']").count() == 0
            assert n_sections in (None, page.locator("section").count())
            # Every entry of the contents leads to a section with its heading.
            for link in page.get_by_role("navigation").get_by_role("link").all():
                expect(page.locator(f"section{link.get_attribute('href')} h2")).to_be_visible()
            # The tables behind the charts must not widen the page either.
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert not cut or page.evaluate(CUT) == []


def test_wide_tables_scroll_and_charts_follow_the_colours(
    browser: Browser, tmp_path: Path
) -> None:
    """A confusion matrix moves with the arrow keys; texts of charts turn light with the system."""
    with visited(browser, pages.multitask_page(), tmp_path, width=390) as page:
        region = page.get_by_role("region", name="Confusion matrix")
        region.focus()
        expect(region).to_be_focused()
        last = region.get_by_role("columnheader").last
        expect(last).not_to_be_in_viewport(ratio=0.9)
        page.keyboard.press("ArrowRight")
        expect(last).to_be_in_viewport(ratio=0.9)
        tick = page.locator("#chart-history .xtick text").first
        expect(tick).to_have_css("fill", "rgb(28, 33, 38)")
        page.emulate_media(color_scheme="dark")
        expect(tick).to_have_css("fill", "rgb(228, 231, 234)")
        page.emulate_media(color_scheme="dark", media="print")
        expect(tick).to_have_css("fill", "rgb(0, 0, 0)")
