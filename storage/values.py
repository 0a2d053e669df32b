"""What is stored as a JSON object, each declared once; and how any stored value is read."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from operator import eq
from typing import Any, Generic, Protocol, Self, TypeVar

import msgspec
from optuna.distributions import CategoricalChoiceType

Scalar = CategoricalChoiceType
Value = TypeVar("Value")


class Owner(Protocol):
    """A study, a trial, or a record of one."""

    @property
    def user_attrs(self) -> Mapping[str, Any]: ...


class Stored(str, Generic[Value]):
    """The name of a stored value, which reads it as the one type that it has.

    Numbers are finite, true and false are none, and a whole one is an ``int`` however it came.
    """

    _type: type[Value]

    def __new__(cls, name: str, of_type: type[Value]) -> Self:
        made = super().__new__(cls, name)
        made._type = of_type
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def of(self, owner: Owner) -> Value | None:
        """Return the value that a study or a trial has; None without one, or with another's."""
        return self.among(owner.user_attrs)

    def among(self, user_attrs: Mapping[str, Any]) -> Value | None:
        """Return the same of user attributes."""
        return self.read(user_attrs.get(self))

    def read(self, value: Any) -> Value | None:
        """Return a value as what it is stored as; None if it is something else."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return None
        if self._type is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        try:
            return read_as(self._type, value)
        except msgspec.ValidationError:
            return None


class StoredTable(Stored[list[list[int]]]):
    """The same of a square table."""

    def __new__(cls, name: str) -> Self:
        return super().__new__(cls, name, list[list[int]])

    def read(self, value: Any) -> list[list[int]] | None:
        """Return the rows; None if one is longer or shorter than there are rows."""
        rows = super().read(value)
        return rows if rows is not None and {*map(len, rows)} <= {len(rows)} else None


def read_as(of_type: type[Value], value: Any) -> Value:
    """Read a value as a type; what a dataclass has no field for, it has as ``options``.

    Raises:
        msgspec.ValidationError: If it is something else; says what is where, in a line.
    """
    if isinstance(of_type, type) and issubclass(of_type, Settings) and isinstance(value, Mapping):
        names = {f.name for f in fields(of_type)} - {"options"}
        known = {name: item for name, item in value.items() if name in names}
        others = {
            name: tuple(item) if isinstance(item, list) else item
            for name, item in value.items()
            if name not in names
        }
        value = {**known, "options": others}
    return msgspec.convert(value, of_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything but the budget that decides what the trials of a study are.

    Args:
        seed: From 0; the sampler's and every trial's seed derive from it.
        data: Path of the data; None for what the kind brings along.
        data_fingerprint, sides: See ``kinds.Data``.
        split: One of the kind's ways to part the data.
        min_accuracy: A trial whose second metric is worse is infeasible; None for no constraint.
        pareto: Whether the second metric is a second objective.
        training: See ``study.settings.training_number``.
        options: Values of the kind's own options, stored under their own names.
    """

    kind: str
    space: str
    fixed: Mapping[str, Scalar]
    sampler: str
    pruner: str
    seed: int
    data: str | None
    data_fingerprint: str
    split: str
    data_seed: int
    sides: str
    code_version: str
    min_accuracy: float | None = None
    pareto: bool = False
    training: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def vendors(self) -> tuple[str, ...]:
        """Whose images the data hold beside their own; empty for other kinds than the emoji's."""
        found = self.options.get("vendors")
        return tuple(map(str, found)) if isinstance(found, tuple) else ()

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready, but a ``training`` of 0."""
        values = asdict(self)
        options: dict[str, Any] = values.pop("options")
        if not self.training:
            del values["training"]
        return values | options


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of the things that an experiment compares.

    Args:
        params: What is its own; all other parameters are shared.
        split: One of the kind's ways to part its data; empty for that of the study.
        role: What it is there for, where an analysis must tell: see ``study.followups.arms``.
        trial: Number of the trial of another study that it repeats, if it does.
        expected: Value that this trial had, or that a surrogate predicts.
    """

    name: str
    params: Mapping[str, Scalar]
    split: str = ""
    role: str = ""
    trial: int | None = None
    expected: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is compared, and how often: a study like any other, whose points are its arms by pairs.

    Args:
        arms: The first one is the baseline of every comparison.
        sides: The split of each pair, by the way of splitting; see ``kinds.Data.sides``.
        follows: Name of the study whose outcome is examined; empty for one that stands alone.
        keep_models: Whether trained models are kept until they have been tested.
    """

    name: str
    question: str
    arms: tuple[Arm, ...]
    sides: Mapping[str, tuple[str, ...]]
    follows: str = ""
    keep_models: bool = False

    @property
    def n_pairs(self) -> int:
        return len(next(iter(self.sides.values()), ()))

    @property
    def n_trials(self) -> int:
        """The number of trials: each arm once in every pair."""
        return self.n_pairs * len(self.arms)

    def sides_of(self, arm: str) -> tuple[str, ...]:
        """Return the split with which an arm is trained in each pair."""
        return self.sides[next(found.split for found in self.arms if found.name == arm)]

    def point(self, index: int) -> tuple[int, Arm]:
        """Return pair and arm of trial ``index``; they go pair by pair."""
        pair, place = divmod(index, len(self.arms))
        return pair, self.arms[place]

    def goes_with(self, other: "Experiment") -> bool:
        """Say whether both have the same arms, and the same splits in the pairs that both have."""
        return self.arms == other.arms and all(
            all(map(eq, own, other.sides.get(method, ()))) for method, own in self.sides.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignState:
    """Where a design has come to: its next point, the one behind the last, its replicate."""

    next: int
    end: int | None
    replicate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for last: the target that this made, its replicate, if it is open."""

    target: int
    replicate: int
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFrom:
    """The name of the file that a study was imported from."""

    file: str
