"""What Optuna's tables cannot hold, told before anything is stored.

SQLite takes texts of any length; a server ends in an error, or cuts them.
"""

import re
from collections.abc import Iterable

from storage.errors import StorageLimitError
from storage.internals import models
from storage.urls import parse_url

LONGEST = int(models.MAX_INDEXED_STRING_LENGTH)
"""Characters of the name of a study, a parameter or an attribute."""
_NOWHERE_STORED = re.compile("[\0\ud800-\udfff]")


def require_study_name(name: str) -> None:
    """Raise a StorageLimitError unless a study can have a name in every database."""
    if not name.strip():
        raise StorageLimitError(f"The name of a study must not be blank, but got {name!r}.")
    require_names("a study", [name])


def require_names(what: str, names: Iterable[str]) -> None:
    """Raise a StorageLimitError unless every database can hold names.

    Args:
        what: What they name, with an article.
    """
    for name in names:
        if _NOWHERE_STORED.search(name):
            raise StorageLimitError(
                f"The name of {what} must be text in UTF-8 without the character NUL, but got "
                f"{name[:40]!r}."
            )
        if len(name) > LONGEST:
            raise StorageLimitError(
                f"The name of {what} must have at most {LONGEST} characters, but got "
                f"{len(name):,}, which begin {name[:40]!r}."
            )


def require_room(
    url: str, *, study: str, attributes: Iterable[str], parameters: Iterable[str]
) -> None:
    """Raise a StorageLimitError unless a database can hold a study with such names."""
    require_study_name(study)
    if parse_url(url).get_backend_name() != "sqlite":
        require_names("an attribute", set(attributes))
        require_names("a parameter", set(parameters))
