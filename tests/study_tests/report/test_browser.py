"""The pages in a real browser: drawn, silent, offline, no wider than a phone; all trials."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import InMemoryStorage
from playwright.sync_api import Browser, Locator, Page, expect

from storage.records import load_study_record
from study.emoji.describe import describe_data
from study.emoji.requests import DescribeRequest
from study.exchange.write_table import write_table
from study.formats import format_duration, format_number, format_value
from tests.study_tests import synthetic
from tests.study_tests.browser import visited
from tests.study_tests.foreign import make_study
from tests.study_tests.pages import render_comparison, render_report
from tests.study_tests.synthetic import MARKUP, SETTINGS, planted, study

RECORD = planted()
HOSTILE = '</script><img src=x onerror="alert(1)">'

ARRIVALS = """async () => {
    const wrong = [];
    for (const link of document.querySelectorAll('nav a')) {
        location.hash = link.hash;
        dispatchEvent(new HashChangeEvent('hashchange'));
        await new Promise(requestAnimationFrame);
        const target = document.querySelector(link.hash);
        const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
        if (!end && Math.abs(target.getBoundingClientRect().top) > 2) wrong.push(link.hash);
        if (!target.querySelector('h2, h3').checkVisibility()) wrong.push(link.hash);
    }
    return wrong;
}"""
"""Entries of the contents that do not lead within 2 px of their section, or lead to nothing."""

CUT = """[...document.querySelectorAll('.chart')].filter(chart => {
    const edge = chart.getBoundingClientRect();
    return [...chart.querySelectorAll('text')].some(text => {
        const box = text.getBoundingClientRect();
        return box.width && (box.left < edge.left - 1 || box.right > edge.right + 1);
    });
}).map(chart => chart.id)"""
"""Charts of which a number beside a bar or the end of an axis title is cut off."""

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
WIDER = """[...document.querySelectorAll('table, .command code')].filter(
    part => part.getBoundingClientRect().right > innerWidth + 1).map(part => part.textContent)"""
"""Tables and commands that the paper would cut."""


def check(page: Page, n_charts: int) -> None:
    """Check that every chart is drawn, that links arrive, and nothing sticks out."""
    assert page.locator(".js-plotly-plot").count() == n_charts
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.evaluate(ARRIVALS) == []
    # The tables behind the charts must not widen the page either.
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def opened(
    browser: Browser, search_page: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """The report of the planted trials, opened once, with all of its filters shown."""
    with visited(browser, search_page, tmp_path_factory.mktemp("trials")) as page:
        check(page, 18)
        heading(page, "trial").get_by_role("button").click()
        yield page


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """That page; what a test filters is cleared."""
    yield opened
    clear = opened.get_by_role("button", name="Clear all filters")
    if clear.is_visible():
        clear.click()
        expect(opened.locator("html")).to_have_attribute("data-filtered", "120")


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
    found = page.get_by_role("columnheader", name=name, exact=True)
    return found.filter(has=page.get_by_role("button"))


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


def test_numbers_are_those_of_the_study(page: Page) -> None:
    """Every trial has a row, with the same texts as in the rest of the page, and exact titles."""
    names = head(page)
    i = names.index("validation MSE")
    cells = page.locator("#trials-rows tr").nth(0).locator("th, td").nth(i)
    assert float(cells.get_attribute("title") or "nan") == RECORD.trials[0].value
    found = turn_all(page)
    assert len(found) == len(RECORD.trials)
    assert "epoch" not in names, "it does not vary"
    for row, trial in zip(found, RECORD.trials, strict=True):
        texts = dict(zip(names, row, strict=True))
        assert texts["trial"] == str(trial.number)
        assert texts["state"] == {"FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())
        assert texts["validation MSE"] == format_number(trial.value)
        assert texts["training time"] == format_duration(trial.user_attrs["training_seconds"])
        for name in ("learning_rate", "weight_decay", "batch_size", "batch_normalization"):
            assert texts[name.replace("_", " ")] == format_value(trial.params.get(name))


def test_choices_filter_table_and_charts(page: Page) -> None:
    """Without linear models, neither the table nor any chart of single trials shows one."""
    page.get_by_role("group", name="auto encoder").get_by_label("linear").uncheck()
    wanted = [t for t in RECORD.trials if t.params["auto_encoder"] == "CNN"]
    expect(page.locator("html")).to_have_attribute("data-filtered", str(len(wanted)))
    expect(page.locator("#filter-bar")).to_contain_text(f"{len(wanted)} of 120 trials")
    assert column(page, "trial") == [str(t.number) for t in wanted]
    for name in ("history", "learning-curves", "timeline"):
        drawn = page.evaluate(DRAWN, f"chart-{name}")
        assert drawn, name
        assert set(drawn) <= {t.number for t in wanted}, name
    n_drawn = sum(bool(t.intermediate_values) for t in wanted)
    assert len(page.evaluate(DRAWN, "chart-history")) == n_drawn
    # The best value so far and the distribution are those of the trials that are left.
    steps = page.evaluate(LINE, ["chart-history", "incumbents"])
    complete = [t.value for t in wanted if t.value is not None]
    assert min(steps["y"]) == min(complete)
    shares = page.evaluate(LINE, ["chart-distribution", "edf"])
    assert shares["x"] == sorted(complete)
    assert shares["y"][-1] == 1
    # Bands, and the best of each value, were of all trials.
    hidden = "id => document.getElementById(id).data.filter(t => !t.meta).map(t => t.visible)"
    for name in ("isolation-0", "distribution"):
        assert set(page.evaluate(hidden, f"chart-{name}")) == {False}, name
    # Charts of statistics say that they do not follow.
    note = page.locator("#importance .all-trials")
    expect(note).to_be_visible()
    page.get_by_role("button", name="Clear all filters").click()
    expect(page.locator("html")).to_have_attribute("data-filtered", "120")
    expect(page.locator("#filter-bar")).to_be_hidden()
    expect(note).to_be_hidden()
    assert set(page.evaluate(hidden, "chart-isolation-0")) == {True}
    n_drawn = sum(bool(t.intermediate_values) for t in RECORD.trials)
    assert len(page.evaluate(DRAWN, "chart-history")) == n_drawn


def test_ranges_filter(page: Page) -> None:
    """Both ends count; a trial without a value passes no range, and none may be left."""
    page.get_by_label("learning rate, from").fill("0.001")
    page.get_by_label("learning rate, to").fill("0.01")
    page.get_by_label("validation MSE, to").fill("0.05")
    page.keyboard.press("Tab")
    wanted = [
        str(t.number)
        for t in RECORD.trials
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


def test_a_brush_filters_everything(page: Page) -> None:
    """A box drawn over a chart becomes the ranges of its two columns."""
    page.locator("#chart-history").scroll_into_view_if_needed()
    box = page.locator("#chart-history .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#filter-bar")).to_be_visible()
    faded = "[...document.querySelectorAll('#chart-history .point')].map(p => p.style.opacity)"
    assert set(page.evaluate(faded)) <= {"0.85", "0.7", "1", ""}
    text = page.locator("#filter-bar").inner_text()
    found = re.search(r"trial (\d+) to (\d+); validation MSE ([\d.]+) to ([\d.]+)", text)
    first, last = int(found[1]), int(found[2])
    ends = (page.get_by_label(f"validation MSE, {end}") for end in ("from", "to"))
    low, high = (float(end.input_value()) for end in ends)
    wanted = [
        t.number
        for t in RECORD.trials
        if first <= t.number <= last and t.value is not None and low <= t.value <= high
    ]
    assert 0 < len(wanted) < 100
    assert column(page, "trial") == [str(number) for number in wanted]
    assert set(page.evaluate(DRAWN, "chart-history")) == set(wanted)
    assert set(page.evaluate(DRAWN, "chart-learning-curves")) <= set(wanted)
    # Over time the same curves stand at other places; what is filtered stays so.
    page.get_by_role("button", name="over training time").click()
    assert set(page.evaluate(DRAWN, "chart-learning-curves")) <= set(wanted)
    curve = page.evaluate("document.getElementById('chart-learning-curves').data.at(-1)")
    assert curve["x"] == pytest.approx([2.5 * (i + 1) for i in range(len(curve["x"]))])
    page.get_by_role("button", name="over epoch").click()


def test_a_trial_opens_beside_another(page: Page) -> None:
    """A row or a mark opens a trial with its curve, settings and command; one can be kept."""
    best = min((t for t in RECORD.trials if t.value is not None), key=lambda t: t.value or 0)
    page.get_by_role("button", name="Open trial 0", exact=True).click()
    drawer = page.get_by_role("complementary", name="Trials")
    expect(drawer.get_by_role("heading")).to_have_text("Trial 0")
    expect(drawer.locator("code")).to_have_text("emoji-study train --study planted --trial 0")
    expect(drawer.get_by_role("img")).to_have_accessible_name(re.compile("^Learning curve of tri"))
    drawer.get_by_role("button", name="Keep beside the next").click()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.get_by_role("button", name="Open trial 0", exact=True)).to_be_focused()
    page.locator(f"[data-mark='{best.number}']").dispatch_event("click")
    expect(drawer.get_by_role("heading")).to_have_text(["Trial 0", f"Trial {best.number}"])
    assert drawer.locator(".differs dt").all_inner_texts().count("learning rate") == 2
    drawer.get_by_role("button", name="Let go").click()
    drawer.get_by_role("button", name="Close").click()


def test_filters_stand_in_the_address(browser: Browser, page: Page) -> None:
    """Whoever gets the address sees the same trials; downloads say how many they hold."""
    page.get_by_label("learning rate, from").fill("0.001")
    page.get_by_role("group", name="state").get_by_label("pruned").uncheck()
    said = page.locator("#filter-bar span").inner_text()
    n = int(said.split()[0])
    assert 0 < n < 120
    expect(page.locator("#trials-csv")).to_have_text(f"Download CSV of {n}")
    other = browser.new_page()
    other.goto(page.url)
    expect(other.locator("#filter-bar span")).to_have_text(said)
    other.close()
    with page.expect_download() as download:
        page.locator("#trials-csv").click()
    assert len(pd.read_csv(download.value.path())) == n


def test_headings_sort(page: Page) -> None:
    """The first click sorts upwards, the second downwards; missing values come last."""
    values = sorted(t.value for t in RECORD.trials if t.value is not None)
    missing = ["–"] * (len(RECORD.trials) - len(values))
    title = heading(page, "validation MSE")
    expect(title).to_have_attribute("aria-sort", "none")
    title.get_by_role("button").click()
    expect(title).to_have_attribute("aria-sort", "ascending")
    assert column(page, "validation MSE") == [*map(format_number, values), *missing]
    title.get_by_role("button").press("Enter")
    expect(title).to_have_attribute("aria-sort", "descending")
    assert column(page, "validation MSE") == [*map(format_number, reversed(values)), *missing]
    heading(page, "trial").get_by_role("button").click()


def test_files_hold_the_study(page: Page, tmp_path: Path) -> None:
    """CSV is what ``emoji-study export`` writes, JSON has names, values and curves."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == f"{RECORD.name}.csv"
    write_table(RECORD, tmp_path / "export.csv")
    table, wanted = pd.read_csv(download.value.path()), pd.read_csv(tmp_path / "export.csv")
    for name in ("started", "completed"):
        table[name], wanted[name] = pd.to_datetime(table[name]), pd.to_datetime(wanted[name])
    pd.testing.assert_frame_equal(table, wanted, check_dtype=False)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    values = json.loads(Path(download.value.path()).read_text())
    assert values["name"] == RECORD.name
    for found, trial in zip(values["trials"], RECORD.trials, strict=True):
        assert found["values"] == list(trial.values)
        assert found["params"] == trial.params
        assert found["reports"] == list(trial.intermediate_values.values())


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


