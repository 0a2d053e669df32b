"""Storage URLs: what is accepted, what is refused, and that no message shows a password."""

from pathlib import Path

import pytest

from storage.errors import StorageUrlError
from storage.rdb import open_storage
from storage.urls import DEFAULT_SERVER_PORT, parse_url, redact, server_address, sqlite_path

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///study.db", Path("study.db")),
        ("sqlite:////tmp/a b/study.db", Path("/tmp/a b/study.db")),
        ("postgresql://user@host/database", None),
        ("postgresql+psycopg://user:word@host:5432/database", None),
        ("mysql+pymysql://user:word@host/database", None),
    ],
)
def test_supported(url: str, path: Path | None) -> None:
    """The three kinds of database are accepted, and only SQLite's has a file."""
    assert parse_url(url).database
    assert sqlite_path(url) == path


@pytest.mark.parametrize("url", ["", "study.db", "runs/study.db", "sqlite:/study.db"])
def test_malformed(url: str) -> None:
    """What is no URL is refused with an example of one."""
    with pytest.raises(
        StorageUrlError, match=r"^`storage` must be a database URL such as sqlite:///.*, but got "
    ) as caught:
        parse_url(url)
    assert repr(url) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["oracle://user@host/database", "redis://host/0", "x://y/z"])
def test_unsupported_backend(url: str) -> None:
    """Other databases are refused with the names of those that are not."""
    backend = url.partition(":")[0]
    with pytest.raises(
        StorageUrlError,
        match=rf"must be one of sqlite, postgresql, mysql, grpc, but got '{backend}'\.",
    ):
        parse_url(url)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://host", "postgresql://host/"]
)
def test_no_database(url: str) -> None:
    """A URL must name a database that outlives the process."""
    with pytest.raises(StorageUrlError, match=r"^`storage` must name a database, as in .*\.$"):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("grpc://host:7000", ("host", 7000)),
        ("grpc://127.0.0.1", ("127.0.0.1", DEFAULT_SERVER_PORT)),
        ("sqlite:///study.db", None),
        ("postgresql://user@host:5432/database", None),
    ],
)
def test_server_address(url: str, address: tuple[str, int] | None) -> None:
    """A server of a database has a host and a port, and no file; databases are none."""
    assert server_address(url) == address
    assert sqlite_path(url) is None or address is None


@pytest.mark.parametrize("url", ["grpc://", "grpc://host/database", "grpc://user:s3cret@host"])
def test_no_server(url: str) -> None:
    """The URL of a server is a host and a port, for it asks for nothing else."""
    with pytest.raises(
        StorageUrlError, match=r"^`storage` must name host and port of a server, as in grpc://host"
    ) as caught:
        parse_url(url)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_redact() -> None:
    """Only the password is masked."""
    shown = redact(f"postgresql+psycopg://user:{SECRET}@host:5432/database")
    assert shown == "postgresql+psycopg://user:***@host:5432/database"
    assert redact("sqlite:///study.db") == "sqlite:///study.db"


@pytest.mark.parametrize(
    "url",
    [
        "oracle://user:s3cret@host/database",
        "postgresql://user:s3cret@host",
        "mysql://user:s3cret@host/",
        "postgresql://user:s3cret@host:port/database",
        "postgresql://user:p@s3cret@host:port/database",
        "postgresql//user:s3cret@host/database",
        "://user:s3cret@host/database",
        "user:s3cret@host/database",
        "mysql://user:s3cret@[::1/database",
        "postgresql+nothing://user:s3cret@host/database",
        "mysql+nothing://user:s3cret@host/database",
    ],
)
def test_messages_mask_passwords(url: str) -> None:
    """No refusal shows the password, however wrong the URL is."""
    with pytest.raises(OSError if "nothing" in url else StorageUrlError, match="torage") as caught:
        open_storage(url)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://user@host/?password=s3cret", "postgresql://user:s3cret/database"],
    ids=["query", "no-host"],
)
def test_messages_mask_other_passwords(url: str) -> None:
    """A password as a query parameter, or before a forgotten host, is not shown either."""
    with pytest.raises(StorageUrlError, match="storage") as caught:
        parse_url(url)
    assert SECRET not in str(caught.value)
