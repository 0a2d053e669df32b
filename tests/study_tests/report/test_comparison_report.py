"""The page that compares studies: sections, numbers, escaping, what is missing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from storage.records import StudyRecord, load_study_record
from study.analysis.comparison import (
    QUANTILES,
    UNITS,
    ComparisonInfo,
    describe_budget,
    get_comparison,
)
from study.analysis.tables import get_families
from study.commands.import_csv import import_csv
from study.formats import format_mse, format_percent, format_value
from study.report import ReportData
from study.report.comparison_report import format_probability, get_comparison_verdict
from study.requests import ImportRequest
from tests.servers import opened
from tests.study_tests.exchange.test_read_csv import AUTOENCODER, autoencoder_rows, write_csv
from tests.study_tests.pages import render_comparison
from tests.study_tests.report.test_report import Page, plain
from tests.study_tests.synthetic import SETTINGS, planted, planted_multitask, study

SECTIONS = [
    *("verdict", "studies", "equal-budget", "distribution", "differences", "families"),
    "reproduce",
]
CHARTS = [*(f"budget-{unit}" for unit in UNITS), "error-distribution"]


@pytest.fixture(scope="module")
def records() -> list[StudyRecord]:
    """Two studies of one space, the second half as long."""
    return [planted(80), replace(planted(40, seed=1), name="second")]


@pytest.fixture(scope="module")
def info(records: Sequence[StudyRecord]) -> ComparisonInfo:
    """Their comparison."""
    return get_comparison(records)


@pytest.fixture(scope="module")
def page(records: Sequence[StudyRecord]) -> Page:
    """Their page."""
    return Page(render_comparison(records))


def test_sections_are_in_order(page: Page) -> None:
    """The verdict comes first, charts stand in their sections, and regions have own labels."""
    page.check(SECTIONS, CHARTS)
    assert [tag for tag, _ in page.tags].count("details") == len(CHARTS)
    labels = [attrs["aria-label"] for _, attrs in page.tags if "aria-label" in attrs]
    assert len(labels) == len(set(labels))
    assert "<title>planted and second – comparison of studies</title>" in page.source
    text = page.text("differences")
    assert "All studies have the same images and the same split" in text
    assert "All parameters have the same ranges in all studies." in text
    assert "No setting differs." in text


def test_verdict_says_who_is_better_how_sure_and_what_next(
    page: Page, records: Sequence[StudyRecord], info: ComparisonInfo
) -> None:
    """Its numbers are those of the comparison in epochs."""
    text = plain(page.text("verdict"))
    primary = info.primary
    assert primary is not None
    assert primary.unit == "epochs"
    found = primary.pairs[-1]
    assert found.first == "planted"
    assert found.probability > 0.5
    interval = f"{format_probability(found.low)} to {format_probability(found.high)}"
    others = [
        pair.verdict for budget in info.budgets for pair in budget.pairs if pair is not found
    ]
    assert len(others) == 8
    expected = [
        f"a search with trials of “planted” finds a lower error than one with trials of "
        f"“second” with a probability of {format_probability(found.probability)} "
        f"({format_percent(found.level)} interval {interval}): {found.verdict}.",
        "In 8 other comparisons of “planted” with “second”",
        *(f"in {others.count(verdict)} {verdict}" for verdict in others),
        f"For {describe_budget('epochs', primary.total or 0)}, all that “second” spent",
        *info.cautions,
    ]
    for record in records:
        assert record.best is not None
        error = f"an MSE of {format_mse(record.best.value)} on the validation split"
        expected += [
            f"The lowest error of “{record.name}” is {error}, of trial {record.best.number}.",
            f"emoji-study confirm --study {record.name}",
        ]
    for sentence in expected:
        assert plain(sentence) in text


def test_facts_stand_side_by_side(page: Page, records: Sequence[StudyRecord]) -> None:
    """Counts, errors, best configurations and families of each study."""
    text = page.text("studies")
    first, second = (record.best for record in records)
    assert first is not None
    assert second is not None
    assert "samplerTPETPE" in text
    assert "trials8040" in text
    assert f"lowest MSE{format_mse(first.value)}{format_mse(second.value)}" in text
    for name in ("epoch", "learning_rate", "weight_decay"):
        row = name.replace("_", " ")
        row += format_value(first.params[name]) + format_value(second.params[name])
        assert row in text
    text = page.text("families")
    for record in records:
        for family in get_families(record).families:
            cells = f"{family.n_complete}{family.n_pruned}{format_mse(family.best)}"
            assert f"{record.name}{family.name}{cells}{family.best_number}" in text


def test_tables_hold_the_numbers_of_the_charts(page: Page, info: ComparisonInfo) -> None:
    """Every budget of every unit, and the quantiles of the errors."""
    text = page.text("equal-budget")
    for found in info.budgets:
        for one, other in zip(*(curve.points for curve in found.curves), strict=True):
            cells = describe_budget(found.unit, one.budget)
            for p in (one, other):
                band = "–" if p.low is None else f"{format_mse(p.low)} to {format_mse(p.high)}"
                cells += f"{format_mse(p.median)}{band}{format_mse(p.expected)}"
                cells += format_percent(p.share_found)
            assert cells in text
    text = page.text("distribution")
    for i in range(len(QUANTILES)):
        assert "".join(format_mse(side.quantiles[i]) for side in info.studies) in text


def test_names_are_text_everywhere() -> None:
    """A name that looks like markup breaks neither page, script nor command."""
    names = ["</script><b>bold</b>", "it's & <!--"]
    records = [replace(planted(40, seed=i), name=name) for i, name in enumerate(names)]
    page = Page(render_comparison(records))
    assert "b" not in {tag for tag, _ in page.tags}
    page.check(SECTIONS, CHARTS)
    for name in names:
        assert name in page.text("verdict")
    text = page.text("reproduce")
    assert "emoji-study report --study '</script><b>bold</b>' --study 'it'\"'\"'s & <!--'" in text
    assert all(figure["data"][0] for figure in page.figures.values())
    for attrs, data in page.scripts:
        assert attrs.get("type") != "application/json" or "<" not in data


def test_empty_studies_have_a_page() -> None:
    """Every section says in a line what is missing."""
    page = Page(render_comparison([study(name=name, settings=SETTINGS) for name in "ab"]))
    assert page.ids("section") == SECTIONS
    assert page.charts == []
    assert "“a” has no complete trial that can be the best." in page.text("verdict")
    assert "Nothing can be said about an equal budget." in page.text("verdict")
    assert "An equal budget needs two studies that can be compared." in page.text("equal-budget")
    assert page.text("equal-budget").count("it needs at least 5 complete trials") == 2
    for section in ("studies", "equal-budget", "distribution", "families"):
        assert "emoji-study run" in page.text(section)


def test_three_studies_are_compared_in_pairs() -> None:
    """Also of different kinds, with a small one left out of the budgets."""
    third = replace(planted(40, seed=3), name="third")
    records = [planted(40), planted_multitask(60), study(name="empty"), third]
    page = Page(render_comparison(records))
    assert "planted, multitask, empty and third" in page.text("header")
    assert "The studies are of different kinds" in page.text("verdict")
    assert "classification lambda–" in page.text("differences")
    text = page.text("equal-budget")
    assert "“empty” is left out" in text
    for first, second in (("planted", "multitask"), ("planted", "third"), ("multitask", "third")):
        assert f"{first}{second}" in text


def test_imported_results_stand_next_to_a_new_study(tmp_path: Path, url: str) -> None:
    """What the old results lack is said, and nothing is made up for it."""
    path = write_csv(tmp_path / "old.csv", AUTOENCODER, autoencoder_rows())
    import_csv(ImportRequest(file=path, url=url), say=lambda _: None)
    with opened(url) as storage:
        imported = load_study_record(storage, "old")
    page = Page(render_comparison([imported, planted(60)]))
    text = page.text("verdict")
    assert "on the test split, of trial" in text
    assert "The split of the errors is test in “old”, validation in “planted”." in text
    assert "It is unknown on which images “old” measured its errors" in text
    assert "Whether the errors compare at all is open" in text
    assert "emoji-study run autoencoder --study old" not in text
    assert "“old” does not store the training time of every trial." in page.text("equal-budget")
    assert page.charts == ["budget-trials", "budget-epochs", "error-distribution"]
    assert "data fingerprintunknown0123456789abcdef" in page.text("studies")
    assert "training time–" in page.text("studies")
    assert "samplerimportedtpe" in page.text("differences")


def test_the_better_study_is_confirmed_first(records: Sequence[StudyRecord]) -> None:
    """Whichever order the studies stand in."""
    worse = study(
        *(replace(t, value=None if t.value is None else 3 * t.value) for t in records[0].trials),
        name="worse",
        settings=records[0].user_attrs["settings"],
    )
    for order in ([worse, records[0]], [records[0], worse]):
        verdict = get_comparison_verdict(ReportData(studies=tuple(order)), get_comparison(order))
        assert verdict.found[0].endswith("“planted” is better at equal budget.")
        assert "a search with trials of “planted” finds a lower error than one" in verdict.found[0]
        assert verdict.next[0].command == "emoji-study confirm --study planted"
        assert not any(" run " in step.command for step in verdict.next)


def test_probabilities_are_never_certain() -> None:
    """Whole per cent, with a bound at either end."""
    written = [plain(format_probability(p)) for p in (0.0, 0.004, 0.5, 0.994, 1.0)]
    assert written == ["under 1 %", "under 1 %", "50 %", "99 %", "over 99 %"]
