"""The checks of a study: each trips on a study built to trip it, and none on a healthy one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces import SPACES
from storage.records import Scalar, StudyRecord, TrialRecord
from study.analysis.noise import get_noise
from study.analysis.verdict import Check, Level, get_verdict
from tests.study_tests.synthetic import MULTITASK_SETTINGS, SETTINGS, START, classified, multitask
from tests.study_tests.synthetic import study as study_of
from tests.study_tests.synthetic import trial as make_trial

N_EPOCHS = 100
NOW = START + timedelta(days=1)
TRAINING = timedelta(seconds=50)
RANGE = FloatDistribution(1e-4, 1e-1, log=True)


def healthy_trial(number: int, **changes: Any) -> TrialRecord:
    """Return one of many good trials: its error falls and settles, near 0.02 for most."""
    rng = np.random.default_rng(number)
    rate = float(10 ** rng.uniform(-3, -2))
    params: dict[str, Scalar] = {
        "auto_encoder": "CNN",
        "epoch": N_EPOCHS,
        "batch_size": int(rng.integers(12, 40)),
        "learning_rate": rate,
    }
    value = 0.02 * (1 + 0.4 * abs(math.log10(rate) + 2.5))
    epochs = np.arange(N_EPOCHS)
    curve = value + 0.2 * np.exp(-epochs / 8) + value * rng.uniform(0, 0.01, N_EPOCHS)
    worker = number % 2
    started = START + (number // 2) * 1.05 * TRAINING
    record = make_trial(
        number,
        value=float(curve.min()),
        params=params,
        curve=tuple(float(v) for v in curve),
        attrs={
            "worker": f"host:{worker}",
            "seed": number,
            "validation_mse": float(curve.min()),
            "last_validation_mse": float(curve[-1]),
            "last_train_mse": float(0.95 * curve[-1]),
            "epochs_run": N_EPOCHS,
            "training_seconds": TRAINING.total_seconds(),
        },
        started=started,
        completed=started + TRAINING,
    )
    record = replace(
        record,
        distributions=record.distributions
        | {"learning_rate": RANGE, "batch_size": IntDistribution(8, 64, log=True)},
    )
    return replace(record, **changes)


def healthy(n_trials: int = 40) -> list[TrialRecord]:
    """Return the trials of a study that nothing is wrong with."""
    return [healthy_trial(number) for number in range(n_trials)]


def best_of(trials: Sequence[TrialRecord]) -> TrialRecord:
    """Return the trial with the lowest error."""
    return min(trials, key=lambda trial: trial.value or math.inf)


def exchanged(trials: Sequence[TrialRecord], new: TrialRecord) -> list[TrialRecord]:
    """Return the trials with another one in the place of that number."""
    return [new if trial.number == new.number else trial for trial in trials]


def record_of(
    trials: Sequence[TrialRecord], settings: Mapping[str, Any] = SETTINGS
) -> StudyRecord:
    """Return a study of these trials."""
    return study_of(*trials, name="checked", settings=settings)


def found(record: StudyRecord, name: str, **known: Any) -> Check:
    """Return one check of a study."""
    (check,) = [c for c in get_verdict(record, now=NOW, **known).checks if c.name == name]
    return check


def test_healthy_study() -> None:
    """All checks that apply pass, and none of them asks for anything."""
    verdict = get_verdict(record_of(healthy()), now=NOW, relative_noise=0.0001, predictable=True)
    assert [check for check in verdict.checks if check.level is not Level.PASS] == []
    assert verdict.level is Level.PASS
    assert {check.name for check in verdict.checks} == {
        *("number of trials", "trials near the best", "boundary of the space", "failed trials"),
        *("collapsed trainings", "length of the training", "overfitting"),
        *("noise of the last epochs", "noise between replicates", "predictability"),
        *("repeated trainings", "idle workers", "zombie trials", "leakage"),
    }
    assert all(check.command is None for check in verdict.checks)


def test_worst_first() -> None:
    """Failed checks come before warnings, and these before what passes."""
    settings = {**SETTINGS, "split": "random"}
    levels = [c.level for c in get_verdict(record_of(healthy(10), settings), now=NOW).checks]
    assert levels == sorted(levels, reverse=True)
    assert set(levels) == {Level.FAIL, Level.WARN, Level.PASS}


def test_empty_study() -> None:
    """A study without trials has too few of them."""
    verdict = get_verdict(record_of([]), now=NOW)
    assert verdict.level is Level.FAIL
    assert verdict.checks[0].name == "number of trials"
    assert verdict.checks[0].command == "emoji-study run autoencoder --study checked --trials 20"


def test_foreign_study() -> None:
    """A study of plain Optuna is checked as far as it is understood, without commands."""
    record = study_of(*(make_trial(i, value=1.0 + i) for i in range(3)))
    verdict = get_verdict(record, now=NOW)
    assert verdict.level is Level.FAIL
    assert {check.command for check in verdict.checks} <= {None}


def test_too_few_trials_near_the_best() -> None:
    """A best trial far below all others may be luck."""
    trials = healthy()
    lucky = replace(best_of(trials), value=0.001)
    check = found(record_of(exchanged(trials, lucky)), "trials near the best")
    assert check.level is Level.WARN
    assert "Only 1 of 40 trials lie within 10" in check.sentence
    assert check.command == "emoji-study run autoencoder --study checked --trials 40"
    grid = record_of(exchanged(trials, lucky), {**SETTINGS, "sampler": "grid"})
    command = found(grid, "trials near the best").command  # a grid has no further trials
    assert command is not None
    assert command.endswith("--study checked-2 --warm-start checked --space extended")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("learning_rate", 1e-1, "learning rate 0.1 (the upper end of its range)"),
        ("learning_rate", 1.02e-4, "learning rate 1.02e-4 (the lower end of its range)"),
        ("batch_size", 8, "batch size 8 (the lower end of its range)"),
    ],
)
def test_boundary(name: str, value: float, words: str) -> None:
    """A winner at the end of a range is named with the parameter and the end."""
    trials = healthy()
    best = best_of(trials)
    moved = replace(best, params={**best.params, name: value})
    check = found(record_of(exchanged(trials, moved)), "boundary of the space")
    assert check.level is Level.WARN
    assert words in check.sentence


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dropout": 0.0, "classification_layer_num": 2}, []),
        ({"dropout": 0.5, "classification_layer_num": 2}, ["dropout"]),
        ({"dropout": 0.5, "classification_layer_num": 1}, []),
        ({"dropout": 0.3, "classification_layer_num": 3}, []),
        ({"classification_lambda": 0.1}, ["classification lambda"]),
        ({"learning_rate": 1e-2, "batch_size": 16}, ["learning rate"]),
    ],
)
def test_boundary_beyond_which_nothing_lies(changes: dict[str, Scalar], named: list[str]) -> None:
    """An end is none where no configuration lies beyond it, or where it has no effect."""
    point = {
        **next(SPACES["multitask"]["notebook"].grid({})),
        "learning_rate": 1e-3,
        "weight_decay": 1e-4,
        "classification_lambda": 0.5,
        "dropout": 0.3,
        "classification_layer_num": 2,
    }
    settings = {**SETTINGS, "kind": "multitask", "space": "notebook"}
    distributions = {p.name: p.distribution for p in SPACES["multitask"]["notebook"].parameters}
    best = replace(
        make_trial(0, value=0.1), params={**point, **changes}, distributions=distributions
    )
    check = found(record_of([best], settings), "boundary of the space")
    for name in ("dropout", "classification layer num", "classification lambda", "learning rate"):
        assert (f"{name} " in check.sentence) == (name in named)
    assert check.level is (Level.WARN if named else Level.PASS)


def test_failures_with_their_place() -> None:
    """Failures are counted once per point, and what most of them share is named."""
    trials = healthy()
    for i in range(12):
        wild = healthy_trial(
            40 + i,
            state=TrialState.FAIL,
            value=None,
            user_attrs={"failure": "diverged: NaN"},
        )
        trials.append(replace(wild, params={**wild.params, "batch_size": 64}))
    check = found(record_of(trials), "failed trials")
    assert check.level is Level.WARN
    assert "12 of 52 trials failed, 12 of them diverged" in check.sentence
    assert check.sentence.endswith("of those with batch size 64 did.")
    many = [*trials, *(replace(trials[-1], number=52 + i) for i in range(10))]
    assert found(record_of(many), "failed trials").level is Level.FAIL


def test_retried_failures_do_not_count() -> None:
    """A killed attempt whose retry succeeded is no failed trial."""
    trials = healthy()
    dead = [
        healthy_trial(40 + i, state=TrialState.FAIL, value=None, user_attrs={}) for i in range(20)
    ]
    again = [healthy_trial(60 + i, user_attrs={"retry_of": 40 + i}) for i in range(20)]
    check = found(record_of([*trials, *dead, *again]), "failed trials")
    assert check.level is Level.PASS
    assert check.sentence == "0 of 60 trials failed."


def test_collapsed() -> None:
    """Trainings whose error never fell are counted."""
    flat = dict.fromkeys(range(N_EPOCHS), 0.2)
    trials = [*healthy(), *(healthy_trial(40 + i, intermediate_values=flat) for i in range(4))]
    check = found(record_of(trials), "collapsed trainings")
    assert check.level is Level.WARN
    assert "4 of 44 trainings never got below their first error" in check.sentence


def with_best_curve(curve: np.ndarray) -> StudyRecord:
    """Return a healthy study whose best trial has another learning curve."""
    trials = healthy()
    best = best_of(trials)
    values = dict(enumerate(float(v) for v in curve))
    return record_of(exchanged(trials, replace(best, intermediate_values=values)))


def test_still_improving() -> None:
    """A best training that falls until its end should have been longer."""
    check = found(with_best_curve(0.2 - 0.0018 * np.arange(N_EPOCHS)), "length of the training")
    assert check.level is Level.WARN
    assert check.command is not None
    assert "--epochs 200" in check.command


def test_overfitting() -> None:
    """A validation error that rises again while the training error is below it."""
    trials = healthy()
    best = best_of(trials)
    attrs = {**best.user_attrs, "last_validation_mse": 1.5 * (best.value or 0)}
    check = found(record_of(exchanged(trials, replace(best, user_attrs=attrs))), "overfitting")
    assert check.level is Level.WARN
    assert "1.50 times its lowest" in check.sentence


def test_noisy_tail() -> None:
    """A best training that jumps up and down at its end was lucky in its lowest epoch."""
    epochs = np.arange(N_EPOCHS)
    check = found(
        with_best_curve(0.03 + 0.2 * np.exp(-epochs / 8) + 0.01 * (epochs % 2)),
        "noise of the last epochs",
    )
    assert check.level is Level.WARN
    assert "A schedule (one_cycle, cosine) or a smaller" in check.sentence


def test_noisy_tail_under_a_schedule() -> None:
    """A training that has a schedule is not told to take one."""
    record = with_best_curve(0.03 + 0.01 * (np.arange(N_EPOCHS) % 2))
    best = record.best
    assert best is not None
    scheduled = replace(best, params={**best.params, "schedule": "one_cycle"})
    check = found(record_of(exchanged(record.trials, scheduled)), "noise of the last epochs")
    assert check.level is Level.WARN
    assert "Larger batches or a smaller learning rate" in check.sentence


def test_default() -> None:
    """The notebook's best configuration must be beaten where it was tried."""
    default = {
        "auto_encoder": "CNN",
        "batch_size": 16,
        "learning_rate": 0.01,
        "weight_decay": 1e-5,
        "batch_normalization": False,
    }
    trials = healthy()
    poor = make_trial(40, value=0.05, params=default)
    good = make_trial(40, value=0.001, params=default)
    settings = {**SETTINGS, "space": "notebook"}
    assert found(record_of([*trials, poor], settings), "the default").level is Level.PASS
    assert found(record_of([*trials, good], settings), "the default").level is Level.WARN


