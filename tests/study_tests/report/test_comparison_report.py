"""The page that compares studies: sections, numbers, escaping, what is missing."""

from dataclasses import replace
from pathlib import Path

import pytest

from study.analysis.comparison import UNITS, ComparisonInfo, describe_budget, get_comparison
from study.formats import format_number, format_percent
from study.report import ReportData
from study.report.comparison_report import format_probability, get_comparison_verdict
from tests.study_tests.exchange.test_read_results import (
    AUTOENCODER,
    AUTOENCODER_ROWS,
    imported,
    write_csv,
)
from tests.study_tests.pages import render_comparison
from tests.study_tests.report.test_report import Page, plain
from tests.study_tests.synthetic import SETTINGS, planted, study

SECTIONS = [
    *("verdict", "studies", "equal-budget", "distribution", "differences", "families"),
    "reproduce",
]
CHARTS = [*(f"budget-{unit}" for unit in UNITS), "error-distribution"]
RECORDS = [planted(80), replace(planted(40, seed=1), name="second")]
"""Two studies of one space, the second half as long."""


@pytest.fixture(scope="module")
def info() -> ComparisonInfo:
    """Their comparison."""
    return get_comparison(RECORDS)


@pytest.fixture(scope="module")
def page() -> Page:
    """Their page."""
    return Page(render_comparison(RECORDS))


def test_sections_are_in_order(page: Page) -> None:
    """The verdict comes first, charts stand in their sections, and regions have own labels."""
    page.check(SECTIONS, CHARTS)
    assert [tag for tag, _ in page.tags].count("details") == 1 + len(CHARTS)
    labels = [attrs["aria-label"] for _, attrs in page.tags if "aria-label" in attrs]
    assert len(labels) == len(set(labels))
    assert "<title>planted and second – comparison of studies</title>" in page.source
    page.says(
        "differences",
        "All studies have the same images and the same split",
        "All parameters have the same ranges in all studies.",
        "No setting differs.",
    )


def test_verdict_says_who_is_better_and_how_sure(page: Page, info: ComparisonInfo) -> None:
    """Its numbers are those of the comparison in epochs."""
    primary = info.primary
    assert primary is info.budgets["epochs"]
    found = primary.pairs[-1]
    assert found.first == "planted"
    assert found.probability > 0.5
    interval = found.interval.written(format_probability)
    pairs = [pair for budget in info.budgets.values() for pair in budget.pairs]
    others = [pair.verdict for pair in pairs if pair is not found]
    assert len(others) == 8
    page.says(
        "verdict",
        f"a search with trials of “planted” finds a lower error than one with trials of "
        f"“second” with a probability of {format_probability(found.probability)} "
        f"({format_percent(found.level)} interval {interval}): {found.verdict}.",
        "In 8 other comparisons of “planted” with “second”",
        *(f"in {others.count(verdict)} {verdict}" for verdict in others),
        f"for {describe_budget('epochs', found.budget)}, what all trials of “second” take",
        *info.cautions,
    )
    for record in RECORDS:
        error = f"an MSE of {format_number(record.best.value)} on the validation split"
        page.says(
            "verdict",
            f"The lowest error of “{record.name}” is {error}, of trial {record.best.number}.",
            f"emoji-study confirm --study {record.name}",
        )


def test_names_are_text_everywhere() -> None:
    """A name that looks like markup breaks neither page, script nor command."""
    names = ["</script><b>bold</b>", "it's & <!--"]
    page = Page(render_comparison([replace(planted(40, seed=i), name=names[i]) for i in (0, 1)]))
    assert "b" not in {tag for tag, _ in page.tags}
    page.check(SECTIONS, CHARTS)
    page.says("verdict", *names)
    page.says(
        "reproduce",
        "emoji-study report --study '</script><b>bold</b>' --study 'it'\"'\"'s & <!--'",
    )
    assert all(figure["data"][0] for figure in page.figures.values())
    for attrs, data in page.scripts:
        assert attrs.get("type") != "application/json" or "<" not in data


def test_empty_studies_have_a_page() -> None:
    """Every section says in a line what is missing."""
    page = Page(render_comparison([study(name=name, settings=SETTINGS) for name in "ab"]))
    assert page.ids("section") == SECTIONS
    assert page.charts == []
    page.says(
        "verdict",
        "“a” has no complete trial that can be the best.",
        "Nothing can be said about an equal budget.",
    )
    page.says("equal-budget", "An equal budget needs two studies that can be compared.")
    assert page.text("equal-budget").count("it needs at least 5 complete trials") == 2
    for section in ("studies", "equal-budget", "distribution", "families"):
        page.says(section, "emoji-study run")


def test_imported_results_stand_next_to_a_new_study(tmp_path: Path) -> None:
    """What the old results lack is said, and nothing is made up for it."""
    old = imported(write_csv(tmp_path / "old.csv", AUTOENCODER, AUTOENCODER_ROWS))
    page = Page(render_comparison([old, planted(60)]))
    page.says(
        "verdict",
        "on the test split, of trial",
        "The split of the errors is test in “old”, validation in “planted”.",
        "It is unknown on which images “old” measured its errors",
        "Whether the errors compare at all is open",
    )
    assert "emoji-study run autoencoder --study old" not in plain(page.text("verdict"))
    page.says("equal-budget", "“old” does not store the training time of every trial.")
    assert page.charts == ["budget-trials", "budget-epochs", "error-distribution"]
    page.says("studies", "data fingerprintunknown0123456789abcdef", "training time–")
    page.says("differences", "samplerimportedtpe")


def test_the_better_study_is_confirmed_first() -> None:
    """Whichever order the studies stand in, from the storage that the report was given."""
    better = RECORDS[0]
    trials = (replace(t, values=tuple(3 * v for v in t.values)) for t in better.trials)
    worse = replace(better, name="worse", trials=tuple(trials))
    for order in ([worse, better], [better, worse]):
        verdict = get_comparison_verdict(
            ReportData(studies=tuple(order), storage="sqlite:///a b.db"), get_comparison(order)
        )
        lead, equal, *_ = verdict.found
        found = "“planted” found the lower error: 0.01518 against 0.04554"
        assert lead == f"{found}, with about as many epochs."
        assert equal.endswith("“planted” is better at equal budget.")
        assert "a search with trials of “planted” finds a lower error than one" in equal
        assert verdict.next[0].command == (
            "emoji-study confirm --storage 'sqlite:///a b.db' --study planted"
        )
        assert not any(" run " in step.command for step in verdict.next)
