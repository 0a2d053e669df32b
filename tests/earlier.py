"""Databases as earlier versions of Optuna left them, made by its own migrations."""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
from alembic import command
from alembic.config import Config

_SCRIPTS = Path(optuna.__file__).parent / "storages" / "_rdb" / "alembic"
_RANGE = '{"name": "UniformDistribution", "attributes": {"low": 0.0, "high": 1.0}}'
_CHOICE = '{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null]}}'
_INFINITE = 3.4028234663852886e38
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "version_info": [(1, 12, "2.6.0")],
    "studies": [(1, "old")],
    "study_directions": [(1, "MAXIMIZE", 1, 0)],
    "study_user_attributes": [(1, 1, "by", '"me"')],
    "trials (trial_id, number, study_id, state, datetime_start, datetime_complete)": [
        (n + 1, n, 1, state, f"2022-05-01 0{n}:00:00.000000", end)
        for n, (state, end) in enumerate(
            [
                *((state, "2022-05-01 09:00:00.250000") for state in ("COMPLETE", "COMPLETE")),
                *((state, "2022-05-01 09:00:00.000000") for state in ("PRUNED", "FAIL")),
                ("RUNNING", None),
            ]
        )
    ],
    "trial_values (trial_id, objective, value)": [
        *((1, 0, 0.5), (2, 0, -_INFINITE), (3, 0, 2.0)),
        (4, 0, None),  # as the upgrade from 2.4 left it
    ],
    "trial_params": [
        *((n, n, "x", n / 10, _RANGE) for n in (1, 2, 3, 5)),
        (6, 1, "y", 1.0, _CHOICE),
    ],
    "trial_user_attributes": [(1, 1, "note", '{"b": [1, null]}')],
    "trial_system_attributes": [(1, 1, "constraints", "[0.5]")],
    "trial_intermediate_values": [(1, 3, 0, 1.5), (2, 3, 7, _INFINITE), (3, 5, 0, 1.0)],
}
"""One study with trials of four states, as Optuna 2.6 stored them."""


def earlier_database(path: Path, version: str, *, filled: bool = True) -> None:
    """Create an SQLite file with the tables of a version, and a study."""
    if filled:
        upgrade(path, "v2.6.0.a")
        with closing(sqlite3.connect(path)) as database:
            for table, rows in ROWS.items():
                marks = ", ".join("?" * len(rows[0]))
                database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            database.commit()
    upgrade(path, version)


def upgrade(path: Path, version: str) -> None:
    """Bring an SQLite file, a new one too, to a version."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the ranges that it replaces
        command.upgrade(config, version)
