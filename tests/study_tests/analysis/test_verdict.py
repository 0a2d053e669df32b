"""The checks of a study: each trips on a study built to trip it, and none on a healthy one."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from benchmarks.simulated import Trainings, simulate_other
from search_spaces import SPACES, Parameter, Scalar
from storage.records import StudyRecord, TrialRecord
from study.analysis.checks import Check, Level
from study.analysis.failures import describe_failures, get_failures
from study.analysis.noise import get_noise
from study.analysis.provenance import keeping
from study.analysis.verdict import ENOUGH_TRIALS, get_verdict
from tests.study_tests.analysis.test_confirmation import confirmed
from tests.study_tests.synthetic import MULTITASK_SETTINGS, SETTINGS, START, multitask
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


def record_of(trials: Sequence[TrialRecord], settings: Any = SETTINGS) -> StudyRecord:
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
    (check,) = [c for c in get_verdict(record, now=NOW, **known) if c.name == name]
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
    assert {(check.level, check.command) for check in verdict} == {(Level.PASS, None)}
    assert {check.name for check in verdict} == {
        *("number of trials", "boundary of the space", "failed trials"),
        *("collapsed trainings", "length of the training", "overfitting"),
        *("noise of the last epochs", "noise between replicates", "predictability"),
        *("repeated trainings", "idle workers", "zombie trials", "leakage"),
    }
    document = (Path(__file__).parents[3] / "docs" / "checks.md").read_text()
    names = {check.name for check in verdict} | {"the default", "early values"}
    assert f"(below {ENOUGH_TRIALS} it cannot be told)" in document
    assert [name for name in names if document.count(f"\n| {name} | ") == 0] == []
    leaking = {**SETTINGS, "split": "random"}
    checks = get_verdict(record_of(HEALTHY[:10], leaking), now=NOW)
    levels = [check.level for check in checks]
    assert levels == sorted(levels, reverse=True)
    assert set(levels) == {Level.FAIL, Level.UNKNOWN, Level.PASS}
    assert checks[0].name == "leakage"
    kept = "--space extended --set epoch=20"
    grouped = f"emoji-study run autoencoder --study checked-grouped {kept} --split group"
    assert checks[0].command == grouped


def test_another_study_keeps_what_it_does_not_change() -> None:
    """Its data, split, space, demands and fixed values, as far as the other space has them."""
    fixed = {"epoch": 60, "auto_encoder": "CNN", "batch_normalization": True}
    own = {**MULTITASK_SETTINGS, "data": "a b.parquet", "data_seed": 0, "fixed": fixed}
    record = record_of(HEALTHY[:10], own)
    data, demand = "--data 'a b.parquet' --data-seed 0", "--min-accuracy 0.7"
    sets = "--set auto_encoder=CNN --set batch_normalization=true"
    assert keeping(record, "--epochs 9") == f"--space extended {data} {demand} {sets} --epochs 9"
    wider = keeping(record, "--space extended --set auto_encoder=linear")
    assert wider == f"{data} {demand} --set epoch=60 --space extended --set auto_encoder=linear"


def test_number_of_trials() -> None:
    """Complete trials count, each training once; the advised command is enough of them."""
    more = "emoji-study run autoencoder --study checked"
    worst = get_verdict(record_of([]), now=NOW)[0]
    assert worst.level is Level.FAIL
    assert (worst.name, worst.command) == ("number of trials", f"{more} --trials {ENOUGH_TRIALS}")
    for foreign in ([make_trial(i, value=1.0 + i) for i in range(3)], HEALTHY[:10]):
        checks = get_verdict(study_of(*foreign), now=NOW)
        assert {check.command for check in checks} == {None}
    pruned = [replace(t, state=TrialState.PRUNED, values=()) for t in HEALTHY[5:]]
    whole = HEALTHY[: ENOUGH_TRIALS - 10]
    check = found(record_of(whole), "number of trials")
    assert (check.level, check.command) == (Level.UNKNOWN, f"{more} --trials 10")
    # Where every second trial is pruned, twice as many are needed; pruned ones alone tell nothing.
    mixed = found(record_of([*whole, *pruned[-30:]]), "number of trials")
    assert (mixed.sentence, mixed.command) == (check.sentence, f"{more} --trials 20")
    assert found(record_of(pruned), "number of trials").level is Level.FAIL
    halved = found(record_of([*HEALTHY[:3], *pruned]), "number of trials")
    assert halved.level is Level.UNKNOWN  # the sampler knows all of them
    again = [noted(t, reused_from=t.number) for t in whole]
    again = [replace(t, number=100 + t.number) for t in again]
    told = found(record_of([*whole, *again]), "number of trials").sentence
    assert told.startswith("30 complete trials, each training once: which settings mattered")
    assert found(record_of(HEALTHY[:ENOUGH_TRIALS]), "number of trials").level is Level.PASS


def sloping(name: str, *, upwards: bool, n: int = 60, **fixed: Scalar) -> StudyRecord:
    """Return a study of the notebook's multitask space that gets better towards an end."""
    space = SPACES["multitask"]["notebook"]
    rng = np.random.default_rng(0)
    ranges = {p.name: p.distribution for p in space.parameters}
    ranges |= {"dropout": FloatDistribution(0.0, 0.5), "learning_rate": RANGE}
    point = next(space.grid({})) | {"learning_rate": 1e-3, "classification_lambda": 0.5}
    trials = []
    for i in range(n):
        u = float(rng.random())
        value = Parameter(name, ranges[name]).at(u)
        error = 0.1 * math.exp(-u if upwards else u) * math.exp(0.1 * rng.standard_normal())
        params = {**point, "classification_layer_num": 2, **fixed, name: value}
        own = {key: ranges[key] for key in params if key in ranges}
        trials.append(replace(make_trial(i, value=error), params=params, distributions=own))
    settings = {**SETTINGS, "kind": "multitask", "space": "notebook"}
    return record_of(trials, settings)


