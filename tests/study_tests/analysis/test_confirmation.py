"""What confirmations say: known differences come out, the best is among the tied ones."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState
from scipy import stats

from storage import attrs
from storage.records import StudyRecord
from storage.values import Arm
from study.analysis.confirmation import ConfirmationInfo, get_confirmation
from study.analysis.confirmation_text import describe_confirmation, same_order
from study.analysis.estimates import Estimate, estimate_on, half_interval, mean_variance
from study.analysis.paired import Pairs, compare, power
from study.followups.testing import MAX_BLOCKS, blocks
from study.formats import MINUS, format_change, format_number
from study.metrics import Metric
from tests.study_tests.synthetic import (
    MULTITASK_SETTINGS,
    SETTINGS,
    START,
    VALIDATION_MSE,
    Values,
    trained,
    trial,
)

BASE = [0.10, 0.12, 0.11, 0.13, 0.09]
"""Errors of a default over five seeds."""

BETTER = [0.081, 0.093, 0.090, 0.101, 0.073]
"""A fifth lower, with little scatter."""

PERCENT = "\N{NO-BREAK SPACE}%"
NONE: Mapping[str, Any] = {}


def record(
    values: Mapping[str, Values],
    *,
    promised: Mapping[str, float] = NONE,
    accuracies: Mapping[str, Values] = NONE,
    seconds: Mapping[str, float] = NONE,
    tests: Mapping[str, Values] = NONE,
    test_accuracies: Mapping[str, Values] = NONE,
    min_accuracy: float | None = None,
    roles: Mapping[str, str] = NONE,
    **changes: Any,
) -> StudyRecord:
    """Return a confirmation; the arm ``middle`` is from the middle, all but the default are top.

    Args:
        values: The validation MSE of each arm, seed by seed, as are the test MSE and accuracies.
        promised: What the search had measured. Arm ``i`` repeats trial ``10 * i`` then.
        seconds: Training time of each arm.
        roles: Of arms whose names do not tell.
        changes: See ``trained``.
    """

    def own(arm: str, pair: int) -> dict[str, Any]:
        found = {
            attrs.PARAMETER_COUNT: 1000 * (list(values).index(arm) + 1),
            attrs.TRAINING_SECONDS: arm in seconds and seconds[arm] * (0.9 if pair % 2 else 1.1),
            attrs.VALIDATION_ACCURACY: arm in accuracies and accuracies[arm][pair],
        }
        return {name: value for name, value in found.items() if value}

    arms = [
        Arm(
            name=arm,
            params={"learning_rate": 0.01},
            role=roles.get(arm, arm if arm in ("default", "middle") else "top"),
            trial=10 * i if arm in promised else None,
            expected=promised.get(arm),
        )
        for i, arm in enumerate(values)
    ]
    kind = MULTITASK_SETTINGS if accuracies or min_accuracy else SETTINGS
    settings = {**kind, "min_accuracy": min_accuracy}
    fields = {"name": attrs.CONFIRMATION, "keep_models": True, "settings": settings, **changes}
    made = trained(values, arms, own=own, **fields)
    results: dict[str, dict[str, float]] = {}
    for t in made.trials:
        arm, pair = t.user_attrs[attrs.ARM], t.user_attrs[attrs.PAIR]
        both = {"mse": tests.get(arm), "accuracy": test_accuracies.get(arm)}
        found = {name: column[pair] for name, column in both.items() if column}
        if found.get("mse") is not None:
            results[str(t.number)] = found
    tested = {attrs.TEST_RESULTS: results} if results else {}
    return replace(made, user_attrs={**made.user_attrs, **tested})


def transfer(values: Mapping[str, Values], *, name: str, data: str) -> StudyRecord:
    """Return a confirmation on the images of another file."""
    made = record(values, name=attrs.TRANSFER, settings={**SETTINGS, "data": data})
    return replace(made, name=name)


def confirmed(values: Mapping[str, Values], **changes: Any) -> ConfirmationInfo:
    """Return what a confirmation says."""
    return get_confirmation(record(values, **changes))


def said(values: Mapping[str, Values], **changes: Any) -> str:
    """Return what is said of a confirmation."""
    return " ".join(describe_confirmation(confirmed(values, **changes)))


def by_ratios(values: Sequence[float]) -> Estimate:
    """Return the geometric mean with the interval of the mean logarithm, likewise."""
    found, pairs = by_scipy(np.log(values)), dict(enumerate(values))
    logs = estimate_on("ratio", pairs, VALIDATION_MSE, ["tvx"] * len(values))
    assert np.log([logs.mean, *logs.interval]).tolist() == [found.mean, *found.interval]
    return logs


def by_scipy(values: Sequence[float]) -> Estimate:
    """Return a mean with its 95 % interval as SciPy calculates it, up to rounding."""
    ends = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    low, high = map(pytest.approx, ends)
    return Estimate(mean=pytest.approx(np.mean(values)), interval=(low, high), n=len(values))


def test_by_hand() -> None:
    """Means and their intervals come lowest first; differences are ratios of geometric means."""
    info = confirmed({"default": BASE, "a": BETTER, "middle": [0.2, 0.3, 0.2, 0.25, 0.2]})
    assert (info.study, info.follows) == ("search-confirmation", "search")
    assert (info.n_seeds, info.n_missing, info.enough) == (5, 0, True)
    a, default, _ = info.confirmed
    assert [(c.name, c.role, c.parameter_count) for c in info.confirmed] == [
        *(("a", "top", 2000), ("default", "default", 1000), ("middle", "middle", 3000))
    ]
    assert (a.validation, default.validation) == (by_ratios(BETTER), by_ratios(BASE))
    # So the difference is the ratio of what stands beside it.
    assert a.validation.mean / default.validation.mean - 1 == pytest.approx(a.difference.mean)
    logs = np.log1p([a.difference.mean, *a.difference.interval]).tolist()
    shares = by_scipy(np.log(BETTER) - np.log(BASE))
    assert logs == [shares.mean, *shares.interval]
    assert not confirmed({"default": [0.1, 0.0], "a": BASE[:2]}).ratios  # of 0 there are none
    # The default is compared with nothing but the best.
    assert (default.difference, default.beats, default.n_wins) == (None, None, 0)
    assert default.from_best.mean == pytest.approx(1 / (1 + a.difference.mean) - 1)
    # The probability of beating it has a Wilson interval; a tie is no win.
    c = confirmed({"default": BASE, "a": [*(v - 0.01 for v in BASE[:2]), *BASE[2:]]}).get("a")
    assert (c.n_wins, c.difference.n_pairs) == (2, 5)
    z, share = stats.norm.ppf(0.975), 2 / 5
    middle = (share + z**2 / 10) / (1 + z**2 / 5)
    half = z / (1 + z**2 / 5) * math.sqrt(share * (1 - share) / 5 + z**2 / 100)
    assert c.beats == pytest.approx((middle - half, middle + half))
    # Splits that share images tell less, and one split for all is one number at a time.
    sides = {"group": ("vvtt", "vtvt", "vttv", "tvvt", "tvtv")}
    values = {"default": BASE, "a": [*(v - 0.01 for v in BASE[:2]), *BASE[2:]]}
    low, high = confirmed(values, sides=sides).get("a").beats
    assert low < c.beats.low - 0.02
    assert high > c.beats.high + 0.02


def test_shrinkage() -> None:
    """Of each the share by which the search had flattered it, of chosen and others the mean."""
    means = {"default": 0.3, "a": 0.11, "b": 0.13, "c": 0.10, "middle": 0.21}
    promised = {"default": 0.2, "a": 0.1, "b": 0.1, "c": 0.1, "middle": 0.2}
    expected = {"default": 0.5, "a": 0.1, "b": 0.3, "c": 0.0, "middle": 0.05}
    info = confirmed({name: [mean] * 3 for name, mean in means.items()}, promised=promised)
    assert {c.name: c.shrinkage for c in info.confirmed} == pytest.approx(expected, abs=1e-12)
    assert info.rise.chosen == pytest.approx((1.1 * 1.3 * 1.0) ** (1 / 3) - 1)
    assert info.rise.unchosen == pytest.approx({"default": 0.5, "middle": 0.05})
    assert (info.get("a").search_value, info.get("a").trial) == (0.1, 10)
    # A default that was not searched had promised nothing.
    info = confirmed({"default": BASE, "a": BETTER}, promised={"a": 0.08})
    assert (info.get("default").shrinkage, info.get("default").trial) == (None, None)
    assert info.rise.chosen == pytest.approx(stats.gmean(BETTER) / 0.08 - 1)
    assert not info.rise.unchosen
    assert confirmed({"default": BASE}).rise.chosen is None


def test_seed_split_and_choice() -> None:
    """Other seeds on the search's split show what choosing has cost, fresh splits the rest."""
    own, *fresh = "vvtttt", "ttvvtt", "ttttvv", "tvvttt"
    sides = (own, fresh[0], own, fresh[1], own, fresh[2])
    harder, seeds = [1.0, 1.2] * 3, [1.0, 1.01, 1.02, 0.99, 0.98, 1.0]
    scale = {"default": 2.0, "a": 0.5, "b": 0.6, "middle": 1.0}
    turn = {name: seeds[i:] + seeds[:i] for i, name in enumerate(scale)}
    values = {n: np.multiply(harder, turn[n]) * scale[n] for n in scale}
    promised = {**scale, "a": 0.5 / 1.1, "b": 0.6 / 1.1}
    more: dict[str, Any] = {"sides": {"group": sides}, "settings": {**SETTINGS, "sides": own}}
    arms: dict[str, Values] = {name: found.tolist() for name, found in values.items()}
    info = confirmed(arms, promised=promised, **more)
    assert (info.n_seeds, info.n_own, info.n_splits) == (6, 3, 4)
    a, rise = info.get("a"), info.rise
    assert (a.own.n, a.fresh.n) == (3, 3)
    assert a.own.mean == pytest.approx(stats.gmean(values["a"][::2]))
    assert a.validation.mean**4 == pytest.approx(a.own.mean * a.fresh.mean**3)
    assert (rise.n_own, rise.n_fresh, list(rise.unchosen)) == (3, 3, ["default", "middle"])
    same = {n: stats.gmean(values[n][::2]) / promised[n] - 1 for n in values}
    assert rise.unchosen == pytest.approx({n: same[n] for n in ("default", "middle")})
    chosen = math.sqrt((1 + same["a"]) * (1 + same["b"]))
    cost = chosen / math.sqrt((1 + same["default"]) * (1 + same["middle"]))
    (choice, (low, high)), (split, (least, most)) = rise.choice, rise.split
    assert (choice, rise.chosen) == pytest.approx((cost - 1, chosen - 1))
    ratios = [np.log(values[n]) for n in ("a", "b")]
    means = [np.mean(ratios, axis=0)[i::2].mean() for i in (0, 1)]
    assert split == pytest.approx(math.expm1(means[1] - means[0]))
    assert low < 0.1 < high
    assert least < 0.2 < most
    assert rise.seed_scatter < 0.05
    text = said(arms, promised=promised, **more)
    for words in (
        "Over 3 fresh seeds on the search's own split and 3 on fresh splits, a has the lowest",
        f"has cost {format_change(choice)} (95 % interval {format_change(low)} to ",
        f"3 fresh ones the errors of the best change by {format_change(split)} (95 % interval",
    ):
        assert words in text


