"""Everything that a report says about a study: all analyses, run once.

Must not draw, write sentences or know a template.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from storage.records import StudyRecord
from study.analysis import branch_of, family_of, is_search, kind_of, measured_on_request, varies
from study.analysis.ablation import AblationInfo, get_ablation
from study.analysis.agreement import AgreementInfo
from study.analysis.confirmation import (
    ConfirmationInfo,
    get_confirmation,
)
from study.analysis.correlation import CorrelationsInfo, Trials, get_correlations
from study.analysis.cost import CostInfo, get_costs
from study.analysis.distribution import DistributionInfo, get_distribution
from study.analysis.expected_best import ExpectedBestInfo, get_expected_best
from study.analysis.experiment import ExperimentInfo, get_experiment
from study.analysis.fidelity import (
    FidelityInfo,
    PrunersInfo,
    get_fidelity,
    replay_pruners,
)
from study.analysis.front import FrontInfo, get_front
from study.analysis.history import (
    EARLIEST,
    HistoryInfo,
    LearningCurvesInfo,
    SummaryInfo,
    get_history,
    get_learning_curves,
    get_summary,
)
from study.analysis.importance import ImportanceInfo
from study.analysis.incumbents import IncumbentsInfo, get_incumbents
from study.analysis.isolation import IsolationInfo, get_isolation
from study.analysis.latents import LatentsInfo, get_latents
from study.analysis.noise import get_noise
from study.analysis.provenance import ProvenanceInfo, get_provenance
from study.analysis.tables import (
    BestTrialsInfo,
    ClassResultsInfo,
    FailuresInfo,
    FamiliesInfo,
    GroupsInfo,
    TopFamiliesInfo,
    get_all_groups,
    get_best_trials,
    get_class_results,
    get_failures,
    get_families,
    get_top_families,
)
from study.analysis.timeline import TimelineInfo, get_timeline
from study.analysis.verdict import VerdictInfo, get_verdict
from study.metrics import Metric
from study.report.explained import begin_explaining
from study.report.processes import OtherProcesses


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that a report says about a study.

    Args:
        summary: Totals.
        verdict: Checks.
        importances: By metric: the objective, the second one where there is one, and what trials
            measured on request. None of an experiment, whose arms are no sample of a space;
            likewise the next four.
        within_best: Importances within the best tenth, of the metrics that have any.
        agreements: Of methods, of the same metrics.
        correlations: By metric.
        isolations: By metric.
        expected_best: None for an experiment, which is no search.
        fidelity: None likewise.
        pruners: None likewise.
        history: Values over trials.
        incumbents: The trials that were the best so far.
        curves: Learning curves.
        timeline: When which worker ran which trial.
        distribution: Of the objective, by family.
        best_trials: The best ones.
        families: By family.
        branch: A choice beside the family that other parameters depend on, None without one.
        branches: Families by this choice, None where trials do not differ in it.
        front: Of the trade-off, None where there is no second metric.
        costs: The objective against what models cost.
        class_results: None where trials do not classify, or the study does not store the classes.
        top_families: Families among the best trials, by metric.
        groups: Metrics by the values of each parameter that has few, by metric.
        latents: What was measured on request, of the experiment or of what follows the search.
        experiment: What was compared, None for a search or what follows one.
        confirmations: Of the search, or the one that the study is; on other images too.
        ablations: Likewise.
        failures: Of trials.
        provenance: How the study came about.
    """

    summary: SummaryInfo
    verdict: VerdictInfo
    importances: tuple[ImportanceInfo, ...]
    within_best: Mapping[Metric, ImportanceInfo]
    agreements: Mapping[Metric, tuple[AgreementInfo, ...]]
    correlations: tuple[CorrelationsInfo, ...]
    isolations: tuple[IsolationInfo, ...]
    expected_best: ExpectedBestInfo | None
    fidelity: FidelityInfo | None
    pruners: PrunersInfo | None
    history: HistoryInfo
    incumbents: IncumbentsInfo
    curves: LearningCurvesInfo
    timeline: TimelineInfo
    distribution: DistributionInfo
    best_trials: BestTrialsInfo
    families: FamiliesInfo
    branch: str | None
    branches: FamiliesInfo | None
    front: FrontInfo | None
    costs: tuple[CostInfo, ...]
    class_results: ClassResultsInfo | None
    top_families: tuple[TopFamiliesInfo, ...]
    groups: Mapping[str, Sequence[GroupsInfo]]
    latents: tuple[LatentsInfo, ...]
    experiment: ExperimentInfo | None
    confirmations: tuple[ConfirmationInfo, ...]
    ablations: tuple[AblationInfo, ...]
    failures: FailuresInfo
    provenance: ProvenanceInfo

    @property
    def at_home(self) -> ConfirmationInfo | None:
        """The first confirmation on the search's own images, None without one."""
        return next((info for info in self.confirmations if info.other_data is None), None)


