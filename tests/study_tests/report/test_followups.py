"""What the report says of confirmations and ablations."""

import json
from dataclasses import replace
from typing import Any

import pytest

from storage import attrs
from storage.records import StudyRecord
from study.analysis.ablation import describe_ablation, get_ablation
from study.analysis.confirmation import CHOSEN, TOP, describe_confirmation, get_confirmation
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
    return Page(render_report(planted(40), followups=[confirmation, ablation]))


def numbers_of(page: Page, key: str) -> list[dict[str, Any]]:
    """Return the traces of a chart."""
    (text,) = (text for attrs, text in page.scripts if attrs.get("id") == f"chart-{key}-data")
    traces: list[dict[str, Any]] = json.loads(text)["data"]
    return traces


def test_confirmation_is_told(page: Page, confirmation: StudyRecord) -> None:
    """Every sentence and every mean of the analysis stands in the section of the search."""
    info = get_confirmation(confirmation)
    assert info is not None
    text = plain(page.text("confirmation"))
    for sentence in describe_confirmation(info):
        assert plain(sentence) in text
    for c in info.confirmed:
        assert c.validation is not None
        assert c.test is not None
        assert c.name in text
        assert format_mse(c.validation.mean) in text
        assert format_mse(c.test.mean) in text
    assert "Overtuning" in text
    searched, validation, test = numbers_of(page, "confirmation-0")
    assert searched["x"] == [PROMISED[name] for name in ("trial 7", MARKUP)]
    means = [c.validation.mean for c in info.confirmed if c.validation]
    assert validation["x"] == pytest.approx(means, rel=1e-3)
    assert test["x"] == pytest.approx([1.1 * mean for mean in means], rel=1e-3)


def test_the_verdict_is_the_confirmed_one(page: Page, confirmation: StudyRecord) -> None:
    """It says what the best reached with fresh seeds, on test images, and what is left to do."""
    info = get_confirmation(confirmation)
    assert info is not None
    best = info.get("trial 7")
    assert best.validation is not None
    assert best.test is not None
    text = plain(page.text("verdict"))
    assert (
        "Trained again with 5 fresh seeds and splits, trial 7 has the lowest mean validation MSE: "
        f"{format_mse(best.validation.mean)} (95 % interval" in text
    )
    assert f"on the test images its MSE is {format_mse(best.test.mean)} (95 % interval" in text
    assert f"{plain(format_change(best.difference))} against the default" in text
    assert "Not confirmed yet" not in text
    assert "emoji-study train --study planted --trial best" in text
    only = plain(Page(render_report(planted(40), followups=[confirmation])).text("verdict"))
    assert "emoji-study ablate --study planted says which" in only


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
    chosen = replace(
        confirmation,
        name="chosen",
        user_attrs={**confirmation.user_attrs, attrs.EXPERIMENT: experiment},
    )
    info = get_confirmation(chosen)
    assert info is not None
    *others, last = (plain(c.name) for c in info.confirmed)
    text = plain(
        Page(render_report(planted(12), followups=[confirmation, chosen])).text("verdict")
    )
    assert text.count("has the lowest mean validation MSE:") == 1
    assert (
        text.count(f"has the lowest mean validation MSE of {', '.join(others)} and {last}:") == 1
    )


def test_ablation_is_told(page: Page, ablation: StudyRecord) -> None:
    """The path, the neighbours and the surrogate's guesses stand in the section of the search."""
    info = get_ablation(ablation)
    assert info is not None
    text = plain(page.text("ablation"))
    for sentence in describe_ablation(info):
        assert plain(sentence) in text
    for found in (*info.path, *(other for sweep in info.sweeps for other in sweep.others)):
        assert found.name in text
    surrogate, measured = numbers_of(page, "ablation-0")
    assert surrogate["x"] == [0.07] * len(info.path)
    assert measured["x"] == pytest.approx(
        [step.validation.mean for step in info.path if step.validation], rel=1e-3
    )