def test_noise_between_replicates() -> None:
    """Trials that chance alone could order are not told apart."""
    values = sorted(trial.value or 0 for trial in healthy())
    check = found(record_of(healthy()), "noise between replicates", relative_noise=0.05)
    ties = sum(v <= values[0] * math.exp(1.96 * math.sqrt(2) * 0.05) for v in values) - 1
    assert ties > 0
    assert check.level is Level.WARN
    assert f"from the next {ties}" in check.sentence


def test_unpredictable() -> None:
    """What the surrogate could not learn is said."""
    check = found(record_of(healthy()), "predictability", predictable=False)
    assert check.level is Level.WARN


@pytest.mark.parametrize("suspect", [False, True])
def test_pruner(suspect: bool) -> None:
    """A pruner that asks when errors say nothing about the end is suspect."""
    trials = healthy()
    short = {step: 0.3 for step in range(11)}
    pruned = [
        healthy_trial(40 + i, state=TrialState.PRUNED, value=None, intermediate_values=short)
        for i in range(5)
    ]
    if suspect:
        order = np.random.default_rng(0).permutation(len(trials))
        trials = [
            replace(
                t, intermediate_values={s: 0.3 + 0.01 * order[i] for s in range(50)} | {99: 0.02}
            )
            for i, t in enumerate(trials)
        ]
    check = found(record_of([*trials, *pruned]), "pruner")
    assert check.level is (Level.WARN if suspect else Level.PASS)
    assert "after 11 epochs" in check.sentence


