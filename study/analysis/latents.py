"""What an experiment says of what is measured on request: each number over seeds and splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage import attrs
from storage.records import StudyRecord
from study.analysis import kind_of, measured_on_request
from study.analysis.estimates import Estimate
from study.analysis.experiment import trials_of_arm
from study.analysis.means import estimate_on
from study.analysis.paired import Scale, scale_of
from study.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsOfArm:
    """The numbers for one arm: means over seeds and splits with 95 % t intervals, by metric."""

    arm: str
    values: Mapping[Metric, Estimate | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentsInfo:
    """The numbers for an experiment, or for what follows a search: the objective's come first."""

    study: str
    metrics: tuple[Metric, ...]
    arms: tuple[LatentsOfArm, ...]


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
        arms=tuple(
            LatentsOfArm(
                arm=name,
                values={
                    metric: _estimate(
                        record,
                        name,
                        metric,
                        experiment.sides_of(name),
                        scales.get(metric, "share"),
                    )
                    for metric in metrics
                },
            )
            for name in (arm.name for arm in experiment.arms)
        ),
    )


def _estimate(
    record: StudyRecord, arm: str, metric: Metric, sides: Sequence[str], scale: Scale
) -> Estimate | None:
    trials = trials_of_arm(record, arm)
    values = {pair: v for pair, t in sorted(trials.items()) if (v := metric.of(t)) is not None}
    return estimate_on(scale, values, metric, sides)
