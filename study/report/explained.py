"""What mattered in a study: the slowest analyses, which other processes may share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from storage.records import StudyRecord, TrialRecord
from study.analysis.agreement import AgreementInfo, branches, get_agreement
from study.analysis.importance import BEST_TENTH, ImportanceInfo, get_importances
from study.metrics import Metric
from study.report.processes import OtherProcesses


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What mattered, by metric.

    Args:
        importances: Among all trials.
        within_best: Importances within the best tenth, of the metrics that have any.
        agreements: Of methods, by branch, of the same metrics.
    """

    importances: tuple[ImportanceInfo, ...]
    within_best: Mapping[Metric, ImportanceInfo]
    agreements: Mapping[Metric, tuple[AgreementInfo, ...]]


def begin_explaining(
    record: StudyRecord, metrics: Sequence[Metric], processes: OtherProcesses | None
) -> Callable[[], Explained]:
    """Begin to find out what mattered for some metrics; return what waits for the answers.

    Other processes take the pieces from the first on, this one from the last, so the smallest
    are in the middle: then all are done at the same time.
    """
    # The curves are the largest part of a record; only the end of one plays a part here.
    bare = replace(record, trials=tuple(map(_without_curve, record.trials)))
    begin = partial if processes is None else processes.begin
    half = (len(metrics) + 1) // 2

    def compare(some: Sequence[Metric]) -> dict[tuple[Metric, str], Callable[[], AgreementInfo]]:
        return {
            (metric, family): begin(get_agreement, bare, metric=metric, family=family)
            for metric in some
            for family in branches(record, metric=metric)
        }

    first = compare(metrics[:half])
    importances = {metric: begin(get_importances, bare, metric=metric) for metric in metrics}
    within_best = {
        metric: begin(get_importances, bare, metric=metric, region=BEST_TENTH)
        for metric in metrics
    }
    last = compare(metrics[half:])

    def finish() -> Explained:
        agreements = {key: last[key]() for key in reversed(last)}
        within = {metric: within_best[metric]() for metric in reversed(metrics)}
        whole = {metric: importances[metric]() for metric in reversed(metrics)}
        agreements |= {key: first[key]() for key in reversed(first)}
        explained = [metric for metric in metrics if whole[metric].parameters]
        return Explained(
            importances=tuple(whole[metric] for metric in metrics),
            within_best={metric: within[metric] for metric in explained},
            agreements={
                metric: tuple(
                    agreements[metric, family] for family in branches(record, metric=metric)
                )
                for metric in explained
            },
        )

    return finish


def _without_curve(trial: TrialRecord) -> TrialRecord:
    """Return a trial with its last intermediate value alone."""
    last = max(trial.intermediate_values, default=None)
    kept = {} if last is None else {last: trial.intermediate_values[last]}
    return replace(trial, intermediate_values=kept)
