"""What short trainings and pruners are said to do, on curves whose answer is known."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from storage.records import StudyRecord
from study.analysis.correlation import (
    default_resamples,
    percentile_interval,
    resampled_correlations,
)
from study.analysis.fidelity import (
    PRUNER_SETTINGS,
    PrunerReplay,
    PrunerSetting,
    get_fidelity,
    replay_pruners,
    suggest_pruner,
)
from study.sampling.names import PRUNERS, make_pruner
from tests.study_tests.synthetic import SETTINGS, START, study, trial


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
    """Return how to replay one pruner, which is used for every order."""
    return PrunerSetting(name=name, make=lambda _: pruner)


def replayed(one: StudyRecord, pruner: BasePruner, **options: int) -> PrunerReplay:
    """Return what one pruner did."""
    (found,) = replay_pruners(one, [setting(pruner)], **options).replays
    return found


def record(
    curves: Iterable[Sequence[float]], *, pruned: Sequence[Sequence[float]] = ()
) -> StudyRecord:
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
        _, (resampled,) = resampled_correlations(
            stats.rankdata(early)[None], final.to_numpy(), n_resamples=1000, seed=0
        )
        assert (point.low, point.high) == percentile_interval(resampled)
    curves = [[1.0 + i, 0.5 + i] for i in range(12)]
    one = record(curves)
    plain = get_fidelity(one)
    curves[10][0], curves[11][0] = 1e300, worst
    assert get_fidelity(record(curves)).points == plain.points
    imported = trial(12, value=0.1)  # it has no curve
    assert get_fidelity(replace(one, trials=(*one.trials, imported))) == plain
    equal = get_fidelity(record([2.0 + i, 1.0] for i in range(12)))
    assert {(p.spearman, p.low, p.pruned_worst) for p in equal.points} == {(None, None, None)}
    # Nine complete trials say nothing, whatever was pruned.
    one = record(parallel()[:9], pruned=[[1.0]] * 20)
    info, replays = get_fidelity(one), replay_pruners(one)
    assert (info.points, info.caution, replays.replays, replays.caution) == ((), None, (), None)
    for refusal in (info.refusal, replays.refusal):
        assert "needs at least 10 complete trials" in refusal
    sizes = (0, 100, 2000, 4000, 10_000, 10**6)
    assert [default_resamples(size) for size in sizes] == [1000, 1000, 1000, 500, 200, 200]


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
    info = replay_pruners(record(parallel()), n_orders=5)
    names = [s.name.format(steps="epochs") for s in PRUNER_SETTINGS]
    assert [r.name for r in info.replays] == names
    assert info.replays[0].share_saved == 0  # it waits for standstills, which never come
    for replay in info.replays[1:]:
        assert replay.share_saved > 0.1
        assert (replay.n_best_pruned, replay.share_best_pruned, replay.low) == (0, 0, 0)
        assert (replay.mean_regret, replay.mean_relative_regret) == (0, 0)
    patient = PrunerSetting(
        name="patient", make=lambda epochs: MedianPruner(n_warmup_steps=int(0.8 * epochs))
    )
    hasty, kept = replay_pruners(record(crossing()), [PRUNER_SETTINGS[1], patient]).replays
    assert hasty.share_best_pruned > 0.5
    assert hasty.mean_relative_regret == pytest.approx(hasty.mean_regret / 0.5)
    assert kept.n_best_pruned == 0


def test_what_a_pruner_is_asked() -> None:
    """At each fifth of 99 values, of 15 of 40 trials, first as they started, then at random."""
    one = record([float(i), i - 0.5] for i in range(12))
    starts = [5, 2, 11, 0, 8, 1, 10, 3, 9, 4, 7, 6]
    trials = (replace(t, started=START + timedelta(minutes=starts[t.number])) for t in one.trials)
    pruner = Pruner()
    replayed(replace(one, trials=tuple(trials)), pruner, n_orders=3)
    orders = [pruner.firsts[i : i + 12] for i in (0, 12, 24)]
    assert orders[0] == [3, 5, 1, 7, 9, 0, 11, 10, 4, 8, 6, 2]
    assert [sorted(order) for order in orders] == [list(range(12))] * 3
    assert len(set(map(tuple, orders))) == 3
    pruner = Pruner()
    one = record(np.linspace(2 + i, 1 + i, 99) for i in range(12))
    info = replay_pruners(one, [setting(pruner)], n_orders=1)
    assert (info.every, pruner.steps[:19]) == (5, list(range(4, 98, 5)))
    assert (len(pruner.steps), info.replays[0].share_saved) == (12 * 19, 0)
    pruner = Pruner()
    curves = [[5.0 + i, 4.0 + i] for i in range(40)]
    curves[33] = [1.0, 0.0]
    info = replay_pruners(record(curves), [setting(pruner)], n_orders=1, max_trials=15)
    seen = pruner.firsts
    assert (info.n_complete, info.n_replayed, len(seen)) == (40, 15, 15)
    assert [c[0] for c in curves if c[0] in seen] == seen
    assert 1.0 in seen


def test_a_pruner_that_ends_everything_leaves_the_worst() -> None:
    """Without survivors the regret is the worst trial's; one of two best ones is enough."""
    one = record([99.0, 1.0 + i] for i in range(12))
    found, never = replayed(one, ALWAYS), replayed(one, NopPruner())
    assert (found.share_saved, found.share_best_pruned) == (0.5, 1)
    assert (found.mean_regret, found.mean_relative_regret) == (11, 11)
    bound = stats.norm.ppf(0.975) ** 2 / (20 + stats.norm.ppf(0.975) ** 2)
    assert (never.low, never.high) == pytest.approx((0, bound))
    assert (found.low, found.high) == pytest.approx((1 - bound, 1))
    zero = replayed(record([99.0, 2.0 * i] for i in range(12)), ALWAYS)
    assert (zero.mean_regret, zero.mean_relative_regret) == (22, None)
    one = record([[7.0, 1.0], [8.0, 1.0], *([9.0, 2.0 + i] for i in range(10))])
    found = replayed(one, Pruner(lambda t: t.intermediate_values[0] == 7.0), n_orders=3)
    assert (found.n_best_pruned, found.share_saved) == (0, pytest.approx(1 / 24))