@pytest.mark.parametrize(
    ("name", "upwards", "fixed", "told"),
    [
        ("learning_rate", True, {}, "the upper end of learning rate (the best has 0.0"),
        ("learning_rate", False, {}, "the lower end of learning rate (the best has 1"),
        ("dropout", True, {}, "the upper end of dropout"),
        ("dropout", False, {}, None),  # nothing lies below 0
        ("dropout", True, {"classification_layer_num": 1}, None),  # it has no effect
        ("weight_decay", True, {}, "the upper end of weight decay (the best has 1e-3)"),
    ],
)
def test_boundary(name: str, upwards: bool, fixed: dict[str, Scalar], told: str | None) -> None:
    """An end towards which trials get better is named, unless nothing lies beyond it."""
    record = sloping(name, upwards=upwards, **fixed)
    check = found(record, "boundary of the space")
    if told is None:
        assert check.level is Level.PASS
    else:
        command = warns(record, "boundary of the space", told)
        assert command.endswith("--space extended")


def test_boundary_needs_a_trend() -> None:
    """A best trial at an end proves nothing, and few trials tell nothing."""
    at_end = with_best(params={**BEST.params, "learning_rate": 1e-1})
    assert found(at_end, "boundary of the space").level is Level.PASS
    few = sloping("learning_rate", upwards=True, n=12)
    assert found(few, "boundary of the space").level is Level.UNKNOWN
    # What varies with the rate alone, which matters, is no reason to go beyond its own end.
    rng, trials = np.random.default_rng(1), []
    ranges = {"learning_rate": RANGE, "weight_decay": FloatDistribution(0.0, 1.0)}
    for i in range(60):
        u = float(rng.random())
        decay = float(np.clip(0.7 - 2 * abs(u - 0.5) + 0.3 * rng.random(), 0, 1))
        params = {"learning_rate": float(10 ** (3 * u - 4)), "weight_decay": decay}
        value = 0.1 * math.exp(4 * (u - 0.5) ** 2 + 0.02 * rng.standard_normal())
        trials.append(replace(make_trial(i, value=value), params=params, distributions=ranges))
    assert found(study_of(*trials), "boundary of the space").level is Level.PASS


@pytest.mark.parametrize(
    ("best", "n_steps", "level"),
    [(0.1, 100, Level.PASS), (0.9, 100, Level.PASS), (0.0, 100, Level.WARN), (1.0, 3, Level.WARN)],
)
def test_boundary_before_which_values_turn(best: float, n_steps: int, level: Level) -> None:
    """An optimum a tenth of the range inside is none; one at the end, or the last level, is."""
    rng, trials = np.random.default_rng(0), []
    ranges = {"size": IntDistribution(0, n_steps)}
    for i, place in enumerate(rng.integers(0, n_steps + 1, 60).tolist()):
        value = 5 + 64 * (place / n_steps - best) ** 2 + 0.2 * rng.standard_normal()
        trial = make_trial(i, value=value)
        trials.append(replace(trial, params={"size": place}, distributions=ranges))
    assert found(study_of(*trials), "boundary of the space").level is level


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
    assert check.level is Level.PASS
    assert check.sentence == "20 of 100 trials failed and were made up for."
    waits = replace(again[0], state=TrialState.WAITING, values=())
    info = get_failures(record_of([*HEALTHY, *dead[:2], waits, again[1]]))
    told = "2 of 63 trials failed, 1 of which was made up for, 1 of which is to be taken up again"
    assert (describe_failures(info), info.lost) == (told, ())