def test_filters_fit_a_phone(page: Page) -> None:
    """With all filters open and one active, nothing is wider than 390 px."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    check(page, 18)
    page.get_by_role("group", name="state").get_by_label("complete").uncheck()
    expect(page.locator("#filter-bar")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 800})


def test_the_first_screen(browser: Browser, search_page: str, tmp_path: Path) -> None:
    """What is sure and what is next stand on it, with room for a confirmation and pictures."""
    out = tmp_path / "page.html"
    out.write_text(search_page)
    page = browser.new_page(viewport={"width": 1440, "height": 987})
    page.goto(out.as_uri())
    box = page.locator(".verdict").bounding_box()
    assert box["y"] + box["height"] < 987 - 150
    page.close()


def test_hostile_texts_stay_texts(browser: Browser, tmp_path: Path) -> None:
    """Markup in the study's name, in a parameter's name, in a value and in a failure is shown."""
    base = planted(20)
    choices = CategoricalDistribution((HOSTILE + "0", HOSTILE + "1"))
    trials = tuple(
        replace(
            t,
            params={**t.params, HOSTILE: HOSTILE + str(t.number % 2)},
            distributions={**t.distributions, HOSTILE: choices},
            user_attrs={**t.user_attrs, "failure": MARKUP},
        )
        for t in base.trials[-8:]  # of which the last has failed
    )
    source = render_report(replace(base, name=HOSTILE, user_attrs={}, trials=trials))
    with visited(browser, source, tmp_path) as page:
        assert page.locator("img").count() == 0
        assert HOSTILE in page.locator(".eyebrow").inner_text()
        assert HOSTILE in head(page)
        assert set(column(page, HOSTILE)) == {HOSTILE + "0", HOSTILE + "1"}
        page.get_by_text("Filters", exact=True).click()
        page.get_by_role("group", name="state").get_by_label("complete").uncheck()
        expect(page.locator("#filter-bar")).to_be_visible()


def test_another_programs_choices_and_attributes(browser: Browser, tmp_path: Path) -> None:
    """None is a choice; attributes are columns for who asks, cut if long."""
    choices = CategoricalDistribution((None, "None", 10))
    trials = [
        replace(
            synthetic.trial(i, value=float(i)),
            params={"a_b": choices.choices[i]} if i < 3 else {},
            distributions={"a_b": choices} if i < 3 else {},
            constraints={"size": float(i == 1)},
            other_attrs={"note": f"{i}{'x' * 60}", "curve": [i], "host": "a"}
            | ({"error": "late"} if i == 3 else {}),
        )
        for i in range(4)
    ]
    with visited(browser, render_report(study(*trials)), tmp_path) as page:
        assert column(page, "a_b") == ["None", "10", "–", '"None"']
        page.get_by_text("Filters", exact=True).click()
        page.get_by_role("group", name="a_b").get_by_label("–", exact=True).uncheck()
        assert column(page, "a_b") == ["None", "10", '"None"']
        expect(page.locator("#trials-head .optional").first).to_be_hidden()
        page.get_by_label("2 user attributes").check()
        expect(page.locator("#trials-head .optional")).to_have_text(["note", "error"])
        assert column(page, "note") == [f"{i}{'x' * 38}…" for i in (0, 2, 1)]
        page.get_by_role("button", name="Open trial 0", exact=True).click()
        facts = page.get_by_role("complementary", name="Trials").locator(".facts").inner_text()
        shown = rf"a_b\s+None\s.*note\s+0{'x' * 60}\s+curve\s+\[0\]\s+host\s+a$"
        assert re.search(shown, facts, re.DOTALL)


def test_charts_need_no_data_of_trials(browser: Browser, search_page: str, tmp_path: Path) -> None:
    """Where the data cannot be read, all charts are drawn, and a line says what is missing."""
    out = tmp_path / "damaged.html"
    out.write_text(re.sub(r'(id="report-data">)[^<]*', r"\1AAAA", search_page))
    page = browser.new_page()
    page.goto(out.as_uri())
    page.evaluate("drawAll()")
    expect(page.locator("html")).to_have_attribute("data-charts", "drawn", timeout=60_000)
    expect(page.locator("#trials-fallback")).to_be_visible()
    expect(page.locator("#trials-app")).to_be_hidden()
    page.close()


def test_colours_and_keys(browser: Browser, multitask_page: str, tmp_path: Path) -> None:
    """A confusion matrix moves with the arrow keys; texts of charts turn light with the system."""
    with visited(browser, multitask_page, tmp_path, width=390) as page:
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
        check(page, 33)
        assert page.evaluate(CUT) == []
        page.emulate_media(color_scheme="dark", media="print")
        expect(tick).to_have_css("fill", "rgb(0, 0, 0)")
        # A4 within its margins: all rows, with their heads, and no table or command is cut.
        page.set_viewport_size({"width": 703, "height": 1000})
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        expect(page.locator("#trials-rows tr")).to_have_count(120)
        expect(page.locator("#trials-head button").first).to_be_visible()
        assert page.evaluate(WIDER) == []


def test_other_pages_draw_offline(browser: Browser, pareto_page: str, tmp_path: Path) -> None:
    """Every chart is drawn, nothing is requested or complained about, nothing sticks out."""
    storage = InMemoryStorage()
    foreign = load_study_record(storage, make_study(storage, 13).study_name)
    asked = DescribeRequest(data=None, split="group", data_seed=42, out=tmp_path / "data.html")
    compared = render_comparison([planted(40), replace(planted(60, seed=1), name="other")])
    for content, n_charts, is_wide in (
        (pareto_page, 33, False),
        (render_report(study(settings=SETTINGS)), 0, False),
        (compared, 4, True),
        (describe_data(asked).read_text(), 3, True),
        (render_report(foreign), 20, False),
    ):
        with visited(browser, content, tmp_path, width=390, scheme="dark") as page:
            check(page, n_charts)
            assert content != pareto_page or page.evaluate(CUT) == []
            if is_wide:
                page.set_viewport_size({"width": 1280, "height": 800})
                check(page, n_charts)
