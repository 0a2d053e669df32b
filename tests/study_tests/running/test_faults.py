"""What goes wrong with databases, disks and users: one clear line, and nothing half-written."""

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from storage import attrs
from storage.artifacts import held_folder, open_artifacts, save_artifacts
from storage.errors import ArtifactFolderError, StorageError
from storage.rdb import close_all
from storage.records import StudyRecord, load_study_record
from study.cli import main
from study.running.worker import claims, run_trial
from study.settings import StudySettings
from tests.conftest import Wait
from tests.servers import new_database, opened, postgres_server
from tests.study_tests.studies import claim, objective_of, toy_run, url_of, wanting, when_trained

Outcome = Callable[[list[str]], tuple[int, str, str]]


def command(name: str, *options: str) -> list[str]:
    """Return the command line of a command."""
    return [sys.executable, "-m", "study", name, *options]


def run_command(url: str, toys: StudySettings, folder: Path, *options: str) -> list[str]:
    """Return a command that runs a toy study named ``study``."""
    return toy_run(url, toys.data, "--artifacts", str(folder / "artifacts"), *options)


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Outcome:
    """Return a function that runs a command in this process.

    It returns the exit code, output and errors, those of workers too.
    """

    def run(arguments: list[str]) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", arguments[2:])
        capfd.readouterr()
        with pytest.raises(SystemExit, match=r"^\d+$") as ended:
            main()
        close_all()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capfd.readouterr()

    return run


def refusal(ended: tuple[int, str, str]) -> str:
    """Return the only line that starts with ``Error:`` of a command that failed in one line."""
    code, _, errors = ended
    assert (code, "Traceback" in errors) == (1, False), errors
    (line,) = [line for line in errors.splitlines() if line.startswith("Error:")]
    return line


