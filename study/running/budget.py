"""How many finished trials a study is to have, and what its new trials start with."""

from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search_spaces import Scalar, SearchSpace
from search_spaces.designs import design_points
from storage import attrs, operations
from storage.served import perform_for
from storage.values import Experiment
from study.errors import StudyError
from study.experiment import PAIRED
from study.sampling.names import ADAPTIVE_SAMPLERS
from study.settings import StudySettings


def request(
    study: optuna.Study, n_trials: int, *, in_all: bool = False, replicate: int = 0
) -> int:
    """Ask for ``n_trials`` more finished trials; return the study's new target.

    A request that was not acknowledged is open: asking again for as many or fewer asks for
    nothing more, and asking for another ``replicate`` takes its place. With ``in_all`` the trials
    of earlier requests count as well.
    """
    return perform_for(
        study, operations.request, n_trials=n_trials, in_all=in_all, replicate=replicate
    )


def acknowledge(study: optuna.Study, target: int) -> None:
    """End the request of a ``target``, whose trials are finished, as a command's last act."""
    perform_for(study, operations.acknowledge, target=target)


def start_design(
    study: optuna.Study, settings: StudySettings, space: SearchSpace, *, replicate: int = 0
) -> None:
    """Let new trials go on with the points of a replicate's design where its earlier ones ended.

    Points of a grid or an experiment that have only failed, and not diverged, are queued again:
    whoever starts another run may have mended the cause. Another replicate than 0 trains with
    other seeds what the study may have trained already; its design starts at the first point.
    """
    end = n_points(study, settings, space)
    perform_for(study, operations.start_design, replicate=replicate, end=end)


def extend_experiment(study: optuna.Study, experiment: Experiment) -> Experiment:
    """Store an experiment, or more pairs of the stored one; return what is stored then.

    Of two that are asked for at once, the one with more pairs remains. Where the study has other
    arms or splits already, those stay.
    """
    stored = perform_for(study, operations.extend_experiment, experiment=experiment.to_dict())
    found = attrs.EXPERIMENT.read(stored)
    assert found is not None  # as it was just stored
    return found


def exhausted(study: optuna.Study) -> bool:
    """Say whether the design of a study has no point left, also none that may be tried again."""
    return not perform_for(study, operations.has_points)


def find_experiment(study: optuna.Study, settings: StudySettings) -> Experiment | None:
    """Return the experiment that a study is, None if it is none."""
    if settings.sampler != PAIRED:
        return None
    found = attrs.EXPERIMENT.of(study)
    if found is None:
        raise StudyError(f"Study {study.study_name!r} is no experiment.")
    return found


def n_points(study: optuna.Study, settings: StudySettings, space: SearchSpace) -> int | None:
    """Return how many points the design of a study has, None where there is no end."""
    experiment = find_experiment(study, settings)
    if experiment is not None:
        return experiment.n_trials
    if settings.sampler == "grid":
        return sum(1 for _ in space.grid(settings.fixed))
    return None


def design_point(
    study: optuna.Study, settings: StudySettings, space: SearchSpace, trial: FrozenTrial
) -> tuple[dict[str, Scalar], dict[str, Any]]:
    """Return the parameters and user attributes that a study's design has for a trial.

    They follow from its number in the design, so it does not matter who asks. An adaptive
    sampler, and a trial that was enqueued by hand, have none.
    """
    index = attrs.DESIGN_INDEX.of(trial)
    if index is None or settings.sampler in ADAPTIVE_SAMPLERS:
        return {}, {}
    experiment = find_experiment(study, settings)
    if experiment is not None:
        pair, arm = experiment.point(index)
        sides = experiment.sides[arm.split][pair]
        return dict(arm.params), {attrs.PAIR: pair, attrs.ARM: arm.name, attrs.SIDES: sides}
    fixed, seed = settings.fixed, settings.seed
    return next(design_points(settings.sampler, space, fixed, seed=seed, start=index)), {}