def test_trainings() -> None:
    """Collapsed ones are counted; a best one may be too short, overfit or noisy at its end."""
    flat = dict.fromkeys(range(N_EPOCHS), 0.2)
    trials = [*HEALTHY, *(healthy_trial(60 + i, intermediate_values=flat) for i in range(3))]
    words = "3 of 63 trainings gained less than 10\N{NO-BREAK SPACE}% of what others gained"
    warns(record_of(trials), "collapsed trainings", words)
    named = found(record_of(trials), "collapsed trainings").sentence
    assert named.endswith("they learned nothing. These are trials 60, 61 and 62.")
    assert found(record_of(trials[:-1]), "collapsed trainings").level is Level.PASS
    # What began as well as others end had nothing to gain.
    good = dict(enumerate(np.full(N_EPOCHS, 0.015).tolist()))
    fast = (healthy_trial(60 + i, intermediate_values=good, values=(0.015,)) for i in range(9))
    assert found(record_of([*HEALTHY, *fast]), "collapsed trainings").level is Level.PASS
    falling = {i: 0.2 - 0.0018 * i for i in range(N_EPOCHS)}
    command = warns(with_best(intermediate_values=falling), "length of the training")
    assert "--epochs 200" in command
    # Of these power laws twice the steps gain 29 % and 5 %.
    for floor, gains in ((0.0, "26"), (0.01, "4")):
        power = {i: floor + 0.02 / math.sqrt(i + 1) for i in range(N_EPOCHS)}
        record = with_best(intermediate_values=power, values=(min(power.values()),))
        told = f"would gain about {gains}\N{NO-BREAK SPACE}% in twice as many epochs"
        assert told in found(record, "length of the training").sentence
    check = found(with_best(intermediate_values=falling | {9: math.nan}), "length of the training")
    assert (check.level, check.command) == (Level.UNKNOWN, None)
    settled = np.array([*BEST.intermediate_values.values()])
    rising = settled * (1 + np.linspace(-0.5, 0.5, N_EPOCHS).clip(0))
    for curve, level in ((settled, Level.PASS), (rising, Level.WARN)):
        # The last epoch alone says nothing: it may be an odd one.
        curve[-1] *= 1.3
        best = with_best(intermediate_values=dict(enumerate(curve.tolist())))
        assert found(best, "overfitting").level is level
    schedule = with_best(params={**BEST.params, "schedule": "cosine"})
    assert found(schedule, "length of the training").level is Level.UNKNOWN
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
        checks = get_verdict(record_of(trials, notebook), now=NOW)
        assert [c.level for c in checks if c.name == "the default"] == ([level] if level else [])
    for name, level in (("default", Level.WARN), ("trial 1", Level.PASS)):
        info = confirmed({n: [0.01 if n == name else 0.02] * 6 for n in ("default", "trial 1")})
        assert found(record_of(HEALTHY), "the default", confirmation=info).level is level
    reach = BEST.value * math.exp(1.96 * math.sqrt(2) * 0.05)
    words = f"from the next {sum(t.value <= reach for t in HEALTHY) - 1}."
    check = found(record_of(HEALTHY), "noise between replicates", noise=0.05)
    assert (check.level, words in check.sentence) == (Level.UNKNOWN, True)
    told = get_verdict(record_of(HEALTHY), now=NOW, predictable=False)
    assert Level.UNKNOWN in {c.level for c in told if c.name == "predictability"}
    for wrong, level in (
        *(((15, 9), Level.WARN), ((1, 1), Level.PASS)),
        *(((9, 1), Level.UNKNOWN), ((0, 0), Level.UNKNOWN)),
    ):
        confusion = [[20 - wrong[0], wrong[0]], [wrong[1], 12 - wrong[1]]]
        if wrong == (0, 0):
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
        check = found(record_of([*trials, *pruned[:n_pruned]]), "early values")
        assert check.level is level
        assert "after 11 epochs" in check.sentence


def test_words_of_another_program() -> None:
    """What is not known to train is not said to, whatever a check finds."""
    for trainings in (Trainings(), Trainings(noise=0.5), Trainings(length=0.5, collapsed=0.2)):
        record = simulate_other(trainings, n_trials=30, seed=0)
        checks = get_verdict(record, now=NOW)
        said = " ".join(f"{check.name} {check.sentence}" for check in checks)
        assert "trial" in said
        assert re.findall("epoch|training|emoji|image|learned", said) == []
        assert {check.command for check in checks} == {None}
