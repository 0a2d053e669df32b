"""How many finished trials a study is to have, and what its new trials start with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Scalar, SearchSpace
from search_spaces.designs import design_points
from storage import attrs, operations
from storage.internals import key_of, storage_of
from storage.outages import outage
from storage.records import TrialRecord
from storage.served import perform
from study.experiment import PAIRED, Experiment
from study.sampling.names import ADAPTIVE_SAMPLERS
from study.settings import StudySettings

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of a study's trials by state."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int

    @property
    def finished(self) -> int:
        """Trials that count: complete or pruned."""
        return self.complete + self.pruned


def count(trials: Sequence[FrozenTrial | TrialRecord]) -> Progress:
    """Count trials by state."""
    states = [trial.state for trial in trials]
    return Progress(
        complete=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        failed=states.count(TrialState.FAIL),
        running=states.count(TrialState.RUNNING),
        waiting=states.count(TrialState.WAITING),
    )


def finished_trials(study: optuna.Study) -> int | None:
    """Return how many trials count so far; None in an outage of the database."""
    try:
        return count(study.get_trials(deepcopy=False)).finished
    except Exception as error:
        if outage(error) is None:
            raise
        return None


def request(
    study: optuna.Study, n_trials: int, *, in_all: bool = False, replicate: int = 0
) -> int:
    """Ask for ``n_trials`` more finished trials; return the study's new target.

    A request that was not acknowledged is open: asking again for as many or fewer asks for
    nothing more. With ``in_all`` the trials of earlier requests count as well.
    """
    return _perform(
        study, operations.request, n_trials=n_trials, in_all=in_all, replicate=replicate
    )


def acknowledge(study: optuna.Study, target: int) -> None:
    """End a request whose trials are finished, as the last thing that its command does.

    Args:
        study: Opened for writing.
        target: As ``request`` returned it.
    """
    _perform(study, operations.acknowledge, target=target)


def start_design(
    study: optuna.Study, settings: StudySettings, space: SearchSpace, *, replicate: int = 0
) -> None:
    """Let new trials go on with the points of a replicate's design where its earlier ones ended.

    Points of a grid or an experiment that have only failed, and not diverged, are queued again:
    whoever starts another run may have mended the cause.

    Args:
        study: Opened for writing.
        settings: Of the study.
        space: That its trials have parameters of.
        replicate: Another number than 0 trains with other seeds what the study may have trained
            already; its design starts at the first point.
    """
    end = n_points(study, settings, space)
    _perform(study, operations.start_design, replicate=replicate, end=end)


def extend_experiment(study: optuna.Study, experiment: Experiment) -> Experiment:
    """Store an experiment, or more pairs of the stored one; return what is stored then.

    Of two that are asked for at once, the one with more pairs remains. Where the study has other
    arms already, those stay.
    """
    stored = _perform(study, operations.extend_experiment, experiment=experiment.to_dict())
    return Experiment.from_attrs({attrs.EXPERIMENT: stored}, study=study.study_name)


def exhausted(study: optuna.Study) -> bool:
    """Say whether the design of a study has no point left, also none that may be tried again."""
    return not _perform(study, operations.has_points)


def _perform(study: optuna.Study, operation: Callable[..., Result], **arguments: Any) -> Result:
    """Do one of ``storage.operations`` for a study."""
    return perform(storage_of(study), operation, study_id=key_of(study), **arguments)


def find_experiment(study: optuna.Study, settings: StudySettings) -> Experiment | None:
    """Return the experiment that a study is, None if it is none."""
    if settings.sampler != PAIRED:
        return None
    return Experiment.from_attrs(study.user_attrs, study=study.study_name)


def n_points(study: optuna.Study, settings: StudySettings, space: SearchSpace) -> int | None:
    """Return how many points the design of a study has, None where there is no end."""
    experiment = find_experiment(study, settings)
    if experiment is not None:
        return len(experiment)
    if settings.sampler == "grid":
        return sum(1 for _ in space.grid(settings.fixed))
    return None


def grid_trainings(space: SearchSpace, fixed: Mapping[str, Scalar]) -> list[str]:
    """Return for each point of a grid the training that answers it.

    Points share one where they differ in their length alone, or in what has no effect;
    it is trained once, and the others are answered from its curve.
    """
    return [space.to_config(point).identity() for point in space.grid(fixed)]


class Finished(Protocol):
    """A finished trial, in whatever form."""

    @property
    def user_attrs(self) -> Mapping[str, Any]:
        """By the names in ``storage.attrs``."""


AnyFinished = TypeVar("AnyFinished", bound=Finished)


def to_train(
    trainings: Sequence[str], finished: Sequence[AnyFinished], *, remaining: int
) -> tuple[int, list[AnyFinished]]:
    """Return how many trials are yet to be trained, and which of the finished ones were.

    Args:
        trainings: Of a grid's points; empty for other studies, where all count.
        finished: Trials.
        remaining: Trials that are wanted beside them.
    """
    if not trainings:
        return remaining, list(finished)
    left = trainings_left(trainings, [trial.user_attrs for trial in finished])
    return left, [trial for trial in finished if attrs.REUSED_FROM not in trial.user_attrs]


def trainings_left(trainings: Sequence[str], finished: Iterable[Mapping[str, Any]]) -> int:
    """Return how many trainings a grid still needs, which may be far fewer than trials.

    Args:
        trainings: Of the grid's points, see ``grid_trainings``.
        finished: User attributes of the finished trials.
    """
    by_replicate: dict[int, set[str]] = {0: set()}
    for own in finished:
        if attrs.DESIGN_INDEX in own:
            done = by_replicate.setdefault(own.get(attrs.REPLICATE, 0), set())
            done.add(trainings[own[attrs.DESIGN_INDEX]])
    return len(set(trainings) - by_replicate[max(by_replicate)])


def design_point(
    study: optuna.Study, settings: StudySettings, space: SearchSpace, trial: FrozenTrial
) -> tuple[dict[str, Scalar], dict[str, Any]]:
    """Return the parameters and user attributes that a study's design has for a trial.

    They follow from its number in the design, so it does not matter who asks. An adaptive
    sampler, and a trial that was enqueued by hand, have none.
    """
    index = trial.user_attrs.get(attrs.DESIGN_INDEX)
    if index is None or settings.sampler in ADAPTIVE_SAMPLERS:
        return {}, {}
    experiment = find_experiment(study, settings)
    if experiment is not None:
        return experiment.point(index)
    points = design_points(
        settings.sampler, space, settings.fixed, seed=settings.seed, start=index
    )
    return next(points), {}
