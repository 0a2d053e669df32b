"""What short trainings and pruners are said to do, on curves whose answer is known."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from storage.records import StudyRecord
from study import choices
from study.analysis.correlation import (
    default_resamples,
    percentile_interval,
    resampled_correlations,
)
from study.analysis.fidelity import (
    PRUNER_SETTINGS,
    PrunerReplay,
    PrunerSetting,
    PrunersInfo,
    describe_no_advice,
    get_fidelity,
    replay_pruners,
    suggest_pruner,
)
from study.sampling.names import make_pruner
from tests.study_tests.synthetic import SETTINGS, study, trial


class Pruner(BasePruner):
    """Prunes by a rule of what was reported, and remembers what it was asked about."""

    def __init__(self, rule: Callable[[FrozenTrial], bool] = lambda trial: False) -> None:
        self.rule = rule
        self.firsts: list[float] = []
        self.steps: list[int | None] = []

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        self.firsts.append(trial.intermediate_values[min(trial.intermediate_values)])
        self.steps.append(trial.last_step)
        return self.rule(trial)


ALWAYS = Pruner(lambda trial: True)


def setting(pruner: BasePruner, name: str = "it") -> PrunerSetting:
    """Return how to replay one pruner, which is used for every study."""
    return PrunerSetting(name=name, make=lambda _: pruner)


def replayed(one: StudyRecord, pruner: BasePruner, **options: int) -> PrunerReplay:
    """Return what one pruner did."""
    (found,) = replay_pruners(one, [setting(pruner)], **options).replays
    return found


def record(curves: Iterable[Sequence], *, pruned: Sequence[Sequence] = ()) -> StudyRecord:
    """Return a study of complete trials, valued by their best error, and of pruned ones."""
    found = [(curve, TrialState.COMPLETE, float(np.nanmin(curve))) for curve in curves]
    found += [(curve, TrialState.PRUNED, None) for curve in pruned]
    trials = (
        trial(i, state=state, value=value, curve=tuple(map(float, curve)))
        for i, (curve, state, value) in enumerate(found)
    )
    return study(*trials, settings=SETTINGS)


def parallel(n: int = 30, *, epochs: int = 40) -> list[np.ndarray]:
    """Return falling curves that never cross."""
    levels = np.random.default_rng(0).permutation(n) / n
    return [1 + level + np.exp(-np.arange(epochs) / 10) for level in levels]


def crossing(n: int = 30) -> list[np.ndarray]:
    """Return parallel curves, of which the best one looks worst until three quarters of it."""
    curves = parallel(n)
    best = min(range(n), key=lambda i: curves[i][-1])
    curves[best] = np.where(np.arange(40) < 30, 9.0, 0.5)
    return curves


@pytest.mark.parametrize("worst", [math.nan, math.inf])
def test_coefficients_are_those_of_pandas(worst: float) -> None:
    """The best value so far of each trial is ranked, NaN as the worst, ties by the mean rank."""
    rng = np.random.default_rng(1)
    curves = np.round(1 + rng.random((25, 30)) + np.exp(-np.arange(30) / 9), 1)
    best = pd.DataFrame(curves.T).cummin()
    final = pd.Series(curves.min(axis=1))
    info = get_fidelity(record(curves))
    assert (info.n_complete, info.n_pruned, info.refusal, info.caution) == (25, 0, None, None)
    for point in info.points:
        early = best.loc[point.step - 1]
        assert point.spearman == pytest.approx(early.corr(final, method="spearman"))
        (resampled,) = resampled_correlations(
            stats.rankdata(early)[None], final.to_numpy(), n_resamples=1000
        )
        assert point.interval == percentile_interval(resampled)
    curves = [[1.0 + i, 0.5 + i] for i in range(12)]
    one = record(curves)
    plain = get_fidelity(one)
    curves[10][0], curves[11][0] = 1e300, worst
    assert get_fidelity(record(curves)).points == plain.points
    imported = trial(12, value=0.1)  # it has no curve
    assert get_fidelity(replace(one, trials=(*one.trials, imported))) == plain
    equal = get_fidelity(record([2.0 + i, 1.0] for i in range(12)))
    assert {(p.spearman, p.interval, p.pruned_worst) for p in equal.points} == {(None, None, None)}
    # Nine complete trials say nothing, whatever was pruned.
    one = record(parallel()[:9], pruned=[[1.0]] * 20)
    info, replays = get_fidelity(one), replay_pruners(one)
    assert (info.points, info.caution, replays.replays) == ((), None, ())
    assert "needs at least 10 complete trials" in info.refusal
    sizes = (0, 100, 2000, 4000, 10_000, 10**6)
    assert [default_resamples(size) for size in sizes] == [1000, 1000, 1000, 500, 200, 200]


def test_final_values_that_are_the_last_ones() -> None:
    """They are compared with those at a step, so the last step tells them."""
    curves = np.random.default_rng(2).random((12, 5))
    ended = [replace(t, values=(curves[t.number][-1],)) for t in record(curves).trials]
    info = get_fidelity(study(*ended, settings=SETTINGS))
    assert (info.at_step, get_fidelity(record(curves)).at_step) == (True, False)
    for point in info.points:
        early = stats.spearmanr(curves[:, point.step - 1], curves[:, -1])
        assert point.spearman == pytest.approx(early.statistic)
    assert info.points[-1].spearman == pytest.approx(1)


def test_epochs_are_spaced_by_factors_and_end_where_all_trials_are() -> None:
    """They are about twenty; one above a level is followed by none below or without a number."""
    curves = parallel(epochs=100)
    curves[3] = curves[3][:80]
    info = get_fidelity(record(curves))
    epochs = [p.step for p in info.points]
    assert (epochs[0], epochs[-1], info.n_epochs, info.longest) == (1, 80, 80, 100)
    assert epochs == sorted(set(epochs))
    assert 14 <= len(epochs) <= 20
    rising = [None, 0.9, 0.5, 0.8, 0.95]
    points = tuple(replace(info.points[i], spearman=value) for i, value in enumerate(rising))
    info = replace(info, points=points)
    found = [info.first_above(level) for level in (0.4, 0.8, 0.9, 0.99)]
    assert found == [points[1], points[3], points[4], None]
    assert replace(info, points=()).first_above(0.0) is None


def test_pruned_trials_bound_the_correlation_from_both_sides() -> None:
    """Of all ends that they could have had, none gives less than the bound by SciPy."""
    curves = np.random.default_rng(3).random((15, 6))
    pruned = [[3.0, 2.5], [4.0, 5.0, 2.0], [5.0]]
    alone, together = get_fidelity(record(curves)), get_fidelity(record(curves, pruned=pruned))
    final, before = [float(min(curve)) for curve in curves], [0, 1, 2, 3, 3, 3]
    for i, (survivor, point) in enumerate(zip(alone.points, together.points, strict=True)):
        assert point.spearman == survivor.spearman
        early = [min(curve[: i + 1]) for curve in (*curves, *pruned)]
        worst = stats.spearmanr(early, [*final, 12.5, 12.0, 15.0]).statistic
        best = stats.spearmanr(early, [*final, *(-stats.rankdata(early[15:]))]).statistic
        assert (point.pruned_worst, point.pruned_best) == pytest.approx((worst, best))
        assert (point.step, point.n_pruned_before) == (i + 1, before[i])
        assert point.share_pruned_before == pytest.approx(before[i] / 18)
    assert (together.n_complete, together.n_pruned) == (15, 3)
    assert str(together.caution).startswith("3 of 18 trials were pruned")


def test_the_best_of_curves_that_never_cross_survives() -> None:
    """All pruners save epochs and lose nothing; hasty ones end a trial that blooms late."""
    info = replay_pruners(record(parallel()), max_studies=10)
    names = [s.name.format(steps="epochs") for s in PRUNER_SETTINGS]
    assert [r.name for r in info.replays] == names
    assert info.replays[0].share_saved == 0  # it waits for standstills, which never come
    for replay in info.replays[1:]:
        assert replay.share_saved > 0.01
        assert (replay.n_best_pruned, replay.share_best_pruned, replay.interval[0]) == (0, 0, 0)
        assert (replay.mean_regret, replay.mean_relative_regret) == (0, 0)
    patient = PrunerSetting(
        name="patient", make=lambda epochs: MedianPruner(n_warmup_steps=int(0.8 * epochs))
    )
    # Of six studies, one has the late bloomer.
    hasty, kept = replay_pruners(record(crossing()), [PRUNER_SETTINGS[4], patient]).replays
    assert hasty.n_best_pruned == 1
    assert hasty.mean_relative_regret == pytest.approx(hasty.mean_regret / 0.5)
    assert kept.n_best_pruned == 0


def test_each_of_the_best_fifth_is_once_the_best() -> None:
    """Studies of either half hold its trials alone: one of its best, and worse ones."""
    values = np.random.default_rng(4).permutation(80)
    curves = [[float(v) + 0.5, float(v)] for v in values]
    pruner = Pruner()
    info = replay_pruners(record(curves), [setting(pruner)])
    assert (info.n_complete, info.n_trials, info.n_studies) == (80, 25, 16)
    studies = np.array(pruner.firsts).reshape(16, 25) - 0.5
    halves = [set(studies[list(places)].ravel()) for places in info.halves]
    assert halves[0].isdisjoint(halves[1])
    assert sorted(studies.min(axis=1))[:4] == [0, 1, 2, 3]
    assert len(set(studies.min(axis=1))) == 16
    assert len({int(np.argmin(study)) for study in studies}) > 8  # in any place
    few = replay_pruners(record(curves), [setting(Pruner())], max_studies=6)
    assert (few.n_studies, few.halves) == (6, ((0, 1, 2), (3, 4, 5)))


def test_what_a_pruner_is_asked() -> None:
    """At each fifth of 99 values, and never at the last."""
    pruner = Pruner()
    curves = (np.linspace(2 + i, 1 + i, 99) for i in range(12))
    info = replay_pruners(record(curves), [setting(pruner)])
    assert (info.every, pruner.steps[:19]) == (5, list(range(4, 98, 5)))
    n = info.n_trials * info.n_studies
    assert (len(pruner.steps), info.replays[0].share_saved) == (n * 19, 0)


def test_a_pruner_that_ends_everything_leaves_the_worst() -> None:
    """Without survivors the regret is the worst trial's; the interval is the exact one."""
    one = record([99.0, 1.0 + i] for i in range(12))
    found, never = replayed(one, ALWAYS), replayed(one, NopPruner())
    n = found.n_studies
    assert (found.share_saved, found.share_best_pruned, found.unit) == (0.5, 1, 1)
    assert found.mean_regret == found.mean_relative_regret > 4
    assert never.interval == pytest.approx((0, 1 - 0.05 ** (1 / n)))
    assert found.interval == pytest.approx((0.05 ** (1 / n), 1))
    zero = replayed(record([99.0, 2.0 * i] for i in range(12)), ALWAYS)
    assert zero.mean_relative_regret is None


