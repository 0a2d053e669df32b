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
from tests.study_tests.synthetic import SETTINGS, START, multitask
from tests.study_tests.synthetic import study as study_of
from tests.study_tests.synthetic import trial as make_trial

N_EPOCHS = 100
NOW = START + timedelta(days=1)
TRAINING = timedelta(seconds=50)
RANGE = FloatDistribution(1e-4, 1e-1, log=True)
GRID = {**SETTINGS, "sampler": "grid"}


def healthy_trial(number: int, **changes: Any) -> TrialRecord:
    """Return one of many good trials: its error falls and settles, near 0.02 for most."""
    rng = np.random.default_rng(number)
    rate = float(10 ** rng.uniform(-3, -2))
    params: dict[str, Scalar] = {"auto_encoder": "CNN", "epoch": N_EPOCHS, "learning_rate": rate}
    params["batch_size"] = int(rng.integers(12, 40))
    value = 0.02 * (1 + 0.4 * abs(math.log10(rate) + 2.5))
    epochs = np.arange(N_EPOCHS)
    curve = value + 0.2 * np.exp(-epochs / 8) + value * rng.uniform(0, 0.01, N_EPOCHS)
    started = START + (number // 2) * 1.05 * TRAINING
    record = make_trial(
        number,
        value=float(curve.min()),
        params=params,
        curve=tuple(curve.tolist()),
        attrs={
            "worker": f"host:{number % 2}",
            "seed": number,
            "last_validation_mse": float(curve[-1]),
            "last_train_mse": float(0.95 * curve[-1]),
            "epochs_run": N_EPOCHS,
            "training_seconds": TRAINING.total_seconds(),
        },
        started=started,
        completed=started + TRAINING,
    )
    ranges = {"learning_rate": RANGE, "batch_size": IntDistribution(8, 64, log=True)}
    return replace(record, **{"distributions": record.distributions | ranges, **changes})


HEALTHY = [healthy_trial(number) for number in range(60)]


def record_of(
    trials: Sequence[TrialRecord], settings: Mapping[str, Any] = SETTINGS
) -> StudyRecord:
    """Return a study of these trials."""
    return study_of(*trials, name="checked", settings=settings)


def with_best(settings: Mapping[str, Any] = SETTINGS, **changes: Any) -> StudyRecord:
    """Return a healthy study whose best trial is another one."""
    return record_of([replace(t, **changes) if t is BEST else t for t in HEALTHY], settings)


BEST = min(HEALTHY, key=lambda trial: trial.value)


def noted(trial: TrialRecord, **attrs: Any) -> TrialRecord:
    """Return a trial with other attributes."""
    return replace(trial, user_attrs={**trial.user_attrs, **attrs})


def found(record: StudyRecord, name: str, **known: Any) -> Check:
    """Return one check of a study."""
    (check,) = [c for c in get_verdict(record, now=NOW, **known).checks if c.name == name]
    return check


def warns(record: StudyRecord, name: str, *words: str, **known: Any) -> str | None:
    """Assert that a check warns, in these words, and return its command."""
    check = found(record, name, **known)
    assert check.level is Level.WARN
    assert [word for word in words if word not in check.sentence] == []
    return check.command


def test_healthy_study() -> None:
    """All checks that apply pass and ask for nothing; of a bad study the worst come first."""
    verdict = get_verdict(record_of(HEALTHY), now=NOW, noise=0.0001, predictable=True)
    assert verdict.level is Level.PASS
    assert {(check.level, check.command) for check in verdict.checks} == {(Level.PASS, None)}
    assert {check.name for check in verdict.checks} == {
        *("number of trials", "trials near the best", "boundary of the space", "failed trials"),
        *("collapsed trainings", "length of the training", "overfitting"),
        *("noise of the last epochs", "noise between replicates", "predictability"),
        *("repeated trainings", "idle workers", "zombie trials", "leakage"),
    }
    leaking = {**SETTINGS, "split": "random"}
    checks = get_verdict(record_of(HEALTHY[:10], leaking), now=NOW).checks
    levels = [check.level for check in checks]
    assert levels == sorted(levels, reverse=True)
    assert set(levels) == {Level.FAIL, Level.WARN, Level.PASS}
    assert checks[0].name == "leakage"


def test_too_few_trials() -> None:
    """A study without trials has too few, and one best trial far below all others may be luck."""
    verdict = get_verdict(record_of([]), now=NOW)
    more = "emoji-study run autoencoder --study checked"
    worst = verdict.checks[0]
    assert (verdict.level, worst.level) == (Level.FAIL, Level.FAIL)
    assert (worst.name, worst.command) == ("number of trials", f"{more} --trials 40")
    for foreign in ([make_trial(i, value=1.0 + i) for i in range(3)], HEALTHY[:10]):
        checks = get_verdict(study_of(*foreign), now=NOW).checks
        assert {check.command for check in checks} == {None}
    name = "trials near the best"
    command = warns(with_best(values=(0.001,)), name, "Only 1 of 60 trials lie within 10")
    assert command == f"{more} --trials 60"
    command = found(with_best(GRID, values=(0.001,)), name).command
    assert command.endswith("--study checked-wider --warm-start checked --space extended")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dropout": 0.0, "classification_layer_num": 2}, []),
        ({"dropout": 0.5, "classification_layer_num": 2}, ["dropout"]),
        ({"dropout": 0.5, "classification_layer_num": 1}, []),
        ({"classification_lambda": 0.1}, ["classification lambda"]),
        ({"learning_rate": 1e-2, "batch_size": 16}, ["learning rate"]),
    ],
)
def test_boundary(changes: dict[str, Scalar], named: list[str]) -> None:
    """A winner at an end is named, unless nothing lies beyond it or it has no effect."""
    space = SPACES["multitask"]["notebook"]
    point = next(space.grid({})) | {"learning_rate": 1e-3, "weight_decay": 1e-4, "dropout": 0.3}
    point |= {"classification_lambda": 0.5, "classification_layer_num": 2, **changes}
    settings = {**SETTINGS, "kind": "multitask", "space": "notebook"}
    distributions = {p.name: p.distribution for p in space.parameters}
    best = replace(make_trial(0, value=0.1), params=point, distributions=distributions)
    check = found(record_of([best], settings), "boundary of the space")
    for name in ("dropout", "classification layer num", "classification lambda", "learning rate"):
        assert (f"{name} " in check.sentence) == (name in named)
    assert check.level is (Level.WARN if named else Level.PASS)


