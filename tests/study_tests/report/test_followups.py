"""What the report says of confirmations and ablations."""

import json
from dataclasses import replace
from typing import Any

import pytest

from storage import attrs
from storage.records import StudyRecord
from study.analysis.ablation import describe_ablation, get_ablation
from study.analysis.confirmation import (
    CHOSEN,
    TOP,
    ConfirmationInfo,
    describe_confirmation,
    get_confirmation,
)
from study.formats import format_change, format_mse
from study.terminal.followups import ablation_tables
from tests.study_tests.analysis import test_ablation, test_confirmation
from tests.study_tests.pages import render_report
from tests.study_tests.report.test_report import Page, plain
from tests.study_tests.synthetic import MARKUP, planted

VALUES: dict[str, list[float]] = {
    "default": [0.10, 0.11, 0.105, 0.12, 0.09],
    "trial 7": [0.05, 0.052, 0.055, 0.06, 0.045],
    MARKUP: [0.08, 0.09, 0.085, 0.1, 0.07],
}
PROMISED = {"trial 7": 0.06, MARKUP: 0.044}
LACKING: dict[str, list[float | None]] = {**VALUES, "trial 7": [0.05, None, None, 0.06, 0.05]}


@pytest.fixture(scope="module")
def confirmation() -> StudyRecord:
    """A confirmation that was tested; one of its names holds markup."""
    tests = {name: [value * 1.1 for value in values] for name, values in VALUES.items()}
    return test_confirmation.record(VALUES, promised=PROMISED, tests=tests)


@pytest.fixture(scope="module")
def ablation() -> StudyRecord:
    """An ablation with a surrogate's guesses."""
    return test_ablation.record(expected=dict.fromkeys(test_ablation.VALUES, 0.07))


@pytest.fixture(scope="module")
def page(confirmation: StudyRecord, ablation: StudyRecord) -> Page:
    """The report of a search with both."""
    return Page(render_report(planted(12), followups=[confirmation, ablation]))


def info_of(confirmation: StudyRecord) -> ConfirmationInfo:
    """Return what a confirmation found."""
    info = get_confirmation(confirmation)
    assert info is not None
    return info


def x_of(page: Page, key: str) -> list[Any]:
    """Return the places of the traces of a chart."""
    return [trace["x"] for trace in page.figures[f"chart-{key}-data"]["data"]]


def test_confirmation_is_told(page: Page, confirmation: StudyRecord) -> None:
    """Every sentence and mean stands in the section of the search, markup in names as text."""
    info = info_of(confirmation)
    text = plain(page.text("confirmation"))
    assert {c.name for c in info.confirmed} == set(VALUES)
    for sentence in describe_confirmation(info):
        assert plain(sentence) in text
    for c in info.confirmed:
        assert c.validation is not None
        assert c.test is not None
        for expected in (c.name, format_mse(c.validation.mean), format_mse(c.test.mean)):
            assert expected in text
    assert "Overtuning" in text
    searched, validation, test = x_of(page, "confirmation-0")
    assert searched == [PROMISED[name] for name in ("trial 7", MARKUP)]
    means = [c.validation.mean for c in info.confirmed if c.validation]
    assert validation == pytest.approx(means, rel=1e-3)
    assert test == pytest.approx([1.1 * mean for mean in means], rel=1e-3)
    assert MARKUP not in page.source
    assert "<b>loss" not in page.source


def test_the_verdict_is_the_confirmed_one(page: Page, confirmation: StudyRecord) -> None:
    """It says what the best reached with fresh seeds, on test images, and what is left to do."""
    best = info_of(confirmation).get("trial 7")
    assert best.validation is not None
    assert best.test is not None
    text = plain(page.text("verdict"))
    for expected in (
        "Trained again with 5 fresh seeds and splits, trial 7 has the lowest mean validation MSE: "
        f"{format_mse(best.validation.mean)} (95 % interval",
        f"on the test images its MSE is {format_mse(best.test.mean)} (95 % interval",
        f"{plain(format_change(best.difference))} against the default",
        "emoji-study train --study planted --trial best",
    ):
        assert expected in text
    assert "Not confirmed yet" not in text


def test_no_column_without_a_surrogate(page: Page) -> None:
    """What no surrogate was asked for has no column, as in the terminal."""
    unguided = test_ablation.record()
    assert "surrogate" in page.text("ablation")
    text = Page(render_report(planted(12), followups=[unguided])).text("ablation")
    assert "instead of" in text
    assert "surrogate" not in text
    info = get_ablation(unguided)
    assert info is not None
    assert {len(table.columns) for table in ablation_tables(info)} == {5}


