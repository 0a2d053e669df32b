"""Files of trials: where they lie, their order, and what is left when they are lost."""

from pathlib import Path

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta
from optuna.storages import BaseStorage

from storage.artifacts import (
    artifact_folder,
    open_artifacts,
    read_artifact,
    save_artifacts,
    unfinished_path,
)
from storage.errors import StorageAccessError
from storage.rdb import open_storage
from storage.records import TrialRecord, to_record


@pytest.fixture
def store(tmp_path: Path) -> FileSystemArtifactStore:
    """A store in a folder that did not exist."""
    return open_artifacts(tmp_path / "new" / "artifacts")


@pytest.fixture
def study(url: str) -> optuna.Study:
    """A new study in a database."""
    return optuna.create_study(storage=open_storage(url, create=True, write=True))


def running_trial(study: optuna.Study) -> optuna.Trial:
    """Start another trial."""
    return optuna.Trial(study, study._storage.create_new_trial(study._study_id))


def record(study: optuna.Study, number: int) -> TrialRecord:
    """Read one trial."""
    return to_record(study.get_trials()[number])


def names(storage: BaseStorage, trial: TrialRecord) -> list[str]:
    """Return the names of a trial's files, as the dashboard lists them."""
    frozen = storage.get_trial(trial.trial_id)
    return [meta.filename for meta in get_all_artifact_meta(frozen, storage=storage)]


def test_round_trip(study: optuna.Study, store: FileSystemArtifactStore) -> None:
    """Every trial's files come back as they were, and only its own."""
    first, second = running_trial(study), running_trial(study)
    save_artifacts(store, first, {"a.png": b"\x89PNG\x00", "empty": b""})
    save_artifacts(store, second, {"a.png": b"other"})
    storage = study._storage
    assert read_artifact(store, storage, record(study, 0).trial_id, "a.png") == b"\x89PNG\x00"
    assert read_artifact(store, storage, record(study, 0).trial_id, "empty") == b""
    assert read_artifact(store, storage, record(study, 1).trial_id, "a.png") == b"other"
    assert read_artifact(store, storage, record(study, 1).trial_id, "empty") is None


def test_read_after_the_end(
    study: optuna.Study, store: FileSystemArtifactStore, tmp_path: Path, url: str
) -> None:
    """Another process finds the files of a finished trial by the database alone."""
    trial = running_trial(study)
    save_artifacts(store, trial, {"curve.csv": b"epoch\n0\n"})
    study.tell(trial, 0.5)
    reader = open_storage(url)
    again = open_artifacts(tmp_path / "new" / "artifacts")
    assert read_artifact(again, reader, record(study, 0).trial_id, "curve.csv") == b"epoch\n0\n"


def test_order(study: optuna.Study, store: FileSystemArtifactStore) -> None:
    """The files of a trial are listed in the order in which they were given."""
    expected = ["z.png", "a.csv", "m.txt", "b.png"]
    for _ in range(5):  # the files' keys are random
        save_artifacts(store, running_trial(study), {name: name.encode() for name in expected})
    for number in range(5):
        assert names(study._storage, record(study, number)) == expected


def test_lost_file(study: optuna.Study, store: FileSystemArtifactStore, tmp_path: Path) -> None:
    """An entry whose file is gone is the same as no entry."""
    save_artifacts(store, running_trial(study), {"a.png": b"content"})
    (file,) = (tmp_path / "new" / "artifacts").iterdir()
    file.unlink()
    assert names(study._storage, record(study, 0)) == ["a.png"]
    assert read_artifact(store, study._storage, record(study, 0).trial_id, "a.png") is None


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("sqlite:///study.db", Path("artifacts")),
        ("sqlite:///runs/demo/study.db", Path("runs/demo/artifacts")),
        ("sqlite:////data/study.db", Path("/data/artifacts")),
        ("postgresql+psycopg://user@host/database", Path("runs/artifacts")),
        ("mysql+pymysql://user@host/database", Path("runs/artifacts")),
    ],
)
def test_folder(url: str, folder: Path) -> None:
    """Files lie beside an SQLite file, else in one known folder, unless told otherwise."""
    assert artifact_folder(url) == folder
    assert artifact_folder(url, Path("elsewhere")) == Path("elsewhere")


def test_unfinished_path(study: optuna.Study, url: str) -> None:
    """Every training of every study has a path of its own, the same for each attempt at it."""
    folder = Path("artifacts")
    other = optuna.create_study(storage=open_storage(url, write=True))
    paths = [unfinished_path(folder, s, name) for s in (study, other) for name in ("1-a", "1-b")]
    assert len(set(paths)) == 4
    assert {path.parent for path in paths} == {folder / "unfinished"}
    again = optuna.load_study(study_name=study.study_name, storage=open_storage(url))
    assert unfinished_path(folder, again, "1-a") == paths[0]


def test_folder_below_a_file(tmp_path: Path) -> None:
    """A folder that cannot be created is refused in one line."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "artifacts"):
        with pytest.raises(
            StorageAccessError, match=r"^Artifact folder .*file.* cannot be created: .*\.$"
        ):
            open_artifacts(folder)
