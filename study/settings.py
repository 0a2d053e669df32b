"""What all workers of a study share, stored with it; knows no torch."""

import importlib.metadata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

from search_spaces import SearchSpace
from storage import attrs
from storage.values import Settings, read_as
from study.errors import StudyError
from study.kinds import Kind, Source
from study.requests import DEFAULT_DATA_SEED, DEFAULT_SAMPLER, DEFAULT_SEED

IMPORTED = "imported"
"""Stands for the sampler in the settings of a study whose results come from a file."""
TRAINING = 1
"""Raised when this package's part in trainings, its seeds or its samplers give other results."""


def code_version() -> str:
    return importlib.metadata.version("emoji-study")


class StudySettings(Settings):
    """The settings of a study that is run, with what they lead to."""

    __slots__ = ()

    @property
    def source(self) -> Source:
        """The data that the settings name."""
        path = None if self.data is None else Path(self.data)
        return Source(path=path, split=self.split, seed=self.data_seed, options=self.options)

    def space_in(self, kind: Kind) -> SearchSpace:
        return kind.space(self.space, self.source)

    @classmethod
    def from_attrs(cls, user_attrs: Mapping[str, Any], *, study: str) -> Self:
        """Read the settings of a study; raise a StudyError if it was made by other means."""
        if attrs.SETTINGS not in user_attrs:
            raise StudyError(
                f"Study {study!r} was not made by `emoji-study run`; this command is only for "
                "studies that were."
            )
        with suppress(ValueError):
            values = user_attrs[attrs.SETTINGS]
            found = read_as(cls, values)
            if {"min_accuracy", "pareto"} <= values.keys():  # else of the first versions
                return found
        raise StudyError(
            f"Study {study!r} was not created by emoji-study: its settings are missing or "
            "have other fields."
        )

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
            names = [_SAID.get(own.name, own.name)]
            if own.name == "options":
                names = sorted(n for n in {**mine, **theirs} if mine.get(n) != theirs.get(n))
                mine, theirs = mine.get(names[0], ()), theirs.get(names[0], ())
            raise StudyError(
                f"Study {study!r} has {names[0]} {mine!r}, but got {theirs!r}; "
                "take another --study name to start afresh."
            )


_SAID = {"min_accuracy": "bound (--at-least, --at-most)"}
"""How settings are called that have another name in records."""


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
        sides="",
        code_version=code_version(),
        training=training_number(kind),
    )
