"""The list of studies: their order, and what it says of each."""

from storage import attrs
from storage.records import BestTrial, Progress, StudySummary
from study.dashboard.studies import rows
from tests.study_tests.synthetic import EXPERIMENT, SETTINGS


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
