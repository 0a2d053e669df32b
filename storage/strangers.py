"""What a file or a server is that was taken for a database, and what copies its study to one."""

import codecs
import json
import os
import shlex
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

_FROM_PICKLE = (
    "import joblib, optuna; s = joblib.load({path}); c = optuna.create_study("
    'storage="sqlite:///study.db", study_name=s.study_name, directions=s.directions); '
    "s.metric_names and c.set_metric_names(s.metric_names); c.add_trials(s.trials); "
    "[c.set_user_attr(*pair) for pair in s.user_attrs.items()]"
)
_FROM_REDIS = (
    "from optuna import copy_study, storages as s; copy_study(from_study_name={name}, "
    "from_storage=s.JournalStorage(s.journal.JournalRedisBackend({url})), "
    'to_storage="sqlite:///study.db")'
)
_PICKLE = (
    *(b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    # Compressed by joblib with zlib, gzip, bzip2, xz, lzma and lz4.
    *(b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b", b"BZh"),
    *(b"\xfd7zXZ", b"\x5d\x00\x00", b"\x04\x22\x4d\x18"),
)
_SQLITE = b"SQLite format 3\0"
_IMPORT = "`emoji-study import-csv {path} --storage {database}` makes a study of"
_OTHERS: Mapping[bytes, str] = {
    b"redis": "is a dump of Redis. Start the server with it; `emoji-study list --storage "
    "redis://localhost` then says how to copy a study of Optuna from there.",
    b"par1": f"is a Parquet table, and no database; {_IMPORT} one that tells trials.",
    b"<!doctype html>": "is a page; of a report of emoji-study `emoji-study report --from {path}` "
    "reads the study.",
    _SQLITE.lower(): "is an SQLite database; `--storage sqlite:///{path}` reads it.",
}
"""What files are, by how they begin, in small letters."""
_TABLES = (".csv", ".tsv", ".txt")
_SEPARATORS = (",", ";", "\t")
_BEGINNING = 1000  # bytes


def describe_file(path: Path) -> str | None:
    """Say what a file is, in words that follow its name, and what helps; None if nobody knows."""
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    if beginning.startswith(_PICKLE):
        command = _python(_FROM_PICKLE, path=str(path))
        return (
            "looks like a pickle, such as joblib.dump(study, ...) writes, which is not read, for "
            f"that runs what is in it. If you trust it, `{command}` copies its study into SQLite."
        )
    known = (what for mark, what in _OTHERS.items() if beginning.lower().startswith(mark))
    what = next(known, None) or _describe_text(beginning, table=path.suffix.lower() in _TABLES)
    database = f"sqlite:///{path.with_suffix('.db')}"
    return what and what.format(path=shlex.quote(str(path)), database=shlex.quote(database))


def _describe_text(beginning: bytes, *, table: bool) -> str | None:
    try:  # the last character may be cut
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return None
    if any(character < " " and not character.isspace() for character in text):
        return None
    head = text.partition("\n")[0]
    if table and any(mark in head for mark in _SEPARATORS):
        return f"is a text, and no database; {_IMPORT} a table of trials."
    return "is a text, and no database."


def near(path: Path) -> str:
    """Name files that are called nearly like one that is not there; begins behind a sentence."""
    folder = path.parent
    if not folder.is_dir():
        return f", nor does the folder {folder}: --storage says where studies lie"
    databases = (file.name for file in folder.iterdir() if _may_be_storage(file))
    found = [str(folder / name) for name in get_close_matches(path.name, databases)]
    return f"; there {'is' if len(found) == 1 else 'are'} {' and '.join(found)}" if found else ""


def _may_be_storage(path: Path) -> bool:
    """Whether a file begins as a database or a journal does."""
    if not path.is_file() or not os.access(path, os.R_OK):
        return False
    with path.open("rb") as file:
        beginning = file.read(len(_SQLITE))
    return beginning == _SQLITE or beginning.startswith(b"{")


def describe_redis(url: str) -> str:
    """Say what to do with a journal of Optuna's on a Redis server."""
    return (
        "Redis is not read. Where Optuna keeps a journal there, "
        f"`{_python(_FROM_REDIS, name='NAME', url=url)}` copies a study into SQLite."
    )


def _python(script: str, **texts: str) -> str:
    """Return a command that runs a script with these texts in it."""
    quoted = {name: json.dumps(text) for name, text in texts.items()}
    return shlex.join(["python", "-c", script.format(**quoted)])
