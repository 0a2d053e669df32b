"""How far trainings of one configuration scatter."""

import math
from collections import defaultdict
from collections.abc import Hashable

import numpy as np

from storage.attrs import DATA_FINGERPRINT, REUSED_FROM, SEED
from storage.records import StudyRecord, TrialRecord
from study.analysis import kind_of, ranked
from study.analysis.magnitude import tamed
from study.kind_info import KindInfo

MIN_DEGREES = 3
"""Of freedom, below which the scatter is not estimated."""


def get_noise(record: StudyRecord) -> float | None:
    """Estimate the scatter from replicates: complete trials of one effective configuration.

    Wanted replicates have other seeds. In imported results the same training stands under
    several names, such as dropouts of a classifier without hidden layer. Answers from a stored
    curve are no trainings and do not count, nor does 0 where nothing is below it.

    Exact copies, as of a function without chance, say nothing either.

    Returns:
        Standard deviation of the objective within a configuration, pooled: where nothing is below
        0 that of its logarithm, so that 0.1 means about 10 %. None with fewer than three degrees
        of freedom.
    """
    kind = kind_of(record)
    relative = kind.objective.has_zero
    groups: dict[Hashable, dict[Hashable, float]] = defaultdict(dict)
    for value, trial in ranked(record):
        if (value > 0 or not relative) and REUSED_FROM.of(trial) is None:
            seed = SEED.of(trial)
            training = f"trial {trial.number}" if seed is None else seed
            groups[_configuration(trial, kind)][training] = math.log(value) if relative else value
    repeated = [list(values.values()) for values in groups.values() if len(values) > 1]
    degrees = sum(len(values) - 1 for values in repeated)
    scaled = [tamed(np.asarray(values)) for values in repeated]
    scatter = [math.sqrt(np.var(values) * len(values)) * unit for values, unit in scaled]
    enough = degrees >= MIN_DEGREES and any(scatter)
    return math.hypot(*scatter) / math.sqrt(degrees) if enough else None


def _configuration(trial: TrialRecord, kind: KindInfo) -> Hashable:
    """Return what trainings must share to be replicates, their length and data included."""
    data = DATA_FINGERPRINT.of(trial)
    if kind.space is None:
        return (tuple(sorted((name, repr(own)) for name, own in trial.params.items())), data)
    length = None if kind.fidelity is None else trial.params.get(kind.fidelity)
    return (kind.space.to_config(kind.space.given(trial.params)).identity(), length, data)
