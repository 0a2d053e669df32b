"""Studies as JSON: nothing is lost, browsers can read it, and damage is told in one line."""

import functools
import json
import math
import operator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.attrs import parted
from storage.errors import StorageError
from storage.record_json import record_from_json, record_to_json
from storage.records import StudyRecord
from tests.study_tests.synthetic import (
    MARKUP,
    SETTINGS,
    START,
    planted,
    planted_multitask,
    study,
    trial,
)


def through_json(record: StudyRecord) -> StudyRecord:
    """Write a record as strict JSON, as browsers read it, and read it again."""
    return record_from_json(json.loads(json.dumps(record_to_json(record), allow_nan=False)))


def test_nothing_is_lost() -> None:
    """States, distributions, curves and times come back; trials share texts of distributions."""
    for record in (planted_multitask(40), study()):
        assert through_json(record) == record
        texts = record_to_json(record)["distributions"]
        names = {name for trial in record.trials for name in trial.distributions}
        assert len(set(texts)) == len(texts) == len(names)


SCALARS = st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none())


@given(
    st.dictionaries(st.text(), SCALARS | st.lists(SCALARS)),
    st.lists(st.floats()),
    st.lists(st.floats(), min_size=1).map(tuple),
)
@example({"reused_from": False}, [], (0.0,))
@example({"a": 2**63 - 1, "b": {"c": [math.nan, 2**53, 1.0, 1]}}, [-math.inf], (math.inf, -0.0))
def test_whatever_a_trial_carries_comes_back(
    attrs: dict[str, Any], curve: list[float], values: tuple[float, ...]
) -> None:
    """All values, scalars and lists with their types, NaN, infinity, what no double can hold."""
    named, others = parted(
        attrs, ours=True
    )  # a name of ours with what it never holds is another's
    made = replace(trial(0, curve=tuple(curve), attrs=named), values=values, other_attrs=others)
    record = replace(study(made, settings=SETTINGS), metric_names=("a", ""))
    assert repr(through_json(record)) == repr(record)


def test_times_of_earlier_versions_are_taken_as_utc() -> None:
    """They had no zone; durations and orders stay what they were."""
    values = record_to_json(study(trial(0, started=START, completed=START + timedelta(seconds=1))))
    assert values["trials"][0]["started"] == "2025-01-01 12:00:00+00:00"
    values["trials"][0] |= {"started": "2025-01-01 12:00:00", "completed": "2025-01-01 12:00:02.5"}
    (read,) = record_from_json(values).trials
    assert (read.started, read.duration_s) == (START, 2.5)


def test_damage_is_one_error() -> None:
    """Whatever is wrong, the error is the package's own, in one line."""
    for path, value in (
        (("trials", 0, "state"), "DONE"),
        (("trials", 0, "values"), ["low"]),
        (("trials", 0, "params", "batch_size"), [MARKUP]),
        (("trials", 0, "distributions", "batch_size"), 99),
        (("trials", 0, "steps"), [1]),
        (("trials", 0, "started"), "yesterday"),
        (("trials",), None),
        (("distributions",), ["{"]),
    ):
        values = record_to_json(planted(4))
        place = functools.reduce(operator.getitem, path[:-1], values)
        place[path[-1]] = value
        with pytest.raises(StorageError, match=r"^This is no study as JSON[^\n]*\Z"):
            record_from_json(values)