def test_the_bound_is_shared_by_all_tests() -> None:
    """P-values are adjusted for those that are no lower, so others' make none harder to tell."""
    logs = np.random.default_rng(5).normal(size=5)
    logs = (logs - logs.mean()) / stats.sem(logs)
    t = float(stats.t.isf(0.03 / 2, 4))  # the p-value that is to come out, of both sides
    worse = [base * math.exp(0.001 * (log + t)) for base, log in zip(BASE, logs, strict=True)]
    values = {"default": BASE, "a": worse, "b": [v * 2 for v in BASE]}
    assert confirmed(values).tied == ("default",)
    assert confirmed({**values, "c": values["b"]}).tied == ("default",)
    info = confirmed({**values, "c": worse})
    assert info.tied == ("default", "a", "c")
    assert info.get("a").from_best.p_value == pytest.approx(2 * 0.03)
    info = confirmed({"default": BASE, "a": BASE, "b": BASE, "c": [v * 1.01 for v in BASE]})
    assert (info.tied, info.best) == (("default", "a", "b"), "default")
    noise = np.exp(np.random.default_rng(1).normal(scale=0.01, size=(2, 5)))
    mine, theirs = noise * [[0.100], [0.115]] * [1.0, 3.0, 0.5, 2.0, 5.0]
    assert stats.ttest_ind(mine, theirs).pvalue > 0.5
    assert confirmed({"default": theirs.tolist(), "a": mine.tolist()}).tied == ("a",)