def read(url: str) -> StudyRecord:
    """Return the study named ``study``."""
    with opened(url) as storage:
        return load_study_record(storage, "study")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mount a file system in memory; skips where that is not allowed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change the options of a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_full_disk(tmp_path: Path, toys: StudySettings, outcome: Outcome) -> None:
    """A full disk ends the run with its reason; with more room, the same command completes it."""
    disk = tmp_path / "disk"
    with mounted(disk, "size=1m"):
        url = url_of(disk)
        arguments = run_command(url, toys, disk, "--trials", "16")
        assert re.search("full|No space left", refusal(outcome(arguments)))
        remount(disk, "size=64m")
        with closing(sqlite3.connect(disk / "study.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        code, _, errors = outcome(arguments)
        assert code == 0, errors
        states = [trial.state for trial in read(url).trials]
        assert states.count(TrialState.COMPLETE) == 16
        assert set(states) <= {TrialState.COMPLETE, TrialState.FAIL}


def test_read_only_folder(tmp_path: Path, toys: StudySettings, outcome: Outcome) -> None:
    """Nothing is created where nothing can be written; a study that is there can be read."""
    disk = tmp_path / "disk"
    arguments = run_command(url_of(disk), toys, tmp_path, "--trials", "1")
    with mounted(disk, "size=8m"):
        remount(disk, "ro")
        assert str(disk / "study.db") in refusal(outcome(arguments))
        assert not list(disk.iterdir())
        remount(disk, "rw")
        wanting(url_of(disk), toys, 100)
        close_all()
        remount(disk, "ro")
        assert "study.db" in refusal(outcome(arguments))
        code, output, errors = outcome(command("status", "--storage", url_of(disk)))
        assert code == 0, errors
        assert "0 of 100 trials finished" in output
        remount(disk, "rw")


@pytest.mark.parametrize(
    "block",
    [Path.touch, os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("x")],
)
def test_folder_that_takes_no_files(
    tmp_path: Path, toys: StudySettings, outcome: Outcome, block: Callable[[Path], object]
) -> None:
    """What is in the place of the artifact folder is named before anything is created."""
    folder = tmp_path / "artifacts"
    block(folder)
    arguments = run_command(url_of(tmp_path), toys, tmp_path, "--trials", "1")
    assert f"Artifact folder {folder} cannot be created: it is no" in refusal(outcome(arguments))
    assert not (tmp_path / "study.db").exists()


def test_folder_that_goes_away(tmp_path: Path, toys: StudySettings) -> None:
    """A training whose folder goes away is queued again as if never begun, and says why."""
    folder, there = tmp_path / "artifacts", tmp_path / "there"
    study = wanting(url_of(tmp_path), toys, 100)

    class Leaving(threading.Event):
        """Moves the folder when a training first asks whether to stop."""

        def is_set(self) -> bool:
            if folder.exists():
                folder.rename(there)
            return False

    with held_folder(folder) as check_folder:
        objective = replace(objective_of(toys, folder), check_folder=check_folder)
        trial = claim(study)
        with pytest.raises(ArtifactFolderError, match="was removed or replaced: put back the one"):
            run_trial(study, trial, objective, Leaving())
        assert not folder.exists()
        with pytest.raises(ArtifactFolderError):
            next(claims(study, threading.Event(), folder, check_folder=check_folder))
        there.rename(folder)
        run_trial(study, claim(study), objective, threading.Event())
    failed, again = study.get_trials()[-2:]
    assert (failed.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert str(folder) in failed.user_attrs[attrs.FAILURE]
    assert again.user_attrs[attrs.RETRY_OF] == failed.number
    for counter in (attrs.ERRORS, attrs.DEATHS):
        assert again.user_attrs.get(counter) == failed.user_attrs.get(counter)


def test_full_artifact_folder(tmp_path: Path, toys: StudySettings) -> None:
    """Of files for which there is no room none is left, and the trial has no entry of any."""
    disk = tmp_path / "disk"
    study = wanting(url_of(tmp_path), toys)
    with mounted(disk, "size=64k"):
        store = open_artifacts(disk)
        trial = claim(study)
        files = {"a.png": bytes(30_000), "b.png": bytes(30_000), "c.csv": bytes(30_000)}
        with pytest.raises(ArtifactFolderError, match=r"takes no files \(No space left"):
            save_artifacts(store, trial, files)
        assert list(disk.iterdir()) == []
        assert get_all_artifact_meta(trial) == []
        with held_folder(disk) as check_folder:
            (disk / "a.png").write_bytes(bytes(30_000))
            with pytest.raises(ArtifactFolderError, match="takes no files"):
                check_folder()


def test_gone_while_running(
    tmp_path: Path, toys: StudySettings, wait_until: Wait, outcome: Outcome
) -> None:
    """A run whose database goes away ends with the one line that says so."""
    (tmp_path / "data" / "slow").touch()
    options = ("--trials", "1", "--set", "rounds=2000")
    arguments = run_command(url_of(tmp_path), toys, tmp_path, *options)

    def remove() -> None:
        for path in tmp_path.glob("study.db*"):  # with its log
            path.unlink()

    with when_trained(tmp_path, wait_until, remove):
        ended = outcome(arguments)
    assert "study.db was removed or moved away" in refusal(ended)
    assert "everything is kept" not in "".join(ended[1:])


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A PostgreSQL server on which the role ``guest`` needs the password ``right``."""
    with postgres_server() as running:
        running.psql("CREATE ROLE guest LOGIN PASSWORD 'right'; ALTER ROLE guest CREATEDB;")
        rules = running.pgdata / "pg_hba.conf"
        rules.write_text("local all guest scram-sha-256\n" + rules.read_text())
        running.psql("SELECT pg_reload_conf();")
        yield running


def test_passwords(server: Any, tmp_path: Path, toys: StudySettings, outcome: Outcome) -> None:
    """It is refused in one line that does not show it; the right one reads, and creates."""
    right = new_database(server, "secret").replace("postgres:@", "guest:right@")
    server.psql("ALTER DATABASE secret OWNER TO guest;")
    wrong = right.replace(":right@", ":hunter2@")
    for name, *options in (("worker", "--study", "s"), ("list",)):
        ended = outcome(command(name, "--storage", wrong, *options))
        assert "password authentication failed" in refusal(ended)
        assert "hunter2" not in "".join(ended[1:])
    said = refusal(outcome(command("list", "--storage", right)))
    assert "`emoji-study run` creates it" in said
    arguments = run_command(right, toys, tmp_path, "--trials", "1")
    code, output, errors = outcome(arguments)
    assert code == 0, errors
    assert "right" not in output + errors
    dump = server.psql("SELECT value_json FROM secret.public.study_user_attributes;")
    assert "right@" not in dump


def test_server_that_is_not_started_yet(server: Any, tmp_path: Path, toys: StudySettings) -> None:
    """A run that comes before its server says what it waits for, and goes on when it is there."""
    url = new_database(server, "later")
    server.stop()
    with subprocess.Popen(
        run_command(url, toys, tmp_path, "--trials", "1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said = next((line for line in process.stdout if line.startswith("The storage is")), "")
        server.start()
        rest = process.stdout.read()
    assert "waiting up to 120 s for it" in said
    assert process.returncode == 0, rest
    assert "1 of 1 trials finished" in rest


@pytest.mark.slow
def test_restart(server: Any, tmp_path: Path, toys: StudySettings, wait_until: Wait) -> None:
    """Workers whose server goes away wait for it, say so, and finish the study exactly."""
    url = new_database(server, "restarted")
    (tmp_path / "data" / "slow").touch()
    options = ("--trials", "12", "--workers", "2", "--set", "rounds=60")
    run = run_command(url, toys, tmp_path, *options)
    with subprocess.Popen(run, stderr=subprocess.PIPE, text=True) as process:

        def has_begun() -> bool:
            with suppress(StorageError):
                return sum(trial.finished for trial in read(url).trials) >= 2
            return False

        wait_until(has_begun)
        server.stop()
        lines = iter(process.stderr.readline, "")
        said = next(line for line in lines if "The storage is away" in line)
        server.start()
        rest = process.stderr.read()
        process.wait()
    assert process.returncode == 0, rest
    assert "next attempt in" in said
    record = read(url)
    finished = [trial for trial in record.trials if trial.finished]
    assert len(finished) == 12
    assert sorted(t.user_attrs[attrs.DESIGN_INDEX] for t in finished) == list(range(12))
    assert {len(trial.intermediate_values) for trial in finished} == {60}