def get_findings(
    record: StudyRecord,
    followups: Sequence[StudyRecord] = (),
    *,
    correlated: Trials = "all",
    processes: OtherProcesses | None = None,
) -> Findings:
    """Run all analyses that a report shows.

    Args:
        record: The study.
        followups: Confirmations and ablations of the study.
        correlated: Which trials the correlations are of.
        processes: Others that take a part of the work, or None.
    """
    kind, branch = kind_of(record), branch_of(record)
    pair = (kind.objective,) if kind.second is None else (kind.objective, kind.second)
    measured = (*pair, *measured_on_request(record))
    search = is_search(record)
    confirmations = tuple(filter(None, map(get_confirmation, (record, *followups))))
    ablations = tuple(filter(None, map(get_ablation, (record, *followups))))
    is_followup = not search and bool(confirmations or ablations)
    metrics = measured if search else ()
    finish = begin_explaining(record, metrics, processes)
    summary = get_summary(record)
    groups: dict[str, list[GroupsInfo]] = {}
    for metric in measured:
        for found in get_all_groups(record, metric=metric):
            groups.setdefault(found.parameter, []).append(found)
    return Findings(
        summary=summary,
        correlations=tuple(
            get_correlations(record, metric=metric, trials=correlated) for metric in metrics
        ),
        isolations=tuple(get_isolation(record, metric=metric) for metric in metrics),
        expected_best=get_expected_best(record) if search else None,
        fidelity=get_fidelity(record) if search else None,
        pruners=replay_pruners(record) if search else None,
        history=get_history(record),
        incumbents=get_incumbents(record),
        curves=get_learning_curves(record),
        timeline=get_timeline(record),
        distribution=get_distribution(record),
        best_trials=get_best_trials(record),
        families=get_families(record),
        branch=branch,
        branches=get_families(record, parameter=branch)
        if branch is not None and varies(record, branch)
        else None,
        front=get_front(record) if kind.second is not None else None,
        costs=get_costs(record) if search else (),
        class_results=get_class_results(record) if kind.second is not None else None,
        top_families=tuple(get_top_families(record, metric=metric) for metric in measured),
        groups=groups,
        latents=tuple(filter(None, map(get_latents, (record, *followups)))),
        experiment=None if search or is_followup else get_experiment(record),
        confirmations=confirmations,
        ablations=ablations,
        failures=get_failures(record),
        provenance=get_provenance(record),
        # Last, as other processes may still be at it.
        importances=(explained := finish()).importances,
        within_best=explained.within_best,
        agreements=explained.agreements,
        verdict=get_verdict(
            record,
            now=summary.last_completed or EARLIEST,  # not the clock: equal studies, equal pages
            relative_noise=get_noise(record).relative_sd,
            predictable=_predictable(
                summary, kind.family, explained.agreements.get(kind.objective, ())
            ),
        ),
    )


def _predictable(
    summary: SummaryInfo, parameter: str | None, agreements: Sequence[AgreementInfo]
) -> bool | None:
    """Say whether the objective could be predicted in the branch of the best trial, if tried."""
    if summary.best is None:
        return None
    family = family_of(summary.best, parameter)
    found = next((a.surrogate for a in agreements if a.family == family), None)
    return None if found is None or found.r2 is None else found.refusal is None