def test_what_somebody_chose_is_named(confirmation: StudyRecord) -> None:
    """Of a confirmation beside that of the best, the verdict says what it compared."""
    experiment = json.loads(json.dumps(confirmation.user_attrs[attrs.EXPERIMENT]))
    for arm in experiment["arms"]:
        arm["role"] = CHOSEN if arm["role"] == TOP else arm["role"]
    told = {**confirmation.user_attrs, attrs.EXPERIMENT: experiment}
    chosen = replace(confirmation, name="chosen", user_attrs=told)
    *others, last = (plain(c.name) for c in info_of(chosen).confirmed)
    page = Page(render_report(planted(12), followups=[confirmation, chosen]))
    text = plain(page.text("verdict"))
    lowest = "has the lowest mean validation MSE"
    assert text.count(f"{lowest}:") == 1
    assert text.count(f"{lowest} of {', '.join(others)} and {last}:") == 1
    assert "emoji-study ablate --study planted says which" in text
    charts = [c for c in page.charts if c.startswith("confirm")]
    assert charts == ["confirmation-0", "confirmation-1"]


def test_ablation_is_told(page: Page, ablation: StudyRecord) -> None:
    """The path, the neighbours and the surrogate's guesses stand in the section of the search."""
    info = get_ablation(ablation)
    assert info is not None
    text = plain(page.text("ablation"))
    for sentence in describe_ablation(info):
        assert plain(sentence) in text
    for found in (*info.path, *(other for sweep in info.sweeps for other in sweep.others)):
        assert found.name in text
    surrogate, measured = x_of(page, "ablation-0")
    assert surrogate == [0.07] * len(info.path)
    means = [step.validation.mean for step in info.path if step.validation]
    assert measured == pytest.approx(means, rel=1e-3)


def test_a_search_without_them_says_how() -> None:
    """Without a confirmation or an ablation the report names the commands."""
    page = Page(render_report(planted(12)))
    assert "emoji-study confirm --study planted" in page.text("confirmation")
    assert "emoji-study ablate --study planted" in page.text("ablation")
    assert not {"confirmation-0", "ablation-0"} & set(page.charts)


@pytest.mark.parametrize("kind", ["confirmation", "ablation"])
def test_their_own_reports(kind: str, ablation: StudyRecord) -> None:
    """The report of a follow-up begins with what it found, and says how to run what is missing."""
    lacking = test_confirmation.record(LACKING, promised=PROMISED)
    record = {"confirmation": lacking, "ablation": ablation}[kind]
    page = Page(render_report(record))
    assert page.ids("section")[:2] == ["verdict", kind]
    assert page.ids("section").count(kind) == 1
    assert page.charts[0] == f"{kind}-0"
    assert "experiment" not in page.ids("section")
    assert "importance" not in page.charts
    assert "is no search" in page.text("expected-best")
    verdict = plain(page.text("verdict"))
    info = get_ablation(record)
    told = describe_confirmation(info_of(record)) if info is None else describe_ablation(info)
    assert told
    for sentence in told:
        assert plain(sentence) in verdict
    assert "Not confirmed yet" not in verdict
    text = plain(page.text(kind))
    assert ("2 trainings are missing" in text) == (kind == "confirmation")
    command = "emoji-study confirm --study search --seeds 5 runs what is missing."
    assert (command in text) == (kind == "confirmation")


def test_other_images_have_a_part_of_their_own(confirmation: StudyRecord) -> None:
    """It is told where they were trained; the verdict and the next steps leave it out."""
    transfer = test_confirmation.transfer(
        VALUES, name="search-on-other", data="other faces.parquet"
    )
    page = Page(render_report(planted(12), followups=[transfer, confirmation]))
    text = plain(page.text("confirmation"))
    for sentence in describe_confirmation(info_of(transfer), info_of(confirmation)):
        assert plain(sentence) in text
    assert "search-on-other: on other images" in text
    (trace,) = page.figures["chart-confirmation-0-data"]["data"]
    assert trace["name"] == "validation, fresh seeds"
    verdict = plain(page.text("verdict"))
    assert verdict.count("Trained again with 5 fresh seeds and splits") == 1
    alone = Page(render_report(planted(12), followups=[transfer]))
    assert "emoji-study confirm --study" in plain(alone.text("verdict"))
    lacking = test_confirmation.transfer(LACKING, name="mine", data="other faces.parquet")
    command = (
        "emoji-study confirm --study search --seeds 5 --other-data 'other faces.parquet' "
        "--name mine runs what is missing."
    )
    assert command in plain(Page(render_report(lacking)).text("confirmation"))
