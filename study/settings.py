"""What all workers of a study share, stored with it; knows no torch."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from optuna.storages import BaseStorage

from emoji_ae.config import SplitMethod
from search_spaces import Scalar, SearchSpace, get_space
from storage import attrs
from study.errors import StudyError

IMPORTED = "imported"
"""Stands for the sampler in the settings of a study whose results come from a file."""


def has_extra_images(data: Path | None, vendors: Sequence[str]) -> bool:
    """Whether a data set has images that are only trained on.

    Args:
        data: Its file; None for installed images.
        vendors: Whose installed images it has, as in ``StudySettings``.
    """
    return len(vendors) > (1 if data is None else 0)


def code_version() -> str:
    """Return the version of this package."""
    return importlib.metadata.version("emoji-study")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySettings:
    """Everything but the budget that decides what the trials of a study are.

    Args:
        kind: Kind of study, such as ``autoencoder``.
        space: Name of the search space.
        fixed: Parameters with one value for all trials.
        sampler: Name of the sampler or design.
        pruner: Name of the pruner.
        seed: Of the study, from 0; the sampler's and every trial's seed derive from it.
        data: Path of the data set file; None for the embedded images.
        data_fingerprint: Digest of the data set's content and of its split.
        split: How the data set is split, ``group`` or ``random``.
        data_seed: Of the split, which is drawn once.
        min_accuracy: Constraint of a multitask study: a trial whose kept weights classify a
            smaller share of the validation images is infeasible. None for no constraint.
        pareto: Whether validation accuracy is a second objective.
        sides: The split itself, one letter per image; see ``emoji_ae.splits.Split.sides``.
        code_version: Version of this package that created the study.
        vendors: Whose installed images are used: without a data set file, the first one's are the
            study's own; all others give extra training images. Empty for Google's alone, or for
            the file alone.
    """

    kind: str
    space: str
    fixed: Mapping[str, Scalar]
    sampler: str
    pruner: str
    seed: int
    data: str | None
    data_fingerprint: str
    split: SplitMethod
    data_seed: int
    min_accuracy: float | None
    pareto: bool
    sides: str
    code_version: str
    vendors: tuple[str, ...] = ()

    @property
    def search_space(self) -> SearchSpace:
        """The space itself."""
        has_extra = has_extra_images(self.data_path, self.vendors)
        return get_space(self.kind, self.space, has_extra=has_extra)

    @property
    def max_epochs(self) -> int:
        """The longest training that a trial may run, in epochs."""
        fixed = self.fixed.get("epoch")
        choices = [fixed] if fixed is not None else self.search_space.choices("epoch")
        return max(int(choice) for choice in choices)

    @property
    def data_path(self) -> Path | None:
        """Path of the data set file; None for the embedded images."""
        return None if self.data is None else Path(self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready; those with a default only where they differ from it.

        So a setting that is new in a version says nothing about the studies that do without it.
        """
        values = asdict(self)
        return {f.name: values[f.name] for f in fields(self) if values[f.name] != f.default}

    @classmethod
    def from_dict(cls, values: Any, *, study: str) -> Self:
        """Read what ``to_dict`` gave, also as JSON gives it back.

        Raises:
            StudyError: If the study was not created by this program, or by a later version.
        """
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or not needed <= set(values) <= names:
            raise StudyError(
                f"Study {study!r} was not created by this version of emoji-study: its settings "
                "are missing or have other fields."
            )
        return cls(**{**values, "vendors": tuple(values.get("vendors", ()))})

    @classmethod
    def from_attrs(cls, user_attrs: Mapping[str, Any], *, study: str) -> Self:
        """Read the settings among the user attributes of a study.

        Raises:
            StudyError: As ``from_dict``.
        """
        return cls.from_dict(user_attrs.get(attrs.SETTINGS), study=study)

    @classmethod
    def of_study(cls, storage: BaseStorage, study: str) -> Self | None:
        """Read the settings of a stored study; None if the storage has no such study.

        One that has nothing but a name counts as none: its creation was cut short.

        Raises:
            StudyError: As ``from_dict``.
        """
        try:
            study_id = storage.get_study_id_from_name(study)
        except KeyError:
            return None
        user_attrs = storage.get_study_user_attrs(study_id)
        if not user_attrs and not storage.get_n_trials(study_id):
            return None
        return cls.from_attrs(user_attrs, study=study)

    def require_this_version(self, *, study: str) -> None:
        """Raise a StudyError unless this process has the study's version of the code."""
        if self.code_version != code_version():
            raise StudyError(
                f"Study {study!r} was made with emoji-study {self.code_version}, but this is "
                f"{code_version()}; install that version or start another study."
            )

    def require_equal(self, other: "StudySettings", *, study: str) -> None:
        """Raise a StudyError that names the first setting in which ``other`` differs.

        The path of the data may differ, its content may not.
        """
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name != "data" and mine != theirs:
                raise StudyError(
                    f"Study {study!r} has {field.name} {mine!r}, but got {theirs!r}; "
                    "take another --study name to start afresh."
                )
