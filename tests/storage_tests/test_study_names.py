"""Names of studies: as files they lead nowhere, fit and stay apart; a server can hold them."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import StorageLimitError
from storage.file_names import file_name
from storage.limits import LONGEST, require_room, require_study_name
from tests.conftest import Cli
from tests.study_tests.dashboards import add_trials, begin_study
from tests.study_tests.studies import toy_settings, url_of

ODD = [
    *("", ".", "..", "/", "../../evil x", "/etc/passwd", "a/b", "a\\b", ".hidden", "a\0b", "a\nb"),
    *("\x1b[31mred", "\ud800", "x" * 300, "\U0001f600" * 100, "a/b" * 200),
]


def test_names_that_can_be_files_stay() -> None:
    """What was written under such a name before is found again, and no two share a file."""
    fit = ["faces", "exp 1: 50 %", "é", "a.b", "😀", "x" * 140]
    assert [file_name(name) for name in fit] == fit
    alike = [*fit, *ODD, "a_b", "a_b_c", "_", "study", "x" * 299, "hidden"]
    assert len({file_name(name) for name in alike}) == len(alike)


@given(st.one_of(st.text(), st.sampled_from(ODD)))
def test_any_name_is_one_part_of_a_path(name: str) -> None:
    """It can be written, hides nothing, and leaves room for what is put around it."""
    made = file_name(name)
    assert Path(made).name == made
    assert not made.startswith(".")
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in made)
    assert len(os.fsencode(made)) <= 150


def test_paths_of_commands(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train` and `report` of a study that is named like a path stay in their folders."""
    settings, name = toy_settings(tmp_path), "../../../evil x"
    add_trials(begin_study(tmp_path, settings, name), tmp_path, settings, 1)
    home = tmp_path / "deep" / "home"
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    before = set(tmp_path.iterdir())
    for command in ("train --trial 1", "report"):
        code, _, err = cli(*command.split(), "--storage", url_of(tmp_path), "--study", name)
        assert code == 0, err
    assert set(tmp_path.iterdir()) == before
    assert list(home.parent.iterdir()) == [home]
    (folder,) = (home / "runs" / "train").iterdir()
    assert (folder / "metrics.json").is_file()
    assert [file.suffix for file in (home / "runs").iterdir() if file.is_file()] == [".html"]


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
