"""The table of all trials in a real browser: numbers, order, filters, brush, files, names."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from playwright.sync_api import Browser, Locator, Page, expect

from storage.records import StudyRecord
from study.exchange.write_table import write_table
from study.formats import format_duration, format_mse, format_value
from tests.study_tests import pages
from tests.study_tests.analysis.test_confirmation import record as confirmation_record
from tests.study_tests.browser import needs_browser, visited
from tests.study_tests.pages import render_report
from tests.study_tests.synthetic import MARKUP, planted, planted_multitask

pytestmark = needs_browser

HOSTILE = '</script><img src=x onerror="alert(1)">'

DRAWN = """id => document.getElementById(id).data
    .filter(trace => trace.meta?.trials)
    .flatMap(trace => [...trace.y].flatMap((y, i) => y === null || y === undefined
        ? [] : [[trace.customdata[i]].flat()[0]]))
    .filter(number => number !== null)"""
"""Numbers of the trials that a chart shows."""

LINE = """([id, role]) => {
    const trace = document.getElementById(id).data.find(trace => trace.meta?.[role]
        && (role !== 'edf' || trace.meta.edf === 'CNN'));
    return {x: [...trace.x], y: [...trace.y]};
}"""
"""Points of a line that follows the filter."""


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    """120 trials with a planted answer."""
    return planted()


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Their report, opened once, with all of its filters shown."""
    with visited(browser, pages.search_page(), tmp_path_factory.mktemp("trials")) as page:
        show_all(page)
        yield page


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """That page; what a test filters is cleared."""
    yield opened
    clear = opened.get_by_role("button", name="Clear all filters")
    if clear.is_visible():
        clear.click()
        expect(opened.locator("html")).to_have_attribute("data-filtered", "120")


def show_all(page: Page) -> None:
    """Open all that can be opened."""
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")


def rows(page: Page) -> list[list[str]]:
    """Return the texts of the cells that the table shows."""
    cells = "row => [...row.children].map(cell => cell.textContent)"
    found: list[list[str]] = page.evaluate(
        f"[...document.querySelectorAll('#trials-rows tr')].map({cells})"
    )
    return found


def head(page: Page) -> list[str]:
    """Return the headings of the table."""
    return page.locator("#trials-head th").all_inner_texts()


def heading(page: Page, name: str) -> Locator:
    """Return the heading of a column."""
    return page.get_by_role("columnheader", name=name, exact=True).filter(
        has=page.get_by_role("button")
    )


def turn_all(page: Page) -> list[list[str]]:
    """Return the rows of all pages of the table."""
    before = page.get_by_role("button", name="Previous page")
    while before.is_enabled():
        before.click()
    found = rows(page)
    following = page.get_by_role("button", name="Next page")
    while following.is_enabled():
        following.click()
        found += rows(page)
    return found


def column(page: Page, name: str) -> list[str]:
    """Return a column of all pages of the table."""
    i = head(page).index(name)
    return [row[i] for row in turn_all(page)]


