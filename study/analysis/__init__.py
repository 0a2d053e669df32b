"""What a study found: pure functions from a ``StudyRecord`` to small frozen ``...Info`` objects.

Nothing here draws, trains, reads or writes, so every number of the report can be tested without
a browser, a database or a model. The objective is an error: lower is better. This module holds
what all analyses read from a record; it must not know plotly, torch or any of the modules
beside it.
"""

import math
from collections.abc import Mapping
from typing import Any

from storage.attrs import SETTINGS
from storage.records import StudyRecord, TrialRecord

ALL_TRIALS = "all"
"""The family of every trial of a study whose space has only one."""


def settings_of(record: StudyRecord) -> Mapping[str, Any]:
    """Return the settings stored with a study, empty for a study made by other means."""
    settings = record.user_attrs.get(SETTINGS)
    return settings if isinstance(settings, Mapping) else {}


def sampler_of(record: StudyRecord) -> str | None:
    """Return the name of the study's sampler, or None if it was not stored."""
    sampler = settings_of(record).get("sampler")
    return None if sampler is None else str(sampler)


def family_of(trial: TrialRecord) -> str:
    """Return the architecture of a trial, the condition that other parameters depend on."""
    return str(trial.params.get("auto_encoder", ALL_TRIALS))


def ranked(record: StudyRecord) -> list[tuple[float, TrialRecord]]:
    """Return the complete trials with a finite value, each behind its value, best first."""
    valued = [(t.value, t) for t in record.complete if t.value is not None]
    finite = [(value, trial) for value, trial in valued if math.isfinite(value)]
    return sorted(finite, key=lambda item: (item[0], item[1].number))


def parameter_names(record: StudyRecord) -> list[str]:
    """Return every parameter of any trial, in the order of their first use."""
    return list(dict.fromkeys(name for trial in record.trials for name in trial.params))
