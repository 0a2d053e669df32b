"""Checks warn of few healthy studies and find faults; advised pruners keep their promise.

``docs/checks.md`` has the figures, of more studies.
"""

import re
from pathlib import Path

import pytest
from scipy import stats

from benchmarks.checks import (
    FAULTS,
    FIRST_SEED,
    FOUND,
    HEALTHY,
    Draw,
    advise,
    false_alarms,
    kept_curves,
    power,
    simulated_curves,
)
from study.analysis.fidelity import MAX_BEST_PRUNED

pytestmark = pytest.mark.slow

DOCUMENT = (Path(__file__).parents[3] / "docs" / "checks.md").read_text()
N_HEALTHY, N_PUBLISHED, N_FAULTY = 20, 60, 30


@pytest.mark.parametrize("kind", list(HEALTHY))
def test_healthy_studies(kind: str) -> None:
    """At most a tenth of any kind has an alarm, and about as many as the document says."""
    (head,) = re.findall(r"^\| check \| random \|.*$", DOCUMENT, flags=re.MULTILINE)
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


@pytest.mark.parametrize(
    ("draw", "n", "n_sure"),
    [
        *((kept_curves, 40, 0), (kept_curves, 100, 0), (kept_curves, 240, 2)),
        *((simulated_curves, 100, 0), (simulated_curves, 240, 2)),
    ],
)
def test_advised_pruners(draw: Draw, n: int, n_sure: int) -> None:
    """Of fresh trials they end the best as rarely as is promised; few trials promise nothing."""
    found = advise(draw, n, 6, seed=1)
    assert found.n_sure >= n_sure
    if found.fresh_if_sure is None:
        assert n_sure == 0
    else:
        assert found.fresh_if_sure <= MAX_BEST_PRUNED
    assert found.fresh <= found.told + 0.1
