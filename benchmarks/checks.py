"""How often checks warn of healthy studies, and which faults they find: ``docs/checks.md``.

``python -m benchmarks.checks`` simulates all of it and prints the tables. The rules were chosen on
studies of other seeds.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from statistics import fmean

import numpy as np
import optuna
from optuna.trial import TrialState

from benchmarks.kept import RESULTS, markdown, read
from benchmarks.simulated import (
    FIXED,
    START,
    Trainings,
    simulate,
    simulate_alike,
    simulate_other,
    simulate_steep,
)
from search_spaces import SPACES
from storage import attrs
from storage.records import StudyRecord, to_record
from study.analysis.checks import Level
from study.analysis.fidelity import PRUNER_SETTINGS, replay_pruners, suggest_pruner
from study.analysis.noise import get_noise
from study.analysis.verdict import get_verdict
from study.emoji import AUTOENCODER
from study.settings import default_settings

FIRST_SEED = 10_000
"""Of the published figures; smaller seeds chose the rules."""
N_TRIALS = 40
FOUND = 0.9
N_FRESH = 25
"""Trials of a study of fresh trials."""

Make = Callable[[int, int], StudyRecord]  # of a number of trials and a seed
Draw = Callable[[np.random.Generator, int], list[np.ndarray]]  # of learning curves

HEALTHY: Mapping[str, Make] = {
    "random": lambda n, seed: simulate(_usual(), n_trials=n, seed=seed, sampler="random"),
    "grid": lambda n, seed: simulate(_usual(), n_trials=n, seed=seed, sampler="grid"),
    "TPE": lambda n, seed: _pruned("none", n, seed),
    "TPE, median": lambda n, seed: _pruned("median", n, seed),
    "TPE, halving": lambda n, seed: _pruned("halving", n, seed),
    "TPE, Hyperband": lambda n, seed: _pruned("hyperband", n, seed),
    "another program's": lambda n, seed: simulate_other(_usual(), n_trials=n, seed=seed),
    "random, steep": lambda n, seed: simulate_steep(n_trials=n, seed=seed, sampler="random"),
    "TPE, steep": lambda n, seed: simulate_steep(n_trials=n, seed=seed, sampler="tpe"),
    "TPE, alike": lambda _, seed: simulate_alike(n_trials=100, seed=seed, sampler="tpe"),
}
"""Studies without a fault, by sampler and pruner; another program's is maximised, by Optuna's
defaults, a steep one has its optimum near an end, and in one alike four settings matter alike."""


def _usual() -> Trainings:
    return Trainings(noise=0.05)


def _pruned(pruner: str, n: int, seed: int) -> StudyRecord:
    return simulate(_usual(), n_trials=n, seed=seed, pruner=pruner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault with a dial.

    Args:
        check: Which is to find it.
        words: With ``{}`` for the dial.
        dials: From the smallest fault to the largest.
        make: Trainings with a dial.
        pruner: That the study has.
    """

    check: str
    words: str
    dials: Sequence[float]
    make: Callable[[float], Trainings]
    pruner: str = "none"


FAULTS = (
    Fault(
        check="failed trials",
        words="{:.1%} of the trainings diverge",
        dials=(0.05, 0.075, 0.1),
        make=lambda dial: Trainings(noise=0.05, diverged=dial),
    ),
    Fault(
        check="collapsed trainings",
        words="{:.1%} of the trainings collapse",
        dials=(0.1, 0.15),
        make=lambda dial: Trainings(noise=0.05, collapsed=dial),
    ),
    Fault(
        check="boundary of the space",
        words="the best learning rate lies {:g} decades outside",
        dials=(-0.25, 0.0, 0.5, 1.0),
        make=lambda dial: Trainings(noise=0.05, outside=dial),
    ),
    Fault(
        check="length of the training",
        words="trainings are cut at {:.0%} of their length",
        dials=(0.7, 0.6, 0.5),
        make=lambda dial: Trainings(noise=0.05, length=dial),
    ),
    Fault(
        check="overfitting",
        words="the error rises again to {:g} times its lowest",
        dials=(1.3, 1.5, 2.0),
        make=lambda dial: Trainings(noise=0.05, rise=dial),
    ),
    Fault(
        check="noise of the last epochs",
        words="errors of single epochs scatter by {:.0%}",
        dials=(0.12, 0.15, 0.2),
        make=lambda dial: Trainings(noise=dial),
    ),
    Fault(
        check="early values",
        words="the first {:.0%} of a training tell nothing",
        dials=(0.5, 0.7),
        make=lambda dial: Trainings(noise=0.05, blind=dial),
        pruner="median",
    ),
)


