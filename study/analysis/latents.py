"""What an experiment says of what is measured on request: each number over seeds and splits."""

from collections.abc import Mapping
from dataclasses import dataclass

from storage import attrs
from storage.records import StudyRecord
from study.analysis import kind_of, measured_on_request
from study.analysis.estimates import Estimate, Scale, estimate_on
from study.analysis.experiment import trials_of_arm, values_of
from study.analysis.paired import scale_of
from study.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsInfo:
    """The numbers for an experiment, or for what follows a search: the objective's come first.

    Args:
        arms: By arm and metric: means over seeds and splits with 95 % t intervals.
    """

    study: str
    metrics: tuple[Metric, ...]
    arms: Mapping[str, Mapping[Metric, Estimate | None]]


def get_latents(record: StudyRecord) -> LatentsInfo | None:
    """Average what is measured on request over the trials of each arm.

    Returns:
        None if the study is no experiment, or none of its trials measured any.
    """
    experiment = attrs.EXPERIMENT.of(record)
    measured = measured_on_request(record)
    if experiment is None or not measured:
        return None
    objective = kind_of(record).objective
    metrics = (objective, *measured)
    values = [value for trial in record.complete if (value := objective.of(trial)) is not None]
    # As the section that tells of the same trainings.
    scales: dict[Metric, Scale] = {objective: scale_of(objective, values)}
    return LatentsInfo(
        study=record.name,
        metrics=metrics,
        arms={
            arm.name: {
                metric: estimate_on(
                    scales.get(metric, "share"),
                    values_of(trials_of_arm(record, arm.name), metric),
                    metric,
                    experiment.sides_of(arm.name),
                )
                for metric in metrics
            }
            for arm in experiment.arms
        },
    )
