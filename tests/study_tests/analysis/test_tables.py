"""The tables of the notebook: groups and families among the best, against pandas."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from storage.records import Scalar, StudyRecord
from study.analysis.tables import (
    Group,
    TopFamily,
    get_all_groups,
    get_groups,
    get_top_families,
    to_frame,
)
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


@pytest.fixture(scope="module")
def classifying() -> StudyRecord:
    """120 trials that classify, some of which break the constraint."""
    return planted_multitask()


def frame_of(record: StudyRecord, metric: Metric) -> tuple[pd.DataFrame, str]:
    """Return the complete trials as a table, and the column of a metric."""
    frame = to_frame(record)
    return frame[frame["state"] == "COMPLETE"], "value" if metric.objective else metric.name


def with_values(values: Sequence[Scalar], errors: Sequence[float]) -> StudyRecord:
    """Return a study of one parameter, which trials with None lack."""
    choices = tuple(dict.fromkeys(value for value in values if value is not None))
    trials = [
        replace(
            trial(i, value=error),
            params={} if value is None else {"choice": value},
            distributions={} if value is None else {"choice": CategoricalDistribution(choices)},
        )
        for i, (value, error) in enumerate(zip(values, errors, strict=True))
    ]
    return study(*trials)


@pytest.mark.parametrize("metric", [VALIDATION_MSE, VALIDATION_ACCURACY], ids=lambda m: m.label)
@pytest.mark.parametrize(
    "parameter",
    ["auto_encoder", "strategy", "classification_layer_num", "class_weights", "epoch"],
)
def test_groups_are_exactly_those_of_pandas(
    classifying: StudyRecord, parameter: str, metric: Metric
) -> None:
    """Text, whole numbers, booleans and constants: value, count, mean and median, to the bit."""
    info = get_groups(classifying, parameter, metric=metric)
    frame, column = frame_of(classifying, metric)
    expected = frame.groupby(parameter)[column].agg(["count", "mean", "median"])
    assert [
        (group.value, group.n_trials, group.mean, group.median) for group in info.groups
    ] == list(expected.itertuples(name=None))
    assert (info.parameter, info.metric) == (parameter, metric)
    assert sum(group.n_trials for group in info.groups) == len(classifying.complete)


def test_groups_of_a_conditional_parameter_leave_out_who_lacks_it() -> None:
    """As pandas does with a missing value."""
    record = planted()
    info = get_groups(record, "bottleneck_dim")
    frame, column = frame_of(record, VALIDATION_MSE)
    expected = frame.groupby("bottleneck_dim")[column].agg(["count", "mean", "median"])
    found = [(group.value, group.n_trials, group.mean, group.median) for group in info.groups]
    assert found == list(expected.itertuples(name=None))
    assert [group.value for group in info.groups] == [16, 32, 64]
    linear = [t for t in record.complete if t.params["auto_encoder"] == "linear"]
    assert sum(group.n_trials for group in info.groups) == len(linear) < len(record.complete)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False, True], [False, True]),
        ([64, 16, 64], [16, 64]),
        ([0.1, 1e-4, 0.1], [1e-4, 0.1]),
        ([16, 0.5, 16], [0.5, 16.0]),
        (["b", "a", "b"], ["a", "b"]),
        (["b", True, "b"], ["True", "b"]),
        (["a", None, None], ["a"]),
        ([None, None, None], []),
    ],
)
def test_values_of_groups_are_plain_and_in_order(
    values: list[Scalar], expected: list[Scalar]
) -> None:
    """Each value keeps its type, except where a column mixes several."""
    found = [group.value for group in get_groups(with_values(values, [1, 2, 4]), "choice").groups]
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_only_complete_trials_with_a_finite_value_are_grouped() -> None:
    """Infinite errors, missing accuracies and other states count in no group."""
    params = {"auto_encoder": "CNN"}
    record = study(
        trial(0, value=0.25, params=params, attrs={"validation_accuracy": 0.5}),
        trial(1, value=0.75, params=params),
        trial(2, value=float("inf"), params=params),
        trial(3, state=TrialState.PRUNED, params=params, curve=(0.1,)),
        trial(4, state=TrialState.FAIL, params=params, attrs={"validation_accuracy": 0.9}),
    )
    assert get_groups(record, "auto_encoder").groups == (
        Group(value="CNN", n_trials=2, mean=0.5, median=0.5),
    )
    assert get_groups(record, "auto_encoder", metric=VALIDATION_ACCURACY).groups == (
        Group(value="CNN", n_trials=1, mean=0.5, median=0.5),
    )
    assert get_groups(record, "unknown").groups == ()
    assert get_groups(study(), "auto_encoder").groups == ()


def test_every_parameter_with_a_few_values_has_groups(classifying: StudyRecord) -> None:
    """The family is first; constants and what has too many values are left out."""
    found = get_all_groups(classifying)
    assert [info.parameter for info in found] == [
        "auto_encoder",
        "strategy",
        "classification_layer_num",
        "class_weights",
    ]
    assert found[1] == get_groups(classifying, "strategy")
    two = get_all_groups(classifying, metric=VALIDATION_ACCURACY, max_groups=2)
    assert [info.parameter for info in two] == ["auto_encoder", "class_weights"]
    assert two[0] == get_groups(classifying, "auto_encoder", metric=VALIDATION_ACCURACY)


@pytest.mark.parametrize("metric", [VALIDATION_MSE, VALIDATION_ACCURACY], ids=lambda m: m.label)
@pytest.mark.parametrize("k", [1, 10, 50, 1000])
@pytest.mark.parametrize("parameter", ["auto_encoder", "strategy"])
def test_top_families_are_those_of_a_sorted_table(
    classifying: StudyRecord, parameter: str, k: int, metric: Metric
) -> None:
    """Head of the table sorted by pandas, counted by family; the best of each is its first row.

    Accuracies of 40 images have many ties, which both sides break alike.
    """
    info = get_top_families(classifying, k=k, parameter=parameter, metric=metric)
    frame, column = frame_of(classifying, metric)
    ordered = frame.sort_values(column, ascending=not metric.maximise, kind="stable")
    counts = ordered.head(k)[parameter].value_counts()
    everywhere = ordered[parameter].value_counts()
    first = ordered.groupby(parameter).head(1).set_index(parameter)
    numbers = ordered["number"].tolist()
    assert info.k == min(k, len(ordered)) == sum(family.n_top for family in info.families)
    assert {family.name for family in info.families} == set(everywhere.index)
    for family in info.families:
        assert family == TopFamily(
            name=family.name,
            n_top=counts.get(family.name, 0),
            n_trials=everywhere[family.name],
            best_number=first.loc[family.name, "number"],
            best=first.loc[family.name, column],
            best_rank=numbers.index(first.loc[family.name, "number"]) + 1,
        )
    tops = [family.n_top for family in info.families]
    assert tops == sorted(tops, reverse=True)


def test_of_equal_trials_the_earlier_ones_are_the_best() -> None:
    """In either order; of families with equally many, the one with the better trial is first."""
    record = study(
        *(
            trial(
                i,
                value=0.5,
                params={"auto_encoder": "linear" if i < 2 else "CNN"},
                attrs={"validation_accuracy": 0.5},
            )
            for i in range(5)
        ),
        settings=MULTITASK_SETTINGS,
    )
    for metric in (VALIDATION_MSE, VALIDATION_ACCURACY):
        two, four = (get_top_families(record, k=k, metric=metric).families for k in (2, 4))
        assert [(f.name, f.n_top, f.best_number, f.best_rank) for f in two] == [
            ("linear", 2, 0, 1),
            ("CNN", 0, 2, 3),
        ]
        assert [(f.name, f.n_top) for f in four] == [("linear", 2), ("CNN", 2)]


def test_top_families_without_trials_are_none() -> None:
    """A study without a complete trial has no best ones, one without families a single one."""
    empty = get_top_families(study())
    assert (empty.k, empty.families) == (0, ())
    (one,) = get_top_families(study(trial(0, value=0.5))).families
    assert (one.name, one.n_top, one.best_number) == ("all", 1, 0)