def test_duplicates() -> None:
    """A sampler that asks again for what is known has searched its space through."""
    trials = [
        replace(t, user_attrs={**t.user_attrs, "reused_from": 0}) if t.number % 3 == 0 else t
        for t in healthy()
    ]
    assert found(record_of(trials), "repeated trainings").level is Level.WARN
    grid = {**SETTINGS, "sampler": "grid"}
    assert found(record_of(trials, grid), "repeated trainings").level is Level.PASS


def test_idle_workers() -> None:
    """Workers that wait between trials for longer than they train."""
    trials = [replace(t, completed=t.started and t.started + TRAINING / 4) for t in healthy()]
    check = found(record_of(trials), "idle workers")
    assert check.level is Level.WARN
    assert "only 2" in check.sentence


def test_zombies() -> None:
    """A trial that runs far longer than any other is probably dead, a recent one is not."""
    for age, level in ((timedelta(days=1), Level.WARN), (timedelta(minutes=1), Level.PASS)):
        running = healthy_trial(
            40, state=TrialState.RUNNING, value=None, started=NOW - age, completed=None
        )
        assert found(record_of([*healthy(), running]), "zombie trials").level is level


def test_leakage() -> None:
    """A random split is a fault of the study, whatever it found."""
    check = found(record_of(healthy(), {**SETTINGS, "split": "random"}), "leakage")
    assert check.level is Level.FAIL