@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
def test_half_of_an_interval(unit: float) -> None:
    """Of a difference of two means it is Welch's, in whatever unit values are measured."""
    first, second = np.asarray(BASE), np.asarray(BETTER[:4])
    low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    half = half_interval([mean_variance(first * unit), mean_variance(second * unit)])
    assert half / unit == pytest.approx((high - low) / 2)


def test_one_that_failed_with_a_seed() -> None:
    """It is neither best nor tied, but for an error of the machine its training is missing."""
    values: dict[str, Values] = {"default": BASE, "a": [0.01, 0.01, math.inf, 0.01, 0.01]}
    info = confirmed({**values, "b": BETTER})
    c = info.confirmed[0]
    assert (c.name, c.n_failed, c.tied, c.difference.n_pairs) == ("a", 1, False, 4)
    assert (info.best, info.tied) == ("b", ("b",))
    assert (info.excluded, info.n_missing) == (("a",), 0)
    text = said(values)  # nothing of the errors of others if there are none that count
    assert "default has the lowest mean" in text
    assert "All others" not in text
    assert "Not counted, whatever the error: a, as a training failed." in text
    failures = {attrs.FAILURE: f"{attrs.DIVERGED}: NaN"}, {attrs.FAILURE: "RuntimeError"}, {}
    diverged, *broken = (
        trial(100 + i, state=TrialState.FAIL, attrs={attrs.ARM: "a", attrs.PAIR: 4, **own})
        for i, own in enumerate(failures)
    )
    values = {"default": BASE, "a": BETTER}  # the next attempt finished
    assert confirmed(values, more=[diverged]) == confirmed(values)
    info = confirmed({"default": BASE, "a": [*BETTER[:4], None]}, more=broken)
    assert (info.get("a").n_failed, info.n_missing, info.excluded) == (0, 1, ())
    # If all failed there is no best, and those without any error come last.
    values = {"default": [math.inf] * 2, "a": [0.1, math.inf], "b": [None] * 2}
    info = confirmed(values)
    assert (info.best, info.tied) == (None, ())
    assert (info.excluded, info.n_missing) == (("a", "default"), 2)
    assert (info.confirmed[0].name, info.get("default").validation) == ("a", None)
    assert said(values).endswith("a failed training and with the accuracy that was asked for.")


