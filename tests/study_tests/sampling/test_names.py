"""Samplers and pruners by name, and what the pruners do to known curves."""

from collections.abc import Callable

import optuna
import pytest
from optuna.pruners import HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, PartialFixedSampler
from optuna.trial import TrialState

from search_spaces.designs import DESIGNS
from study.errors import StudyError
from study.experiment import PAIRED
from study.sampling.names import (
    ADAPTIVE_SAMPLERS,
    HALVING_MIN_EPOCHS,
    HYPERBAND_MIN_TRIALS,
    PRUNERS,
    SAMPLERS,
    StalledPruner,
    check_names,
    default_pruner,
    make_pruner,
    make_sampler,
)
from study.sampling.untried import UntriedSampler

MAX_EPOCHS = 40

Curve = Callable[[int], float]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("grid", PartialFixedSampler),
        ("random", PartialFixedSampler),
        ("qmc", PartialFixedSampler),
        ("tpe", UntriedSampler),
        ("gp", UntriedSampler),
    ],
)
def test_samplers(name: str, kind: type[BaseSampler]) -> None:
    """Every name builds its sampler, without a warning."""
    assert name in SAMPLERS
    assert type(make_sampler(name, seed=0, params={})) is kind


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_seed_decides(name: str) -> None:
    """The same seed gives the same first point, another seed another."""

    def first(seed: int) -> float:
        study = optuna.create_study(sampler=make_sampler(name, seed=seed, params={}))
        return study.ask().suggest_float("x", 0, 1)

    assert first(1) == first(1)
    assert len({first(seed) for seed in range(5)}) == 5


@pytest.mark.parametrize("name", [*DESIGNS, PAIRED])
def test_point_of_a_design(name: str) -> None:
    """What a design decides is as it says, whatever the seed; only the rest is drawn."""
    seen = set()
    for seed in range(5):
        sampler = make_sampler(name, seed=seed, params={"x": 0.25, "kind": "b"})
        trial = optuna.create_study(sampler=sampler).ask()
        assert trial.suggest_float("x", 0, 1) == 0.25
        assert trial.suggest_categorical("kind", ["a", "b"]) == "b"
        seen.add(trial.suggest_float("y", 0, 1))
    assert len(seen) == 5


@pytest.mark.parametrize("name", ADAPTIVE_SAMPLERS)
def test_enqueued_point(name: str) -> None:
    """Values that a trial was enqueued with hold for every sampler."""
    study = optuna.create_study(sampler=make_sampler(name, seed=0, params={}))
    study.enqueue_trial({"x": 0.25})
    assert study.ask().suggest_float("x", 0, 1) == 0.25


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("median", StalledPruner),
        ("halving", SuccessiveHalvingPruner),
        ("hyperband", HyperbandPruner),
        ("none", NopPruner),
    ],
)
@pytest.mark.parametrize("max_epochs", [1, 2, 200, None])
def test_pruners(name: str, kind: type[optuna.pruners.BasePruner], max_epochs: int | None) -> None:
    """Every name builds its pruner, without a warning, for trainings of any length."""
    assert name in PRUNERS
    assert type(make_pruner(name, max_steps=max_epochs)) is kind


def test_experiments_choose_nothing() -> None:
    """What stands for the sampler of an experiment builds one, but cannot be asked for."""
    assert PAIRED not in SAMPLERS
    assert type(make_sampler(PAIRED, seed=0, params={})) is PartialFixedSampler
    with pytest.raises(StudyError, match=r"^`sampler` must be one of .*, but got 'paired'\.$"):
        check_names(PAIRED, "none")


def test_unknown_names() -> None:
    """Other names are refused with those that exist."""
    for sampler in SAMPLERS:
        for pruner in PRUNERS:
            check_names(sampler, pruner)
    with pytest.raises(
        StudyError, match=r"^`sampler` must be one of grid, .*, gp, but got 'cmaes'\.$"
    ):
        check_names("cmaes", "none")
    with pytest.raises(
        StudyError,
        match=r"^`pruner` must be one of median, halving, hyperband, none, but got 'asha'\.$",
    ):
        check_names("tpe", "asha")


