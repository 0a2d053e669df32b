"""What all workers of a study share, stored with it; knows no torch."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from optuna.storages import BaseStorage

from search_spaces import Scalar, SearchSpace
from storage import attrs
from study.errors import StudyError
from study.kinds import Kind, Source
from study.requests import DEFAULT_DATA_SEED, DEFAULT_SAMPLER, DEFAULT_SEED

IMPORTED = "imported"
"""Stands for the sampler in the settings of a study whose results come from a file."""
TRAINING = 1
"""Raised when this package's part in trainings, its seeds or its samplers give other results."""


def code_version() -> str:
    return importlib.metadata.version("emoji-study")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySettings:
    """Everything but the budget that decides what the trials of a study are.

    Args:
        fixed: Parameters with one value for all trials.
        seed: From 0; the sampler's and every trial's seed derive from it.
        data: Path of the data; None for what the kind brings along.
        data_fingerprint, sides: See ``kinds.Data``.
        split: One of the kind's ways to part the data.
        min_accuracy: A trial whose second metric is worse is infeasible; None for no constraint.
        pareto: Whether the second metric is a second objective.
        code_version, training: Of the package that created the study; see ``training_number``.
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
    min_accuracy: float | None
    pareto: bool
    sides: str
    code_version: str
    training: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """The data that the settings name."""
        path = None if self.data is None else Path(self.data)
        return Source(path=path, split=self.split, seed=self.data_seed, options=self.options)

    def space_in(self, kind: Kind) -> SearchSpace:
        return kind.space(self.space, self.source)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready; those with a default only where they differ from it."""
        values = asdict(self)
        options: dict[str, Any] = values.pop("options")
        defaults = {f.name: f.default for f in fields(self)}
        return {name: x for name, x in values.items() if x != defaults[name]} | options

    @classmethod
    def from_attrs(cls, user_attrs: Mapping[str, Any], *, study: str) -> Self:
        """Read the settings of a study; raise a StudyError if it was made by other means."""
        values = user_attrs.get(attrs.SETTINGS)
        names = {f.name for f in fields(cls)} - {"options"}
        if not isinstance(values, Mapping) or not names - {"training"} <= set(values):
            raise StudyError(
                f"Study {study!r} was not created by emoji-study: its settings are missing or "
                "have other fields."
            )
        options = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name not in names
        }
        return cls(**{n: values[n] for n in names & set(values)}, options=options)

    @classmethod
    def of_study(cls, storage: BaseStorage, study: str) -> Self | None:
        """Read the settings of a study; None if there is none of that name, or only its name."""
        try:
            study_id = storage.get_study_id_from_name(study)
        except KeyError:
            return None
        user_attrs = storage.get_study_user_attrs(study_id)
        if not user_attrs and not storage.get_n_trials(study_id):
            return None
        return cls.from_attrs(user_attrs, study=study)

    def require_training(self, kind: Kind, *, study: str) -> None:
        """Raise a StudyError unless this version trains as that which made the study."""
        for name in self.options:
            if name not in kind.options:
                raise StudyError(
                    f"Study {study!r} was made with emoji-study {self.code_version} and has a "
                    f"setting that is unknown here, {name!r}; install that version or start "
                    "another study."
                )
        here = replace(self, training=training_number(kind), code_version=code_version())
        self.require_equal(here, study=study)

    def require_equal(self, other: "StudySettings", *, study: str) -> None:
        """Raise a StudyError that names the first setting in which ``other`` differs.

        The path of the data may differ, and the version where its trainings are the same.
        """
        for own in fields(self):
            mine, theirs = getattr(self, own.name), getattr(other, own.name)
            if own.name in ("data", "code_version") or mine == theirs:
                continue
            if own.name == "training":
                raise StudyError(
                    f"Study {study!r} was made with emoji-study {self.code_version}, whose "
                    f"trainings give other results than those of {other.code_version}; install "
                    "that version or start another study."
                )
            names = [own.name]
            if own.name == "options":
                names = sorted(n for n in {**mine, **theirs} if mine.get(n) != theirs.get(n))
                mine, theirs = mine.get(names[0], ()), theirs.get(names[0], ())
            raise StudyError(
                f"Study {study!r} has {names[0]} {mine!r}, but got {theirs!r}; "
                "take another --study name to start afresh."
            )


def training_number(kind: Kind) -> int:
    """Return a number that is another one when trainings of a kind give other results."""
    return 1000 * (TRAINING - 1) + kind.training - 1


def default_settings(kind: Kind) -> StudySettings:
    """Return the settings of a study of which nothing is said; without data, yet."""
    return StudySettings(
        kind=kind.name,
        space=next(iter(kind.spaces)),
        fixed={},
        sampler=DEFAULT_SAMPLER,
        pruner="none",
        seed=DEFAULT_SEED,
        data=None,
        data_fingerprint="",
        split=kind.splits[0],
        data_seed=DEFAULT_DATA_SEED,
        min_accuracy=None,
        pareto=False,
        sides="",
        code_version=code_version(),
        training=training_number(kind),
    )