def test_balance() -> None:
    """An accuracy that the large classes make alone."""
    even = multitask(make_trial(0, value=0.02, attrs=classified([5, 16, 1, 8])))
    lopsided = replace(
        even,
        trials=(
            make_trial(
                0,
                value=0.02,
                attrs={"validation_accuracy": 0.9, "validation_balanced_accuracy": 0.6},
            ),
        ),
    )
    check = found(lopsided, "balance of the classes")
    assert check.level is Level.WARN
    assert "90" in check.sentence
    assert "60" in check.sentence
    assert MULTITASK_SETTINGS["kind"] == "multitask"


def test_noise_estimate() -> None:
    """The pooled scatter of replicates is that of the log error; answered trials do not count."""
    rng = np.random.default_rng(0)
    trials = []
    for i in range(400):
        base = healthy_trial(i // 4)
        value = 0.02 * math.exp(0.1 * rng.standard_normal())
        attrs = {**base.user_attrs, "seed": i}
        params = {**base.params, "weight_decay": 1e-5, "batch_normalization": False}
        trials.append(replace(base, number=i, value=value, user_attrs=attrs, params=params))
    assert get_noise(record_of(trials)) == pytest.approx(0.1, abs=0.01)
    answered = [
        replace(t, user_attrs={**t.user_attrs, "reused_from": 0}) if t.number % 4 else t
        for t in trials
    ]
    assert get_noise(record_of(answered)) is None
    same_seed = [replace(t, user_attrs={**t.user_attrs, "seed": 7}) for t in trials]
    assert get_noise(record_of(same_seed)) is None
