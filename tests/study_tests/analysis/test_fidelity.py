"""What short trainings and pruners are said to do, on curves whose answer is known."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.pruners import SuccessiveHalvingPruner as Halving
from optuna.trial import FrozenTrial, TrialState
from scipy import stats

from storage.records import StudyRecord
from study.analysis.correlation import default_resamples
from study.analysis.fidelity import (
    PRUNER_SETTINGS,
    FidelityInfo,
    FidelityPoint,
    PrunerReplay,
    PrunerSetting,
    get_fidelity,
    replay_pruners,
    suggest_pruner,
)
from study.sampling.names import PRUNERS, make_pruner
from tests.study_tests.synthetic import SETTINGS, START, study, trial

N_SIMULATIONS = 250

NEVER = PrunerSetting(name="never", make=lambda _: NopPruner())


class Recorder(BasePruner):
    """Prunes nothing and remembers what it was asked about."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None, tuple[float, ...]]] = []

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Remember number, step and values."""
        values = tuple(trial.intermediate_values.values())
        self.seen.append((trial.number, trial.last_step, values))
        return False


class Always(BasePruner):
    """Prunes every trial at once."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Say yes."""
        return True


def record(
    curves: Sequence[Sequence[float]],
    *,
    pruned: Sequence[Sequence[float]] = (),
    directions: tuple[str, ...] = ("minimize",),
) -> StudyRecord:
    """Return a study of complete trials, valued by their lowest error, and of pruned ones."""
    best = np.nanmax if directions[0] == "maximize" else np.nanmin
    trials = [
        trial(i, value=float(best(curve)), curve=tuple(map(float, curve)))
        for i, curve in enumerate(curves)
    ]
    trials += [
        trial(len(curves) + i, state=TrialState.PRUNED, curve=tuple(map(float, curve)))
        for i, curve in enumerate(pruned)
    ]
    return replace(study(*trials, settings=SETTINGS), directions=directions)


def parallel(n: int = 30, *, epochs: int = 40, seed: int = 0) -> list[np.ndarray]:
    """Return falling curves that never cross."""
    levels = np.random.default_rng(seed).permutation(n) / n
    return [1 + level + np.exp(-np.arange(epochs) / 10) for level in levels]


def crossing(n: int = 30, *, epochs: int = 40) -> list[np.ndarray]:
    """Return parallel curves, of which the best one looks worst until three quarters of it."""
    curves = parallel(n, epochs=epochs)
    best = min(range(n), key=lambda i: curves[i][-1])
    curves[best] = np.where(np.arange(epochs) < 0.75 * epochs, 9.0, 0.5)
    return curves


def at(info: FidelityInfo, epoch: int) -> FidelityPoint:
    """Return the point of an epoch."""
    (point,) = [p for p in info.points if p.step == epoch]
    return point


def test_curves_that_never_cross_tell_their_end_at_once() -> None:
    """From the first epoch on the order is the final one."""
    info = get_fidelity(record(parallel()))
    assert [(p.spearman, p.low, p.high) for p in info.points] == [
        pytest.approx((1, 1, 1)) for _ in info.points
    ]
    assert (info.n_complete, info.n_pruned, info.refusal, info.caution) == (30, 0, None, None)


def test_beginnings_that_know_nothing_are_told_apart_from_ends() -> None:
    """Early noise has an interval around 0; the last epoch knows everything."""
    rng = np.random.default_rng(0)
    curves = [[*(10 + rng.random(9)), final] for final in rng.random(80)]
    info = get_fidelity(record(curves))
    first = info.points[0]
    assert first.low is not None
    assert first.high is not None
    assert first.low < 0 < first.high
    assert at(info, 10).spearman == pytest.approx(1)


def test_beginnings_that_mislead_have_a_negative_correlation() -> None:
    """The fastest at first is the worst in the end."""
    info = get_fidelity(record([(3.0 - level, level) for level in np.linspace(0, 1, 20)]))
    assert [p.spearman for p in info.points] == pytest.approx([-1, 1])


