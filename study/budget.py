"""How many finished trials a study is to have, and what its new trials start with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Scalar, SearchSpace
from search_spaces.designs import design_points
from storage import attrs, operations
from storage.operations import IDENTITY
from storage.outages import outage
from storage.served import perform
from study.experiments import PAIRED, Experiment
from study.samplers import ADAPTIVE_SAMPLERS
from study.settings import StudySettings


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


def count(trials: Sequence[FrozenTrial]) -> Progress:
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


def request(study: optuna.Study, n_trials: int) -> int:
    """Ask for ``n_trials`` more finished trials; return the study's new target.

    A request that was interrupted is finished first: asking again for as many or fewer asks for
    nothing more.
    """
    finished = count(study.get_trials(deepcopy=False)).finished
    target = int(study.user_attrs.get(attrs.TARGET, 0))
    if finished < target:
        asked = int(study.user_attrs[attrs.REQUEST])
        target += max(0, n_trials - asked)
        n_trials = max(n_trials, asked)
    else:
        target = finished + n_trials
    # In this order: a target without its request would count as interrupted too early.
    study.set_user_attr(attrs.REQUEST, n_trials)
    study.set_user_attr(attrs.TARGET, target)
    return target


def request_all(study: optuna.Study, n_trials: int) -> int:
    """Ask for ``n_trials`` finished trials in all, those of earlier runs included; return it."""
    study.set_user_attr(attrs.REQUEST, n_trials)
    study.set_user_attr(attrs.TARGET, n_trials)
    return n_trials


def start_design(study: optuna.Study, settings: StudySettings, *, replicate: int = 0) -> None:
    """Let new trials go on with the points of a replicate's design where its earlier ones ended.

    Points of a grid or an experiment that have only failed, and not diverged, are queued again:
    whoever starts another run may have mended the cause.

    Args:
        study: Opened for writing.
        settings: Of the study.
        replicate: Another number than 0 trains with other seeds what the study may have trained
            already; its design starts at the first point.
    """
    drawn = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if attrs.DESIGN_INDEX in trial.user_attrs
        and trial.user_attrs.get(attrs.REPLICATE, 0) == replicate
    ]
    start = max((trial.user_attrs[attrs.DESIGN_INDEX] for trial in drawn), default=-1) + 1
    end = n_points(study, settings)
    if end is not None:
        for trial in failed_points(drawn):
            kept = {name: trial.user_attrs[name] for name in IDENTITY if name in trial.user_attrs}
            study.enqueue_trial({}, user_attrs=kept | {attrs.RETRY_OF: trial.number})
    perform(
        study._storage,
        operations.start_design,
        study_id=study._study_id,
        replicate=replicate,
        start=start,
        end=end,
    )


def failed_points(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return the last failed trial of each design point that only failed.

    A training that diverged would diverge again.

    Args:
        trials: Those of one design and replicate.
    """
    by_index: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        by_index.setdefault(trial.user_attrs[attrs.DESIGN_INDEX], []).append(trial)
    return [
        attempts[-1]
        for _, attempts in sorted(by_index.items())
        if all(t.state == TrialState.FAIL for t in attempts)
        and not any(
            str(t.user_attrs.get(attrs.FAILURE, "")).startswith(attrs.DIVERGED) for t in attempts
        )
    ]


def find_experiment(study: optuna.Study, settings: StudySettings) -> Experiment | None:
    """Return the experiment that a study is, None if it is none."""
    if settings.sampler != PAIRED:
        return None
    return Experiment.from_attrs(study.user_attrs, study=study.study_name)


def n_points(study: optuna.Study, settings: StudySettings) -> int | None:
    """Return how many points the design of a study has, None where there is no end."""
    experiment = find_experiment(study, settings)
    if experiment is not None:
        return len(experiment)
    if settings.sampler == "grid":
        return sum(1 for _ in settings.search_space.grid(settings.fixed))
    return None


def grid_trainings(space: SearchSpace, fixed: Mapping[str, Scalar]) -> list[str]:
    """Return for each point of a grid the training that answers it.

    Points share one where they differ in the number of epochs alone, or in what has no effect;
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
    study: optuna.Study, settings: StudySettings, trial: FrozenTrial
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
        settings.sampler, settings.search_space, settings.fixed, seed=settings.seed, start=index
    )
    return next(points), {}
