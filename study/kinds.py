"""What a kind of model is; imports none. ``docs/your-own-model.md`` explains it by an example."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from search_spaces.base import Scalar, SearchSpace, is_number
from study.errors import StudyError, wrong_choice
from study.experiment import Design
from study.metrics import Metric

Result = TypeVar("Result")
Step = Mapping[str, float]
"""What one step of a training measured, by name; a step is an epoch, say, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Which data a study uses, as its user named them.

    Args:
        path: A file or folder; None for what the kind brings along.
        split: Which of the kind's ways parts training, validation and test.
    """

    path: Path | None = None
    split: str = ""
    seed: int = 42
    options: Mapping[str, Any] = field(default_factory=dict)


EXAMPLES = "examples"
"""What ``Trainer.test`` may return beside metrics: the objective of each group of examples."""


class Data(ABC):
    """Training, validation and test data; only what tests may look at the test part.

    Attributes:
        noun: What pages call its examples: ``images``.
    """

    noun = "data"

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A digest of the data and of how they are parted, see ``digest``."""

    @property
    def sides(self) -> str:
        """How they are parted, as a text that is stored; empty if there is one way only."""
        return ""

    def with_sides(self, sides: str) -> "Data":
        """Return the same data parted in another way, as ``sides`` gave it."""
        if sides != self.sides:
            raise StudyError("These data are parted in one way only.")
        return self

    def redraw(self, split: str, seed: int) -> str:
        """Return sides with another validation part and the same test part, drawn by ``seed``."""
        return self.sides

    def draw(self, split: str, seed: int) -> str:
        """Return sides that are drawn anew, the test part too; experiments need it."""
        return self.redraw(split, seed)

    def describe(self) -> str:
        """Say how much there is: ``1,200 training and 300 validation images``."""
        return "its data"

    def facts(self) -> Mapping[str, Any]:
        """Return user attributes, JSON-ready, that a new study on these data gets."""
        return {}


class Rows(Data):
    """Arrays with one row for each example, parted at random: 60 % train, 20 % choose, 20 % test.

    Args:
        *arrays: Each of shape ``(n, ...)``.
        sides: One letter for each row, as they were stored: ``t`` training, ``v`` validation,
            ``e`` test; None to draw them.
        by: ``(n,)`` classes, of which each is parted by itself; None for one of all.
        noun: What rows are called.
    """

    def __init__(
        self,
        *arrays: np.ndarray,
        sides: str | None,
        seed: int = 0,
        by: np.ndarray | None = None,
        noun: str = "rows",
    ) -> None:
        self._arrays, self.noun = arrays, noun
        self._by = np.zeros(len(arrays[0]), dtype=int) if by is None else by
        self._content = digest(*(np.ascontiguousarray(array).tobytes() for array in arrays))
        if sides is None:
            sides = self._drawn("t" * len(self._by), "t", "e", 0.2, seed)
            sides = self._drawn(sides, "t", "v", 0.25, seed)
        if len(sides) != len(self._by):
            raise OtherDataError(f"{self._content}-{digest(sides)[:8]}")
        self._sides = sides

    @property
    def fingerprint(self) -> str:
        return f"{self._content}-{digest(self._sides)[:8]}"

    @property
    def sides(self) -> str:
        return self._sides

    def with_sides(self, sides: str) -> "Rows":
        return Rows(*self._arrays, sides=sides, by=self._by, noun=self.noun)

    def redraw(self, split: str, seed: int) -> str:
        return self._drawn(self._sides.replace("v", "t"), "t", "v", 0.25, seed)

    def draw(self, split: str, seed: int) -> str:
        return Rows(*self._arrays, sides=None, seed=seed, by=self._by).sides

    def describe(self) -> str:
        n = {side: self._sides.count(side) for side in "tv"}
        return f"{n['t']:,} training and {n['v']:,} validation {self.noun}"

    def part(self, side: str) -> tuple[np.ndarray, ...]:
        """Return the rows of a side of each array: ``t``, ``v``, in ``Trainer.test`` ``e``."""
        chosen = np.array(list(self._sides)) == side
        return tuple(array[chosen] for array in self._arrays)

    def _drawn(self, sides: str, old: str, new: str, share: float, seed: int) -> str:
        """Turn a share of the rows on one side, class by class, into rows of another."""
        letters, generator = np.array(list(sides)), np.random.default_rng(seed)
        for value in np.unique(self._by):
            rows = np.flatnonzero((self._by == value) & (letters == old))
            letters[generator.permutation(rows)[: round(share * len(rows))]] = new
        return "".join(letters)


