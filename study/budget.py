"""How many trials a study still owes, and which ones: the coordinator's side of the queue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Scalar
from search_spaces.designs import design_points
from storage import attrs, queue
from storage.retry import MAX_RETRIES
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


def top_up(
    study: optuna.Study, settings: StudySettings, target: int, *, replicate: int = 0
) -> int:
    """Queue as many trials as the target still lacks; return how many were queued.

    Fewer are queued where a grid has no more points.

    Args:
        study: Where.
        settings: Of the study.
        target: Finished trials that are wanted.
        replicate: Of the queued trials. Another number than 0 trains with other seeds what the
            study may have trained already; a design starts again at its first point.
    """
    trials = study.get_trials(deepcopy=False)
    progress = count(trials)
    missing = target - progress.finished - progress.running - progress.waiting
    if missing <= 0:
        return 0
    shared = {attrs.REPLICATE: replicate} if replicate else {}
    if settings.sampler in ADAPTIVE_SAMPLERS:
        for _ in range(missing):
            queue.enqueue(study, {}, shared)
        return missing
    drawn = [
        trial
        for trial in trials
        if attrs.DESIGN_INDEX in trial.user_attrs
        and trial.user_attrs.get(attrs.REPLICATE, 0) == replicate
    ]
    finite = settings.sampler in ("grid", PAIRED)
    retries = failed_points(drawn)[:missing] if finite else []
    for trial in retries:
        index = trial.user_attrs[attrs.DESIGN_INDEX]
        params, own = next(_points(study, settings, index))
        again = {attrs.DESIGN_INDEX: index, attrs.RETRY_OF: trial.number}
        queue.enqueue(study, params, shared | own | again)
    start = max((trial.user_attrs[attrs.DESIGN_INDEX] for trial in drawn), default=-1) + 1
    fresh = list(islice(_points(study, settings, start), missing - len(retries)))
    for index, (params, own) in enumerate(fresh, start):
        queue.enqueue(study, params, shared | own | {attrs.DESIGN_INDEX: index})
    return len(retries) + len(fresh)


def failed_points(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Return a failed trial of each design point that only failed and may be tried again.

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
        and len(attempts) <= MAX_RETRIES
        and not any(
            str(t.user_attrs.get(attrs.FAILURE, "")).startswith(attrs.DIVERGED) for t in attempts
        )
    ]


def _points(
    study: optuna.Study, settings: StudySettings, start: int
) -> Iterator[tuple[dict[str, Scalar], dict[str, Any]]]:
    """Yield parameters and user attributes of a design's trials from number ``start`` on."""
    if settings.sampler == PAIRED:
        yield from Experiment.from_attrs(study.user_attrs, study=study.study_name).points(start)
        return
    points = design_points(
        settings.sampler,
        settings.search_space,
        settings.fixed,
        seed=settings.seed,
        start=start,
    )
    yield from ((point, {}) for point in points)