def alarms(record: StudyRecord) -> set[str]:
    """Return the names of the checks that warn; what a model predicts is not asked here."""
    now = START + timedelta(days=1)
    verdict = get_verdict(record, now=now, noise=get_noise(record))
    return {check.name for check in verdict if check.level >= Level.WARN}


def false_alarms(make: Make, n: int, *, first_seed: int = FIRST_SEED) -> Counter[str]:
    """Count alarms of ``n`` healthy studies by check, and those of any check as ``any``."""
    found: Counter[str] = Counter()
    for seed in range(first_seed, first_seed + n):
        names = alarms(make(30 + 7 * seed % 31, seed))
        found.update({*names, *(["any"] if names else [])})
    return found


def power(
    fault: Fault, dial: float, sampler: str, n: int, *, first_seed: int = FIRST_SEED
) -> float:
    """Return the share of ``n`` studies of 40 trials in which a fault is found."""
    records = (
        simulate(
            fault.make(dial), n_trials=N_TRIALS, seed=seed, sampler=sampler, pruner=fault.pruner
        )
        for seed in range(first_seed, first_seed + n)
    )
    return sum(fault.check in alarms(record) for record in records) / n


def smallest(fault: Fault, sampler: str, n: int) -> str:
    """Say which is the smallest fault that is found often enough, and in which share."""
    share = 0.0
    for dial in fault.dials:
        share = power(fault, dial, sampler, n)
        if share >= FOUND:
            return _found(fault, dial, share)
    return f"none; {_found(fault, fault.dials[-1], share)}"


def _found(fault: Fault, dial: float, share: float) -> str:
    return f"{fault.words.format(dial)} ({share:.0%})".replace("%", " %")


def healthy_table(n: int) -> list[str]:
    """Return a table of false alarms: a row per check, a column per kind of study."""
    found = {name: false_alarms(make, n) for name, make in HEALTHY.items()}
    names = sorted({check for counts in found.values() for check in counts} - {"any"})
    rows = [
        [name, *(f"{100 * counts[name] / n:.1f} %" for counts in found.values())]
        for name in ("any", *names)
    ]
    return markdown(["check", *found], rows)