def test_ends_of_ranges() -> None:
    """The value at an end of a range, or next to it on a log scale, is named with the end."""
    for name, value, words in (
        ("learning_rate", 1e-1, "learning rate 0.1 (the upper"),
        ("learning_rate", 1.02e-4, "learning rate 1.02e-4 (the lower"),
        ("batch_size", 8, "batch size 8 (the lower"),
    ):
        record = with_best(params={**BEST.params, name: value})
        warns(record, "boundary of the space", f"{words} end of its range)")


def test_failures() -> None:
    """They are counted once per point, what most of them share is named; retried ones are none."""
    failed = {"state": TrialState.FAIL, "values": ()}
    trials = list(HEALTHY)
    for i in range(12):
        wild = healthy_trial(60 + i, **failed, user_attrs={"failure": "diverged: NaN"})
        trials.append(replace(wild, params={**wild.params, "batch_size": 64}))
    words = ("12 of 72 trials failed, 12 of them diverged", "of those with batch size 64 did.")
    warns(record_of(trials), "failed trials", *words)
    many = [*trials, *(replace(trials[-1], number=72 + i) for i in range(10))]
    assert found(record_of(many), "failed trials").level is Level.FAIL
    dead = [healthy_trial(60 + i, **failed, user_attrs={}) for i in range(20)]
    again = [healthy_trial(80 + i, user_attrs={"retry_of": 60 + i}) for i in range(20)]
    check = found(record_of([*HEALTHY, *dead, *again]), "failed trials")
    assert (check.level, check.sentence) == (
        Level.PASS,
        "20 of 100 trials failed and were made up for.",
    )


def test_trainings() -> None:
    """Collapsed ones are counted; a best one may be too short, overfit or noisy at its end."""
    flat = dict.fromkeys(range(N_EPOCHS), 0.2)
    trials = [*HEALTHY, *(healthy_trial(60 + i, intermediate_values=flat) for i in range(4))]
    words = "4 of 64 trainings got less than 3\N{NO-BREAK SPACE}% below their first error"
    warns(record_of(trials), "collapsed trainings", words)
    falling = {i: 0.2 - 0.0018 * i for i in range(N_EPOCHS)}
    command = warns(with_best(intermediate_values=falling), "length of the training")
    assert "--epochs 200" in command
    check = found(with_best(intermediate_values=falling | {9: math.nan}), "length of the training")
    assert (check.level, check.command) == (Level.UNKNOWN, None)
    best = noted(BEST, last_validation_mse=1.5 * BEST.value).user_attrs
    warns(with_best(user_attrs=best), "overfitting", "1.50 times its lowest")
    noisy = {i: 0.03 + 0.2 * math.exp(-i / 8) + 0.01 * (i % 2) for i in range(N_EPOCHS)}
    for more, words in (
        ({}, "A schedule (one_cycle, cosine) or a smaller"),
        ({"schedule": "one_cycle"}, "Larger batches or a smaller learning rate"),
    ):
        record = with_best(intermediate_values=noisy, params={**BEST.params, **more})
        warns(record, "noise of the last epochs", words)