def test_accuracies() -> None:
    """They have a mean and an interval; what keeps the constraint not in the mean is not tied."""
    values: dict[str, Values] = {"default": BASE, "a": [0.01] * 5, "b": BETTER}
    a, b = [0.9, 0.6, 0.6, 0.6, 0.7], [0.9, 0.9, 0.65, 0.65, 0.65]
    accuracies: dict[str, Values] = {"default": [0.8] * 5, "a": a, "b": b}
    info = confirmed(values, accuracies=accuracies, min_accuracy=0.7)
    assert (info.best, info.tied, info.excluded) == ("b", ("b",), ("a",))
    assert info.get("a").accuracy == by_scipy(a)
    assert info.get("default").accuracy == Estimate(mean=0.8, interval=(0.8, 0.8), n=5)
    assert confirmed(values, accuracies=accuracies).best == "a"
    sides, accuracies["b"] = {"group": ("vvtt", "ttvv", "vvtt", "vtvt", "vvtt")}, [0.9, 0.6] * 3
    for needed, excluded in ((0.6999, ("a",)), (0.7001, ("a", "b"))):  # the mean by split
        info = confirmed(values, accuracies=accuracies, min_accuracy=needed, sides=sides)
        assert info.excluded == excluded
        assert info.get("b").accuracy.mean == pytest.approx(0.7)
    text = said(values, accuracies=accuracies, min_accuracy=0.7001, sides=sides)
    assert "a and b, as the mean accuracy is lower than was asked for." in text
    assert set(confirmed(values, min_accuracy=0.7).excluded) == set(values)  # they are unknown


