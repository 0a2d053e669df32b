"""What a database holds is checked where it is read: one line, or the page without it."""

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage import attrs
from storage.importing import insert_study
from storage.rdb import close_all, open_storage
from storage.records import StudyRecord
from tests.conftest import Cli
from tests.study_tests.synthetic import CLASS_COUNTS, planted_multitask

DAMAGES = {
    "text": json.dumps("odd \x1b[31m text"),
    "number": "-17",
    "flag": "true",
    "list": '[1, "x", null]',
    "mapping": '{"a": {"b": 1}}',
    "null": "null",
    "nan": "NaN",
    "infinite": "-Infinity",
    "beyond floats": "1e999",
    "half a character": '"\\ud800 x"',
    "deep": "[" * 1000 + "]" * 1000,
    "nearly too deep": '{"a":' * 101 + "1" + "}" * 101,
    "no JSON": "{not",
    "nothing": "",
    "megabyte": json.dumps("x" * 1_000_000),
}
"""Values that may stand where we store others."""

COLUMNS = (
    "UPDATE trial_params SET distribution_json = '{x'",
    'UPDATE trial_params SET distribution_json = \'{"name": "Later", "attributes": {}}\'',
    "UPDATE trial_params SET param_value = NULL",
    "UPDATE trial_params SET param_value = 'abc'",
    "UPDATE trial_values SET value = NULL",
    "UPDATE trial_values SET value = 'abc'",
    "UPDATE trial_values SET value_type = 'LATER'",
    "UPDATE trial_values SET value = 1.7976931348623157e308 WHERE trial_id < 12",
    "UPDATE trial_values SET value = -1.7976931348623157e308 WHERE trial_id > 12",
    "UPDATE trial_intermediate_values SET intermediate_value = 'abc'",
    "UPDATE trial_intermediate_values SET step = -step",
    "UPDATE trial_intermediate_values SET step = step * 1000000000000",
    "UPDATE trials SET state = 'LATER' WHERE number = 4",
    "UPDATE trials SET datetime_start = 'yesterday' WHERE number = 4",
    "UPDATE trials SET datetime_start = '0001-01-01 00:00:00.000000'",
    "UPDATE trials SET datetime_complete = '1970-01-01 00:00:00.000000'",
    "UPDATE trials SET number = NULL WHERE number = 4",
    "UPDATE trials SET number = 3",
    "UPDATE study_directions SET direction = 'SIDEWAYS'",
    "DELETE FROM study_directions",
    *(
        "INSERT INTO study_system_attributes (study_id, key, value_json) "
        f"VALUES (1, 'study:metric_names', '{value}')"
        for value in ("17", '["a", "b", "c"]', "[[1]]")
    ),
    *(
        "INSERT INTO trial_system_attributes (trial_id, key, value_json) "
        f"SELECT trial_id, '{key}', '{value}' FROM trials"
        for key, value in (
            ("constraints", '"x"'),
            ("constraints", '["x", null]'),
            ("constraints:a", "[1]"),
            ("fixed_params", "17"),
            ("artifacts:x", "17"),
            ("artifacts:y", '{"artifact_id": "../../x", "filename": "reconstructions.png"}'),
        )
    ),
)

READERS: Sequence[Sequence[str]] = (
    ("list",),
    ("status", "--study", "s"),
    ("export", "--study", "s", "--curves", "--out", "t.csv"),
)
REPORT = ("report", "--study", "s", "--out", "r.html")
OTHERS: Sequence[Sequence[str]] = (
    ("list", "--json"),
    ("status", "--study", "s", "--json"),
    ("export", "--study", "s", "--curves", "--out", "t.parquet"),
    REPORT,
)


