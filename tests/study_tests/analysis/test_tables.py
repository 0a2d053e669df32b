"""The tables of the notebook: groups and families among the best, against pandas."""

from dataclasses import replace

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution

from storage.records import StudyRecord
from study.analysis.tables import GroupsInfo, TopFamily, get_all_groups, get_top_families
from study.exchange.columns import columns_of, to_frame
from study.metrics import Metric
from tests.study_tests.synthetic import (
    MULTITASK_SETTINGS,
    VALIDATION_ACCURACY,
    VALIDATION_MSE,
    planted,
    planted_multitask,
    study,
    trial,
)

PLANTED, CLASSIFYING = planted(), planted_multitask()


def frame_of(record: StudyRecord, metric: Metric) -> tuple[pd.DataFrame, str]:
    """Return the complete trials as a table, and the column of a metric."""
    frame = to_frame(columns_of(record))
    return frame[frame["state"] == "COMPLETE"], "value" if metric.objective else metric.name


def groups_of(record: StudyRecord, parameter: str, metric: Metric | None = None) -> GroupsInfo:
    """Return the groups of one parameter."""
    (found,) = (g for g in get_all_groups(record, metric=metric) if g.parameter == parameter)
    return found


@pytest.mark.parametrize(
    ("record", "parameter", "metric"),
    [
        (PLANTED, "bottleneck_dim", VALIDATION_MSE),
        (CLASSIFYING, "strategy", VALIDATION_ACCURACY),
        (CLASSIFYING, "class_weights", VALIDATION_MSE),
    ],
)
def test_groups_are_those_of_pandas(record: StudyRecord, parameter: str, metric: Metric) -> None:
    """Of all types of values: value, count, mean and median are equal, to the bit."""
    info = groups_of(record, parameter, metric)
    frame, column = frame_of(record, metric)
    expected = frame.groupby(parameter)[column].agg(["count", "mean", "median"])
    found = [(group.value, group.n_trials, group.mean, group.median) for group in info.groups]
    assert found == list(expected.itertuples(name=None))
    assert info.metric == metric
    # Values keep their type, and those that look alike are told apart.
    for values, groups in (([16, 0.5, 16], [0.5, 16]), (["10", None, 10], [10, "10", None])):
        ranges = {"choice": CategoricalDistribution(values)}
        trials = (
            replace(trial(i, value=1.0), params={"choice": value}, distributions=ranges)
            for i, value in enumerate(values)
        )
        got = [group.value for group in groups_of(study(*trials), "choice").groups]
        assert (got, list(map(type, got))) == (groups, list(map(type, groups)))


@pytest.mark.parametrize("metric", [VALIDATION_MSE, VALIDATION_ACCURACY], ids=lambda m: m.label)
def test_top_families_are_those_of_a_sorted_table(metric: Metric) -> None:
    """Head and first rows of a table sorted by pandas; of equal trials the earlier are better."""
    info = get_top_families(CLASSIFYING, k=10, metric=metric)
    frame, column = frame_of(CLASSIFYING, metric)
    ordered = frame.sort_values(column, ascending=not metric.maximise, kind="stable")
    counts = ordered.head(10)["auto_encoder"].value_counts()
    everywhere = ordered["auto_encoder"].value_counts()
    first = ordered.groupby("auto_encoder").head(1).set_index("auto_encoder")
    numbers = ordered["number"].tolist()
    assert {family.name for family in info.families} == set(everywhere.index)
    for family in info.families:
        best = first.loc[family.name]
        assert family == TopFamily(
            name=family.name,
            n_top=counts.get(family.name, 0),
            n_trials=everywhere[family.name],
            best_number=best["number"],
            best=best[column],
            best_rank=numbers.index(best["number"]) + 1,
        )
    params = [{"auto_encoder": name} for name in ("linear", "linear", "CNN", "CNN", "CNN")]
    equal = {"value": 0.5, "attrs": {"validation_accuracy": 0.5}}
    trials = (trial(i, params=own, **equal) for i, own in enumerate(params))
    record = study(*trials, settings=MULTITASK_SETTINGS)
    two, four = (get_top_families(record, k=k, metric=metric).families for k in (2, 4))
    found = [(f.name, f.n_top, f.best_number, f.best_rank) for f in two]
    assert found == [("linear", 2, 0, 1), ("CNN", 0, 2, 3)]
    assert [(f.name, f.n_top) for f in four] == [("linear", 2), ("CNN", 2)]
    assert get_top_families(study()).families == ()