def replays_of(n: int, **ended: tuple[float, float, float]) -> PrunersInfo:
    """Return what pruners did in n studies of each half: what they saved, and lost in either."""
    replays = tuple(
        PrunerReplay(
            name=name,
            option=None if name == "other" else name,
            saved=(saved,) * 2 * n,
            regrets=tuple(float(i < share * n) for share in shares for i in range(n)),
            unit=1.0,
        )
        for name, (saved, *shares) in ended.items()
    )
    info = replay_pruners(record(parallel(12)), [setting(NopPruner())])
    return replace(info, replays=replays, halves=(tuple(range(n)), tuple(range(n, 2 * n))))


def test_advice_is_judged_on_the_other_half() -> None:
    """What did well where it was chosen is told with what it did elsewhere."""
    info = replays_of(20, lucky=(0.9, 0.0, 0.5), halving=(0.6, 0.0, 0.0), other=(0.7, 0.0, 0.0))
    advice = suggest_pruner(info)
    # Chosen on the first half, the lucky one lost half of the second.
    assert (advice.pruner.name, advice.judged.n_studies) == ("other", 40)
    assert (advice.judged.n_best_pruned, advice.sure) == (10, False)
    assert advice.judged.share_saved == pytest.approx((0.9 + 0.7) / 2)
    harmless = replays_of(20, halving=(0.6, 0.0, 0.0), other=(0.7, 0.0, 0.0))
    for offered, name in ((False, "other"), (True, "halving")):
        advice = suggest_pruner(harmless, offered=offered)
        assert (advice.pruner.name, advice.sure, advice.judged.mean_regret) == (name, True, 0)
    advice = suggest_pruner(replays_of(10, halving=(0.6, 0.0, 0.0)))
    assert not advice.sure  # none of 20 may be 14 of 100
    for *one, why in (
        (0.0, 0.0, 0.0, "none of them saves epochs"),
        (0.6, 0.1, 0.1, "each that saves epochs ended the best trial in more than 5"),
        (0.6, 0.0, 0.1, "halving hardly ever ended the best trial, but in one half of"),
    ):
        info = replays_of(20, halving=tuple(one))
        assert suggest_pruner(info) is None
        told = describe_no_advice(info, offered=True, steps="epochs")
        assert told.startswith(why)
    # What saves in one half alone is harmless in both, so nothing speaks against it.
    (rare,) = (info := replays_of(40, median=(0.0, 0.0, 0.0))).replays
    rare = replace(rare, saved=(0.0,) * 40 + (0.08,) * 40)
    advice = suggest_pruner(replace(info, replays=(rare,)))
    assert (advice.pruner.share_saved, advice.sure) == (0.04, True)


def test_replayed_options_are_the_pruners_of_a_run() -> None:
    """Built for a training of 54 epochs, each decides by the numbers of ``run --pruner``."""
    offered = {setting.option: setting.make(54) for setting in PRUNER_SETTINGS if setting.option}
    assert set(offered) == {name for name in get_args(choices.Pruner) if name != "none"}
    for name, pruner in offered.items():
        own, real = vars(pruner), vars(make_pruner(name, max_steps=54))
        if name == "median":
            own, real = vars(own["_wrapped"]), vars(real["_wrapped"])
        assert own == real
