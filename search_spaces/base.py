"""A search space as data: named parameters, each with one range and, maybe, a condition."""

import hashlib
import json
import math
import reprlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeGuard

from optuna import Trial
from optuna.distributions import (
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.errors import SearchSpaceError

Scalar = CategoricalChoiceType
Distribution = CategoricalDistribution | IntDistribution | FloatDistribution

MAX_NEW_CHOICES = 20
"""Numbers beside the choices of a parameter that become choices; more make a range."""


class Config(Protocol):
    """What one training is made by: a point of a space, turned into what a model understands."""

    def identity(self) -> str:
        """Return a digest that configurations share if one training is the other's beginning."""

    def effective(self) -> dict[str, Any]:
        """Return what has an effect, JSON-ready; equal for configurations that train alike."""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-ready."""


class Params(dict[str, Any]):
    """Parameters by name, which are the configuration of a kind that has no class for it."""

    def identity(self) -> str:
        """Return a digest of all parameters."""
        return hashlib.sha256(json.dumps(self, sort_keys=True).encode()).hexdigest()

    def effective(self) -> dict[str, Any]:
        """Return all parameters."""
        return dict(self)

    to_dict = effective


@dataclass(frozen=True, slots=True)
class Parameter:
    """One searched parameter, with one range in every trial and every branch of the space.

    ``when`` holds earlier parameters, each with the values that this one needs to exist.
    """

    name: str
    distribution: Distribution
    when: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)

    def is_active(self, params: Mapping[str, Scalar]) -> bool:
        """Say whether the parameter exists beside the earlier ones in ``params``."""
        return all(name in params and params[name] in v for name, v in self.when.items())

    def allows(self, value: Scalar) -> bool:
        """Say whether a value lies in the range; true and false are no numbers."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return any(_equal(value, choice) for choice in choices)
            case IntDistribution(low=low, high=high, step=step) if is_number(value):
                return low <= value <= high and (value - low) % step == 0
            case FloatDistribution(low=low, high=high, step=step) if is_number(value):
                # As for Optuna, whose multiples of a step are inexact.
                n_steps = 0.0 if step is None else (value - low) / step
                return low <= value <= high and abs(n_steps - round(n_steps)) < 1e-8
            case _:
                return False

    def describe_range(self) -> str:
        """Return the range as a text that follows "must be"."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return f"one of {', '.join(str(choice) for choice in choices)}"
            case IntDistribution(low=low, high=high, step=step):
                steps = "" if step == 1 else f" in steps of {step}"
                return f"a whole number from {low} to {high}{steps}"
            case FloatDistribution(low=low, high=high, step=step):
                steps = "" if step is None else f" in steps of {step:g}"
                return f"a number from {low:g} to {high:g}{steps}"

    def at(self, u: float) -> Any:
        """Return the value at quantile ``u``, in [0, 1], of the (log-)uniform distribution."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return choices[min(int(u * len(choices)), len(choices) - 1)]
            case IntDistribution(low=low, high=high, log=True):
                # Rounding half a step beyond both ends gives the ends their full share.
                bottom, top = math.log(low - 0.5), math.log(high + 0.5)
                return min(max(round(math.exp(bottom + u * (top - bottom))), low), high)
            case (
                IntDistribution(low=low, high=high, step=step)
                | FloatDistribution(low=low, high=high, step=float(step))
            ):
                n = round((high - low) / step) + 1
                return min(low + step * min(int(u * n), n - 1), high)
            case FloatDistribution(low=low, high=high, log=True):
                value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
                return min(max(value, low), high)
            case FloatDistribution(low=low, high=high):
                return low + u * (high - low)

    def quantile(self, value: float) -> float:
        """Return the ``u`` at which ``at`` gets nearest to a number; TypeError for choices."""
        match self.distribution:
            case (
                IntDistribution(low=low, high=high, log=log, step=step)
                | FloatDistribution(low=low, high=high, log=log, step=float(step))
            ):
                # As in `at`, each number stands for what lies around it.
                low, high = low - step / 2, high + step / 2
            case FloatDistribution(low=low, high=high, log=log):
                pass
            case _:
                raise TypeError(f"no quantiles of {self.distribution!r}")
        value = min(max(value, low), high)
        if log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low) if high > low else 0.0

    def values(self) -> list[Any]:
        """Return all values of a finite range, in order; TypeError for a continuous one."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return list(choices)
            case (
                IntDistribution(low=low, high=high, step=step)
                | FloatDistribution(low=low, high=high, step=float(step))
            ):
                n = round((high - low) / step) + 1
                return [min(low + step * k, high) for k in range(n)]
            case _:
                raise TypeError(f"no list of the values of {self.distribution!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """All that may vary in a study of one kind, in the order of suggestion.

    ``to_config`` turns the active parameters into a configuration, or raises a ValueError that
    says what is wrong with one. It is also the only way to rebuild a stored trial.
    """

    name: str
    parameters: tuple[Parameter, ...]
    to_config: Callable[[Mapping[str, Scalar]], Config] = Params

    def _active(self, choose: Callable[[Parameter], Scalar]) -> dict[str, Scalar]:
        """Return the active parameters, each with the value that is chosen for it."""
        params: dict[str, Scalar] = {}
        for parameter in self.parameters:
            if parameter.is_active(params):
                params[parameter.name] = choose(parameter)
        return params

    def suggest(self, trial: Trial, fixed: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Let the sampler choose every active parameter that is not fixed.

        A fixed parameter is suggested from a range of one value, so that it is stored with the
        trial like any other, and samplers and importance leave it alone.
        """

        def choose(parameter: Parameter) -> Any:
            name, distribution = parameter.name, parameter.distribution
            if name in fixed:
                distribution = CategoricalDistribution([fixed[name]])
            match distribution:
                case CategoricalDistribution(choices=choices):
                    # An enqueued 16.0 is 16.
                    return choices[choices.index(trial.suggest_categorical(name, choices))]
                case IntDistribution(low=low, high=high, log=log, step=step):
                    return trial.suggest_int(name, low, high, log=log, step=step)
                case FloatDistribution(low=low, high=high, log=log, step=step):
                    return trial.suggest_float(name, low, high, log=log, step=step)

        return self._active(choose)

    def require(self, values: Mapping[str, Any], fixed: Mapping[str, Scalar]) -> None:
        """Raise a SearchSpaceError unless a trial can have these values, of whatever type."""
        for name, value in values.items():
            parameter, shown = self._named(name), reprlib.repr(value)  # cuts what is long
            if name in fixed:
                if not _equal(value, fixed[name]):
                    raise SearchSpaceError(
                        f"`{name}` is fixed to {fixed[name]} in this study, but got {shown}."
                    )
            elif not parameter.allows(value):
                raise SearchSpaceError(
                    f"`{name}` must be {parameter.describe_range()}, but got {shown}."
                )

    def _named(self, name: str) -> Parameter:
        """Return a parameter; raise a SearchSpaceError if there is none of that name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        known = ", ".join(parameter.name for parameter in self.parameters)
        raise SearchSpaceError(
            f"The {self.name} space has no parameter {reprlib.repr(name)}; it has: {known}."
        )

    def grid(self, fixed: Mapping[str, Scalar]) -> Iterator[dict[str, Scalar]]:
        """Yield every point once, in a fixed order; SearchSpaceError for continuous ranges."""
        for parameter in self.parameters:
            continuous = getattr(parameter.distribution, "step", 1) is None
            if continuous and parameter.name not in fixed:
                raise SearchSpaceError(
                    f"The {self.name} space has no grid: `{parameter.name}` is continuous. "
                    "Use another sampler, or fix it with --set."
                )
        points: Iterable[dict[str, Scalar]] = [{}]
        for parameter in self.parameters:
            points = _extended(points, parameter, fixed)
        yield from points

    def at(self, unit: Sequence[float], fixed: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Map a point of the unit cube into the space, a number in [0, 1) for each parameter."""
        names = (parameter.name for parameter in self.parameters)
        places = dict(zip(names, unit, strict=True))
        return self._active(lambda p: fixed[p.name] if p.name in fixed else p.at(places[p.name]))

    @property
    def nones(self) -> frozenset[str]:
        """The parameters that have None as a choice."""
        return frozenset(p.name for p in self.parameters if p.allows(None))

    def given(self, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the stored parameters that have a value; None is one where it is a choice."""
        nones = self.nones
        return {n: value for n, value in params.items() if value is not None or n in nones}

    def point(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the active ones of some parameters; values may lie outside of the ranges."""
        return self._active(lambda parameter: values[parameter.name])

    def holding(self, points: Iterable[Mapping[str, Scalar]]) -> "SearchSpace":
        """Return this space with ranges that hold all values of some points.

        A range stays as it is if it already does. A few numbers outside of one turn it into a
        choice between the values that occur, or join a choice; many make a range, which is stored
        with each trial.
        """
        found: dict[str, list[Scalar]] = {}
        for point in points:
            for name, value in point.items():
                found.setdefault(name, []).append(value)
        wider = (
            replace(p, distribution=_holding(p, found.get(p.name, ()))) for p in self.parameters
        )
        return replace(self, parameters=tuple(wider))

    def without(self, name: str) -> "SearchSpace":
        """Return this space without a parameter, if it has it; itself if it does not."""
        kept = tuple(parameter for parameter in self.parameters if parameter.name != name)
        return self if len(kept) == len(self.parameters) else replace(self, parameters=kept)

    def parse_fixed(self, assignments: Mapping[str, str]) -> dict[str, Scalar]:
        """Read values that a user wrote for parameters, inside of their ranges or not.

        A SearchSpaceError says that a name is unknown, or a value none to train a model with.
        """
        fixed: dict[str, Scalar] = {}
        for name, text in assignments.items():
            fixed[name] = _parse(self._named(name), text)
            self.check(name, fixed[name])
        return fixed

    def check(self, name: str, value: Scalar) -> None:
        """Raise a SearchSpaceError unless a configuration can hold ``value`` for ``name``."""
        needed = self._named(name).when.items()
        params = {other: values[0] for other, values in needed} | {name: value}
        try:
            self.to_config(params)
        except ValueError as error:
            raise SearchSpaceError(str(error)) from None


def _extended(
    points: Iterable[dict[str, Scalar]], parameter: Parameter, fixed: Mapping[str, Scalar]
) -> Iterator[dict[str, Scalar]]:
    """Yield points with each value of one more parameter, where it is active."""
    name = parameter.name
    for point in points:
        if not parameter.is_active(point):
            yield point
            continue
        for value in [fixed[name]] if name in fixed else parameter.values():
            yield {**point, name: value}


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(value: object, choice: object) -> bool:
    """Say whether two values are the same, where true is not 1."""
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def _holding(parameter: Parameter, values: Sequence[Any]) -> Distribution:
    """Return a distribution that holds ``values``: the parameter's, or all that occur."""
    distribution = parameter.distribution
    choices = getattr(distribution, "choices", ())
    new = set(values) - set(choices)
    if not new or (not choices and all(map(parameter.allows, values))):
        return distribution
    if len(new) > MAX_NEW_CHOICES and all(map(is_number, new.union(choices))):
        return _range(new.union(choices))
    return CategoricalDistribution([*choices, *sorted(new, key=str if choices else None)])


def _range(numbers: Collection[float]) -> Distribution:
    """Return the range of some numbers, logarithmic where they span a power of ten."""
    low, high = min(numbers), max(numbers)
    log = low > 0 and high >= 10 * low
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _parse(parameter: Parameter, text: str) -> Scalar:
    """Read ``text`` as the type of the parameter's values."""
    distribution = parameter.distribution
    if isinstance(distribution, CategoricalDistribution):
        written = {str(choice): choice for choice in distribution.choices}
        if text.strip() in written:
            return written[text.strip()]
        example = distribution.choices[0]
    else:
        example = 1 if isinstance(distribution, IntDistribution) else 1.0
    try:
        if isinstance(example, bool):
            return {"true": True, "false": False}[text.strip().lower()]
        if isinstance(example, int):
            return int(text)
        if isinstance(example, float):
            if not math.isfinite(float(text)):
                raise ValueError(text)
            return float(text)
    except (KeyError, ValueError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}
        raise SearchSpaceError(
            f"`{parameter.name}` must be {expected[type(example)]}, but got {text!r}."
        ) from None
    return text