def test_coefficients_are_those_of_pandas() -> None:
    """The best value so far of each trial is ranked, and of ties the mean rank counts."""
    rng = np.random.default_rng(1)
    curves = np.round(1 + rng.random((25, 30)) + np.exp(-np.arange(30) / 9), 1)
    one = record(list(curves))
    info = get_fidelity(one)
    best = pd.DataFrame(curves.T).cummin()
    final = pd.Series([t.value for t in one.trials])
    for point in info.points:
        expected = best.loc[point.step - 1].corr(final, method="spearman")
        assert point.spearman == pytest.approx(expected)
        assert point.low is not None
        assert point.high is not None
        assert point.low <= point.spearman <= point.high


def test_epochs_are_spaced_by_factors_and_end_where_all_trials_are() -> None:
    """About twenty epochs, from the first to the last that all complete trials reached."""
    curves = [list(c) for c in parallel(epochs=100)]
    curves[3] = curves[3][:80]
    info = get_fidelity(record(curves))
    epochs = [p.step for p in info.points]
    assert (epochs[0], epochs[-1]) == (1, 80)
    assert epochs == sorted(set(epochs))
    assert 14 <= len(epochs) <= 20
    assert (info.n_epochs, info.longest) == (80, 100)
    assert {p.n_trials for p in info.points} == {30}


def test_values_that_are_no_numbers_are_the_worst() -> None:
    """A curve that begins with NaN ranks behind all that begin with a number."""
    curves = [[1.0 + i, 0.5 + i] for i in range(12)]
    plain = get_fidelity(record(curves))
    curves[11][0] = math.nan
    curves[10][0] = 1e300
    assert get_fidelity(record(curves)).points == plain.points
    curves[11][0] = math.inf
    assert get_fidelity(record(curves)).points == plain.points


def test_pruned_trials_enter_the_counts_alone() -> None:
    """Who was pruned before an epoch is counted there; the coefficient is the survivors'."""
    rng = np.random.default_rng(2)
    curves = list(rng.random((20, 8)))
    pruned = [rng.random(2), rng.random(4), rng.random(4)]
    alone, together = get_fidelity(record(curves)), get_fidelity(record(curves, pruned=pruned))
    for before, after in zip(alone.points, together.points, strict=True):
        assert (before.spearman, before.low) == (after.spearman, after.low)
    found = {p.step: (p.n_pruned_before, p.share_pruned_before) for p in together.points}
    assert found == {
        1: (0, 0.0),
        2: (0, 0.0),
        3: (1, pytest.approx(1 / 23)),
        4: (1, pytest.approx(1 / 23)),
        5: (3, pytest.approx(3 / 23)),
        6: (3, pytest.approx(3 / 23)),
        7: (3, pytest.approx(3 / 23)),
        8: (3, pytest.approx(3 / 23)),
    }
    assert (together.n_complete, together.n_pruned) == (20, 3)
    assert together.caution == (
        "3 of 23 trials were pruned and their ends are unknown, so this speaks of the trials "
        "that a pruner had let through."
    )


def test_pruned_trials_bound_the_correlation_from_both_sides() -> None:
    """Behind all others in the order of their last values, or before them, as SciPy ranks it."""
    rng = np.random.default_rng(3)
    curves = list(rng.random((15, 6)))
    pruned = [[3.0, 2.5], [4.0, 5.0, 2.0], [5.0]]
    one = record(curves, pruned=pruned)
    final = [float(min(curve)) for curve in curves]
    for point in get_fidelity(one).points:
        t = point.step
        early = [min(curve[:t]) for curve in (*curves, *pruned)]
        worst = stats.spearmanr(early, [*final, 12.5, 12.0, 15.0]).statistic
        places = stats.rankdata([min(curve[:t]) for curve in pruned])
        best = stats.spearmanr(early, [*final, *(-places)]).statistic
        assert point.pruned_worst == pytest.approx(worst)
        assert point.pruned_best == pytest.approx(best)


