"""What the report says of confirmations and ablations."""

import json
from dataclasses import replace
from typing import Any

import pytest

from storage import attrs
from storage.records import StudyRecord
from study.analysis.ablation import describe_ablation, get_ablation
from study.analysis.confirmation import CHOSEN, TOP, get_confirmation
from study.analysis.confirmation_text import describe_confirmation
from study.formats import format_change, format_number
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
SEARCH = planted(4)
CONFIRMATION = test_confirmation.record(
    VALUES,
    promised=PROMISED,
    tests={name: [value * 1.1 for value in values] for name, values in VALUES.items()},
)
"""It was tested; one of its names holds markup."""
ABLATION = test_ablation.record(expected=dict.fromkeys(test_ablation.VALUES, 0.07))
"""With a surrogate's guesses."""
OTHER = "other faces.parquet"


@pytest.fixture(scope="module")
def page() -> Page:
    """The report of a search with both."""
    return Page(render_report(SEARCH, followups=[CONFIRMATION, ABLATION]))


def x_of(page: Page, key: str) -> list[Any]:
    """Return the places of the traces of a chart."""
    return [trace["x"] for trace in page.figures[f"chart-{key}-data"]["data"]]


def test_confirmation_is_told(page: Page) -> None:
    """Its sentences and means stand in the search's page, its verdict first, names as text."""
    info = get_confirmation(CONFIRMATION)
    assert {c.name for c in info.confirmed} == set(VALUES)
    page.says("confirmation", *describe_confirmation(info), "Overtuning")
    for c in info.confirmed:
        means = (c.validation.mean, c.test.mean)
        page.says("confirmation", c.name, *map(format_number, means))
    searched, validation, test = x_of(page, "confirmation-0")
    assert searched == [PROMISED[name] for name in ("trial 7", MARKUP)]
    means = [c.validation.mean for c in info.confirmed if c.validation]
    assert validation == pytest.approx(means, rel=1e-3)
    assert test == pytest.approx([1.1 * mean for mean in means], rel=1e-3)
    assert MARKUP not in page.source
    assert "<b>loss" not in page.source
    best = info.get("trial 7")
    page.says(
        "header",
        f"validation MSE {format_number(best.validation.mean)} in the mean of 5 fresh seeds",
        "Confirmed over 5 fresh seeds and splits (95 % interval",
        f"{format_change(best.difference.mean)} against the default’s",
        f"by which nothing was chosen: {format_number(best.test.mean)} (95 % interval",
        "emoji-study train --study planted --trial 10",
    )
    assert "Not confirmed yet" not in page.text("header")


def test_ablation_is_told(page: Page) -> None:
    """The path, the neighbours and the surrogate's guesses stand in the section of the search."""
    info = get_ablation(ABLATION)
    shown = (*info.path, *(other for sweep in info.sweeps for other in sweep.others))
    page.says("ablation", *describe_ablation(info), *(found.name for found in shown), "surrogate")
    surrogate, measured = x_of(page, "ablation-0")
    assert surrogate == [0.07] * len(info.path)
    means = [step.validation.mean for step in info.path if step.validation]
    assert measured == pytest.approx(means, rel=1e-3)


def test_confirmations_beside_that_of_the_best() -> None:
    """Chosen ones are told as such; what was trained on other images is no part of the verdict."""
    experiment = json.loads(json.dumps(CONFIRMATION.user_attrs[attrs.EXPERIMENT]))
    for arm in experiment["arms"]:
        arm["role"] = CHOSEN if arm["role"] == TOP else arm["role"]
    told = {**CONFIRMATION.user_attrs, attrs.EXPERIMENT: experiment}
    chosen = replace(CONFIRMATION, name="chosen", user_attrs=told)
    transfer = test_confirmation.transfer(VALUES, name="search-on-other", data=OTHER)
    page = Page(render_report(SEARCH, followups=[transfer, CONFIRMATION, chosen]))
    assert plain(page.text("header")).count("Confirmed over 5 fresh seeds") == 1
    page.says("header", "emoji-study ablate --study planted")
    charts = [c for c in page.places if c.startswith("chart-confirm")]
    assert charts == [f"chart-confirmation-{i}" for i in range(3)]
    page.says(
        "confirmation",
        *describe_confirmation(get_confirmation(transfer), get_confirmation(CONFIRMATION)),
    )
    page.says("confirmation", "search-on-other On other images", "chosen Configurations chosen by")
    (trace,) = page.figures["chart-confirmation-1-data"]["data"]
    assert trace["name"] == "validation, fresh seeds"
    alone = Page(render_report(SEARCH, followups=[transfer]))
    alone.says("header", "Not confirmed yet", "emoji-study confirm --study")


@pytest.mark.parametrize(
    ("record", "kind", "missing"),
    [
        (test_confirmation.record(LACKING, promised=PROMISED), "confirmation", ""),
        (
            test_confirmation.transfer(LACKING, name="mine", data=OTHER),
            "confirmation",
            " --other-data 'other faces.parquet' --name mine",
        ),
        (test_ablation.record(), "ablation", None),
    ],
)
def test_their_own_reports(record: StudyRecord, kind: str, missing: str | None) -> None:
    """They begin with what was found, say how to run what is missing, and lack empty columns."""
    page = Page(render_report(record))
    assert page.ids("section")[:2] == ["holds", kind]
    assert page.ids("section").count(kind) == 1
    assert page.charts[0] == kind
    assert "experiment" not in page.ids("section")
    assert "importance" not in page.charts
    assert "Not confirmed yet" not in page.text("header")
    if kind == "ablation":
        info = get_ablation(record)
        page.says("header", *describe_ablation(info))
        page.says("ablation", "instead of")
        assert "surrogate" not in page.text("ablation")
        assert {len(table.columns) for table in ablation_tables(info)} == {5}
    else:
        page.says("header", *describe_confirmation(get_confirmation(record)))
    command = f"emoji-study confirm --study search --seeds 5{missing}"
    for sentence in ("2 trainings are missing", "What is missing is run by:", command):
        assert (sentence in plain(page.text(kind))) == (missing is not None)
