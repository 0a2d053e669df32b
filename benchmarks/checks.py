"""How often checks warn of healthy studies, and which faults they find: ``docs/checks.md``.

``python -m benchmarks.checks`` simulates all of it and prints the tables. The rules were chosen on
studies of other seeds.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from benchmarks.kept import markdown
from benchmarks.simulated import START, Trainings, simulate, simulate_other
from storage.records import StudyRecord
from study.analysis.checks import Level
from study.analysis.noise import get_noise
from study.analysis.verdict import get_verdict

FIRST_SEED = 10_000
"""Of the published figures; smaller seeds chose the rules."""
N_TRIALS = 40
FOUND = 0.9

Make = Callable[[int, int], StudyRecord]  # of a number of trials and a seed

HEALTHY: Mapping[str, Make] = {
    "random": lambda n, seed: simulate(_usual(), n_trials=n, seed=seed, sampler="random"),
    "grid": lambda n, seed: simulate(_usual(), n_trials=n, seed=seed, sampler="grid"),
    "TPE": lambda n, seed: _pruned("none", n, seed),
    "TPE, median": lambda n, seed: _pruned("median", n, seed),
    "TPE, halving": lambda n, seed: _pruned("halving", n, seed),
    "TPE, Hyperband": lambda n, seed: _pruned("hyperband", n, seed),
    "another program's": lambda n, seed: simulate_other(_usual(), n_trials=n, seed=seed),
}
"""Studies without a fault, by sampler and pruner; the last is maximised, by Optuna's defaults."""


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
        dials=(0.025, 0.05, 0.075, 0.1),
        make=lambda dial: Trainings(noise=0.05, diverged=dial),
    ),
    Fault(
        check="collapsed trainings",
        words="{:.1%} of the trainings collapse",
        dials=(0.05, 0.075, 0.1, 0.15),
        make=lambda dial: Trainings(noise=0.05, collapsed=dial),
    ),
    Fault(
        check="boundary of the space",
        words="the best learning rate lies {:g} decades outside",
        dials=(-0.5, -0.25, 0.0, 0.5, 1.0),
        make=lambda dial: Trainings(noise=0.05, outside=dial),
    ),
    Fault(
        check="length of the training",
        words="trainings are cut at {:.0%} of their length",
        dials=(0.9, 0.8, 0.7, 0.6, 0.5),
        make=lambda dial: Trainings(noise=0.05, length=dial),
    ),
    Fault(
        check="overfitting",
        words="the error rises again to {:g} times its lowest",
        dials=(1.1, 1.2, 1.3, 1.5, 2.0),
        make=lambda dial: Trainings(noise=0.05, rise=dial),
    ),
    Fault(
        check="noise of the last epochs",
        words="errors of single epochs scatter by {:.0%}",
        dials=(0.1, 0.12, 0.15, 0.2),
        make=lambda dial: Trainings(noise=dial),
    ),
    Fault(
        check="pruner",
        words="the first {:.0%} of a training tell nothing",
        dials=(0.3, 0.5, 0.7),
        make=lambda dial: Trainings(noise=0.05, blind=dial),
        pruner="median",
    ),
)


def alarms(record: StudyRecord) -> set[str]:
    """Return the names of the checks that warn; what a model predicts is not asked here."""
    now = START + timedelta(days=1)
    verdict = get_verdict(record, now=now, noise=get_noise(record))
    return {check.name for check in verdict.checks if check.level >= Level.WARN}


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
    """Say which is the smallest fault that is found often enough, and how often."""
    share = 0.0
    for dial in fault.dials:
        share = power(fault, dial, sampler, n)
        if share >= FOUND:
            return f"{_words(fault, dial)}: found in {share:.0%}"
    return f"none; {_words(fault, fault.dials[-1])}: found in {share:.0%}"


def _words(fault: Fault, dial: float) -> str:
    return fault.words.format(dial).replace("%", " %")


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


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--healthy", type=int, default=200, help="healthy studies of each kind")
    parser.add_argument("--faulty", type=int, default=60, help="studies of each fault")
    given = parser.parse_args()
    for lines in (healthy_table(given.healthy), fault_table(given.faulty)):
        sys.stdout.write("\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
