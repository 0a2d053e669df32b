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
    """What mattered: importances by metric, and more of the metrics that have any.

    Args:
        within_best: Importances within the best tenth.
        agreements: Of methods, by branch.
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

    def compare(some: Sequence[Metric]) -> dict[Metric, list[Callable[[], AgreementInfo]]]:
        return {
            metric: [
                begin(get_agreement, bare, metric=metric, family=family)
                for family in branches(record, metric=metric)
            ]
            for metric in some
        }

    first = compare(metrics[:half])
    importances = {m: begin(get_importances, bare, metric=m) for m in metrics}
    within_best = {m: begin(get_importances, bare, metric=m, region=BEST_TENTH) for m in metrics}
    last = compare(metrics[half:])

    def finish() -> Explained:
        agreements = _from_the_last(last)
        within = {metric: within_best[metric]() for metric in reversed(metrics)}
        whole = {metric: importances[metric]() for metric in reversed(metrics)}
        agreements |= _from_the_last(first)
        explained = [metric for metric in metrics if whole[metric].parameters]
        return Explained(
            importances=tuple(whole[metric] for metric in metrics),
            within_best={metric: within[metric] for metric in explained},
            agreements={metric: agreements[metric] for metric in explained},
        )

    return finish


def _from_the_last(
    begun: Mapping[Metric, Sequence[Callable[[], AgreementInfo]]],
) -> dict[Metric, tuple[AgreementInfo, ...]]:
    return {
        metric: tuple([finish() for finish in reversed(begun[metric])][::-1])
        for metric in reversed(list(begun))
    }


def _without_curve(trial: TrialRecord) -> TrialRecord:
    """Return a trial with its last intermediate value alone."""
    return replace(trial, intermediate_values=dict(sorted(trial.intermediate_values.items())[-1:]))
