"""What experiments say: known differences come out, and noise is called noise."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState
from scipy import stats
from statsmodels.stats.multitest import multipletests

from storage import attrs
from storage.records import StudyRecord
from storage.values import Arm
from study.analysis.ablation import get_ablation
from study.analysis.confirmation import get_confirmation
from study.analysis.estimates import by_split
from study.analysis.experiment import (
    Comparison,
    ExperimentInfo,
    describe_experiment,
    get_experiment,
)
from study.analysis.paired import judged_on
from tests.study_tests.analysis import test_ablation, test_confirmation
from tests.study_tests.analysis.test_confirmation import BASE, PERCENT
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
    """Means and counts are those of the pairs; the p-value that of t, or of signs if larger."""
    base = [0.10, 0.12, 0.11, 0.13, 0.10, 0.12, 0.16]
    arm = [0.11, 0.14, 0.14, 0.14, 0.12, 0.11, 0.18]
    c = compared([*base, 0.12], [*arm, 0.12])
    logs = np.log(arm) - np.log(base)
    assert (c.arm, c.baseline, c.metric, c.found.n_pairs) == ("arm", "base", MSE, 8)
    means = stats.gmean([[*base, 0.12], [*arm, 0.12]], axis=1)
    assert (c.baseline_mean, c.arm_mean) == pytest.approx(tuple(means))
    assert c.arm_mean / c.baseline_mean - 1 == pytest.approx(c.found.mean)
    assert c.found.mean == pytest.approx(math.expm1(logs.sum() / 8))
    assert (c.found.n_above, c.found.n_below) == (6, 1)
    t = stats.ttest_1samp([*logs, 0.0], 0.0)
    ends = np.expm1(t.confidence_interval(0.95))
    assert c.found.interval == pytest.approx(tuple(ends))
    flips = np.array(list(itertools.product([-1, 1], repeat=7))) @ logs
    exact = float(np.mean(np.abs(flips) >= abs(logs.sum()) - 1e-12))
    assert c.found.p_value == pytest.approx(max(exact, t.pvalue))
    values = {name: [float(i)] * 7 for i, name in enumerate("cab")}
    info = analysed(values)
    assert [arm.name for arm in info.made.arms] == ["c", "a", "b"]
    found = [(c.baseline, c.arm, c.found.mean) for c in info.comparisons]
    assert found == [("c", "a", 1.0), ("c", "b", 2.0)]
    assert (info.made.question, info.made.n_pairs, info.n_missing) == ("Which?", 7, 0)
    assert info.values[MSE] == {name: dict(enumerate(column)) for name, column in values.items()}
    # They are adjusted for the arms in all metrics together.
    noise = np.random.default_rng(0).normal(scale=0.01, size=(3, 5))
    arms = {f"{i}": (0.1 + 0.01 * i + noise[i]).tolist() for i in range(3)}
    accuracies = {"base": [0.1, 0.2, 0.3, 0.2, 0.1], "1": [0.2, 0.25, 0.4, 0.3, 0.15]}
    info = analysed({"base": [0.1] * 5, **arms}, accuracies=accuracies)
    alone = [stats.ttest_1samp(np.log(arm) - np.log(0.1), 0.0).pvalue for arm in arms.values()]
    differences = np.subtract(*reversed(list(accuracies.values())))
    alone += [stats.ttest_1samp(differences, 0.0).pvalue] * 2  # in both accuracies
    found = [c.found.p_value for c in info.comparisons]
    assert found == pytest.approx(multipletests(alone, method="holm")[1].tolist())


def test_missing_trials() -> None:
    """A pair counts where both arms finished; what is missing is said first."""
    values: dict[str, Values] = {
        "base": [0.1, 0.2, 0.3, None],
        "all": [0.2, 0.3, 0.4, 0.9],
        "few": [0.2, 0.3, None, 0.9],
        "none": [None] * 4,
    }
    info = analysed(values)
    approx = pytest.approx
    found = {c.arm: (c.found.n_pairs, c.baseline_mean, c.found.n_above) for c in info.comparisons}
    assert found == {"all": (3, approx(0.006 ** (1 / 3)), 3), "few": (2, approx(0.02**0.5), 2)}
    # The arm that cannot be tested does not count as tested.
    tested, few = info.comparisons
    ratios = np.log(values["all"][:3]) - np.log(values["base"][:3])
    assert tested.found.p_value == pytest.approx(stats.ttest_1samp(ratios, 0.0).pvalue)
    assert (few.found.p_value, few.found.interval) == (None, None)
    assert "2 pairs are too few to tell a difference" in few.verdict
    first, *others = describe_experiment(info)
    assert first == "6 of 16 trainings are missing; their pairs are left out."
    assert others == [c.verdict for c in info.comparisons]
    assert analysed({"base": [None] * 6, "arm": [None] * 6}).comparisons == ()


@pytest.mark.parametrize(("metric", "sign"), [(MSE, -1), (ACCURACY, 1), (ACCURACY, -1)])
def test_direction(metric: str, sign: int) -> None:
    """Higher and lower are said as they are: what leaks looks better and is not."""
    base = np.linspace(0.4, 0.5, 10)
    arm = base + sign * np.random.default_rng(0).uniform(0.1, 0.2, size=10)
    c = compared(base.tolist(), arm.tolist(), metric=metric)
    higher = "higher" if sign > 0 else "lower"
    size = c.found.written(c.found.mean).lstrip("+\N{MINUS SIGN}")
    assert c.verdict.startswith(f"arm: the {metric} is {higher} than with base by {size} (")
    assert "better" not in c.verdict
    told = "p = 0.002" if metric == MSE else "adjusted p = 0.004"  # of both accuracies
    assert f"{higher} in 10 of 10 pairs, {told})." in c.verdict
    assert (PERCENT in size) == (metric == MSE)  # a share of an accuracy says little


def test_verdicts() -> None:
    """One rule parts what is told, what is equal within a margin, and what cannot be told."""
    base = [0.1, 0.3, 0.2, 0.5, 0.4, 0.6]
    c = compared(base, base)
    assert c.verdict == "arm: the validation MSE equals that of base in all 6 pairs."
    assert (*c.found.interval, c.found.p_value) == (0.0, 0.0, 1.0)
    c = compared(base, [v * f for v, f in zip(base, [1.01, 0.99] * 3, strict=True)])
    assert (c.found.told, c.found.equal) == (False, True)
    assert f"the validation MSE is that of base, within 10{PERCENT} (mean diff" in c.verdict
    some = [0.80, 0.82, 0.78, 0.81, 0.79, 0.80]
    moved = [v + d for v, d in zip(some, [0.001, -0.001] * 3, strict=True)]
    c = compared(some, moved, metric=ACCURACY)
    assert "that of base, within 5\N{NO-BREAK SPACE}points (" in c.verdict
    # Small shares that differ by half are not equal, however few points that is.
    low, half = [0.02, 0.03, 0.02, 0.03, 0.02, 0.03], [0.03, 0.04, 0.03, 0.045, 0.03, 0.04]
    assert not compared(low, half, metric=ACCURACY).found.equal
    c = compared([1.0] * 10, [*[0.99] * 9, 4.0])  # one large difference against nine small ones
    assert c.found.mean > 0
    assert "cannot be told from base in validation MSE" in c.verdict
    assert "higher in 1 of 10 pairs" in c.verdict
    assert f"about {c.found.needed} pairs would tell it, were it as large as here)." in c.verdict
    # A large difference is found in few pairs of many arms, where signs alone could not.
    rng = np.random.default_rng(0)
    noise = np.exp(rng.normal(scale=0.02, size=(9, 8)))
    arms = {f"arm {i}": (row * (3 if i == 1 else 1)).tolist() for i, row in enumerate(noise)}
    info = analysed({"base": [1.0] * 8, **arms})
    assert [c.arm for c in info.comparisons if c.found.told] == ["arm 1"]
    # Steps of an accuracy are coarse: equal ones in few pairs may be chance.
    assert not compared([0.5] * 3, [0.6] * 3, metric=ACCURACY).found.told
    assert compared([0.5, 0.6, 0.7], [1.0, 1.2, 1.4]).found.told


def test_splits_that_overlap() -> None:
    """Trainings with one split are one number, and what splits share makes intervals longer."""
    values = {"base": [1.0, 1.0, 1.0, 1.0], "arm": [1.1, 1.3, 1.4, 1.6]}
    sides = ("vvtttt", "vvtttt", "ttvvtt", "vtvttt")  # shares of 0, 1/2 and 1/2
    found = analysed(values, sides={"group": sides}).comparisons[0].found
    units = np.log([math.sqrt(1.1 * 1.3), 1.4, 1.6])
    assert found.n_pairs == 4
    assert found.mean == pytest.approx(math.expm1(units.mean()))
    r = 1 / 3
    half = stats.t.ppf(0.975, 2) * units.std(ddof=1) * math.sqrt(1 / 3 + r / (1 - r))
    assert math.log1p(found.interval.high) == pytest.approx(units.mean() + half)
    assert found.p_value > stats.ttest_1samp(units, 0.0).pvalue
    # Of arms with splits of their own count what both sides of two pairs share.
    assert judged_on(sides, list(sides)) == sides
    disjoint = ("vvtttt", "ttvvtt", "ttttvv", "vvtttt")
    assert by_split([1.0] * 4, judged_on(sides, disjoint)) == ([1.0] * 4, pytest.approx(7 / 24))


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
        assert c.found.mean == pytest.approx(0.05)
        assert list(info.values[metric]) == ["joint", "sequential"]
    assert info.labels == (MSE, ACCURACY, BALANCED)


def test_one_image_more_in_every_pair() -> None:
    """Accuracies are rounded, so equal differences differ a little: they are evidence still."""
    for n in (97, 120):
        before, after = ([float(np.float32((k + i) / n)) for k in range(8)] for i in (0, 1))
        c = compared(before, after, metric=ACCURACY)
        assert (c.found.n_above, c.found.p_value) == (8, 2 * 0.5**7)  # of both accuracies
        assert c.found.interval == pytest.approx((1 / n, 1 / n), rel=1e-4)
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
def test_what_is_read(read: Callable, made: Callable, other: str | None) -> None:
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
