"""How a winner is taken apart: the way to it from the default, and its neighbours."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from optuna.distributions import CategoricalDistribution, IntDistribution

from search_spaces import Scalar, SearchSpace
from search_spaces.base import Parameter
from storage.records import StudyRecord
from storage.values import Arm
from study.analysis.ablation import PATH, SWEEP
from study.analysis.confirmation import DEFAULT
from study.analysis.surrogate import get_surrogate, predict
from study.errors import StudyError
from study.kinds import Kind

SWEEP_STEPS = (-0.25, -0.1, 0.1, 0.25)
"""Distances of a sweep's values from the winner's, as parts of a numeric parameter's range."""
MAX_FEW = 5
"""A range of so many whole numbers is swept as a whole."""
Predict = Callable[[Sequence[Mapping[str, Scalar]]], Sequence[float]]
"""Predicts the objective of configurations, given by their parameters."""


def ablation_arms(
    record: StudyRecord,
    space: SearchSpace,
    kind: Kind,
    fixed: Mapping[str, Scalar],
    winner: Mapping[str, Scalar],
    *,
    only: Sequence[str] = (),
) -> tuple[Arm, ...]:
    """Choose what an ablation trains: the path from the default to a winner, and its neighbours.

    The surrogate decides in which order parameters change on the path, always the one next that
    it expects most of; where it cannot predict the study, the order is that of the space.

    Args:
        only: Parameters to sweep; empty for all that the search varied.

    Source: Fawcett, Hoos, "Analysing differences between algorithm configurations through
        ablation", Journal of Heuristics 22, 2016; with a surrogate's guess of the best path:
        Biedenkapp, Lindauer, Eggensperger, Hutter, Fawcett, Hoos, "Efficient Parameter
        Importance Analysis via Ablation with Surrogates", AAAI 2017.
    """
    if kind.default is None:
        raise StudyError(
            f"The kind {kind.name!r} has no default configuration, so there is no path to the "
            "winner."
        )
    usable = get_surrogate(record).refusal is None

    def expect_loss(points: Sequence[Mapping[str, Scalar]]) -> Sequence[float]:
        return [kind.objective.sign * float(value) for value in predict(record, points)]

    start = space.point({**kind.default, **fixed})
    path = ablation_path(space, kind.default, start, winner, expect_loss if usable else None)
    points = [*path, *sweep_points(space, kind.default, winner, fixed, only=only)]
    guesses: Sequence[float | None] = [None] * len(points)
    if usable:
        guesses = list(map(float, predict(record, [params for _, params in points])))
    return tuple(
        Arm(name=name, params=params, role=PATH if i < len(path) else SWEEP, expected=guess)
        for i, ((name, params), guess) in enumerate(zip(points, guesses, strict=True))
    )


def ablation_path(
    space: SearchSpace,
    default: Mapping[str, Scalar],
    start: Mapping[str, Scalar],
    end: Mapping[str, Scalar],
    expect: Predict | None,
) -> list[tuple[str, dict[str, Scalar]]]:
    """Return the way from one configuration to another, one parameter at a time, by names.

    A parameter that only exists with another's new value comes along with it.

    Args:
        default: Values of all parameters, for those that neither has.
        expect: Predicts what is to be low, by which the next step is chosen; None for the
            order of the space.
    """
    steps = [(DEFAULT, dict(start))]
    current = dict(start)
    while current != end:
        names = [name for name in current if name in end and current[name] != end[name]]
        candidates = [space.point({**default, **end, **current, n: end[n]}) for n in names]
        best = 0 if expect is None else int(np.argmin(expect(candidates)))
        current = candidates[best]
        steps.append((f"then {names[best]} {_text(end[names[best]])}", current))
    return steps


def sweep_points(
    space: SearchSpace,
    default: Mapping[str, Scalar],
    winner: Mapping[str, Scalar],
    fixed: Mapping[str, Scalar],
    *,
    only: Sequence[str] = (),
) -> list[tuple[str, dict[str, Scalar]]]:
    """Return configurations, by names, that differ from a winner in one parameter.

    Of a choice, all other values; of a number, some values up to a quarter of its range away, on
    the scale of the search.

    Args:
        default: Values of all parameters, for those that the winner has not.
        only: Parameters to sweep, else a StudyError; empty for all that were searched.
    """
    swept = {
        parameter.name: values
        for parameter in space.parameters
        if parameter.name in winner and parameter.name not in fixed
        for values in [_neighbours(parameter, winner[parameter.name])]
        if values
    }
    for name in only:
        if name not in swept:
            raise StudyError(
                f"`{name}` cannot be swept: it is no searched parameter of the winner; there are: "
                f"{', '.join(swept)}."
            )
    return [
        (f"{name} {_text(value)}", space.point({**default, **fixed, **winner, name: value}))
        for name, values in swept.items()
        if not only or name in only
        for value in values
    ]


def _neighbours(parameter: Parameter, value: Scalar) -> list[Scalar]:
    """Return the other values of a choice, or some numbers on both sides of one."""
    distribution = parameter.distribution
    few = isinstance(distribution, IntDistribution) and len(parameter.values()) <= MAX_FEW
    if few or isinstance(distribution, CategoricalDistribution):
        return [other for other in parameter.values() if other != value]
    assert isinstance(value, int | float)
    position = parameter.quantile(value)
    units = (min(max(position + step, 0.0), 1.0) for step in SWEEP_STEPS)
    # Near an end of the range some may read alike, and are as good as equal.
    found = {_text(other): other for other in map(parameter.at, units)}
    return [other for text, other in found.items() if text != _text(value)]


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)