def test_what_others_say() -> None:
    """The default, chance, a surrogate and the large classes each can put a winner in doubt."""
    default = {"auto_encoder": "CNN", "batch_size": 16, "learning_rate": 0.01}
    default |= {"weight_decay": 1e-5, "batch_normalization": False}
    notebook = {**SETTINGS, "space": "notebook"}
    for value, epochs, level in (
        (0.05, N_EPOCHS, Level.UNKNOWN),  # one training each
        (0.001, N_EPOCHS, Level.WARN),
        (0.001, 2 * N_EPOCHS, None),  # trained for longer than the best
    ):
        own = {**default, "epoch": epochs}
        trials = [*HEALTHY, make_trial(60, value=value if level else 0.5, params=own)]
        checks = get_verdict(record_of(trials, notebook), now=NOW).checks
        assert [c.level for c in checks if c.name == "the default"] == ([level] if level else [])
    reach = BEST.value * math.exp(1.96 * math.sqrt(2) * 0.05)
    words = f"from the next {sum(t.value <= reach for t in HEALTHY) - 1}."
    warns(record_of(HEALTHY), "noise between replicates", words, noise=0.05)
    warns(record_of(HEALTHY), "predictability", predictable=False)
    for wrong, level in (((9, 9), Level.WARN), ((1, 1), Level.PASS), ((0, 0), Level.UNKNOWN)):
        confusion = [[20 - wrong[0], wrong[0]], [wrong[1], 12 - wrong[1]]]
        if level is Level.UNKNOWN:
            confusion[1] = [0, 2]
        best = make_trial(0, value=0.02, attrs={"confusion": confusion})
        assert found(multitask(best), "balance of the classes").level is level


def test_workers() -> None:
    """They may wait for longer than they train, be dead, or be asked for what is known."""
    trials = [replace(t, completed=t.started and t.started + TRAINING / 4) for t in HEALTHY]
    warns(record_of(trials), "idle workers", "only 2")
    running = healthy_trial(60, state=TrialState.RUNNING, values=(), completed=None)
    for age, level in ((timedelta(days=1), Level.WARN), (timedelta(minutes=1), Level.PASS)):
        record = record_of([*HEALTHY, replace(running, started=NOW - age)])
        assert found(record, "zombie trials").level is level
    trials = [t if t.number % 3 else noted(t, reused_from=0) for t in HEALTHY]
    warns(record_of(trials), "repeated trainings")
    assert found(record_of(trials, GRID), "repeated trainings").level is Level.PASS


def test_noise_estimate() -> None:
    """The pooled scatter of replicates is that of the log error; answered trials do not count."""
    rng = np.random.default_rng(0)
    trials = []
    for i in range(400):
        base = HEALTHY[i // 10]
        value = 0.02 * math.exp(0.1 * rng.standard_normal())
        params = {**base.params, "weight_decay": 1e-5, "batch_normalization": False}
        trials.append(noted(replace(base, number=i, values=(value,), params=params), seed=i))
    assert get_noise(record_of(trials)) == pytest.approx(0.1, abs=0.01)
    answered = [noted(t, reused_from=0) if t.number % 10 else t for t in trials]
    assert get_noise(record_of(answered)) is None
    assert get_noise(record_of([noted(t, seed=7) for t in trials])) is None


def test_pruner() -> None:
    """A pruner that asks when errors say nothing about the end is suspect."""
    short = dict.fromkeys(range(11), 0.3)
    pruned = [
        healthy_trial(60 + i, state=TrialState.PRUNED, values=(), intermediate_values=short)
        for i in range(60)
    ]
    misleading = [
        replace(t, intermediate_values=dict.fromkeys(range(50), 0.3 + 0.01 * i) | {99: 0.02})
        for i, t in zip(np.random.default_rng(0).permutation(60), HEALTHY, strict=True)
    ]
    for trials, n_pruned, level in (
        *((HEALTHY, 5, Level.PASS), (misleading, 5, Level.WARN)),
        (HEALTHY, 60, Level.UNKNOWN),  # had they ended otherwise, nobody knows
    ):
        check = found(record_of([*trials, *pruned[:n_pruned]]), "pruner")
        assert check.level is level
        assert "after 11 epochs" in check.sentence