class Training(ABC):
    """What a training came to, whatever its end.

    Attributes:
        steps: Every step that was done, in order, those of earlier attempts too.
        best: What is kept measured: each metric that is always there, by name; None for nothing.
        best_step: The step they are of, counted from 0; None for a training without steps.
        seconds: What the training took, earlier attempts included.
        facts: Other user attributes of the trial, JSON-ready.
    """

    steps: Sequence[Step] = ()
    best: Mapping[str, float] | None = None
    best_step: int | None = None
    seconds: float = 0.0
    facts: Mapping[str, Any] = {}

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the trained model to a file."""

    def rows(self) -> Sequence[Mapping[str, float]]:
        """Return the table of the training's curves, one row each step."""
        return self.steps

    def file(self, name: str, *, tested: bool = False) -> bytes:
        """Return one of the kind's files; ``tested`` shows the test part, else validation."""
        raise NotImplementedError(name)

    def measure(self) -> Mapping[str, float]:
        """Return the metrics that are measured on request, those that there are."""
        return {}


@dataclass(slots=True, kw_only=True)
class Finished(Training):
    """A training as plain values, enough for most kinds; the first five are ``Training``'s.

    Args:
        write: Writes the trained model to a file.
        files: Content of the kind's files, by name, the same for all parts of the data.
        extra: What ``measure`` returns.
    """

    steps: Sequence[Step] = ()
    best: Mapping[str, float] | None = None
    best_step: int | None = None
    seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)
    write: Callable[[Path], object]
    files: Mapping[str, bytes] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        self.write(path)

    def file(self, name: str, *, tested: bool = False) -> bytes:
        return self.files[name]

    def measure(self) -> Mapping[str, float]:
        return self.extra