def test_numbers_are_those_of_the_study(page: Page, record: StudyRecord) -> None:
    """Every trial has a row, with the same texts as in the rest of the page, and exact titles."""
    names = head(page)
    i = names.index("validation MSE")
    cells = page.locator("#trials-rows tr").nth(0).locator("th, td").nth(i)
    assert float(cells.get_attribute("title") or "nan") == record.trials[0].value
    found = turn_all(page)
    assert len(found) == len(record.trials)
    assert "epoch" not in names, "it does not vary"
    for row, trial in zip(found, record.trials, strict=True):
        texts = dict(zip(names, row, strict=True))
        assert texts["trial"] == str(trial.number)
        assert texts["state"] == {"FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())
        assert texts["validation MSE"] == format_mse(trial.value)
        assert texts["training time"] == format_duration(trial.user_attrs["training_seconds"])
        for name in ("learning_rate", "weight_decay", "batch_size", "batch_normalization"):
            assert texts[name.replace("_", " ")] == format_value(trial.params.get(name))


def test_choices_filter_table_and_charts(page: Page, record: StudyRecord) -> None:
    """Without linear models, neither the table nor any chart of single trials shows one."""
    page.get_by_role("group", name="auto encoder").get_by_label("linear").uncheck()
    wanted = [t for t in record.trials if t.params["auto_encoder"] == "CNN"]
    expect(page.locator("html")).to_have_attribute("data-filtered", str(len(wanted)))
    expect(page.locator("#filter-bar")).to_contain_text(f"{len(wanted)} of 120 trials")
    assert column(page, "trial") == [str(t.number) for t in wanted]
    for name in ("history", "learning-curves", "timeline"):
        drawn = page.evaluate(DRAWN, f"chart-{name}")
        assert drawn, name
        assert set(drawn) <= {t.number for t in wanted}, name
    assert len(page.evaluate(DRAWN, "chart-history")) == len(
        [t for t in wanted if t.intermediate_values]
    )
    # The best value so far and the distribution are those of the trials that are left.
    steps = page.evaluate(LINE, ["chart-history", "incumbents"])
    complete = [t.value for t in wanted if t.value is not None]
    assert min(steps["y"]) == min(complete)
    shares = page.evaluate(LINE, ["chart-distribution", "edf"])
    assert shares["x"] == sorted(complete)
    assert shares["y"][-1] == 1
    # Bands, and the best of each value, were of all trials.
    hidden = "id => document.getElementById(id).data.filter(t => !t.meta).map(t => t.visible)"
    for name in ("isolation", "distribution"):
        assert set(page.evaluate(hidden, f"chart-{name}")) == {False}, name
    # Charts of statistics say that they do not follow.
    note = page.locator("#importance .all-trials")
    expect(note).to_be_visible()
    page.get_by_role("button", name="Clear all filters").click()
    expect(page.locator("html")).to_have_attribute("data-filtered", "120")
    expect(page.locator("#filter-bar")).to_be_hidden()
    expect(note).to_be_hidden()
    assert set(page.evaluate(hidden, "chart-isolation")) == {True}
    assert len(page.evaluate(DRAWN, "chart-history")) == len(
        [t for t in record.trials if t.intermediate_values]
    )


def test_ranges_filter(page: Page, record: StudyRecord) -> None:
    """Both ends count; a trial without a value passes no range, and none may be left."""
    page.get_by_label("learning rate, from").fill("0.001")
    page.get_by_label("learning rate, to").fill("0.01")
    page.get_by_label("validation MSE, to").fill("0.05")
    page.keyboard.press("Tab")
    wanted = [
        str(t.number)
        for t in record.trials
        if 0.001 <= float(str(t.params["learning_rate"])) <= 0.01
        and t.value is not None
        and t.value <= 0.05
    ]
    expect(page.locator("html")).to_have_attribute("data-filtered", str(len(wanted)))
    assert 0 < len(wanted) < 50
    assert column(page, "trial") == wanted
    expect(page.locator("#filter-bar")).to_contain_text("validation MSE up to 0.05")
    page.get_by_label("validation MSE, to").fill("-1")
    page.keyboard.press("Tab")
    expect(page.locator("#trials-shown")).to_have_text("No trial passes the filters.")
    assert rows(page) == []


def test_a_brush_filters_everything(page: Page, record: StudyRecord) -> None:
    """A box drawn over a chart becomes the ranges of its two columns."""
    page.locator("#chart-history").scroll_into_view_if_needed()
    box = page.locator("#chart-history .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#filter-bar")).to_be_visible()
    text = page.locator("#filter-bar").inner_text()
    found = re.search(r"trial (\d+) to (\d+); validation MSE ([\d.]+) to ([\d.]+)", text)
    assert found is not None
    first, last = int(found[1]), int(found[2])
    low, high = (
        float(page.get_by_label(f"validation MSE, {end}").input_value()) for end in ("from", "to")
    )
    wanted = [
        t.number
        for t in record.trials
        if first <= t.number <= last and t.value is not None and low <= t.value <= high
    ]
    assert 0 < len(wanted) < 100
    assert column(page, "trial") == [str(number) for number in wanted]
    assert set(page.evaluate(DRAWN, "chart-history")) == set(wanted)
    assert set(page.evaluate(DRAWN, "chart-learning-curves")) <= set(wanted)


def test_headings_sort(page: Page, record: StudyRecord) -> None:
    """The first click sorts upwards, the second downwards; missing values come last."""
    values = sorted(t.value for t in record.trials if t.value is not None)
    missing = ["–"] * (len(record.trials) - len(values))
    title = heading(page, "validation MSE")
    expect(title).to_have_attribute("aria-sort", "none")
    title.get_by_role("button").click()
    expect(title).to_have_attribute("aria-sort", "ascending")
    assert column(page, "validation MSE") == [*map(format_mse, values), *missing]
    title.get_by_role("button").press("Enter")
    expect(title).to_have_attribute("aria-sort", "descending")
    assert column(page, "validation MSE") == [*map(format_mse, reversed(values)), *missing]
    heading(page, "trial").get_by_role("button").click()