def fault_table(n: int) -> list[str]:
    """Return a table of the smallest faults that are found."""
    rows = [
        [fault.check, *(smallest(fault, sampler, n) for sampler in ("random", "tpe"))]
        for fault in FAULTS
    ]
    return markdown(["check", "random search", "TPE"], rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """What came of advice from draws of trials.

    Args:
        n_advised: Draws with any advice.
        n_sure: Those of them that promise that the best trial is hardly ever ended.
        told: Share of the studies in which it was, on the half that had no part in the choice.
        fresh: The same in studies of other trials, for all advice and for what is promised; None
            without any.
    """

    n_draws: int
    n_advised: int
    n_sure: int
    told: float | None
    fresh: float | None
    fresh_if_sure: float | None


def kept_curves(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Draw curves from the kept trainings of the multitask grid, of 200 epochs each."""
    curves = _kept()
    return [curves[i] for i in rng.choice(len(curves), n, replace=False)]


@cache
def _kept() -> list[np.ndarray]:
    trials = read(RESULTS / "grid-multitask.parquet")
    return [np.asarray(curve, dtype=float) for curve in trials[trials["epoch"] == 200]["curve"]]


def simulated_curves(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Draw curves of random points."""
    space, trainings = SPACES["autoencoder"]["extended"], _usual()
    points = (space.at(rng.random(len(space.parameters)).tolist(), FIXED) for _ in range(n))
    return [trainings.curve(point, rng) for point in points]


def advise(draw: Draw, n: int, n_draws: int, *, n_fresh: int = 20, seed: int = 0) -> Advised:
    """Take the advice from ``n`` trials, and apply it to ``n_fresh`` studies of others."""
    rng = np.random.default_rng(FIRST_SEED + seed)
    told, fresh, sure = [], [], []
    for _ in range(n_draws):
        curves = draw(rng, 2 * n)
        advice = suggest_pruner(replay_pruners(curves_record(curves[:n])), offered=True)
        if advice is None:
            continue
        others = curves[n:]
        chosen = [rng.permutation(n)[:N_FRESH] for _ in range(n_fresh)]
        ended = [_ends_the_best(advice.pruner.name, [others[i] for i in some]) for some in chosen]
        told.append(advice.judged.share_best_pruned)
        fresh.append(sum(ended) / n_fresh)
        sure.append(advice.sure)
    promised = [share for share, is_sure in zip(fresh, sure, strict=True) if is_sure]
    return Advised(
        n_draws=n_draws,
        n_advised=len(told),
        n_sure=len(promised),
        **{
            name: fmean(shares) if shares else None
            for name, shares in (("told", told), ("fresh", fresh), ("fresh_if_sure", promised))
        },
    )


def curves_record(curves: Sequence[np.ndarray]) -> StudyRecord:
    """Return a study of complete trials with these curves."""
    trials = tuple(
        to_record(
            optuna.trial.create_trial(
                value=float(np.nanmin(curve)),
                intermediate_values=dict(enumerate(curve.tolist())),
            )
        )
        for curve in curves
    )
    numbered = tuple(replace(t, number=i, trial_id=i) for i, t in enumerate(trials))
    settings = replace(default_settings(AUTOENCODER), space="extended").to_dict()
    return StudyRecord(
        name="curves",
        directions=("minimize",),
        user_attrs={attrs.SETTINGS: settings},
        trials=numbered,
    )


def _ends_the_best(pruner: str, curves: Sequence[np.ndarray]) -> bool:
    """Whether a pruner ends the best of some trainings, asked 20 times of each."""
    (setting,) = [s for s in PRUNER_SETTINGS if s.name.format(steps="epochs") == pruner]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(pruner=setting.make(20))
    finals = []
    for curve in curves:
        trial, every = study.ask(), len(curve) // 20
        reports = curve[every - 1 :: every].tolist()
        for step, value in enumerate(reports):
            trial.report(value, step)
            if step + 1 < len(reports) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            finals.append(float(np.nanmin(curve)))
            study.tell(trial, finals[-1])
    return min(finals, default=np.inf) > min(float(np.nanmin(curve)) for curve in curves)


def advice_table(n_draws: int) -> list[str]:
    """Return a table of what advice is worth, by the number of trials behind it."""
    rows = []
    for words, draw in (("kept", kept_curves), ("simulated", simulated_curves)):
        for n in (15, 40, 100, 240):
            found = advise(draw, n, n_draws)
            shares = (found.told, found.fresh, found.fresh_if_sure)
            cells = ["\N{EN DASH}" if x is None else f"{100 * x:.0f} %" for x in shares]
            rows.append([words, str(n), f"{found.n_sure} of {n_draws}", *cells])
    head = ["trainings", "trials", "promised", "told", "on fresh ones", "if promised"]
    return markdown(head, rows)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--healthy", type=int, default=60, help="healthy studies of each kind")
    parser.add_argument("--faulty", type=int, default=30, help="studies of each fault")
    parser.add_argument("--advised", type=int, default=6, help="draws behind pruner advice")
    given = parser.parse_args()
    for make, n in (
        *((healthy_table, given.healthy), (fault_table, given.faulty)),
        (advice_table, given.advised),
    ):
        if n:
            sys.stdout.write("\n".join(make(n)) + "\n\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