def test_a_share_is_of_the_mean_that_is_told() -> None:
    """A difference is a share of the first arm's mean by split, as the table has it."""
    pairs = Pairs(before=(1.0, 1.0, 4.0), after=(2.0, 2.0, 4.0), sides=("vvtt", "vvtt", "ttvv"))
    found = compare(pairs, Metric(name="gain", label="gain", direction="maximize"), "share")
    assert found.mean == pytest.approx(0.5 / 2.5)
    assert found.margin == pytest.approx(0.1)


def test_what_the_best_is_worse_in() -> None:
    """It is said where that is told of all other metrics together, as of accuracy here."""
    values = {"default": BASE, "a": BETTER}
    high = [0.90, 0.91, 0.90, 0.92, 0.89]
    lower, scattered = [v - 0.1 + v / 100 for v in high], [v - 0.1 * (v > 0.9) for v in high]
    text = said(values, accuracies={"default": high, "a": lower})
    points = f"{MINUS}9.1\N{NO-BREAK SPACE}points"
    assert f"A is worse than the default in validation accuracy ({points})." in text
    text = said(values, accuracies={"default": high, "a": scattered})
    assert "is worse than the default" not in text


def test_missing_pairs() -> None:
    """A pair counts where both finished; one with too few of them may still be the best."""
    values: dict[str, Values] = {
        "default": [0.1, 0.2, 0.3, None, 0.5],
        "a": [0.05, 0.1, None, 0.2, 0.25],
        "b": [None, None, None, 0.4, 0.5],
        "c": [None] * 5,
    }
    info = confirmed(values)
    a, b, c = (info.get(name) for name in "abc")
    assert (a.difference.n_pairs, b.difference.n_pairs, a.n_wins) == (3, 1, 3)
    assert (a.difference.mean, b.difference.mean) == pytest.approx((-0.5, 0.0))
    assert (b.difference.interval, b.difference.p_value, c.difference) == (None, None, None)
    assert (info.best, info.tied, info.excluded) == ("a", ("a", "b"), ())
    assert (c.validation, c.difference, c.beats, c.seconds) == (None, None, None, None)
    assert (c.parameter_count, c.tied, c.shrinkage) == (None, False, None)
    assert said(values).startswith("10 trainings are missing; ")
    # With two seeds there are differences, no intervals, and nothing is ruled out.
    values = {"default": [0.9] * 2, "a": [0.1] * 2, "b": [0.2] * 2}
    info = confirmed(values)
    assert info.get("a").difference.mean == pytest.approx(1 / 9 - 1)
    assert info.tied == ("a", "b", "default")
    assert "2 seeds are too few to tell it from the others." in said(values)
    assert said(values).endswith("take more --seeds.")
    assert "interval" not in said(values)