def test_no_end_of_pruned_trials_is_below_the_lower_bound() -> None:
    """Of all places that two bad-looking trials could have had, none gives less."""
    rng = np.random.default_rng(4)
    curves = list(rng.random((10, 1)))
    one = record(curves, pruned=[[3.0], [2.0]])
    (point,) = get_fidelity(one).points
    early = [float(c[0]) for c in curves] + [3.0, 2.0]
    order = np.argsort(early[:10])
    found = []
    for first, second in itertools.permutations(range(12), 2):
        places = np.empty(12)
        places[order] = [p for p in range(12) if p not in (first, second)]
        places[10:] = first, second
        found.append(stats.spearmanr(early, places).statistic)
    assert point.pruned_best == pytest.approx(min(found))
    assert point.pruned_worst == pytest.approx(max(found))


@pytest.mark.parametrize("n", [0, 9])
def test_few_trials_are_refused(n: int) -> None:
    """Nine complete trials say nothing, whatever was pruned."""
    one = record(parallel()[:n], pruned=[[1.0]] * 20)
    info = get_fidelity(one)
    assert info.points == ()
    assert info.refusal == (
        "The fidelity of short trainings needs at least 10 complete trials with a finite value "
        f"and a learning curve; this study has {n}."
    )
    assert info.caution is None
    replays = replay_pruners(one)
    assert (replays.replays, replays.n_replayed, replays.caution) == ((), 0, None)
    assert replays.refusal is not None
    assert replays.refusal.startswith("A replay of pruners needs at least 10 complete trials")


def test_trials_without_a_curve_or_a_value_do_not_count() -> None:
    """Imported results and trainings that ended in infinity are left out."""
    one = record(parallel(12))
    bare = (trial(12, value=0.1), trial(13, value=math.inf, curve=(1.0, 0.9)))
    info = get_fidelity(replace(one, trials=(*one.trials, *bare)))
    assert info.n_complete == 12
    assert info.points == get_fidelity(one).points


def test_equal_ends_have_no_correlation() -> None:
    """Where all trials end alike, there is nothing to foretell."""
    info = get_fidelity(record([[2.0 + i, 1.0] for i in range(12)]))
    assert {(p.spearman, p.low, p.pruned_worst) for p in info.points} == {(None, None, None)}


@pytest.mark.slow
def test_fidelity_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """About 95 of 100 intervals of 50 trials hold the rank correlation of the population.

    Source: 6 / pi * asin(rho / 2) for a normal pair; Kruskal, "Ordinal Measures of
        Association", JASA 53, 1958.
    """
    rho = 0.7
    truth = 6 / math.pi * math.asin(rho / 2)
    held = 0
    for seed in range(N_SIMULATIONS):
        early, rest = np.random.default_rng(seed).normal(size=(2, 50))
        final = rho * early + math.sqrt(1 - rho**2) * rest
        curves = [(100 + e, f) for e, f in zip(early, final, strict=True)]
        point = get_fidelity(record(curves), seed=seed).points[0]
        assert point.low is not None
        assert point.high is not None
        held += point.low <= truth <= point.high
    assert 0.90 <= held / N_SIMULATIONS <= 0.98


def replayed(one: StudyRecord, pruner: BasePruner, **options: int) -> PrunerReplay:
    """Return what one pruner did, which is used for every order."""
    setting = PrunerSetting(name="it", make=lambda _: pruner)
    (found,) = replay_pruners(one, [setting], **options).replays
    return found


