"""The charts of a study's page: which there are, how large, what they say; the list of studies."""

import json
from typing import Any

import pytest
from optuna.trial import TrialState

from benchmarks.analysis import made_up
from storage import attrs
from storage.records import BestTrial, Progress, StudySummary
from study.dashboard.graphs import draw_graphs
from study.dashboard.studies import rows
from study.figures.style import FAMILY_COLORS
from study.report.sections import importance, learning_curves
from tests.study_tests.synthetic import EXPERIMENT, SETTINGS, study, trial


def drawn(graphs: dict[str, str | None]) -> dict[str, Any]:
    """Return the charts that there are."""
    return {name: json.loads(figure) for name, figure in graphs.items() if figure is not None}


def test_charts_of_next_to_nothing() -> None:
    """A study that has just begun has no charts, and one trial has no families."""
    for begun in ((), (trial(0, state=TrialState.RUNNING),)):
        assert drawn(draw_graphs(study(*begun))) == {}
    one = trial(0, value=0.1, params={"auto_encoder": "CNN"}, curve=(0.2, 0.1))
    assert set(drawn(draw_graphs(study(one)))) == {"learning-curves"}


@pytest.mark.whole
def test_charts_of_a_search() -> None:
    """Each has a title and a fixed name, and of a thousand long trials it shows a part."""
    graphs = draw_graphs(made_up("multitask", 1000))
    found = drawn(graphs)
    assert set(found) == {"importance", "learning-curves", "families", "trade-off"}
    assert all(figure["layout"]["title"]["text"] for figure in found.values())
    assert all(len(figure or "") < 60_000 for figure in graphs.values())
    assert len(found["importance"]["data"][0]["y"]) <= importance.GRAPHED
    curves = {n for trace in found["learning-curves"]["data"] for n in trace["customdata"] if n}
    assert len(curves) == learning_curves.GRAPHED


def test_importance_says_what_it_counts() -> None:
    """Beside the dashboard's own chart it names the difference, and how few trials there are."""
    sizes = ({"batch_size": (16, 32)[i % 2], "learning_rate": 0.01 + i / 1e6} for i in range(39))
    made = [trial(i, value=i % 2 + 0.001 * i, params=size) for i, size in enumerate(sizes)]
    chart = drawn(draw_graphs(study(*made, settings=SETTINGS)))["importance"]
    text = chart["layout"]["title"]["text"]
    assert "is by another method, which is blind to" in text
    assert "Worth reading from about 40 complete trials on; there are 39." in text
    assert draw_graphs(study(*made[:20], settings=SETTINGS))["importance"] is None


def test_families_are_boxes_of_their_trials() -> None:
    """Ends, quartiles and median are those of the values, in the family's colour."""
    values = [("CNN", i / 100) for i in range(1, 6)] + [("linear", i / 10) for i in range(1, 4)]
    trials = (trial(i, value=v, params={"auto_encoder": f}) for i, (f, v) in enumerate(values))
    boxes = drawn(draw_graphs(study(*trials, settings=SETTINGS)))["families"]["data"]
    ends = ("lowerfence", "q1", "median", "q3", "upperfence")
    assert [[box[end] for end in ends] for box in boxes] == [
        [[0.01], [0.02], [0.03], [0.04], [0.05]],
        [[0.1], [0.15], [0.2], [0.25], [0.3]],
    ]
    found = [(box["name"].split()[0], box["marker"]["color"]) for box in boxes]
    assert found == [*zip(("CNN", "linear"), FAMILY_COLORS, strict=False)]


def test_followups_stand_under_their_search() -> None:
    """The latest search is first; values are written as in reports, with the study's metric."""
    again = {attrs.EXPERIMENT: {**EXPERIMENT, "follows": "old"}}
    named = (("old", 0.0130901942, {}), ("new", None, {}), ("again", 0.5, again))
    same = {"study_id": 1, "directions": ("minimize",), "progress": Progress.of({})}
    made = [
        StudySummary(
            name=name,
            best=value and BestTrial(values=(value,), user_attrs={}),
            user_attrs=own | {attrs.SETTINGS: SETTINGS},
            metric_names=(),
            **same,
        )
        for name, value, own in named
    ]
    told = [("new", "–", False), ("old", "0.01309", False), ("again", "0.5000", True)]
    assert [(row.summary.name, row.best, row.follows) for row in rows(made)] == told
    assert {row.metric for row in rows(made)} == {"validation MSE"}