def test_markup_in_names_is_text(page: Page) -> None:
    """A name that holds markup is shown as it is and opens no element."""
    assert MARKUP in page.text("confirmation")
    assert MARKUP not in page.source
    assert "<b>loss" not in page.source


def test_a_search_without_them_says_how() -> None:
    """Without a confirmation or an ablation the report names the commands."""
    page = Page(render_report(planted(12)))
    assert "emoji-study confirm --study planted" in page.text("confirmation")
    assert "emoji-study ablate --study planted" in page.text("ablation")
    assert not {"confirmation-0", "ablation-0"} & set(page.charts)


@pytest.mark.parametrize("kind", ["confirmation", "ablation"])
def test_their_own_reports(kind: str, confirmation: StudyRecord, ablation: StudyRecord) -> None:
    """The report of a follow-up begins with what it found, and is that of no search."""
    record = {"confirmation": confirmation, "ablation": ablation}[kind]
    page = Page(render_report(record))
    assert page.ids("section")[:2] == ["verdict", kind]
    assert page.ids("section").count(kind) == 1
    assert page.charts[0] == f"{kind}-0"
    assert "experiment" not in page.ids("section")
    assert "importance" not in page.charts
    assert "is no search" in page.text("expected-best")
    infos = {"confirmation": get_confirmation(record), "ablation": get_ablation(record)}
    describe: dict[str, Any] = {
        "confirmation": describe_confirmation,
        "ablation": describe_ablation,
    }
    verdict = plain(page.text("verdict"))
    for sentence in describe[kind](infos[kind]):
        assert plain(sentence) in verdict
    assert "Not confirmed yet" not in verdict


def test_missing_trainings_name_the_command() -> None:
    """What is missing can be run with the command that is shown."""
    values: dict[str, list[float | None]] = {**VALUES, "trial 7": [0.05, None, None, 0.06, 0.05]}
    page = Page(render_report(test_confirmation.record(values, promised=PROMISED)))
    text = plain(page.text("confirmation"))
    assert "2 trainings are missing" in text
    assert "emoji-study confirm --study search --seeds 5 runs what is missing." in text


def test_several_confirmations(confirmation: StudyRecord) -> None:
    """Each has a heading and a chart of its own."""
    page = Page(render_report(planted(12), followups=[confirmation, confirmation]))
    assert [c for c in page.charts if c.startswith("confirm")] == [
        "confirmation-0",
        "confirmation-1",
    ]


def test_other_images_have_a_part_of_their_own(confirmation: StudyRecord) -> None:
    """It is told where they were trained; the verdict and the next steps leave it out."""
    transfer = test_confirmation.transfer(
        VALUES, name="search-on-other", data="other faces.parquet"
    )
    own, info = get_confirmation(confirmation), get_confirmation(transfer)
    assert own is not None
    assert info is not None
    page = Page(render_report(planted(12), followups=[transfer, confirmation]))
    text = plain(page.text("confirmation"))
    for sentence in describe_confirmation(info, own):
        assert plain(sentence) in text
    assert "search-on-other: on other images" in text
    assert [trace["name"] for trace in numbers_of(page, "confirmation-0")] == [
        "validation, fresh seeds"
    ]
    verdict = plain(page.text("verdict"))
    assert verdict.count("Trained again with 5 fresh seeds and splits") == 1
    alone = Page(render_report(planted(12), followups=[transfer]))
    assert "emoji-study confirm --study" in plain(alone.text("verdict"))


def test_missing_trainings_on_other_images_name_the_command() -> None:
    """The file is named, quoted for a shell, and so is the study."""
    values: dict[str, list[float | None]] = {**VALUES, "trial 7": [0.05, None, None, 0.06, 0.05]}
    transfer = test_confirmation.transfer(values, name="mine", data="other faces.parquet")
    page = Page(render_report(transfer))
    command = (
        "emoji-study confirm --study search --seeds 5 --other-data 'other faces.parquet' "
        "--name mine runs what is missing."
    )
    assert command in plain(page.text("confirmation"))
