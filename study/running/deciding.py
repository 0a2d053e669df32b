"""What a study is: decided from what a user gave, what is stored, and the defaults."""

from dataclasses import replace

from search_spaces.designs import DESIGNS, design_points
from study.errors import StudyError, wrong_choice
from study.kinds import Kind
from study.requests import Given
from study.sampling.names import SAMPLERS, default_pruner
from study.settings import StudySettings, code_version, default_settings, training_number


def decide(
    given: Given,
    stored: StudySettings | None,
    kind: Kind,
    *,
    study: str,
    defaults: StudySettings | None = None,
) -> StudySettings:
    """Return the settings of a study: what was given, else what is stored, else the defaults.

    Data and split are still the stored ones. The defaults of a new study are those of its kind,
    unless others are given.

    Raises:
        StudyError: If a choice is unknown, or does not fit the others or the stored study.
        SearchSpaceError: If a parameter, its value or the space is unknown.
    """
    base = stored or defaults or default_settings(kind)
    names = ("space", "sampler", "pruner", "seed", "split", "data_seed")
    said = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    demanded = _demanded(given, kind)
    if demanded is not None:
        said["min_accuracy"] = demanded
    own = {name: value for name, value in given.options.items() if value is not None}
    for name in own:
        if name not in kind.options:
            raise StudyError(f"--{name} is no option of the kind {kind.name}.")
    settings = replace(
        base,
        **said,
        kind=kind.name,
        pareto=given.pareto or base.pareto,
        data=base.data if given.data is None else str(given.data),
        options={**base.options, **own},
        code_version=code_version(),
        training=training_number(kind),
    )
    if settings.split not in kind.splits:
        raise wrong_choice("split", settings.split, kind.splits)
    settings = replace(settings, options=kind.check(settings.source).options)
    space = settings.space_in(kind)
    assignments = kind.with_steps(given.assignments, given.n_steps)
    if assignments:
        settings = replace(settings, fixed=space.parse_fixed(assignments))
    if stored is not None:
        stored.require_training(kind, study=study)
        stored.require_equal(settings, study=study)
    return settings


def decide_search(
    given: Given, stored: StudySettings | None, kind: Kind, *, study: str, n_trials: int
) -> StudySettings:
    """Return the settings of a search, see ``decide``; its first trials decide its pruner."""
    settings = decide(given, stored, kind, study=study)
    _check_objectives(given, settings, kind)
    if settings.sampler not in SAMPLERS:
        raise StudyError(
            f"Study {study!r} has the sampler {settings.sampler!r} and is no search; "
            "`emoji-study experiment` continues it."
        )
    if stored is not None:
        return settings
    space, fixed = settings.space_in(kind), settings.fixed
    if settings.sampler in DESIGNS:
        next(design_points(settings.sampler, space, fixed, seed=0), None)  # raises if no grid
    if given.pruner is None and not settings.pareto:
        max_steps = kind.max_steps(space, fixed)
        pruner = default_pruner(
            settings.space, settings.sampler, n_trials=n_trials, max_steps=max_steps
        )
        settings = replace(settings, pruner=pruner)
    return settings


def _check_objectives(given: Given, settings: StudySettings, kind: Kind) -> None:
    """Raise a StudyError if a study cannot have these objectives or this constraint."""
    pareto, min_accuracy = settings.pareto, settings.min_accuracy
    if kind.second is None:
        if pareto or min_accuracy is not None:
            raise _needs_second("--pareto" if pareto else "--min-accuracy", kind)
    elif pareto and min_accuracy is not None:
        raise StudyError(
            f"--pareto already optimises {kind.second.label}: leave out --min-accuracy, or "
            "--pareto."
        )
    if pareto and given.pruner not in (None, "none"):
        raise StudyError(
            "With --pareto nothing is pruned, for Optuna prunes by one objective alone: "
            "leave out --pruner."
        )


def _demanded(given: Given, kind: Kind) -> float | None:
    """Return what is demanded of the second metric; a StudyError if it cannot be demanded."""
    second = kind.second
    demand = given.at_least or given.at_most
    if demand is None:
        return given.min_accuracy
    option, other = "--at-least", "--at-most"
    if given.at_least is None:
        option, other = other, option
    if second is None:
        raise _needs_second(option, kind)
    name, value = demand
    if name != second.name:
        raise wrong_choice(option, name, [second.name])
    if second.maximise != (option == "--at-least"):
        raise StudyError(f"{name} is {second.direction}d: give {other} in place of {option}.")
    return value


def _needs_second(option: str, kind: Kind) -> StudyError:
    return StudyError(
        f"{option} needs a kind with a second metric; {kind.name} has only {kind.objective.label}."
    )
