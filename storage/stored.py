"""What a database holds, whoever wrote it and whatever befell it since."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from storage.errors import StorageDamagedError, StorageError
from storage.internals import models

MAX_DEPTH = 100
"""Levels of lists in lists that are read as such; what would go through more of them may fail."""


def decode(text: str) -> Any:
    """Return what a text says; the text itself where it is no JSON, or nested deeper than 100.

    Half a character, as JSON can hold and no file can, becomes the sign of a damaged one.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _whole(text)
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        return _whole(text)
    if "\\ud" in text or "\\uD" in text:  # each half of a pair, or one alone
        return json.loads(_whole(json.dumps(value, ensure_ascii=False)))
    return value


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [inner for outer in level for inner in _inside(outer)]:
        depth += 1
    return depth


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


_ILLEGIBLE = (
    *(ArithmeticError, AssertionError, LookupError),
    *(RecursionError, TypeError, ValueError),
)


@dataclass(slots=True)
class Place:
    """What is being read: a study by its name, a trial by its number."""

    study: str | None = None
    trial: int | None = None


@contextmanager
def legible(study: str | None = None) -> Iterator[Place]:
    """Make one error of all that reading damaged columns ends in; what is gone stays a KeyError.

    Whoever reads keeps the place up to date, as far as it is known.

    Raises:
        StorageDamagedError: With the place, and the first line of what went wrong.
    """
    place = Place(study)
    try:
        yield place
    except StorageDamagedError as error:
        error.study = error.study or place.study
        raise
    except _ILLEGIBLE as error:
        if isinstance(error, StorageError) or models.NOT_FOUND_MSG in str(error):
            raise
        told = " ".join(str(error).split())[:200] or type(error).__name__
        raise StorageDamagedError(told, place.study, place.trial) from error
