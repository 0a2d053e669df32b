"""What a study found, as far as several sections of its report tell of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from storage.records import StudyRecord, TrialRecord
from study.analysis import branch_of, family_of, is_search, kind_of, measured_on_request
from study.analysis.ablation import get_ablation
from study.analysis.agreement import AgreementInfo, branches, get_agreement
from study.analysis.confirmation import get_confirmation
from study.analysis.experiment import get_experiment
from study.analysis.front import get_front
from study.analysis.history import EARLIEST, get_summary
from study.analysis.importance import BEST_TENTH, ImportanceInfo, get_importances
from study.analysis.noise import get_noise
from study.analysis.verdict import Check, get_verdict
from study.metrics import Metric
from study.report.embedded import ReportData
from study.report.processes import OtherProcesses


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Importances by metric; of the metrics that have any also what agrees, by branch."""

    importances: tuple[ImportanceInfo, ...]
    within_best: Mapping[Metric, ImportanceInfo]
    agreements: Mapping[Metric, tuple[AgreementInfo, ...]]


class Findings:
    """What several sections of the report of one study tell of."""

    def __init__(self, data: ReportData, processes: OtherProcesses | None = None) -> None:
        (record,) = data.studies
        self.data, self.record, self.kind = data, record, kind_of(record)
        self.search, self.branch = is_search(record), branch_of(record)
        objective, second = self.kind.objective, self.kind.second
        pair = (objective,) if second is None else (objective, second)
        self.metrics = (*pair, *measured_on_request(record))
        # Arms of an experiment are no sample of a space.
        self.explained_metrics = self.metrics if self.search else ()
        self._finish = _begin_explaining(record, self.explained_metrics, processes)
        self.summary = get_summary(record)
        self.front = get_front(record) if second is not None else None
        records = (record, *data.followups)
        self.confirmations = tuple(filter(None, map(get_confirmation, records)))
        self.ablations = tuple(filter(None, map(get_ablation, records)))
        is_other = self.search or bool(self.confirmations or self.ablations)
        self.experiment = None if is_other else get_experiment(record)
        at_home = (info for info in self.confirmations if info.other_data is None)
        self.at_home = next(at_home, None)  # the first one on the search's own images

    @cached_property
    def explained(self) -> Explained:
        """What mattered; better asked for last, as other processes may still be at it."""
        return self._finish()

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """What could be wrong with the study, the worst first."""
        best, predictable = self.summary.best, None
        if best is not None:
            family = family_of(best, self.kind.family)
            agreements = self.explained.agreements.get(self.kind.objective, ())
            forest = next((a.surrogate for a in agreements if a.family == family), None)
            if forest is not None and forest.r2 is not None:
                predictable = forest.refusal is None
        return get_verdict(
            self.record,
            # Not the clock: equal studies, equal pages.
            now=self.summary.last_completed or EARLIEST,
            relative_noise=get_noise(self.record),
            predictable=predictable,
        ).checks


def _begin_explaining(
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
    families = {metric: branches(record, metric=metric) for metric in metrics}

    def compare(some: Sequence[Metric]) -> dict[tuple[Metric, str], Callable[[], AgreementInfo]]:
        return {
            (metric, family): begin(get_agreement, bare, metric=metric, family=family)
            for metric in some
            for family in families[metric]
        }

    first = compare(metrics[:half])
    importances = {m: begin(get_importances, bare, metric=m) for m in metrics}
    within_best = {m: begin(get_importances, bare, metric=m, region=BEST_TENTH) for m in metrics}
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
                m: tuple(agreements[m, family] for family in families[m]) for m in explained
            },
        )

    return finish


def _without_curve(trial: TrialRecord) -> TrialRecord:
    """Keep the last report alone."""
    reports = trial.intermediate_values
    last = max(reports, default=None)
    return replace(trial, intermediate_values={} if last is None else {last: reports[last]})