@pytest.mark.parametrize(
    ("space", "sampler", "n_trials", "max_epochs", "pruner"),
    [
        ("extended", "grid", 10, 200, "none"),
        ("notebook", "grid", 1000, 200, "none"),
        ("notebook", "tpe", 1, HALVING_MIN_EPOCHS, "halving"),
        ("notebook", "random", 500, 200, "halving"),
        ("notebook", "tpe", 40, HALVING_MIN_EPOCHS - 1, "median"),
        ("extended", "tpe", HYPERBAND_MIN_TRIALS - 1, 200, "median"),
        ("extended", "random", 1, 200, "median"),
        ("extended", "tpe", HYPERBAND_MIN_TRIALS, 200, "hyperband"),
        ("extended", "qmc", 500, 20, "hyperband"),
        ("notebook", "tpe", HYPERBAND_MIN_TRIALS, None, "median"),
        ("notebook", "grid", 1, None, "none"),
    ],
)
def test_default_pruner(
    space: str, sampler: str, n_trials: int, max_epochs: int | None, pruner: str
) -> None:
    """A grid is completed; long trainings of the notebook's space are halved, others less so."""
    assert default_pruner(space, sampler, n_trials=n_trials, max_steps=max_epochs) == pruner


def falling(level: float) -> Curve:
    """Return a curve that falls from 1 above ``level`` to ``level``, ever more slowly."""
    return lambda step: level + 0.9**step


def run(study: optuna.Study, curve: Curve, *, max_epochs: int) -> int:
    """Report a curve as the objective does, and return the number of epochs until the end."""
    trial = study.ask()
    for step in range(max_epochs):
        trial.report(curve(step), step=step)
        last = step + 1 == max_epochs
        if not last and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step + 1
    study.tell(trial, curve(max_epochs - 1))
    return max_epochs


@pytest.fixture
def judged() -> optuna.Study:
    """A study under the median pruner with eight complete trials of falling curves."""
    study = optuna.create_study(pruner=make_pruner("median", max_steps=MAX_EPOCHS))
    for i in range(8):
        assert run(study, falling(0.1 + i / 1000), max_epochs=MAX_EPOCHS) == MAX_EPOCHS
    return study


def test_median_prunes_a_bad_curve(judged: optuna.Study) -> None:
    """A training that has its best epoch behind it, above the median, is stopped midway."""
    epochs = run(judged, lambda step: 0.9 + step / 1e4, max_epochs=MAX_EPOCHS)
    assert MAX_EPOCHS // 10 < epochs < MAX_EPOCHS / 2


def test_median_prunes_a_flat_curve(judged: optuna.Study) -> None:
    """A dead model, whose error is the same in every epoch, is stopped midway."""
    assert run(judged, lambda _: 0.9, max_epochs=MAX_EPOCHS) < MAX_EPOCHS / 2


def test_median_leaves_the_best_alone(judged: optuna.Study) -> None:
    """A curve below the others runs to its end."""
    assert run(judged, falling(0.05), max_epochs=MAX_EPOCHS) == MAX_EPOCHS


def test_median_is_patient(judged: optuna.Study) -> None:
    """A curve above the median that still improves in every epoch runs to its end."""
    assert run(judged, lambda step: 2 - step / 100, max_epochs=MAX_EPOCHS) == MAX_EPOCHS


def test_median_waits_for_company() -> None:
    """The first trials of a study are not judged at all."""
    study = optuna.create_study(pruner=make_pruner("median", max_steps=MAX_EPOCHS))
    for _ in range(4):
        run(study, falling(0.1), max_epochs=MAX_EPOCHS)
    assert run(study, lambda _: 0.9, max_epochs=MAX_EPOCHS) == MAX_EPOCHS


@pytest.mark.parametrize("max_epochs", [27, 30, 81, 100, 200])
def test_hyperband(max_epochs: int) -> None:
    """Bad trials are stopped early; none is told to stop after its last epoch."""
    study = optuna.create_study(
        study_name="hyperband", pruner=make_pruner("hyperband", max_steps=max_epochs)
    )
    ends = []
    for i in range(60):
        level = 0.1 + (i * 37 % 60) / 100
        trial = study.ask()
        for step in range(max_epochs):
            trial.report(level + 0.9**step, step=step)
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, level)
        ends.append(step + 1)
    states = [trial.state for trial in study.get_trials()]
    assert all(
        (epochs == max_epochs) == (state == TrialState.COMPLETE)
        for epochs, state in zip(ends, states, strict=True)
    )
    assert states.count(TrialState.PRUNED) >= 20
    assert states.count(TrialState.COMPLETE) >= 5
    best = min(study.get_trials(), key=lambda t: min(t.intermediate_values.values()))
    assert best.state == TrialState.COMPLETE


def test_none_never_prunes() -> None:
    """Without a pruner every trial runs to its end."""
    study = optuna.create_study(pruner=make_pruner("none", max_steps=MAX_EPOCHS))
    for level in (0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 9.0):
        assert run(study, falling(level), max_epochs=MAX_EPOCHS) == MAX_EPOCHS
