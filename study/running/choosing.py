"""One training, chosen by what a user typed: a stored trial's, or one of given parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.storages import BaseStorage

from search_spaces import Config, Scalar, parse_params
from storage import attrs
from storage.errors import UnknownStudyError
from storage.records import StudyRecord, TrialRecord, load_study_record
from study.analysis import kind_of, none_feasible
from study.errors import StudyError
from study.kind_sources import find_stored
from study.kinds import Kind
from study.seeds import trial_seed
from study.settings import StudySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A training, fully decided but for its data.

    Args:
        n_steps: For how long; None if its parameters do not say.
        threads, settings, sides: Of a trial and its study; None for a training of no trial.
        value: What the trial reached, if this repeats it.
        other_code: Whether the trial was trained by other code than the study has now.
    """

    label: str
    kind: Kind
    config: Config
    n_steps: int | None
    seed: int
    threads: int | None = None
    settings: StudySettings | None = None
    sides: str | None = None
    value: float | None = None
    other_code: bool = False


def stored_training(
    storage: BaseStorage,
    study: str,
    which: str,
    *,
    seed: int | None = None,
    kind: str | None = None,
) -> Chosen:
    """Return the training of the trial with a number, or of the ``best`` one, of a study.

    Args:
        seed: Another one than its own; None repeats it.
        kind: Where the code of its kind lies here; None for where it lay when the study was made.
            A StudyError says that it is missing or another one.
    """
    record = load_study_record(storage, study)
    settings = StudySettings.from_attrs(record.user_attrs, study=study)
    found = find_stored(kind_of(record), study=study, where=kind)
    trial = find_trial(record, which)
    space = settings.space_in(found.kind)
    config = space.to_config(space.given(trial.params))
    own = attrs.SEED.of(trial)
    if own is None:  # it never began to train
        own = trial_seed(settings.seed, config, (attrs.REPLICATE.of(trial) or 0))
    return Chosen(
        label=f"{study}-trial-{trial.number}",
        kind=found.kind,
        config=config,
        n_steps=found.kind.n_steps(trial.params),
        seed=own if seed is None else seed,
        threads=attrs.THREADS.of(trial),
        settings=settings,
        sides=attrs.SIDES.of(trial),
        value=trial.value if seed is None else None,
        other_code=attrs.KIND_DIGEST.of(trial) != found.digest,
    )


def given_training(kind: Kind, assignments: Mapping[str, str], *, seed: int) -> Chosen:
    """Return the training of parameters that a user wrote; the others are the kind's default.

    They may be of any space of the kind. A SearchSpaceError or StudyError says that one or its
    value is unknown, or missing.
    """
    given = parse_params(kind.spaces, assignments)
    space = next(iter(kind.spaces.values()))
    values: dict[str, Scalar] = {**(kind.default or {}), **given}
    try:
        params = {**space.point(values), **given}
    except KeyError as error:
        raise StudyError(
            f"The kind {kind.name} has no default: give `{error.args[0]}` with --set too."
        ) from None
    config = space.to_config(params)
    all_values = values | params
    family = [str(all_values[kind.family])] if kind.family in all_values else []
    return Chosen(
        label="-".join([kind.name, *family, config.identity()[:8]]),
        kind=kind,
        config=config,
        n_steps=kind.n_steps(params),
        seed=trial_seed(seed, config, 0),
    )


def find_trial(record: StudyRecord, which: str) -> TrialRecord:
    """Return the trial of a number, or ``best``; an UnknownStudyError if it has not started."""
    if which == "best":
        if record.best is not None:
            return record.best
        none = f"best trial: {none_feasible(record)}" if record.complete else "complete trial yet."
        raise UnknownStudyError(f"Study {record.name!r} has no {none}")
    if not (which.isascii() and which.isdigit()) or int(which) >= len(record.trials):
        raise UnknownStudyError(
            f"Study {record.name!r} has no trial {which!r}; it has {len(record.trials)}, counted "
            "from 0."
        )
    trial = record.trials[int(which)]
    if not trial.params:
        raise UnknownStudyError(
            f"Trial {which} of study {record.name!r} has not started: it has no parameters."
        )
    return trial