def test_the_best_of_curves_that_never_cross_survives() -> None:
    """All pruners save epochs and none loses anything; one waits for standstills, of which falling
    curves have none.
    """
    info = replay_pruners(record(parallel()), n_orders=5)
    assert [r.name for r in info.replays] == [
        s.name.format(steps="epochs") for s in PRUNER_SETTINGS
    ]
    assert info.replays[0].share_saved == 0
    for replay in info.replays[1:]:
        assert replay.share_saved > 0.1
        assert (replay.n_best_pruned, replay.share_best_pruned, replay.low) == (0, 0, 0)
        assert (replay.mean_regret, replay.mean_relative_regret) == (0, 0)


def test_a_late_bloomer_is_ended_by_hasty_pruners() -> None:
    """Pruners that wait until half of the epochs end it too; one that waits longer does not."""
    patient = PrunerSetting(
        name="patient", make=lambda epochs: MedianPruner(n_warmup_steps=int(0.8 * epochs))
    )
    info = replay_pruners(record(crossing()), [*PRUNER_SETTINGS, patient, NEVER])
    found = {r.name: r for r in info.replays}
    hasty = found["median, from 10\N{NO-BREAK SPACE}% of the epochs on"]
    assert hasty.share_best_pruned > 0.5
    runner_up = sorted(c[-1] for c in parallel())[1]
    expected = hasty.share_best_pruned * (runner_up - 0.5)
    assert hasty.mean_regret == pytest.approx(expected, rel=0.05)
    assert hasty.mean_relative_regret == pytest.approx(hasty.mean_regret / 0.5)
    assert found["patient"].n_best_pruned == 0
    suggested = suggest_pruner(info)
    assert suggested is not None
    assert suggested.name == "patient"


@pytest.mark.parametrize(
    "pruner",
    [
        MedianPruner(n_startup_trials=3, n_warmup_steps=4),
        Halving(min_resource=2, reduction_factor=3),
        HyperbandPruner(min_resource=2, max_resource=24, reduction_factor=3),
    ],
    ids=lambda pruner: type(pruner).__name__,
)
def test_a_replay_is_what_optuna_does(pruner: BasePruner) -> None:
    """An objective that reports the stored values is pruned at the same epochs."""
    rng = np.random.default_rng(5)
    curves = [level + rng.normal(0, 0.2, size=24) for level in rng.random(40)]
    reference = optuna.create_study(study_name="order 0", pruner=pruner)

    def objective(trial: optuna.Trial) -> float:
        for step, value in enumerate(curves[trial.number]):
            trial.report(float(value), step)
            if step < 23 and trial.should_prune():
                raise optuna.TrialPruned
        return float(min(curves[trial.number]))

    reference.optimize(objective, n_trials=40)
    n_run = sum(len(t.intermediate_values) for t in reference.trials)
    survivors = reference.get_trials(states=(TrialState.COMPLETE,))
    fresh = type(pruner)(**options_of(pruner))
    found = replayed(record(curves), fresh, n_orders=1, max_reports=24)
    assert n_run < 24 * 40
    assert found.share_saved == pytest.approx(1 - n_run / (24 * 40))
    best = min(t.value for t in survivors if t.value is not None)
    assert found.mean_regret == pytest.approx(best - min(map(min, curves)))


def options_of(pruner: BasePruner) -> dict[str, int]:
    """Return how a pruner of the test above was made."""
    if isinstance(pruner, MedianPruner):
        return {"n_startup_trials": 3, "n_warmup_steps": 4}
    if isinstance(pruner, Halving):
        return {"min_resource": 2, "reduction_factor": 3}
    return {"min_resource": 2, "max_resource": 24, "reduction_factor": 3}


def test_the_first_order_is_that_of_the_starts() -> None:
    """Trials come as they were started, whatever their numbers."""
    one = record([[float(i), i - 0.5] for i in range(12)])
    starts = np.random.default_rng(6).permutation(12)
    one = replace(
        one,
        trials=tuple(
            replace(t, started=START + timedelta(minutes=int(s)))
            for t, s in zip(one.trials, starts, strict=True)
        ),
    )
    pruner = Recorder()
    replayed(one, pruner, n_orders=1)
    assert [values[0] for _, _, values in pruner.seen] == list(map(float, np.argsort(starts)))


