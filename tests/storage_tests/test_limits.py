"""What a server cannot hold is refused before anything is stored."""

import pytest

from storage.errors import StorageLimitError
from storage.limits import LONGEST, require_room, require_study_name

SQLITE, SERVER = "sqlite:///study.db", "postgresql+psycopg://me@db/studies"
LONG = "x" * (LONGEST + 1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (" ", "The name of a study must not be blank, but got ' '."),
        ("a\0", r"The name of a study must be text in UTF-8 without .* NUL, but got 'a\\x00'."),
        ("\udcff", r"The name of a study must be text in UTF-8 without .*, but got '\\udcff'."),
        (LONG, "The name of a study must have at most 512 characters, but got 513, which begin"),
    ],
)
def test_study(name: str, message: str) -> None:
    """A study's name is one for every database; the longest has 512 characters."""
    require_study_name(LONG[1:])
    with pytest.raises(StorageLimitError, match=message):
        require_study_name(name)


@pytest.mark.parametrize(
    "names",
    [{"attributes": [LONG], "parameters": []}, {"attributes": ["", " "], "parameters": ["\0"]}],
)
def test_others(names: dict[str, list[str]]) -> None:
    """What SQLite holds is refused only where another database is to take it."""
    require_room(SQLITE, study="s", **names)
    with pytest.raises(StorageLimitError, match=r"^The name of (an attribute|a parameter) must "):
        require_room(SERVER, study="s", **names)