def test_files_hold_the_study(page: Page, record: StudyRecord, tmp_path: Path) -> None:
    """CSV is what ``emoji-study export`` writes, JSON has names, values and curves."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == f"{record.name}.csv"
    write_table(record, tmp_path / "export.csv")
    table, wanted = pd.read_csv(download.value.path()), pd.read_csv(tmp_path / "export.csv")
    for name in ("started", "completed"):
        table[name], wanted[name] = pd.to_datetime(table[name]), pd.to_datetime(wanted[name])
    pd.testing.assert_frame_equal(table, wanted, check_dtype=False)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    values = json.loads(Path(download.value.path()).read_text())
    assert values["name"] == record.name
    for found, trial in zip(values["trials"], record.trials, strict=True):
        assert found["value"] == trial.value
        assert found["params"] == trial.params
        assert found["reports"] == list(trial.intermediate_values.values())


def test_csv_of_a_confirmation_holds_its_tests(browser: Browser, tmp_path: Path) -> None:
    """What was measured on the test images stands beside each trial, here and in the export."""
    errors = {"default": [0.2, 0.3], "a": [0.1, None]}
    tests = {"default": [0.21, 0.31], "a": [0.11]}
    confirmation = confirmation_record(errors, tests=tests, test_accuracies=tests)
    with visited(browser, render_report(confirmation), tmp_path) as page:
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        found = pd.read_csv(download.value.path())
    write_table(confirmation, tmp_path / "export.csv")
    wanted = pd.read_csv(tmp_path / "export.csv")
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    assert found["test_mse"].tolist() == found["test_accuracy"].tolist() == [0.21, 0.31, 0.11]


def test_every_control_has_a_name(page: Page) -> None:
    """The accessibility tree names what can be used, and no bar of a chart offers to upload."""
    session = page.context.new_cdp_session(page)
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "checkbox", "spinbutton", "link", "region", "image", "img"}
    nodes = [(n["role"]["value"], n) for n in tree if not n["ignored"]]
    kinds = {"button", "checkbox", "spinbutton", "link", "region", "group"}
    assert kinds <= {role for role, _ in nodes}
    nameless = [
        (role, node.get("backendDOMNodeId"))
        for role, node in nodes
        if role in named and not node.get("name", {}).get("value", "").strip()
    ]
    assert nameless == []
    titles = page.locator(".modebar-btn").evaluate_all(
        "buttons => buttons.map(b => b.dataset.title ?? b.getAttribute('aria-label'))"
    )
    assert titles
    assert not [t for t in titles if t and re.search("share|cloud|edit in", t, re.IGNORECASE)]


def test_filters_fit_a_phone(browser: Browser, tmp_path: Path) -> None:
    """With all filters open and one active, nothing is wider than 390 px."""
    source = pages.search_page()
    with visited(browser, source, tmp_path, width=390, scheme="dark") as page:
        show_all(page)
        page.get_by_role("group", name="state").get_by_label("complete").uncheck()
        expect(page.locator("#filter-bar")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_hostile_texts_stay_texts(browser: Browser, tmp_path: Path) -> None:
    """Markup in the study's name, in a parameter's name, in a value and in a failure is shown."""
    base = planted(30)
    choices = CategoricalDistribution((HOSTILE + "0", HOSTILE + "1"))
    trials = tuple(
        replace(
            t,
            params={**t.params, HOSTILE: HOSTILE + str(t.number % 2)},
            distributions={**t.distributions, HOSTILE: choices},
            user_attrs={**t.user_attrs, "failure": MARKUP},
        )
        for t in base.trials
    )
    source = render_report(replace(base, name=HOSTILE, user_attrs={}, trials=trials))
    with visited(browser, source, tmp_path) as page:
        assert page.locator("img").count() == 0
        assert page.locator("h1").inner_text() == HOSTILE
        assert HOSTILE in head(page)
        assert column(page, HOSTILE)[:2] == [HOSTILE + "0", HOSTILE + "1"]
        page.get_by_text("Filters", exact=True).click()
        page.get_by_role("group", name="state").get_by_label("complete").uncheck()
        expect(page.locator("#filter-bar")).to_be_visible()


def test_charts_need_no_data_of_trials(browser: Browser, tmp_path: Path) -> None:
    """Where the data cannot be read, all charts are drawn, and a line says what is missing."""
    out = tmp_path / "damaged.html"
    out.write_text(re.sub(r'(id="report-data">)[^<]*', r"\1AAAA", pages.search_page()))
    page = browser.new_page()
    page.goto(out.as_uri())
    expect(page.locator("html")).to_have_attribute("data-charts", "drawn", timeout=60_000)
    expect(page.locator("#trials-fallback")).to_be_visible()
    expect(page.locator("#trials-app")).to_be_hidden()
    page.close()


def test_multitask_trials_show_accuracies(browser: Browser, tmp_path: Path) -> None:
    """Accuracies and the constraint have columns of their own, and filters."""
    columns = {"validation accuracy", "balanced accuracy", "breaks the constraint"}
    breaking = [str(t.number) for t in planted_multitask().trials if not t.feasible]
    assert 0 < len(breaking) < 100
    with visited(browser, pages.multitask_page(), tmp_path) as page:
        assert columns <= set(head(page))
        page.get_by_text("Filters", exact=True).click()
        page.get_by_role("group", name="breaks the constraint").get_by_label("–").uncheck()
        assert column(page, "trial") == breaking