def test_what_cannot_be_told_apart() -> None:
    """Some are shown to be equal, others are not, and the least work is told of all of these."""
    values: dict[str, Values] = {"default": [v * 3 for v in BASE], "b": BASE}
    values["a"] = [v * (1.01 if i % 2 else 0.995) for i, v in enumerate(BASE)]
    values["c"] = [v * (0.8 if i % 2 else 1.3) for i, v in enumerate(BASE)]
    info = confirmed(values, seconds={"default": 1.0, "a": 50.0, "b": 40.0, "c": 60.0})
    assert (info.best, set(info.tied)) == ("b", {"a", "b", "c"})
    a, c = (info.get(name).from_best for name in "ac")
    assert (a.told, a.equal, a.needed) == (False, True, None)
    assert (c.told, c.equal) == (False, False)
    # So many pairs of that scatter tell so large a difference with a probability of 0.8.
    ratios = np.log([1.3, 0.8] * 2 + [1.3])
    effect = ratios.mean() / ratios.std(ddof=1)
    chances = [power(effect * math.sqrt(n), n, 0.05 / 2) for n in (c.needed - 1, c.needed)]
    assert chances[0] < 0.8 <= chances[1]
    assert info.get("a").seconds == pytest.approx(50.0 * (3 * 1.1 + 2 * 0.9) / 5)
    assert confirmed(values).get("a").seconds is None
    for words in (
        f"As good as b, within 10{PERCENT}: a.",
        "5 seeds are too few to tell c from b; differences as large as these take so many "
        f"splits: {c.needed} (c).",
    ):
        assert words in said(values)
    # One reason is given for what no number of splits would tell.
    values["c"] = [v * (0.7 if i % 2 else 1.27) for i, v in enumerate(BASE)]
    text = said(values)
    assert "C may be as good as b, though higher with 3 of 5 seeds: telling " in text
    assert "too few" not in text
    # What did not store its time took that from its start to its end.
    made, end = record(values), START.replace(second=30)
    trials = tuple(replace(t, started=START, completed=end) for t in made.trials)
    timed = get_confirmation(replace(made, trials=trials))
    assert timed.get("a").seconds == pytest.approx(30.0)


def test_test_results() -> None:
    """They are there where results are, over the same trainings; accuracies of what classifies."""
    values: dict[str, Values] = {"default": BASE, "a": BETTER, "b": BETTER}
    info = confirmed(values, tests={"a": [0.1, None, 0.3, 0.2, None]})
    assert info.tested
    expected = by_ratios([0.1, 0.3, 0.2])
    assert info.get("a").test == expected
    assert info.get("b").test is None
    assert {c.test_accuracy for c in info.confirmed} == {None}
    info = confirmed(values, promised={"a": 0.08})
    assert (info.tested, info.incumbents) == (False, ())
    assert "test images" not in said(values)
    values = {"default": [0.5] * 5, "a": [0.25] * 5}
    info = confirmed(values, accuracies=values, tests=values, test_accuracies=values)
    assert [info.get(name).test_accuracy.mean for name in values] == [0.5, 0.25]
    # Along the trials that were best so far, the test error may rise: this is overtuning. Trials
    # 0, 10, 30 and 50 were incumbents; 20 and 40 were not, low as their test errors are.
    names = ["default", "a", "b", "c", "middle", "d"]
    means = dict(zip(names, [0.8, 0.5, 0.1, 0.55, 0.1, 0.45], strict=True))
    info = confirmed(
        {name: [0.5] * 3 for name in names},
        promised=dict(zip(names, [0.9, 0.5, 0.6, 0.4, 0.7, 0.3], strict=True)),
        tests={name: [mean] * 3 for name, mean in means.items()},
    )
    found = [(i.trial, i.search_value) for i in info.incumbents]
    assert found == [(0, 0.9), (10, 0.5), (30, 0.4), (50, 0.3)]
    assert [i.test for i in info.incumbents] == pytest.approx([0.8, 0.5, 0.55, 0.45])
    assert [i.overtuning for i in info.incumbents] == pytest.approx([0, 0, 0.05, 0], abs=1e-12)
    # A default that the search had not tried was none, nor is one that was not tested.
    arms: dict[str, Values] = {"default": BASE, "a": BASE}
    info = confirmed({**arms, "b": BASE}, promised={"a": 0.08, "b": 0.07}, tests=arms)
    assert [i.trial for i in info.incumbents] == [10]


