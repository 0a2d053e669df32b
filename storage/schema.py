"""What a database holds, looked at without changing it: whose tables, and of which version.

Optuna itself creates tables, or notes a version, in whatever it opens.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy

from storage.internals import models

CURRENT = "v3.2.0.a"
_READABLE = ("v2.6.0.a", "v3.0.0.a", "v3.0.0.b", "v3.0.0.c", "v3.0.0.d")
OLDEST_WITH_REPORTS, REPORTS = "v2.4.0.a", models.TrialIntermediateValueModel.__tablename__
_OLD = ("v0.9.0.a", "v1.2.0.a", "v1.3.0.a", OLDEST_WITH_REPORTS)
_TABLES = frozenset({*models.BaseModel.metadata.tables, "alembic_version"})
_HEARTBEATS = models.TrialHeartbeatModel.__tablename__  # came later, and no upgrade makes it
_COLUMNS = {"trial_values": "value_type", "trial_intermediate_values": "intermediate_value_type"}
"""Of each table one that came later."""


_OWN = {"studies": "study_id", "trials": "trial_id"}
"""Of tables whose names others use as well, a column that Optuna's have."""


class State(enum.Enum):
    """What a database can be used for."""

    EMPTY = "there is nothing yet"
    FOREIGN = "all is another program's"
    PARTIAL = "somebody is creating the tables, or was killed while he did"
    OLD = "of Optuna 2.5 or older, to be upgraded"
    READABLE = "of Optuna 2.6 to 3.1, to be read as it is"
    CURRENT = "of Optuna 3.2 or later, to be read and written"
    LATER = "of an Optuna that is not known here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What there is of Optuna's tables.

    Args:
        version: As Optuna's migrations name it, empty if it had none yet, None without Optuna.
        lacking: Tables and columns that the current version has, and this one has not.
        alike: Whether those that have a name of Optuna's have its columns, too.
    """

    tables: frozenset[str] = frozenset()
    version: str | None = None
    lacking: frozenset[str] = frozenset()
    alike: bool = True

    @property
    def state(self) -> State:
        """What the database can be used for."""
        if self.version in ("", *_OLD):
            return State.OLD
        if self.version is not None and self.tables | {_HEARTBEATS} >= _TABLES:
            known = {CURRENT: State.CURRENT} | dict.fromkeys(_READABLE, State.READABLE)
            return known.get(self.version, State.LATER)
        if not self.tables:
            return State.EMPTY
        return State.PARTIAL if self.tables <= _TABLES and self.alike else State.FOREIGN


def read_schema(url: str, options: Mapping[str, object]) -> Schema:
    """Look at a database, with ``options`` of its driver."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args={**options})
    with engine.connect() as connection:
        inspector = sqlalchemy.inspect(connection)
        tables = frozenset(inspector.get_table_names())
        found = {
            table: {column["name"] for column in inspector.get_columns(table)}
            for table in (*_OWN, *_COLUMNS)
            if table in tables
        }
        version = None
        if "alembic_version" in tables:
            query = sqlalchemy.text("SELECT version_num FROM alembic_version")
            version = connection.execute(query).scalar()
        elif {"version_info", "studies"} <= tables and "direction" in found["studies"]:
            version = ""
    lacking = {column for table, column in _COLUMNS.items() if column not in found.get(table, ())}
    return Schema(
        tables=tables,
        version=version,
        lacking=frozenset(lacking | ({_HEARTBEATS} - tables)),
        alike=all(column in found.get(table, {column}) for table, column in _OWN.items()),
    )
