"""Storage URLs: which storages are supported, what a URL means, how to show it."""

import os
import re
import shlex
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import StorageUrlError
from storage.strangers import describe_redis

BACKENDS = ("sqlite", "postgresql", "mysql")
SERVER_SCHEME = "grpc"
JOURNAL_SCHEME = "journal"
FILES = ("sqlite", JOURNAL_SCHEME)
DEFAULT_SERVER_PORT = 13000

_SECRET = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
_OPTIONS = frozenset({"timeout", "immutable", "uri"})
"""Of the URL of a file; SQLAlchemy would ignore others."""
_SHORTHAND = re.compile(r"~|\$|%\w+%|[A-Za-z]:[\\/]|\\\\")
"""How a path begins that a shell, or another system, would read otherwise."""
_HARMLESS = re.compile(r"[\w./ -]*")
EXAMPLE = "sqlite:///runs/study.db or postgresql+psycopg://user@host/database"


def parse_url(url: str) -> URL:
    """Read a storage URL; a StorageUrlError if it is malformed or its database not supported.

    What would have to be escaped in the path of a file (``?``, ``%``) need not be where that
    file, or such a folder, exists.
    """
    try:
        parsed = _as_written(url) or make_url(url)
    except (ArgumentError, ValueError):
        raise StorageUrlError(
            f"`storage` must be a database URL{_meant(url)}, but got {_shown(url)!r}."
        ) from None
    if parsed.drivername == SERVER_SCHEME:
        if not parsed.host or parsed.database or parsed.username:
            raise StorageUrlError(
                f"`storage` must name host and port of a server, as in "
                f"{SERVER_SCHEME}://host:{DEFAULT_SERVER_PORT}, but got {redact(url)!r}."
            )
        return parsed
    if parsed.drivername in ("redis", "rediss"):
        raise StorageUrlError(describe_redis(redact(url)))
    known = (*BACKENDS, SERVER_SCHEME, JOURNAL_SCHEME)
    if parsed.get_backend_name() not in known:
        raise StorageUrlError(
            f"`storage` must be one of {', '.join(known)}, but got {parsed.get_backend_name()!r}"
            f"{'; write postgresql+psycopg' if parsed.drivername == 'postgres' else ''}."
        )
    if not parsed.database or parsed.database == ":memory:":
        raise StorageUrlError(
            f"`storage` must name a database{_meant(url)}, but got {redact(url)!r}."
        )
    if parsed.get_backend_name() in FILES:
        _require_file(parsed, url)
    return parsed


def _require_file(parsed: URL, url: str) -> None:
    """Raise a StorageUrlError if a file's URL says what would not be done."""
    path, odd = Path(str(parsed.database)), sorted(set(parsed.query) - _OPTIONS)
    if parsed.drivername not in (*FILES, "sqlite+pysqlite"):
        rule = "have no driver but SQLite's own"
    elif odd or ("uri" in parsed.query) != ("immutable" in parsed.query):
        rule = f"have no option {(odd or ['uri'])[0]!r}"
    elif _SHORTHAND.match(str(path)) and not Path(path.parts[0]).exists():
        rule = "have its path written out"
    else:
        return
    raise StorageUrlError(f"`storage` must {rule}, but got {_shown(url)!r}.")


def _as_written(url: str) -> URL | None:
    """Return the URL of a file that exists under just this path, None for all others."""
    scheme, _, path = url.partition(":///")
    if scheme not in FILES or not {"?", "%"} & set(path):
        return None
    try:
        odd_folder = {"?", "%"} & set(os.path.dirname(path)) and Path(path).parent.is_dir()
        known = bool(odd_folder) or Path(path).is_file()
    except (OSError, ValueError):
        return None
    return URL.create(scheme, database=path) if known else None


def canonical(url: str) -> str:
    """Return a URL with its path escaped, as SQLAlchemy takes it; raises as ``parse_url``."""
    return parse_url(url).render_as_string(hide_password=False)


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite URL, None for other databases; raises as ``parse_url``."""
    parsed = parse_url(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def journal_path(url: str) -> Path | None:
    """Return the file of a journal's URL, None for other URLs; raises as ``parse_url``."""
    parsed = parse_url(url)
    return Path(str(parsed.database)) if parsed.drivername == JOURNAL_SCHEME else None


def file_path(url: str) -> Path | None:
    """Return the file that a storage is, None for a server; raises as ``parse_url``."""
    return sqlite_path(url) or journal_path(url)


def server_address(url: str) -> tuple[str, int] | None:
    """Return host and port of a database's server (``storage.served``), None for other URLs."""
    parsed = parse_url(url)
    if parsed.drivername != SERVER_SCHEME:
        return None
    return str(parsed.host), parsed.port or DEFAULT_SERVER_PORT


def redact(url: str) -> str:
    """Return ``url`` with its password masked, fit to be shown or stored."""
    parsed = _as_written(url) or make_url(url)
    masked = parsed.update_query_dict(dict.fromkeys(_secret(parsed), "***"))
    return masked.render_as_string(hide_password=True)


def _secret(parsed: URL) -> list[str]:
    """Return the options of a URL that name a secret, or a setting of the server that is one."""
    named = {
        name: f"{name} {value if name == 'options' else ''}"
        for name, value in parsed.query.items()
    }
    return [name for name, words in named.items() if _SECRET.search(words)]


def for_others(url: str) -> str:
    """Return ``url`` as it can be given to others: no password, no folder of this machine.

    The path of a file is relative to the current folder, or its bare name elsewhere.
    """
    path, parsed = file_path(url), parse_url(url)
    if path is None:
        shown = URL.create(
            parsed.drivername, parsed.username, None, parsed.host, parsed.port, parsed.database
        )
        secret = _secret(parsed)
        open_to_all = {k: v for k, v in parsed.query.items() if k not in secret}
        return shown.update_query_dict(open_to_all).render_as_string()
    if path.is_absolute():
        here = Path.cwd()
        path = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
    return f"{parsed.get_backend_name()}:///{path}"


def _meant(url: str) -> str:
    """Return the option that names a file that somebody may mean, or else examples."""
    path = re.sub("^sqlite:/{0,2}", "", url)
    named = _HARMLESS.fullmatch(path) and path.strip("/. ")
    meant = shlex.join(["--storage", f"sqlite:///{path}"])
    return f", for that file {meant}" if named else f" such as {EXAMPLE}"


def _shown(url: str) -> str:
    """Return a malformed URL without what may hold credentials: all behind its scheme."""
    if url.startswith("sqlite:") or _HARMLESS.fullmatch(url):
        return url
    scheme, _, _ = url.partition("://")
    return f"{scheme}://…" if _HARMLESS.fullmatch(scheme) else "…"
