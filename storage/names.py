"""The names of stored studies, for who cannot wait: nothing slow is imported, nothing written."""

import sqlite3
from contextlib import closing
from pathlib import Path

_TIMEOUT_S = 1
_QUERY = "SELECT study_name FROM studies ORDER BY study_id"


def stored_names(url: str) -> list[str]:
    """Return the names of the studies in a database; raises whatever is wrong with it."""
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite":
        return _in_file(Path(path).resolve())
    import sqlalchemy

    from storage.urls import canonical

    timeout = {"connect_timeout": _TIMEOUT_S}
    engine = sqlalchemy.create_engine(
        canonical(url), connect_args=timeout, poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as connection:
        return [str(name) for (name,) in connection.execute(sqlalchemy.text(_QUERY))]


def _in_file(path: Path) -> list[str]:
    """Read a file; one without a write-ahead log as unchanging, for else SQLite would make one."""
    logged = all(path.with_name(path.name + end).exists() for end in ("-wal", "-shm"))
    uri = f"{path.as_uri()}?mode=ro{'' if logged else '&immutable=1'}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_TIMEOUT_S)) as connection:
        return [str(name) for (name,) in connection.execute(_QUERY)]
