"""What a confirmation of a search trains, and how long that takes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from search_spaces import Scalar, SearchSpace
from storage.records import StudyRecord, TrialRecord
from storage.values import Arm
from study.analysis import breaks_constraint, each_training_once, ranked_by_constraint, training_of
from study.analysis.confirmation import CHOSEN, DEFAULT, MIDDLE, TOP
from study.analysis.spent import steps_reported, training_seconds
from study.errors import StudyError
from study.kinds import Described


def confirmation_arms(
    record: StudyRecord,
    space: SearchSpace,
    kind: Described,
    fixed: Mapping[str, Scalar],
    *,
    top: int,
    numbers: Sequence[int] = (),
    seed: int,
) -> tuple[Arm, ...]:
    """Choose what a confirmation trains again: the default, the best and one from the middle.

    Configurations that train alike count once. Where the default is among the best, it keeps
    its trial. The one from the middle shows what lies between: it was not chosen for its score,
    so its score needs no correction for that.

    Args:
        fixed: What all trials of the search share; the default takes it over.
        top: How many of the best, at least 1.
        numbers: Of complete trials to train again beside the default, in place of all others.

    Raises:
        StudyError: If no trial is complete and keeps the constraint, or one of ``numbers`` is not.
    """
    ranked = ranked_by_constraint(record)
    found: dict[str, tuple[float, TrialRecord]] = {}
    for value, trial in ranked:
        if not breaks_constraint(trial):
            found.setdefault(_identity(space, kind, space.given(trial.params)), (value, trial))
    if not found:
        raise StudyError(
            f"Study {record.name!r} has no complete trial that keeps its constraint, so there is "
            "nothing to confirm."
        )
    arms: list[Arm] = []
    default_identity = ""
    if kind.default is not None:
        default = space.point({**kind.default, **fixed})
        default_identity = _identity(space, kind, default)
        arm = Arm(name=DEFAULT, params=default, role=DEFAULT)
        if default_identity in found:
            value, trial = found[default_identity]
            arm = replace(arm, trial=trial.number, expected=value)
        arms.append(arm)
    if numbers:
        complete = {item[1].number: item for item in ranked}
        for number in dict.fromkeys(numbers):
            if number not in complete:
                raise StudyError(
                    f"`trial` must be the number of a complete trial of study {record.name!r}, "
                    f"but got {number}."
                )
            arms.append(_repeated(complete[number], space, role=CHOSEN, name="trial"))
        return tuple(arms)
    others = [item for identity, item in found.items() if identity != default_identity]
    n_top = min(top - (default_identity in list(found)[:top]), len(others))
    arms += [_repeated(item, space, role=TOP, name="trial") for item in others[:n_top]]
    third = len(others) // 3
    middle = others[max(third, n_top) : len(others) - third]
    if middle:
        drawn = middle[int(np.random.default_rng(seed).integers(len(middle)))]
        arms.append(_repeated(drawn, space, role=MIDDLE, name="middle, trial"))
    return tuple(arms)


def mean_seconds(record: StudyRecord, arms: Sequence[Arm]) -> float | None:
    """Return the mean time of one more training of each arm, from what the search took.

    Returns:
        Seconds. An arm that is no trial of the search counts as the mean of those that are; where
        none is, all count as the mean training of the search. None if no time is known.
    """
    trials = {trial.number: trial for trial in record.trials}
    own = [trials[arm.trial] for arm in arms if arm.trial in trials]
    for some in (own, each_training_once(record.complete)):
        if known := [s for trial in some if (s := _seconds(trial, trials)) > 0]:
            return fmean(known)
    return None


def _seconds(trial: TrialRecord, trials: Mapping[int, TrialRecord]) -> float:
    """Return the time of a trial's training; of one that repeats another's, that of its steps."""
    source = trials.get(training_of(trial), trial)
    seconds, n_steps = training_seconds(source), steps_reported(source)
    return (
        seconds * steps_reported(trial) / n_steps if source is not trial and n_steps else seconds
    )


def _repeated(item: tuple[float, TrialRecord], space: SearchSpace, *, role: str, name: str) -> Arm:
    value, trial = item
    name = f"{name} {trial.number}"
    params = space.given(trial.params)
    return Arm(name=name, params=params, role=role, trial=trial.number, expected=value)


def _identity(space: SearchSpace, kind: Described, params: Mapping[str, Scalar]) -> str:
    """Return what configurations share that train alike, their length included."""
    return f"{space.to_config(params).identity()}-{kind.n_steps(params)}"
