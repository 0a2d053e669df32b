"""What a study found, as far as several sections of its report tell of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from search_spaces import Scalar
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from storage.values import Arm
from study.analysis import (
    branch_of,
    family_of,
    is_ours,
    is_search,
    kind_of,
    measured_on_request,
    n_again,
    n_telling,
    objectives_of,
    ranked,
    reference_of,
)
from study.analysis.ablation import AblationInfo, get_ablation
from study.analysis.checks import Check
from study.analysis.confirmation import DEFAULT, ConfirmationInfo, get_confirmation
from study.analysis.effects import EffectsInfo, get_effects
from study.analysis.experiment import ExperimentInfo, get_experiment
from study.analysis.front import FrontInfo, get_fronts, get_unbeaten
from study.analysis.history import get_summary
from study.analysis.noise import get_noise
from study.analysis.ped_anova import PedAnovaInfo, get_ped_anova
from study.analysis.spent import EARLIEST
from study.analysis.surrogate import (
    Interaction,
    InteractionsInfo,
    SurrogateInfo,
    get_forest,
    get_surrogate,
)
from study.analysis.to_confirm import confirmation_arms
from study.analysis.verdict import ENOUGH_TRIALS, get_verdict
from study.metrics import Metric
from study.report.embedded import ReportData
from study.report.processes import OtherProcesses
from study.requests import CONFIRM_TOP
from study.shell import at_storage, quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What mattered, by several methods.

    Args:
        forests: What leads, by metric, of all trials.
        families: The same for the objective within each family, where there are several.
        interactions: For the objective; None where nothing is searched.
        shares: Those of PED-ANOVA, by metric.
    """

    forests: Mapping[Metric, SurrogateInfo]
    families: Mapping[str, SurrogateInfo]
    interactions: InteractionsInfo | None
    shares: Mapping[Metric, PedAnovaInfo]

    @property
    def acting(self) -> tuple[Interaction, ...]:
        """The pairs of settings that act together, strongest first."""
        pairs = () if self.interactions is None else self.interactions.pairs
        return tuple(pair for pair in pairs if pair.real)


