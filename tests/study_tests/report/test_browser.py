"""The report in a real browser: drawn, silent, offline, and no wider than a phone."""

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from study.emoji.describe import describe_data
from study.requests import DescribeRequest
from tests.study_tests.browser import Visit, browser, needs_browser
from tests.study_tests.pages import render_comparison, render_report
from tests.study_tests.synthetic import SETTINGS, planted, planted_multitask, study

__all__ = ["browser"]

pytestmark = needs_browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of 120 trials with a planted answer."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    out.write_text(render_report(planted()))
    return out


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_report_draws_offline_without_overflow(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    """Every chart is drawn, nothing is requested or complained about, nothing sticks out."""
    visit = Visit(browser, report, width=width, scheme=scheme)
    assert visit.page.locator(".js-plotly-plot").count() == 11
    assert visit.requests == [report.as_uri()]
    assert visit.messages == []
    # Every entry of the contents leads to a section with its heading.
    links = visit.page.get_by_role("navigation").get_by_role("link")
    targets = [str(link.get_attribute("href")) for link in links.all()]
    assert len(targets) == visit.page.locator("section").count() > 20
    for target in targets:
        expect(visit.page.locator(f"section{target} h2")).to_be_visible()
    # The tables behind the charts must not widen the page either.
    visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.parametrize(("pareto", "n_charts"), [(False, 15), (True, 12)])
def test_multitask_report_draws_offline_without_overflow(
    browser: Browser, tmp_path: Path, width: int, scheme: str, pareto: bool, n_charts: int
) -> None:
    """What a study that classifies adds is drawn, silent and no wider than the page."""
    out = tmp_path / "multitask.html"
    out.write_text(render_report(planted_multitask(60, pareto=pareto)))
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
    visit.close()


def test_multitask_tables_scroll_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    """On a phone the confusion matrix gets the focus and moves with the arrow keys."""
    out = tmp_path / "multitask.html"
    out.write_text(render_report(planted_multitask(60)))
    visit = Visit(browser, out, width=390, scheme="light")
    region = visit.page.get_by_role("region", name="Confusion matrix")
    region.focus()
    expect(region).to_be_focused()
    last = region.get_by_role("columnheader").last
    expect(last).not_to_be_in_viewport(ratio=0.9)
    visit.page.keyboard.press("ArrowRight")
    expect(last).to_be_in_viewport(ratio=0.9)
    visit.close()


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
    visit.close()


def test_report_of_an_empty_study_opens(browser: Browser, tmp_path: Path) -> None:
    """A study without trials has a quiet page without charts."""
    out = tmp_path / "empty.html"
    out.write_text(render_report(study(settings=SETTINGS)))
    visit = Visit(browser, out, width=390, scheme="light")
    assert visit.page.locator("section").count() == 25
    assert visit.page.locator(".chart").count() == 0
    assert visit.requests == [out.as_uri()]
    assert visit.messages == []
    visit.close()


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A comparison of two studies, and the page about the embedded data set."""
    folder = tmp_path_factory.mktemp("others")
    comparison = folder / "comparison.html"
    comparison.write_text(
        render_comparison([planted(40), replace(planted(60, seed=1), name="other")])
    )
    data = DescribeRequest(data=None, split="group", data_seed=42, out=folder / "data.html")
    return {"comparison": comparison, "data": describe_data(data)}


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.parametrize("kind", ["comparison", "data"])
def test_other_pages_draw_offline_without_overflow(
    browser: Browser, others: dict[str, Path], kind: str, width: int, scheme: str
) -> None:
    """They are as quiet as the report, and name every picture."""
    visit = Visit(browser, others[kind], width=width, scheme=scheme)
    assert visit.page.locator(".js-plotly-plot").count() >= 3
    assert visit.requests == [others[kind].as_uri()]
    assert visit.messages == []
    assert visit.page.locator("img:not([alt]), img[alt='']").count() == 0
    visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.close()
