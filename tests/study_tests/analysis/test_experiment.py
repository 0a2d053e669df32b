"""What experiments say: known differences come out, and noise is called noise."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState
from scipy import stats

from storage import attrs
from storage.records import StudyRecord
from study.analysis.ablation import get_ablation
from study.analysis.confirmation import get_confirmation
from study.analysis.experiment import (
    Comparison,
    ExperimentInfo,
    describe_experiment,
    get_experiment,
)
from study.experiment import Arm
from tests.study_tests.analysis import test_ablation, test_confirmation
from tests.study_tests.analysis.test_confirmation import BASE
from tests.study_tests.synthetic import MULTITASK_SETTINGS, Values, study, trained, trial

MSE, ACCURACY, BALANCED = "validation MSE", "validation accuracy", "balanced accuracy"


def record(
    values: Mapping[str, Values],
    *,
    accuracies: Mapping[str, Values] | None = None,
    untrained: Sequence[str] = (),
    **more: Any,
) -> StudyRecord:
    """Return an experiment of the values of each arm, pair by pair.

    Accuracies are taken as the balanced ones, too; the classifiers of untrained arms are not
    trained.
    """

    def own(arm: str, pair: int) -> dict[str, Any]:
        names = (attrs.VALIDATION_ACCURACY, attrs.VALIDATION_BALANCED_ACCURACY)
        column = (accuracies or {}).get(arm)
        return {} if column is None else dict.fromkeys(names, column[pair])

    arms = (
        Arm(name=arm, params={"auxiliary_task": False} if arm in untrained else {}, split="group")
        for arm in values
    )
    return trained(values, arms, own=own, settings=MULTITASK_SETTINGS, **more)


def analysed(values: Mapping[str, Values], **changes: Any) -> ExperimentInfo:
    """Return what an experiment says."""
    return get_experiment(record(values, **changes))


def compared(before: Values, after: Values, *, metric: str = MSE) -> Comparison:
    """Return the only comparison of two arms in a metric."""
    values = {"base": before, "arm": after}
    equal: dict[str, Values] = dict.fromkeys(values, [0.5] * len(before))
    mse, accuracies = (values, None) if metric == MSE else (equal, values)
    (comparison,) = analysed(mse, accuracies=accuracies).of_metric(metric)
    return comparison


def test_by_hand() -> None:
    """Means, difference and counts are those of the pairs, the p-value that of 6 signs of 7."""
    base = [0.10, 0.12, 0.11, 0.13, 0.10, 0.12, 0.16]
    arm = [0.11, 0.14, 0.14, 0.14, 0.12, 0.11, 0.18]
    c = compared([*base, 0.12], [*arm, 0.12])  # the pair without a difference has no sign
    assert (c.arm, c.baseline, c.metric, c.n_pairs) == ("arm", "base", MSE, 8)
    assert (c.baseline_mean, c.arm_mean) == pytest.approx((0.12, 1.06 / 8))
    assert c.difference == pytest.approx(0.10 / 8)
    assert (c.n_above, c.n_below) == (6, 1)
    assert c.p_value == pytest.approx(2 * (1 + 7) / 2**7)
    assert -0.01 < c.low < c.difference < c.high < 0.03
    values = {name: [float(i)] * 7 for i, name in enumerate("cab")}
    info = analysed(values)
    assert info.arms == ("c", "a", "b")
    found = [(c.baseline, c.arm, c.difference) for c in info.comparisons]
    assert found == [("c", "a", 1.0), ("c", "b", 2.0)]
    assert (info.name, info.question, info.n_pairs, info.n_missing) == ("test", "Which?", 7, 0)
    assert info.values[MSE] == {name: tuple(column) for name, column in values.items()}
    # 7 of 7, 6 of 7 and 4 of 7 signs, adjusted for the arms of a metric alone.
    arms = {f"{n} of 7": [0.2] * n + [0.0] * (7 - n) for n in (4, 7, 6)}
    accuracies = {"base": [0.1] * 7, "7 of 7": [0.2] * 7}
    info = analysed({"base": [0.1] * 7, **arms}, accuracies=accuracies)
    found = {c.arm: c.p_value for c in info.of_metric(MSE)}
    assert found == pytest.approx({"4 of 7": 1.0, "7 of 7": 3 / 64, "6 of 7": 3 / 2 * 1 / 8})
    (alone,) = info.of_metric(ACCURACY)
    assert alone.p_value == pytest.approx(1 / 64)


def test_missing_trials() -> None:
    """A pair counts where both arms finished; what is missing is said first."""
    values: dict[str, Values] = {
        "base": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, None],
        "all": [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "some": [None, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9],
        "few": [0.2, 0.3, 0.4, 0.5, 0.6, None, None, 0.9],
        "none": [None] * 8,
    }
    info = analysed(values)
    found = {c.arm: (c.n_pairs, c.baseline_mean, c.difference) for c in info.comparisons}
    assert found == {
        "all": (7, pytest.approx(0.4), pytest.approx(0.1)),
        "some": (6, pytest.approx(0.45), pytest.approx(0.2)),
        "few": (5, pytest.approx(0.3), pytest.approx(0.1)),
    }
    # The arm that cannot be tested does not count as tested.
    *tested, few = info.comparisons
    expected = stats.false_discovery_control([2 / 2**7, 2 / 2**6]).tolist()
    assert [c.p_value for c in tested] == pytest.approx(expected)
    assert (few.p_value, few.low, few.high) == (None, None, None)
    assert "5 pairs are too few to tell" in few.verdict
    first, *others = describe_experiment(info)
    assert first == "12 of 40 trainings are missing; their pairs are left out."
    assert others == [c.verdict for c in info.comparisons]
    assert analysed({"base": [None] * 6, "arm": [None] * 6}).comparisons == ()


@pytest.mark.parametrize(("metric", "sign"), [(MSE, -1), (ACCURACY, 1), (ACCURACY, -1)])
def test_direction(metric: str, sign: int) -> None:
    """Higher and lower are said as they are: what leaks looks better and is not."""
    base = np.linspace(0.4, 0.5, 10)
    arm = base + sign * np.random.default_rng(0).uniform(0.1, 0.2, size=10)
    c = compared(base.tolist(), arm.tolist(), metric=metric)
    higher = "higher" if sign > 0 else "lower"
    assert c.verdict.startswith(f"arm: the {metric} is {higher} than with base by 0.1")
    assert "better" not in c.verdict
    assert f"{higher} in 10 of 10 pairs, p = 0.002)." in c.verdict
    assert (" or " in c.verdict) == (metric == MSE)  # a share of an accuracy says little


def test_verdicts() -> None:
    """Evidence needs both pairs that agree and a sure size; what equals is said to be equal."""
    base = [0.1, 0.3, 0.2, 0.5, 0.4, 0.6]
    c = compared(base, base)
    assert c.verdict == "arm: the validation MSE equals that of base in all 6 pairs."
    assert (c.low, c.high, c.p_value) == (0.0, 0.0, 1.0)
    words = "higher than with base by 0.05 or 25\N{NO-BREAK SPACE}%"
    assert words in compared([0.2] * 6, [0.25] * 6).verdict
    c = compared([1.0] * 10, [*[0.99] * 9, 4.0])  # one large difference against nine small ones
    assert c.difference > 0
    assert c.p_value < 0.05
    assert "no evidence of a difference in validation MSE from base" in c.verdict
    assert "higher in 1 of 10 pairs" in c.verdict
    c = compared([1.0] * 10, [*[1.5] * 8, 0.99, 0.99])  # eight of ten agree too often by chance
    assert c.low > 0
    assert "no evidence of a difference" in c.verdict


def test_untrained_classifiers_are_not_compared() -> None:
    """An autoencoder alone is compared by its error; accuracies have the next arm as baseline."""
    shares = {"alone": 0.25, "joint": 0.75, "sequential": 0.8, "alone too": 0.25}
    info = analysed(
        {name: [0.1 + i] * 7 for i, name in enumerate(shares)},
        accuracies={name: [share] * 7 for name, share in shares.items()},
        untrained=["alone", "alone too"],
    )
    pairs = [(c.baseline, c.arm) for c in info.of_metric(MSE)]
    assert pairs == [("alone", name) for name in ("joint", "sequential", "alone too")]
    for metric in (ACCURACY, BALANCED):
        (c,) = info.of_metric(metric)
        assert (c.baseline, c.arm) == ("joint", "sequential")
        assert c.difference == pytest.approx(0.05)
        assert list(info.values[metric]) == ["joint", "sequential"]
    assert info.labels == (MSE, ACCURACY, BALANCED)


def test_one_image_more_in_every_pair() -> None:
    """Accuracies are rounded, so equal differences differ a little: they are evidence still."""
    for n in (97, 120):
        before, after = ([float(np.float32((k + i) / n)) for k in range(6)] for i in (0, 1))
        c = compared(before, after, metric=ACCURACY)
        assert c.n_above == 6
        assert (c.low, c.high) == pytest.approx((1 / n, 1 / n), rel=1e-4)
        assert "the validation accuracy is higher than with base by" in c.verdict


@pytest.mark.parametrize(
    ("read", "made", "other"),
    [
        (get_experiment, partial(record, {"base": BASE, "arm": [*BASE[:4], None]}), None),
        (
            get_confirmation,
            partial(test_confirmation.record, {"base": BASE, "arm": BASE}),
            attrs.ABLATION,
        ),
        (get_ablation, test_ablation.record, attrs.CONFIRMATION),
    ],
)
def test_what_is_read(
    read: Callable[..., Any], made: Callable[..., StudyRecord], other: str | None
) -> None:
    """Searches and other experiments have no answer; only complete trials are values."""
    broken = replace(study(), user_attrs={attrs.EXPERIMENT: None})
    for unlike in (study(), broken, *([made(name=other)] if other else [])):
        assert read(unlike) is None
    info = read(made())
    states = (TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING)
    ended = itertools.product({t.user_attrs[attrs.ARM] for t in made().trials}, range(5), states)
    more = [
        trial(i, state=state, attrs={attrs.ARM: arm, attrs.PAIR: pair, attrs.VALIDATION_MSE: 9.0})
        for i, (arm, pair, state) in enumerate(ended, start=100)
    ]
    assert read(made(more=more)) == info
    assert info.n_missing == (read is get_experiment)