class Findings:
    """What several sections of the report of one study tell of."""

    def __init__(self, data: ReportData, processes: OtherProcesses | None = None) -> None:
        (record,) = data.studies
        self.data, self.record, self.kind = data, record, kind_of(record)
        self.search, self.branch = is_search(record), branch_of(record)
        self.ours, self.objectives = is_ours(record), objectives_of(record)
        objective, second = self.kind.objective, self.kind.second
        pair = (objective,) if second is None else (objective, second)
        several = (*pair, *self.objectives, *measured_on_request(record))
        self.metrics = tuple(dict.fromkeys(several))
        # Arms of an experiment are no sample of a space.
        self.explained_metrics = self.metrics if self.search else ()
        self._finish = _begin_explaining(record, self.explained_metrics, processes)
        self.summary = get_summary(record)

    @cached_property
    def fronts(self) -> tuple[FrontInfo, ...]:
        """The trade-off of each pair of objectives, or with a second metric if there is one."""
        return get_fronts(self.record)

    @property
    def front(self) -> FrontInfo | None:
        """The first of them."""
        return next(iter(self.fronts), None)

    @cached_property
    def unbeaten(self) -> tuple[TrialRecord, ...]:
        """The trials that no other beats in all objectives together."""
        return get_unbeaten(self.record)

    @cached_property
    def confirmations(self) -> tuple[ConfirmationInfo, ...]:
        """What confirmed the study; the study itself where it is a confirmation."""
        return tuple(filter(None, map(get_confirmation, (self.record, *self.data.followups))))

    @cached_property
    def at_home(self) -> ConfirmationInfo | None:
        """The first confirmation on the search's own data."""
        return next((info for info in self.confirmations if info.other_data is None), None)

    @property
    def confirmed_default(self) -> Mapping[str, Scalar] | None:
        """The default as it was confirmed, with what the search had fixed."""
        name = None if self.at_home is None else self.at_home.study
        told = (attrs.EXPERIMENT.of(r) for r in self.data.followups if r.name == name)
        arms = (arm for experiment in filter(None, told) for arm in experiment.arms)
        return next((arm.params for arm in arms if arm.role == DEFAULT), None)

    @property
    def begun(self) -> StudyRecord | None:
        """The confirmation with which ``confirm`` goes on; None if it makes a new one."""
        name = f"{self.record.name}-{attrs.CONFIRMATION}"
        return next((record for record in self.data.followups if record.name == name), None)

    @cached_property
    def to_confirm(self) -> tuple[Arm, ...]:
        """What ``confirm`` trains, if nothing more is asked of it; empty where that is unknown.

        A confirmation that was begun goes on with its own arms.
        """
        begun = None if self.begun is None else attrs.EXPERIMENT.of(self.begun)
        if begun is not None:
            return begun.arms
        space, settings = self.kind.space, attrs.SETTINGS.of(self.record)
        if space is None or settings is None:
            return ()
        fixed = settings.fixed
        return confirmation_arms(
            self.record, space, self.kind, fixed, top=CONFIRM_TOP, seed=settings.seed
        )

    @cached_property
    def ablations(self) -> tuple[AblationInfo, ...]:
        """What took the winner apart; the study itself where it is an ablation."""
        return tuple(filter(None, map(get_ablation, (self.record, *self.data.followups))))

    @cached_property
    def experiment(self) -> ExperimentInfo | None:
        """The paired comparison that the study is, if it is one and follows no search."""
        is_other = self.search or bool(self.confirmations or self.ablations)
        return None if is_other else get_experiment(self.record)

    @cached_property
    def explained(self) -> Explained:
        """What mattered; better asked for last, as other processes may still be at it."""
        return self._finish()

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """What could be wrong with the study, the worst first."""
        forest = self.explained.forests.get(self.kind.objective)
        known = forest is not None and forest.r2 is not None
        return get_verdict(
            self.record,
            # Not the clock: equal studies, equal pages.
            now=self.summary.last_completed or EARLIEST,
            noise=get_noise(self.record),
            predictable=forest.refusal is None if forest is not None and known else None,
            confirmation=self.at_home,
        )

    @cached_property
    def all_effects(self) -> Mapping[Metric, EffectsInfo]:
        """How much each setting went with better values of each metric."""
        return {
            metric: get_effects(
                self.record,
                metric=metric,
                needed=forest.needed if (forest := self.explained.forests.get(metric)) else (),
            )
            for metric in self.metrics
        }

    @property
    def effects(self) -> EffectsInfo:
        """How much each setting went with better values of the objective."""
        return self.all_effects[self.kind.objective]

    def counts(self, question: str) -> str:
        """Return a question, or from how many trials on its answer counts if there are fewer.

        A section without a question is open once there are enough.
        """
        n = n_telling(self.record)
        if n >= ENOUGH_TRIALS:
            return question
        so_far = f"there {'is' if n == 1 else 'are'} {n}"
        so_far += ", each training once" if n < len(self.record.complete) else ""
        return f"Worth reading from about {ENOUGH_TRIALS} complete trials on; {so_far}."

    @property
    def baseline(self) -> float | None:
        """What a constant prediction scores, where the study stores it."""
        return attrs.BASELINE.of(self.record)

    @property
    def reference(self) -> str | None:
        """What commands call the study's kind, None if it has none."""
        return reference_of(self.record)

    @property
    def more_trials(self) -> str | None:
        """The command that adds as many trials, None where the study cannot be continued."""
        if self.reference is None:
            return None
        return self.command(f"run {quote(self.reference)}", f"--trials {n_again(self.record)}")

    def command(self, verb: str, options: str = "") -> str:
        """Return a command for this study, where ``report`` found it."""
        name = quote(self.record.name)
        return self.placed(f"emoji-study {verb} --study {name} {options}".rstrip())

    def placed(self, command: str) -> str:
        """Return a command for the storage in which ``report`` found the study."""
        return at_storage(command, self.data.storage)


def _begin_explaining(
    record: StudyRecord, metrics: Sequence[Metric], processes: OtherProcesses | None
) -> Callable[[], Explained]:
    """Begin to find out what mattered for some metrics; return what waits for the answers.

    Other processes take the pieces from the first on, this one from the last, so the largest
    comes first.
    """
    # The curves are the largest part of a record; only the end of one plays a part here.
    bare = replace(record, trials=tuple(map(_without_curve, record.trials)))
    begin = partial if processes is None else processes.begin
    objective, parameter = kind_of(record).objective, kind_of(record).family
    names = {family_of(trial, parameter) for _, trial in ranked(record)} if metrics else set()
    families = sorted(names) if len(names) > 1 else []
    together = begin(get_forest, bare) if metrics else None
    by_family = {
        family: begin(get_surrogate, bare, metric=objective, family=family) for family in families
    }
    others = {
        metric: begin(get_surrogate, bare, metric=metric)
        for metric in metrics
        if metric != objective
    }

    def finish() -> Explained:
        forests = {metric: others[metric]() for metric in reversed(others)}
        within = {family: by_family[family]() for family in reversed(by_family)}
        interactions = None
        if together is not None:
            forests[objective], interactions = together()
        return Explained(
            forests={metric: forests[metric] for metric in metrics},
            families={family: within[family] for family in families},
            interactions=interactions,
            shares={metric: get_ped_anova(bare, metric=metric) for metric in metrics},
        )

    return finish


def _without_curve(trial: TrialRecord) -> TrialRecord:
    """Keep the last report alone."""
    reports = trial.intermediate_values
    last = max(reports, default=None)
    return replace(trial, intermediate_values={} if last is None else {last: reports[last]})
