"""Databases as earlier versions of Optuna left them, made by its own migrations."""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
from alembic import command
from alembic.config import Config

_RANGE = '{"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.0}}'
_CHOICE = '{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null]}}'
_INFINITE = 3.4028234663852886e38
_ENDS = {"COMPLETE": "2022-05-01 09:00:00.250000", "PRUNED": "2022-05-01 09:00:00.000000"}
_STATES = ("COMPLETE", "COMPLETE", "PRUNED", "FAIL", "RUNNING")
_ROWS: dict[str, list[tuple[Any, ...]]] = {
    "version_info": [(1, 12, "2.6.0")],
    "studies": [(1, "old")],
    "study_directions": [(1, "MAXIMIZE", 1, 0)],
    "study_user_attributes": [(1, 1, "by", '"me"')],
    "trials (trial_id, number, study_id, state, datetime_start, datetime_complete)": [
        (n + 1, n, 1, state, f"2022-05-01 0{n}:00:00.000000", _ENDS.get(state))
        for n, state in enumerate(_STATES)
    ],
    # The upgrade from 2.4 left a value that is none.
    "trial_values (trial_id, objective, value)": [
        *((1, 0, 0.5), (2, 0, -_INFINITE), (3, 0, 2.0), (4, 0, None))
    ],
    "trial_params": [*((n, n, "x", n / 10, _RANGE) for n in (1, 3, 5)), (6, 1, "y", 1.0, _CHOICE)],
    "trial_user_attributes": [(1, 1, "note", '{"b": [1, null]}')],
    "trial_system_attributes": [(1, 1, "constraints", "[0.5]")],
    "trial_intermediate_values": [(1, 3, 0, 1.5), (2, 3, 7, _INFINITE), (3, 5, 0, 1.0)],
}
"""One study with trials of four states, as Optuna 2.6 stored them."""


def earlier_database(path: Path, version: str) -> None:
    """Create an SQLite file with the tables of a version from 2.6 on, and a study."""
    upgrade(path, "v2.6.0.a")
    with closing(sqlite3.connect(path)) as database:
        for table, rows in _ROWS.items():
            marks = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        database.commit()
    upgrade(path, version)


def upgrade(path: Path, version: str) -> None:
    """Bring an SQLite file, a new one too, to a version."""
    config = Config()
    scripts = Path(optuna.__file__).parent / "storages" / "_rdb" / "alembic"
    config.set_main_option("script_location", str(scripts))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the ranges that it replaces
        command.upgrade(config, version)