def test_which_pruner_is_suggested() -> None:
    """None that harms or saves nothing; 5 % of harm is allowed, and an option may be demanded."""
    info = replay_pruners(record(crossing(12)), [setting(ALWAYS, "always"), setting(NopPruner())])
    assert [r.share_best_pruned for r in info.replays] == [1, 0]
    assert suggest_pruner(info) is None
    assert suggest_pruner(info, max_best_pruned=1.0).name == "always"
    options = [("halving", 0.6, 0.05), ("none", 0.7, 0.1), (None, 0.65, 0.0), (None, 0.1, 0.0)]
    replays = tuple(
        replace(info.replays[0], option=option, share_saved=saved, share_best_pruned=share)
        for option, saved, share in options
    )
    info = replace(info, replays=replays)
    assert suggest_pruner(info) == replays[2]
    assert suggest_pruner(info, offered=True) == replays[0]
    assert suggest_pruner(replace(info, replays=replays[1:]), offered=True) is None


def test_replayed_options_are_the_pruners_of_a_run() -> None:
    """Built for a training of 54 epochs, each decides by the numbers of ``run --pruner``."""
    offered = {setting.option: setting.make(54) for setting in PRUNER_SETTINGS if setting.option}
    assert set(offered) == {name for name in PRUNERS if name != "none"}
    for name, pruner in offered.items():
        own, real = vars(pruner), vars(make_pruner(name, max_steps=54))
        if name == "median":
            own, real = vars(own["_wrapped"]), vars(real["_wrapped"])
        assert own == real
