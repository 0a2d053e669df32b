"""What an experiment says of its arms' latents: each number over seeds and splits.

Must not know plotly.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from storage import attrs
from storage.records import StudyRecord
from study.analysis import VALIDATION_MSE, Metric, latent_metrics_of
from study.analysis.confirmation import Estimate, estimate
from study.analysis.experiment import trials_of_arm


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsOfArm:
    """The numbers for one arm's latents.

    Args:
        arm: Its name.
        values: By metric: the mean over seeds and splits with its 95 % t interval; None without
            a value.
    """

    arm: str
    values: Mapping[Metric, Estimate | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsInfo:
    """The numbers for the latents of an experiment, or of what follows a search.

    Args:
        study: Name of the study that the experiment is.
        metrics: The error, and what of the latents was measured.
        arms: In the order of the experiment.
    """

    study: str
    metrics: tuple[Metric, ...]
    arms: tuple[LatentsOfArm, ...]


def get_latents(record: StudyRecord) -> LatentsInfo | None:
    """Average the numbers for the latents over the trials of each arm.

    Args:
        record: The study.

    Returns:
        None if the study is no experiment, or none of its trials measured any.
    """
    experiment = record.user_attrs.get(attrs.EXPERIMENT)
    measured = latent_metrics_of(record)
    if not isinstance(experiment, Mapping) or not measured:
        return None
    metrics = (VALIDATION_MSE, *measured)
    return LatentsInfo(
        study=record.name,
        metrics=metrics,
        arms=tuple(
            LatentsOfArm(
                arm=name, values={metric: _estimate(record, name, metric) for metric in metrics}
            )
            for name in (str(arm["name"]) for arm in experiment["arms"])
        ),
    )


def _estimate(record: StudyRecord, arm: str, metric: Metric) -> Estimate | None:
    trials = trials_of_arm(record, arm).values()
    return estimate([value for trial in trials if (value := metric.of(trial)) is not None])
