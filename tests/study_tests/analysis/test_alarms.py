"""Checks warn of few healthy studies and find faults; advised pruners keep their promise.

``docs/checks.md`` has the figures, of more studies.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState
from scipy import stats

from benchmarks.checks import FAULTS, FIRST_SEED, FOUND, HEALTHY, false_alarms, power
from benchmarks.kept import RESULTS, read
from benchmarks.simulated import FIXED, Trainings
from search_spaces import SPACES
from storage.records import StudyRecord
from study.analysis.fidelity import (
    MAX_BEST_PRUNED,
    PRUNER_SETTINGS,
    replay_pruners,
    suggest_pruner,
)
from tests.study_tests.synthetic import SETTINGS, study, trial

pytestmark = pytest.mark.slow

DOCUMENT = (Path(__file__).parents[3] / "docs" / "checks.md").read_text()
N_HEALTHY, N_PUBLISHED, N_FAULTY = 40, 200, 60

Draw = Callable[[np.random.Generator, int], list[np.ndarray]]


@pytest.mark.parametrize("kind", list(HEALTHY))
def test_healthy_studies(kind: str) -> None:
    """At most a tenth of any kind has an alarm, and about as many as the document says."""
    (head,) = re.findall(r"^\| check \|.*random.*$", DOCUMENT, flags=re.MULTILINE)
    (line,) = re.findall(r"^\| any \|.*$", DOCUMENT, flags=re.MULTILINE)
    columns = [cell.strip() for cell in head.split("|")]
    told = float(line.split("|")[columns.index(kind)].removesuffix(" % ")) / 100
    found = false_alarms(HEALTHY[kind], N_HEALTHY, first_seed=FIRST_SEED + 1000)["any"]
    assert told <= 0.1
    assert found <= 0.1 * N_HEALTHY
    published = [round(told * N_PUBLISHED), round((1 - told) * N_PUBLISHED)]
    assert stats.fisher_exact([published, [found, N_HEALTHY - found]]).pvalue > 0.01


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize(
    ("check", "dial"),
    [
        *(("failed trials", 0.1), ("collapsed trainings", 0.15)),
        *(("boundary of the space", 1.0), ("length of the training", 0.5)),
    ],
)
def test_faults(check: str, dial: float, sampler: str) -> None:
    """So large a fault is found in nine of ten studies of 40 trials."""
    (fault,) = [fault for fault in FAULTS if fault.check == check]
    assert power(fault, dial, sampler, N_FAULTY) >= FOUND


def kept(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Draw curves from the trainings of the grid, of 200 epochs each."""
    trials = read(RESULTS / "grid-autoencoder.parquet")
    curves = trials[trials["epoch"] == 200]["curve"].tolist()
    return [np.asarray(curves[i], dtype=float) for i in rng.choice(len(curves), n, replace=False)]


def made_up(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Draw curves of random points."""
    space, trainings = SPACES["autoencoder"]["extended"], Trainings(noise=0.05)
    points = (space.at(rng.random(len(space.parameters)).tolist(), FIXED) for _ in range(n))
    return [trainings.curve(point, rng) for point in points]


def record(curves: list[np.ndarray]) -> StudyRecord:
    """Return a study of complete trials with these curves."""
    trials = (
        trial(i, state=TrialState.COMPLETE, value=float(np.nanmin(c)), curve=tuple(c.tolist()))
        for i, c in enumerate(curves)
    )
    return study(*trials, settings=SETTINGS)


@pytest.mark.parametrize(
    ("draw", "n", "n_advised"),
    [(kept, 15, 0), (kept, 40, 0), (kept, 100, 0), (made_up, 100, 0), (made_up, 240, 3)],
)
def test_advised_pruners(draw: Draw, n: int, n_advised: int) -> None:
    """Of fresh trials they end the best as rarely as promised; few trials promise nothing.

    On what had no part in the choice, the share that is told is no lower than that of fresh ones.
    """
    rng, n_draws, sure, told, fresh = np.random.default_rng(7), 8, 0, [], []
    for _ in range(n_draws):
        both = draw(rng, min(2 * n, 240) if draw is kept else 2 * n)
        info = replay_pruners(record(both[:n]))
        advice = suggest_pruner(info)
        if advice is None:
            continue
        names = [replay.name for replay in info.replays]
        setting = PRUNER_SETTINGS[names.index(advice.pruner.name)]
        again = replay_pruners(record(both[n:]), [setting]).replays[0]
        sure += advice.sure
        told.append(advice.judged.share_best_pruned)
        fresh.append(again.share_best_pruned)
        if advice.sure:
            assert again.share_best_pruned <= MAX_BEST_PRUNED
    assert sure >= n_advised
    assert n_advised or not sure
    assert np.mean(fresh) <= np.mean(told) + 0.1
