"""What a study found, as far as several sections of its report tell of it."""

from functools import cached_property

from study.analysis import branch_of, family_of, is_search, kind_of, measured_on_request
from study.analysis.ablation import get_ablation
from study.analysis.confirmation import get_confirmation
from study.analysis.experiment import get_experiment
from study.analysis.front import get_front
from study.analysis.history import EARLIEST, get_summary
from study.analysis.noise import get_noise
from study.analysis.verdict import Check, get_verdict
from study.report.embedded import ReportData
from study.report.explained import Explained, begin_explaining
from study.report.processes import OtherProcesses


class Findings:
    """What several sections of the report of a study tell of.

    Args:
        data: With one study.
        processes: Others that take a part of the work, or None.
    """

    def __init__(self, data: ReportData, processes: OtherProcesses | None = None) -> None:
        (record,) = data.studies
        self.data, self.record, self.kind = data, record, kind_of(record)
        self.search, self.branch = is_search(record), branch_of(record)
        objective, second = self.kind.objective, self.kind.second
        pair = (objective,) if second is None else (objective, second)
        self.metrics = (*pair, *measured_on_request(record))
        # Arms of an experiment are no sample of a space.
        self.explained_metrics = self.metrics if self.search else ()
        self._finish = begin_explaining(record, self.explained_metrics, processes)
        self.summary = get_summary(record)
        self.front = get_front(record) if second is not None else None
        records = (record, *data.followups)
        self.confirmations = tuple(filter(None, map(get_confirmation, records)))
        self.ablations = tuple(filter(None, map(get_ablation, records)))
        is_followup = bool(self.confirmations or self.ablations)
        self.experiment = None if self.search or is_followup else get_experiment(record)
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
            relative_noise=get_noise(self.record).relative_sd,
            predictable=predictable,
        ).checks