def test_other_test_images() -> None:
    """Errors of groups of images say what other images would give, if all were kept."""
    values: dict[str, Values] = {"default": BASE, "a": BETTER}
    made = record(values, tests=values)
    hard, counts = np.exp(np.random.default_rng(0).normal(size=20)), np.arange(20) % 2 + 1
    hard, kept = hard / np.average(hard, weights=counts), dict(made.user_attrs)
    for t in made.trials:
        rows = zip(counts.tolist(), (t.value * hard).tolist(), strict=True)
        kept[attrs.tested_examples(t.number)] = [list(row) for row in rows]
    info = get_confirmation(replace(made, user_attrs=kept))
    a, default = info.get("a"), info.get("default")
    assert a.test_rows[0] < a.test.mean < a.test_rows[1]
    assert a.test_rows[1] - a.test_rows[0] > a.test.interval.high - a.test.interval.low
    assert a.test_against[0] < a.difference.mean < a.test_against[1]
    assert default.test_against is None
    text = " ".join(describe_confirmation(info))
    low, high = map(format_number, a.test_rows)
    assert f"it is {low} to {high}. On such images" in text
    del kept[attrs.tested_examples(made.trials[0].number)]
    assert get_confirmation(replace(made, user_attrs=kept)).get("default").test_rows is None
    groups = [(1, float(i)) for i in range(MAX_BLOCKS)] + [(3, 8.0)]
    assert blocks(groups) == [(4, 6.0), *groups[1:-1]]


def test_sentences() -> None:
    """They hold the numbers of the best: mean, difference, wins, shrinkage and test."""
    values = {"default": BASE, "trial 10": BETTER, "middle": [v * 2 for v in BASE]}
    changes: dict[str, Any] = {"promised": {"trial 10": 0.08, "middle": 0.22}}
    changes["tests"] = {name: [0.3, 0.31, 0.32, 0.3, 0.31] for name in values}
    info = confirmed(values, **changes)
    c = info.get("trial 10")
    found = c.difference
    mine, measured = ([format_number(end) for end in e.interval] for e in (c.validation, c.test))
    text = said(values, **changes)
    for words in (
        f"validation MSE: 0.08705 (95 % interval {mine[0]} to {mine[1]}).",
        "All others are worse, beyond what chance explains.",
        f"The error of trial 10 is {-100 * found.mean:.1f}{PERCENT} below the default's "
        f"(95 % interval {found.interval.written(format_change)})",
        "lower with all 5 seeds.",
        f"liked best have errors {100 * info.rise.chosen:.1f}{PERCENT} above what it had "
        "measured (mean); not chosen for that: middle "
        f"({-100 * info.rise.unchosen['middle']:.1f}{PERCENT} below).",
        "What was not chosen for its result rises or falls with seeds and splits alone",
        f"its MSE is 0.3079 (95 % interval {measured[0]} to {measured[1]})",
    ):
        assert words in text
    # A search that found nothing better is told so, but not by what somebody chose.
    info = confirmed({"default": BETTER, "a": BASE}, promised={"a": 0.05})
    text = " ".join(describe_confirmation(info))
    assert "A is worse, beyond what chance explains. So a is no better than the default." in text
    assert "the default's" not in text
    chosen = tuple(replace(c, role="chosen") if c.name == "a" else c for c in info.confirmed)
    text = " ".join(describe_confirmation(replace(info, confirmed=chosen)))
    assert "So a is no better than the default." in text
    # The best is not taken for the default where the default has no error to compare with.
    text = said({"default": [math.inf] * 5, "a": BETTER, "b": [v * 2 for v in BASE]})
    assert ("a has the lowest mean" in text, "than the default" in text) == (True, False)


def test_other_images_in_words() -> None:
    """Where it was trained and whether the order holds is told; of a search's errors nothing."""
    here = confirmed({"default": BASE, "trial 7": BETTER})
    there = get_confirmation(
        transfer({"default": BETTER, "trial 7": BASE}, name="elsewhere", data="twitter.parquet")
    )
    assert (here.other_data, there.rise.chosen) == (None, None)
    text = " ".join(describe_confirmation(there, here))
    assert "trained on other images than the search's: twitter.parquet" in text
    rank = "0 of 1 pair of configurations rank as on the search's own images, where trial 7"
    assert rank in text
    assert "rank as on" not in " ".join(describe_confirmation(there))
    # Of three pairs two keep their order; one that only one has is left out.
    here = confirmed({"default": [0.3] * 3, "a": [0.1] * 3, "b": [0.2] * 3, "c": [0.4] * 3})
    there = confirmed({"default": [0.3] * 3, "a": [0.2] * 3, "b": [0.1] * 3})
    assert same_order(here, there) == same_order(there, here) == (2, 3)