def test_other_orders_are_random_and_hold_the_same_trials() -> None:
    """Each order has all trials once; two orders differ."""
    pruner = Recorder()
    replayed(record([[float(i), i - 0.5] for i in range(12)]), pruner, n_orders=3)
    seen = [values[0] for _, _, values in pruner.seen]
    first, second, third = seen[:12], seen[12:24], seen[24:]
    assert first == sorted(second) == sorted(third)
    assert len({tuple(first), tuple(second), tuple(third)}) == 3


def test_long_curves_are_thinned_and_nobody_is_asked_at_the_end() -> None:
    """A pruner sees each fifth of 99 values, and is not asked when nothing can be saved."""
    pruner = Recorder()
    one = record([list(np.linspace(2 + i, 1 + i, 99)) for i in range(12)])
    info = replay_pruners(one, [PrunerSetting(name="it", make=lambda _: pruner)], n_orders=1)
    assert info.every == 5
    assert [step for number, step, _ in pruner.seen if number == 0] == list(range(4, 98, 5))
    assert info.replays[0].share_saved == 0


def test_many_trials_are_a_choice_with_the_best_among_them() -> None:
    """Of 40 trials 15 are replayed, in their order, once each."""
    pruner = Recorder()
    curves = [[5.0 + i, 4.0 + i] for i in range(40)]
    curves[33] = [1.0, 0.0]
    setting = PrunerSetting(name="it", make=lambda _: pruner)
    info = replay_pruners(record(curves), [setting], n_orders=1, max_trials=15)
    seen = [values[0] for _, _, values in pruner.seen]
    assert (info.n_complete, info.n_replayed, len(seen)) == (40, 15, 15)
    assert 1.0 in seen
    assert [c[0] for c in curves if c[0] in seen] == seen


def test_a_pruner_that_ends_everything_leaves_the_worst() -> None:
    """Without survivors the regret is that of the worst trial."""
    found = replayed(record([[99.0, 1.0 + i, 1.0 + i, 1.0 + i] for i in range(12)]), Always())
    assert found.share_saved == pytest.approx(0.75)
    assert found.share_best_pruned == 1
    assert found.mean_regret == 11
    assert found.mean_relative_regret == 11


def test_wilsons_interval_is_that_of_the_formula() -> None:
    """Of 20 orders of which all or none lose the best, 16 % are still possible."""
    one = record([[9.0, 1.0 + i] for i in range(12)])
    always, never = replayed(one, Always()), replayed(one, NopPruner())
    z = stats.norm.ppf(0.975)
    bound = z**2 / (20 + z**2)
    assert (never.low, never.high) == pytest.approx((0, bound))
    assert (always.low, always.high) == pytest.approx((1 - bound, 1))


def test_a_best_value_of_zero_has_no_relative_regret() -> None:
    """Nothing is a share of zero."""
    found = replayed(record([[99.0, float(i)] for i in range(12)]), Always())
    assert (found.mean_regret, found.mean_relative_regret) == (11, None)


def test_two_best_trials_are_lost_only_together() -> None:
    """One of two with the best value is enough."""

    class First(BasePruner):
        def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
            return trial.intermediate_values[0] == 7.0

    one = record([[7.0, 1.0], [8.0, 1.0], *([9.0, 2.0 + i] for i in range(10))])
    found = replayed(one, First(), n_orders=3)
    assert (found.n_best_pruned, found.share_saved) == (0, pytest.approx(1 / 24))


def test_higher_is_better_where_the_study_says_so() -> None:
    """Turned curves give the same replays and coefficients."""
    rng = np.random.default_rng(7)
    curves = [level + rng.normal(0, 0.2, size=24) for level in rng.random(20)]
    turned = record([-c for c in curves], directions=("maximize",))
    assert replay_pruners(turned, n_orders=3) == replay_pruners(record(curves), n_orders=3)
    assert get_fidelity(turned) == get_fidelity(record(curves))