def all_that_is_stored() -> StudyRecord:
    """Return a study with every attribute that there is a name for; one trial has all of them."""
    made = planted_multitask(24)
    names = [v for name, v in vars(attrs).items() if name.isupper() and isinstance(v, str)]
    every: dict[str, Any] = dict.fromkeys(names, 1)
    told = {attrs.CLASS_COUNTS: CLASS_COUNTS, attrs.IMPORTED: {"file": "x.csv", "rows": 1}}
    first, *others = made.trials
    return replace(
        made,
        name="s",
        user_attrs={**every, **made.user_attrs, **told},
        trials=(replace(first, user_attrs={**every, **first.user_attrs}), *others),
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with such a study; only to be copied."""
    path = tmp_path_factory.mktemp("stored") / "study.db"
    storage = open_storage(f"sqlite:///{path}", create=True, write=True)
    insert_study(storage, all_that_is_stored())
    close_all()
    return path


def ends_well(cli: Cli, path: Path, *lines: Sequence[str]) -> None:
    """Check that each command ends in 0, or in 1 with one line; no text of a study is obeyed."""
    for line in lines:
        code, out, err = cli(line[0], "--storage", f"sqlite:///{path}", *line[1:])
        said = [text for text in err.splitlines() if text.startswith("Error: ")]
        assert (code, len(said)) in ((0, 0), (1, 1)), (line, err)
        assert "Traceback" not in err
        assert "\x1b" not in out + err
        assert max(map(len, said), default=0) < 2100
    close_all()


def damaged(stored: Path, folder: Path, *statements: tuple[str, Sequence[str]]) -> Path:
    """Return a copy of the database in which something was changed."""
    path = Path(shutil.copy(stored, folder / "study.db"))
    with closing(sqlite3.connect(path)) as connection:
        for statement, values in statements:
            connection.execute(statement, values)
        connection.commit()
    return path


def on_everything(value: str, key: str | None = None) -> list[tuple[str, Sequence[str]]]:
    """Return statements that put a value in the place of all attributes, or of one."""
    where = "" if key is None else " WHERE key = ?"
    few, some = " 1 = 1", " 1 = 1"
    if len(value) > 10_000:
        few, some = " trial_id = 1 AND key < 'd'", " key < 'd'"
    tables = ("trial_user_attributes", few), ("study_user_attributes", some)
    return [
        (
            f"UPDATE {table} SET value_json = ?{where or ' WHERE 1 = 1'} AND{which}",
            (value,) if key is None else (value, key),
        )
        for table, which in tables
    ]


@pytest.mark.parametrize("damage", DAMAGES)
def test_attributes(cli: Cli, stored: Path, tmp_path: Path, damage: str) -> None:
    """All attributes of trials, or all of the study, are another value than ours."""
    of_trials, of_study = on_everything(DAMAGES[damage])
    ends_well(cli, damaged(stored, tmp_path, of_trials), *READERS)
    ends_well(cli, damaged(stored, tmp_path, of_study), READERS[1])


@pytest.mark.whole
@pytest.mark.parametrize(
    "damage",
    [d if d == "half a character" else pytest.param(d, marks=pytest.mark.slow) for d in DAMAGES],
)
def test_attributes_on_a_page(cli: Cli, stored: Path, tmp_path: Path, damage: str) -> None:
    """A page is made without them."""
    trials, _ = on_everything(DAMAGES[damage])
    ends_well(cli, damaged(stored, tmp_path, trials), *OTHERS)


@pytest.mark.parametrize("statement", COLUMNS)
def test_columns(cli: Cli, stored: Path, tmp_path: Path, statement: str) -> None:
    """Optuna's own columns hold what it does not store there."""
    ends_well(cli, damaged(stored, tmp_path, (statement, ())), *READERS[1:])


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE trial_params SET param_value = 'abc' WHERE trial_id = 5", "(study 's', trial 4)"),
        ("UPDATE trial_values SET value = 'abc' WHERE trial_id = 3", "(study 's', trial 2)"),
        ("DELETE FROM study_directions", "(study 's'): there is no direction"),
        ("UPDATE trials SET state = 'LATER' WHERE number = 4", "(study 's'): 'LATER' is not"),
    ],
)
def test_place(cli: Cli, stored: Path, tmp_path: Path, statement: str, place: str) -> None:
    """Where that is, is said as far as it is known."""
    url = f"sqlite:///{damaged(stored, tmp_path, (statement, ()))}"
    assert (
        f"The database holds a value that Optuna does not store there {place}"
        in (cli("status", "--storage", url)[2])
    )
    close_all()


@pytest.mark.slow
@pytest.mark.parametrize("key", sorted(all_that_is_stored().trials[0].user_attrs))
def test_each_attribute_on_a_page(cli: Cli, stored: Path, tmp_path: Path, key: str) -> None:
    """One attribute alone is damaged."""
    for damage in ("list", "mapping", "infinite", "half a character"):
        ends_well(cli, damaged(stored, tmp_path, *on_everything(DAMAGES[damage], key)), REPORT)


@pytest.mark.slow
@pytest.mark.parametrize("statement", COLUMNS)
def test_columns_on_a_page(cli: Cli, stored: Path, tmp_path: Path, statement: str) -> None:
    """A page is made, or refused in a line."""
    ends_well(cli, damaged(stored, tmp_path, (statement, ())), READERS[0], *OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize("field", sorted(planted_multitask(1).user_attrs[attrs.SETTINGS]))
def test_settings(cli: Cli, stored: Path, tmp_path: Path, field: str) -> None:
    """One setting of a study of ours is another value than ours."""
    settings = all_that_is_stored().user_attrs[attrs.SETTINGS]
    for value in (17, [1, "x", None], {"a": {"b": 1}}, None, "x" * 100_000):
        text = json.dumps({**settings, field: value})
        statement = "UPDATE study_user_attributes SET value_json = ? WHERE key = 'settings'"
        ends_well(cli, damaged(stored, tmp_path, (statement, (text,))), *READERS[:2], REPORT)
