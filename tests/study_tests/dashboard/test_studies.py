"""The list of studies: their order, and what it says of each."""

from storage import attrs
from storage.records import Progress, StudySummary
from study.dashboard.studies import rows
from tests.study_tests.synthetic import SETTINGS


def test_followups_stand_under_their_search() -> None:
    """The latest search is first; values are written as in reports, with the study's metric."""
    experiment = {attrs.EXPERIMENT: {"name": "confirmation", "follows": "old"}}
    made = [
        StudySummary(study_id=i, name=name, directions=("minimize",), best=best, **stored)
        for i, (name, best, own) in enumerate(
            (("old", 0.0130901942, {}), ("new", None, {}), ("old-again", 0.5, experiment))
        )
        for stored in [
            {"user_attrs": own | {attrs.SETTINGS: SETTINGS}, "progress": Progress.of({})}
        ]
    ]
    assert [(row.name, row.best, row.follows) for row in rows(made)] == [
        ("new", "–", False),
        ("old", "0.01309", False),
        ("old-again", "0.5000", True),
    ]
    assert {row.metric for row in rows(made)} == {"validation MSE"}