def test_none_is_suggested_where_all_do_harm() -> None:
    """A pruner that saves nothing is none to suggest either."""
    one = record(crossing())
    always = PrunerSetting(name="always", make=lambda _: Always())
    info = replay_pruners(one, [always, NEVER])
    assert [r.share_best_pruned for r in info.replays] == [1, 0]
    assert suggest_pruner(info) is None
    bold = suggest_pruner(info, max_best_pruned=1.0)
    assert bold is not None
    assert bold.name == "always"


def test_one_of_twenty_orders_is_allowed() -> None:
    """The limit of 5 % is itself allowed."""
    info = replay_pruners(record(parallel()), n_orders=2)
    first, second = (
        replace(info.replays[0], share_saved=saved, share_best_pruned=share)
        for saved, share in ((0.6, 0.05), (0.7, 0.1))
    )
    assert suggest_pruner(replace(info, replays=(first, second))) == first


def test_replayed_options_are_the_pruners_of_a_run() -> None:
    """Built for a training of 54 epochs, each decides by the numbers of ``run --pruner``."""
    offered = {setting.option: setting.make(54) for setting in PRUNER_SETTINGS if setting.option}
    assert set(offered) == {name for name in PRUNERS if name != "none"}
    for name, pruner in offered.items():
        own, real = vars(pruner), vars(make_pruner(name, max_steps=54))
        if name == "median":
            own, real = vars(own["_wrapped"]), vars(real["_wrapped"])
        assert own == real


def test_a_suggestion_can_be_held_to_what_is_offered() -> None:
    """The best of all may have no option; then the best that has one is another."""
    info = replay_pruners(record(parallel()), n_orders=2)
    info = replace(
        info,
        replays=tuple(
            replace(r, option=None if r.option == "halving" else r.option) for r in info.replays
        ),
    )
    best, offered = suggest_pruner(info), suggest_pruner(info, offered=True)
    assert best is not None
    assert offered is not None
    assert (best.option, offered.option) == (None, "hyperband")
    assert best.share_saved > offered.share_saved
    none = replace(info, replays=tuple(replace(r, option=None) for r in info.replays))
    assert suggest_pruner(none, offered=True) is None


def test_the_first_epoch_above_a_level_is_followed_by_none_below() -> None:
    """A coefficient that falls again does not count, nor one that is missing."""
    info = get_fidelity(record(parallel(), pruned=()))
    rising = [None, 0.9, 0.5, 0.8, 0.95]
    points = tuple(
        replace(point, spearman=value)
        for point, value in zip(info.points[:5], rising, strict=True)
    )
    info = replace(info, points=points)
    found = [info.first_above(level) for level in (0.4, 0.8, 0.9, 0.99)]
    assert found == [points[1], points[3], points[4], None]
    assert replace(info, points=()).first_above(0.0) is None


def test_many_trials_have_fewer_resamples() -> None:
    """Above 2,000 trials they fall, down to 200, and the intervals say how many there were."""
    sizes = (0, 100, 2000, 4000, 10_000, 10**6)
    assert [default_resamples(n) for n in sizes] == [1000, 1000, 1000, 500, 200, 200]
    for n, n_resamples in ((100, 1000), (4000, 500)):
        curves = np.random.default_rng(0).random((n, 2))
        assert get_fidelity(record(list(curves)), n_points=2).n_resamples == n_resamples


def test_replays_are_silent_and_repeatable(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither a line of Optuna's log nor another result the second time."""
    before = optuna.logging.get_verbosity()
    first = replay_pruners(record(crossing(12)), n_orders=3)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    assert replay_pruners(record(crossing(12)), n_orders=3) == first
