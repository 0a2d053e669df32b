"""What a shell completes, asked by a real bash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.names import stored_names
from storage.rdb import close_all, open_storage
from study.settings import StudySettings
from tests.study_tests.studies import open_study

BASH = r"""
eval "$(_EMOJI_STUDY_COMPLETE=bash_source emoji-study)"
for COMP_LINE in "$@"; do
    COMPREPLY=() COMP_POINT=${#COMP_LINE}
    _emoji_study_completion emoji-study
    (IFS=$'\t'; echo "${COMPREPLY[*]}")
done
"""
STATUS = "emoji-study status --storage"


def completed(folder: Path, *lines: str, storage: str) -> list[list[str]]:
    """Return what bash offers at the end of each line."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", *lines],
        cwd=folder,
        env={**os.environ, "PATH": path, "EMOJI_STUDY_STORAGE": storage},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split("\t") if line else [] for line in done.stdout.splitlines()]


@pytest.mark.whole
def test_bash_completes(tmp_path: Path, settings: StudySettings) -> None:
    """Commands, options, choices and stored names; what cannot be read completes to nothing."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    storage = open_storage(url, create=True)
    for name in ("first", "faces", "loss vs size"):
        open_study(storage, name, settings)
    lines = (
        *("emoji-study sta", "emoji-study run autoencoder --sam"),
        *("emoji-study run autoencoder --device cu", "emoji-study report --study fa"),
        *("emoji-study report --study first --study ", "emoji-study copy --to x --study fi"),
        *(
            f"{STATUS} {url} --study l",
            f"{STATUS} {url} --study loss\\ ",
            f"{STATUS} {url} --study 'l",
        ),
        *(f"{STATUS} {url} --study f", f"{STATUS} sqlite:///none.db --study "),
        *(f"{STATUS} grpc://nowhere:1 --study ", f"{STATUS} nothing --study "),
    )
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert completed(tmp_path, *lines, storage=url) == [
        *(["status"], ["--sampler"]),
        *(["cuda"], ["faces"]),
        *(["first", "faces", r"loss\ vs\ size"], ["first"]),
        *([r"loss\ vs\ size"], [r"loss\ vs\ size"], ["loss vs size"]),
        *(["first", "faces"], [], [], []),
    ]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_names_of_any_database(database: str, settings: StudySettings) -> None:
    """A server is asked as well as a file."""
    open_study(open_storage(database, create=True), "one", settings)
    assert stored_names(database) == ["one"]
    close_all()