def plain(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with numbers of numpy and torch as Python's own, which can be stored."""
    return {
        name: value.item() if hasattr(value, "item") and not value.shape else value
        for name, value in numbers.items()
    }


class OtherDataError(ValueError):
    """Stored sides are not those of the data that are there; raised by ``Trainer.load``."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(f"other data, fingerprint {fingerprint}")
        self.fingerprint = fingerprint


class DivergedError(ArithmeticError):
    """A training cannot go on, for a number became NaN or infinite; raised by ``Trainer.train``.

    The trial fails with this message, one line for a person, and is not tried again.
    """

    for_users = True

    def __init__(self, message: str, training: Training | None = None) -> None:
        super().__init__(message)
        self.training = training


class Interrupted(Exception):
    """A training is to stop here, for it goes on another time; raised by ``Run.step``."""

    training: Training | None = None
    """What there is of it so far, if the trainer sets it on the way out."""


@dataclass(kw_only=True, eq=False)
class Run:
    """One run of a training, as it looks from inside ``Trainer.train``; enough to try a trainer.

    Args:
        seed: From 0 to 2**63 - 1; with configuration and data, all that may decide the result.
        device: As ``Trainer.resolve_device`` returned it.
    """

    seed: int
    device: str = "cpu"
    show: Callable[[Step], None] = lambda numbers: None

    def offer(self, save: Callable[[Path], object], *, n_bytes: int = 1_000_000) -> None:
        """Save what it needs to go on, unless writing about ``n_bytes`` takes too long."""

    def save(self, save: Callable[[Path], object]) -> None:
        """Save it in any case, as before an interruption."""

    def load(self, read: Callable[[Path], Result]) -> Result | None:
        """Return what ``read`` makes of an earlier attempt's file; None to begin anew."""
        return None

    def resumed(self, steps: Sequence[Step]) -> None:
        """Tell of the steps that earlier attempts did, before the first new one."""

    def step(self, numbers: Step, *, save: Callable[[Path], object] | None = None) -> bool:
        """Tell that a step is done; return whether the training should end with it.

        Its pruner ends a trial here. Where a signal ends the study, the training is saved, and
        ``Interrupted`` raised; let it pass.

        Args:
            numbers: What the step measured, by name, the objective among them.
            save: Writes all that the training needs to go on, now and then; without it, an
                interrupted training begins anew.
        """
        self.show(numbers)
        return False


class Trainer(ABC):
    """Loads data and trains; imported by what trains, never by what reads."""

    @abstractmethod
    def load(self, source: Source, sides: str | None) -> Data:
        """Load the data, parted as ``sides`` stored it; None parts them anew."""

    @abstractmethod
    def train(self, config: Any, data: Any, run: Run) -> Training:
        """Train one configuration; a function of configuration, data and ``run.seed``.

        Raise a DivergedError if it cannot go on.

        Args:
            config: What the space's ``to_config`` made of a trial's parameters.
            data: As ``load`` returned it, maybe parted in another way.
        """

    @abstractmethod
    def test(self, model: Path, data: Any, *, device: str) -> Mapping[str, Any]:
        """Measure a saved model on the test part: each metric, by its ``test_name``.

        Where the objective is a mean over examples, ``EXAMPLES`` may be added: of each group of
        examples that belong together, the number of them and their mean, in an order that is the
        same for all models. Then it can be said what other test data would give.
        """

    def resolve_device(self, name: str) -> str:
        """Return the device to train on for ``auto`` or a name; raise a StudyError without it."""
        if name not in ("auto", "cpu"):
            raise StudyError(f"`device` must be auto or cpu for this kind, but got {name!r}.")
        return "cpu"

    def prepare(self) -> None:  # noqa: B027  most kinds have nothing to prepare
        """Import what is slow and only needed for training; called once by each worker."""

    def recall(
        self, config: Any, rows: Sequence[Step], n_steps: int, facts: Mapping[str, Any]
    ) -> Training | None:
        """Rebuild a training from its stored rows, for a trial that would repeat it; None if not.

        It has no model; its ``file`` raises a LookupError for what needs one.

        Args:
            config: Of the new trial, which has the identity of the old one, and may be shorter.
            rows: Of ``Training.rows``, in single precision; their first number is the step.
            n_steps: Steps of the stored training; rows behind them belong to its end.
            facts: User attributes of its trial.
        """
        return None

    def require_model(self, model: Path, config: Any, *, seed: int, data_fingerprint: str) -> None:
        """Raise a ValueError if a saved model is missing, or of another training than this."""
        if not model.is_file():
            raise ValueError(f"There is no model in {model}.")

    def describe_test(self, measured: Mapping[str, Any]) -> Sequence[str]:
        """Return lines for people about what ``test`` measured beside the metrics."""
        return ()

    def exhibit(self, model: Path, data: Any, *, caption: str) -> Mapping[str, bytes]:
        """Return files, by name, that show what the best model of a confirmation can do.

        Even the test part, for it has been tested; ``caption`` says which model it is.
        """
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that every trial attaches; the label says what it shows.

    Args:
        picture: Whether studies may do without it (``--pictures none``).
    """

    name: str
    label: str = ""
    picture: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What is known of a kind with its code or without; ``Kind`` documents it."""

    name: str
    metrics: tuple[Metric, ...]
    fidelity: str | None = None
    family: str | None = None
    default: Mapping[str, Scalar] | None = None
    files: tuple[File, ...] = ()
    costs: tuple[Metric, ...] = ()
    model_file: str = "model"

    @property
    def objective(self) -> Metric:
        """What is searched for."""
        return self.metrics[0]

    @property
    def second(self) -> Metric | None:
        """What may be a second objective or a constraint."""
        return next(iter(self.further), None)

    @property
    def further(self) -> tuple[Metric, ...]:
        """The metrics behind the objective that every complete trial has."""
        return tuple(metric for metric in self.metrics[1:] if metric.always)

    def objectives(self, *, pareto: bool) -> tuple[Metric, ...]:
        """Return what studies search for: with ``pareto`` the second metric as well."""
        return (self.objective, *([self.second] if pareto and self.second else []))

    @property
    def step(self) -> str:
        """What a step of a training is called: ``epoch``, or ``step``."""
        return self.fidelity or "step"

    def n_steps(self, params: Mapping[str, Any]) -> int | None:
        """Return how many steps a configuration trains, None if its parameters do not say."""
        steps = None if self.fidelity is None else params.get(self.fidelity)
        return steps if isinstance(steps, int) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Described):
    """One kind of model.

    Args:
        name: Letters, digits, ``-`` and ``_``; studies are named after it.
        spaces: Search spaces by name; the first is the default.
        metrics: The first is the objective. A second one that every trial has may become a second
            objective (``--pareto``) or a constraint (``--at-least``, ``--at-most``).
        trainer: Makes the trainer; imports torch, or whatever it needs.
        default: Values of parameters: the configuration that is to be beaten.
        fidelity: The parameter that counts steps, if there is one: ``epoch``.
        family: The parameter that branches of the space are named after.
        files: What every trial attaches.
        costs: What a model costs beside its time: facts of its trainings, or attributes of its
            configuration.
        model_file: Name of a trained model's file.
        splits: The ways to part the data; the first is the default.
        options: Names of the command line's options that say which data these are: ``vendors``.
        check: Returns a source in its one way to be written, or raises a StudyError; called
            before anything is loaded.
        narrow: Adapts a space to the data.
        transfer: Returns the source of other data, at a path, for a study on a source.
        experiments: Designs by name, functions of the source and of the experiment's options.
        columns: Names of metrics in other programs' tables, and factors of the numbers there.
        environment: Distributions whose versions are stored with each trial.
        training: Raised when trainings give other results than before.
    """

    spaces: Mapping[str, SearchSpace]
    trainer: Callable[[], Trainer]
    splits: tuple[str, ...] = ("drawn",)
    options: tuple[str, ...] = ()
    check: Callable[[Source], Source] = lambda source: source
    narrow: Callable[[SearchSpace, Source], SearchSpace] = lambda space, source: space
    transfer: Callable[[Source, Path], Source] = lambda source, path: replace(source, path=path)
    experiments: Mapping[str, Callable[[Source, Mapping[str, Any]], Design]] = field(
        default_factory=dict
    )
    columns: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    environment: tuple[str, ...] = ()
    training: int = 1

    def __post_init__(self) -> None:
        first, *others = self.metrics
        object.__setattr__(self, "metrics", (replace(first, place=0), *others))

    def space(self, name: str, source: Source) -> SearchSpace:
        """Return a space for certain data; raise a ChoiceError if there is none."""
        if name not in self.spaces:
            raise wrong_choice("space", name, self.spaces)
        return self.narrow(self.spaces[name], source)

    def measured(self, numbers: Mapping[str, Any], *, tested: bool = False) -> dict[str, Any]:
        """Return what was measured as numbers that can be stored, those of numpy and torch too.

        A StudyError says which metric is no number, or outside of what its ``low`` and ``high``
        allow, which a share in per cent would be; ``tested`` if ``Trainer.test`` measured it.
        """
        found = plain(numbers)
        for metric in self.metrics:
            name = metric.test_name if tested else metric.name
            value = found.get(name)
            if value is None:
                continue
            if not is_number(value):
                raise StudyError(
                    f"The metric {name!r} of the kind {self.name!r} must be a number, but is a "
                    f"{type(value).__name__}."
                )
            for side, bound, sign in (("low", metric.low, -1), ("high", metric.high, 1)):
                if bound is not None and sign * (value - bound) > 1e-6 * max(1.0, abs(bound)):
                    raise StudyError(
                        f"The metric {name!r} of the kind {self.name!r} is {value:g}, but its "
                        f"`{side}` is {bound:g}: mend what is measured, or the Metric."
                    )
        return found

    def tested(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """Return what ``Trainer.test`` measured; a StudyError if a metric is wrong or missing."""
        measured = self.measured(numbers, tested=True)
        for metric in self.metrics:
            if metric.always and metric.test_name not in measured:
                raise StudyError(
                    f"`test` of the kind {self.name!r} must return the metric "
                    f"{metric.test_name!r}, but returned {', '.join(measured) or 'nothing'}."
                )
        return measured

    def with_steps(self, assignments: Mapping[str, str], n_steps: int | None) -> dict[str, str]:
        """Return assignments with a number of steps among them; a StudyError if that cannot be."""
        if n_steps is None:
            return dict(assignments)
        if self.fidelity is None:
            raise StudyError(f"--epochs: the kind {self.name} has no parameter that counts steps.")
        if self.fidelity in assignments:
            raise StudyError(f"--epochs is --set {self.fidelity}=E; give one of both.")
        return {**assignments, self.fidelity: str(n_steps)}

    def max_steps(self, space: SearchSpace, fixed: Mapping[str, Scalar]) -> int | None:
        """Return the steps of the longest training of a study, None if its space does not say."""
        own = next((p for p in space.parameters if p.name == self.fidelity), None)
        if own is None:
            return None
        values = [fixed[own.name]] if own.name in fixed else own.values()
        return max(value for value in values if isinstance(value, int))


def digest(*parts: bytes | str) -> str:
    """Return a short digest of some contents, such as a data set's, for ``Data.fingerprint``."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else part)
        found.update(b"\0")
    return found.hexdigest()[:16]
