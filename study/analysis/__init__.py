"""What a study found: pure functions from a ``StudyRecord`` to small frozen ``...Info`` objects.

Nothing here draws, trains, reads or writes, so every number of the report can be tested without
a browser, a database or a model. The objective is an error: lower is better; what else a trial
was measured by is a ``Metric``. This module holds what all analyses read from a record; it must
not know plotly, torch or any of the modules beside it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

from search_spaces import SearchSpace, SearchSpaceError, get_space
from storage import attrs
from storage.records import StudyRecord, TrialRecord

ALL_TRIALS = "all"
"""The family of every trial of a study whose space has only one."""

NEAR = 0.1
"""An error that exceeds another one by this share counts as about as good: so much is chance."""

ARCHITECTURE = "auto_encoder"
"""The parameter that families are named after, the condition that others depend on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that trials are compared by.

    Args:
        name: The user attribute that holds it, or None for the (first) objective.
        label: Its name for people.
        maximise: Whether higher is better.
    """

    name: str | None
    label: str
    maximise: bool

    def of(self, trial: TrialRecord) -> float | None:
        """Return a trial's value of the metric as stored, or None without a finite one."""
        value = trial.value if self.name is None else trial.user_attrs.get(self.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if math.isfinite(value) else None


VALIDATION_MSE = Metric(name=None, label="validation MSE", maximise=False)
VALIDATION_ACCURACY = Metric(
    name=attrs.VALIDATION_ACCURACY, label="validation accuracy", maximise=True
)
BALANCED_ACCURACY = Metric(
    name=attrs.VALIDATION_BALANCED_ACCURACY, label="balanced accuracy", maximise=True
)
LATENT_METRICS = (
    Metric(
        name=attrs.LATENT_ATTRIBUTE_AUC, label="AUC of attributes in the latents", maximise=True
    ),
    Metric(name=attrs.LATENT_ANALOGY_RANK, label="reciprocal rank of analogies", maximise=True),
    Metric(name=attrs.LATENT_PATH_SMOOTHNESS, label="smoothness of paths", maximise=True),
    Metric(
        name=attrs.LATENT_PROBE_ACCURACY, label="linear probe accuracy of latents", maximise=True
    ),
    Metric(name=attrs.LATENT_VARIANCE_USED, label="share of latent variance used", maximise=True),
)
"""Numbers for the latent space, from 0 to 1; see ``emoji_ae.latent_quality``."""


def latent_metrics_of(record: StudyRecord) -> tuple[Metric, ...]:
    """Return the latent metrics that any complete trial of a study has."""
    return tuple(m for m in LATENT_METRICS if any(m.of(t) is not None for t in record.complete))


def settings_of(record: StudyRecord) -> Mapping[str, Any]:
    """Return the settings stored with a study, empty for a study made by other means."""
    settings = record.user_attrs.get(attrs.SETTINGS)
    return settings if isinstance(settings, Mapping) else {}


def sampler_of(record: StudyRecord) -> str | None:
    """Return the name of the study's sampler, or None if it was not stored."""
    sampler = settings_of(record).get("sampler")
    return None if sampler is None else str(sampler)


def space_of(record: StudyRecord) -> SearchSpace | None:
    """Return the space of the study's trials, or None if it is none of this package's."""
    settings = settings_of(record)
    try:
        return get_space(str(settings.get("kind")), str(settings.get("space")))
    except SearchSpaceError:
        return None


def is_multitask(record: StudyRecord) -> bool:
    """Whether the study's trials also classify."""
    return settings_of(record).get("kind") == "multitask"


def is_search(record: StudyRecord) -> bool:
    """Whether a sampler or a design chose the trials, rather than an experiment its arms."""
    return attrs.EXPERIMENT not in record.user_attrs


def min_accuracy_of(record: StudyRecord) -> float | None:
    """Return the accuracy below which a trial breaks the study's constraint, if it has one."""
    needed = settings_of(record).get("min_accuracy")
    return float(needed) if isinstance(needed, int | float) else None


def family_of(trial: TrialRecord, *, parameter: str = ARCHITECTURE) -> str:
    """Return a trial's value of the parameter that tells families apart, as text."""
    return str(trial.params.get(parameter, ALL_TRIALS))


def begun_again(record: StudyRecord) -> set[int]:
    """Return the numbers of failed trials whose work another trial took up again."""
    retried = {trial.user_attrs.get(attrs.RETRY_OF) for trial in record.trials}
    return {t.number for t in record.trials if t.state == TrialState.FAIL and t.number in retried}


def training_of(trial: TrialRecord) -> int:
    """Return the number of the trial that was trained for a trial's result, mostly its own."""
    return int(trial.user_attrs.get(attrs.REUSED_FROM, trial.number))


def each_training_once(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the first trial of each training, in their order."""
    found: dict[int, TrialRecord] = {}
    for trial in trials:
        found.setdefault(training_of(trial), trial)
    return list(found.values())


def breaks_constraint(trial: TrialRecord) -> bool:
    """Whether a trial is complete but no candidate for the best."""
    return trial.state == TrialState.COMPLETE and not trial.feasible


def ranked(
    record: StudyRecord, *, metric: Metric = VALIDATION_MSE
) -> list[tuple[float, TrialRecord]]:
    """Return the complete trials with a finite value of a metric, feasible or not, best first.

    Args:
        record: The study.
        metric: What they are compared by; equal trials keep the order of their numbers.

    Returns:
        Each trial behind its value, which is the stored one also where higher is better.
    """
    sign = -1.0 if metric.maximise else 1.0
    found = sorted(
        (sign * value, trial.number, i, trial)
        for i, trial in enumerate(record.complete)
        if (value := metric.of(trial)) is not None
    )
    return [(sign * loss, trial) for loss, _, _, trial in found]


def ranked_by_constraint(record: StudyRecord) -> list[tuple[float, TrialRecord]]:
    """Return the complete trials by validation MSE, those that break the constraint last.

    So the first one is the study's best trial if any trial keeps the constraint.

    Source: Deb, "An efficient constraint handling method for genetic algorithms", Computer
        Methods in Applied Mechanics and Engineering 186, 2000.
    """
    return sorted(ranked(record), key=lambda item: breaks_constraint(item[1]))


def varies(record: StudyRecord, name: str) -> bool:
    """Whether finished trials differ in a parameter."""
    return len({t.params[name] for t in record.trials if t.finished and name in t.params}) > 1


def parameter_names(record: StudyRecord) -> list[str]:
    """Return every parameter of any trial, in the order of their first use."""
    return list(dict.fromkeys(name for trial in record.trials for name in trial.params))
