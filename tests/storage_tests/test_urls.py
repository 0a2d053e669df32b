"""Storage URLs: what is accepted, what is refused, and that no message shows a password."""

import os
import re
from pathlib import Path

import optuna
import pytest

from storage.errors import StorageAccessError, StorageUrlError
from storage.rdb import open_storage
from storage.records import study_names
from storage.urls import canonical, for_others, parse_url, redact, server_address, sqlite_path


def test_supported() -> None:
    """Three kinds of database, of which SQLite has a file, and a server that has none."""
    for url, path, address in (
        ("sqlite:////tmp/a b/study.db", Path("/tmp/a b/study.db"), None),
        ("postgresql+psycopg://user:word@host:5432/database", None, None),
        ("mysql+pymysql://user:word@host/database", None, None),
        ("grpc://host:7000", None, ("host", 7000)),
        ("grpc://127.0.0.1", None, ("127.0.0.1", 13000)),
    ):
        assert (sqlite_path(url), server_address(url)) == (path, address)
        assert canonical(url) == url


MALFORMED = r"^`storage` must be a database URL.* sqlite:///.*, but got "
NAMELESS = r"^`storage` must name a database such as .*\.$"
NO_SERVER = r"^`storage` must name host and port of a server, as in grpc://host"
UNKNOWN = r"must be one of sqlite, postgresql, mysql, grpc, journal, but got 'oracle'\.$"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        *((url, MALFORMED + re.escape(repr(url))) for url in ("", "study.db", "sqlite:/study.db")),
        *((url, NAMELESS) for url in ("sqlite://", "sqlite:///:memory:")),
        *((url, NO_SERVER) for url in ("grpc://", "grpc://host/database", "grpc://u:s3cret@host")),
        ("oracle://user:s3cret@host/database", UNKNOWN),
        ("postgres://user:s3cret@host/database", r"'postgres'; write postgresql\+psycopg\.$"),
        ("pythonic://user:s3cret@host/database", r"but got 'pythonic'\.$"),
        ("postgresql://user:s3cret@host", NAMELESS),
        ("postgresql://user:p@s3cret@host:port/database", MALFORMED),
        ("postgresql//user:s3cret@host/database", MALFORMED),
        ("://user:s3cret@host/database", MALFORMED),
        ("mysql://user:s3cret@[::1/database", MALFORMED),
        ("postgresql://user@host/?password=s3cret", NAMELESS),
        ("postgresql://user:s3cret/database", "storage"),
    ],
)
def test_refused(url: str, message: str) -> None:
    """A refusal says in one line what a URL is like, and no password, however wrong the URL is."""
    with pytest.raises(StorageUrlError, match=message) as caught:
        parse_url(url)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_driver() -> None:
    """A driver that is not installed, or that nobody knows, is named; the password is not."""
    for scheme, said in (
        ("postgresql+psycopg2", r"driver .*not installed: pip install 'WHEEL\[postgres\]', with"),
        ("mysql+mysqldb", r"driver .*not installed: pip install 'WHEEL\[mysql\]', with"),
        ("mysql+nothing", "torage"),
    ):
        with pytest.raises(StorageAccessError, match=said) as caught:
            open_storage(f"{scheme}://user:s3cret@host/database")
        assert f"{scheme}://user:***@host/database" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_others_may_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No password and no folder of this machine."""
    monkeypatch.chdir(tmp_path)
    for url, told in (
        ("postgresql://u:s3cret@host/db?password=s3cret", "postgresql://u@host/db"),
        ("postgresql://u@host/db?options=-c app.token=s3cret", "postgresql://u@host/db"),
        ("postgresql://u@host/db?options=-csearch_path=a", None),
        ("sqlite:///runs/study.db", "sqlite:///runs/study.db"),
        (f"sqlite:///{tmp_path}/runs/study.db", "sqlite:///runs/study.db"),
        ("sqlite:////elsewhere/study.db", "sqlite:///study.db"),
    ):
        assert for_others(url) == (told or "postgresql://u@host/db?options=-csearch_path%3Da")
        assert "s3cret" not in redact(url)


@pytest.mark.parametrize(
    "name",
    [*("h#ash", "what?", "100%", "p%41", "a b", "x=1&y", "é#?%20"), *("a;b+", "50%25", "'a:b@c")],
)
def test_paths_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A file is found under its own path, in a folder of any name, and told in one that works."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    url = f"sqlite:///{name}/study.db"
    assert sqlite_path(url) == Path(name, "study.db")
    optuna.create_study(storage=open_storage(url, create=True, write=True), study_name="s")
    assert os.listdir(tmp_path / name)[0].startswith("study.db")
    for told in (url, canonical(url), redact(url), for_others(url)):
        assert study_names(open_storage(told)) == ["s"]
    assert sqlite_path("sqlite:///none%20such/a.db?timeout=9") == Path("none such/a.db")
    for never in (f"{'n' * 300}/?", "\0/?"):  # what no file can be called is read as it stands
        assert parse_url(f"sqlite:///{never}").database == never.removesuffix("?")
    assert parse_url(f"sqlite:///{tmp_path}/a.db?timeout=9").query == {"timeout": "9"}
