"""What an experiment says of what is measured on request: each number over seeds and splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage import attrs
from storage.records import StudyRecord
from study.analysis import kind_of, measured_on_request
from study.analysis.estimates import Estimate, estimate_pairs
from study.analysis.experiment import trials_of_arm
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
    metrics = (kind_of(record).objective, *measured)
    return LatentsInfo(
        study=record.name,
        metrics=metrics,
        arms=tuple(
            LatentsOfArm(
                arm=name,
                values={
                    metric: _estimate(record, name, metric, experiment.sides_of(name))
                    for metric in metrics
                },
            )
            for name in (arm.name for arm in experiment.arms)
        ),
    )


def _estimate(
    record: StudyRecord, arm: str, metric: Metric, sides: Sequence[str]
) -> Estimate | None:
    trials = trials_of_arm(record, arm)
    values = {pair: v for pair, t in sorted(trials.items()) if (v := metric.of(t)) is not None}
    return estimate_pairs(values, metric, sides)
