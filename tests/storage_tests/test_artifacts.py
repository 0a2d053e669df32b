"""Files of trials: where they lie, their order, and what is left when they are lost."""

import io
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import ArtifactMeta, get_all_artifact_meta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from storage import attrs, queue
from storage.artifacts import (
    ArtifactFolder,
    adopt_unfinished,
    artifact_folder,
    artifact_ids,
    clear_pictures,
    folder_identity,
    held_folder,
    no_picture,
    open_artifacts,
    read_artifact,
    read_study_artifact,
    save_artifacts,
    save_study_artifact,
    study_uid,
    unfinished_path,
    unfinished_states,
)
from storage.errors import ArtifactFolderError, StorageAccessError
from storage.files import write_bytes
from storage.rdb import open_storage
from storage.records import TrialRecord, to_record
from storage.writing import write_trial
from tests.servers import opened


@pytest.fixture
def store(tmp_path: Path) -> ArtifactFolder:
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


def entry(artifact_id: str) -> tuple[str, str]:
    """Return the attribute by which a file named ``a.png`` is known, its key and its value."""
    meta = ArtifactMeta(
        artifact_id=artifact_id, filename="a.png", mimetype="image/png", encoding=None
    )
    return f"artifacts:{artifact_id}", json.dumps(asdict(meta))


def test_file_of_a_study(study: optuna.Study, store: ArtifactFolder) -> None:
    """It comes back, a newer one takes its place, and a lost one is none."""
    storage, study_id, name = study._storage, study._study_id, study.study_name
    assert read_study_artifact(store, storage, name, "a.png") is None
    for content in (b"old", b"new"):
        save_study_artifact(store, storage, study_id, "a.png", content)
        assert read_study_artifact(store, storage, name, "a.png") == content
    (meta,) = get_all_artifact_meta(study)
    assert (meta.filename, meta.mimetype) == ("a.png", "image/png")
    assert read_study_artifact(store, storage, name, "b.png") is None
    store.remove(meta.artifact_id)
    assert read_study_artifact(store, storage, name, "a.png") is None


def test_round_trip(study: optuna.Study, store: ArtifactFolder, url: str) -> None:
    """Other processes find each trial's files, in the order given, and only its own."""
    files = {"z.png": b"\x89PNG\x00", "empty": b"", "m.txt": b"text", "b.png": b"picture"}
    for _ in range(5):  # the files' keys are random
        save_artifacts(store, running_trial(study), files)
    other = running_trial(study)
    save_artifacts(store, other, {"z.png": b"other"})
    study.tell(0, 0.5)
    with opened(url) as reader:
        again = open_artifacts(store.folder)
        for number in range(5):
            trial = record(study, number)
            assert names(reader, trial) == list(files)
            found = {name: read_artifact(again, reader, trial.trial_id, name) for name in files}
            assert found == files
        assert read_artifact(again, reader, other._trial_id, "z.png") == b"other"
        assert read_artifact(again, reader, other._trial_id, "empty") is None


@pytest.mark.parametrize(
    "artifact_id",
    ["../mine", "{outside}", "x/../../mine", "folder", "link", "pipe", "", ".", "a\0b", "x" * 300],
)
def test_ids_that_lead_elsewhere(
    study: optuna.Study, store: ArtifactFolder, artifact_id: str
) -> None:
    """What is no regular file of the folder is the same as a lost one, for all that use it."""
    folder = store.folder
    outside = folder.with_name("mine")
    outside.write_bytes(b"mine" * 1000)
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    artifact_id = artifact_id.format(outside=outside)
    trial = running_trial(study)
    write_trial(trial, system_attrs=dict([entry(artifact_id)]))
    assert read_artifact(store, study._storage, trial._trial_id, "a.png") is None
    assert clear_pictures(store, study._storage, trial._trial_id) == 0
    assert artifact_ids(study._storage, study._study_id) == [artifact_id]
    with pytest.raises((ArtifactNotFound, OSError)):
        store.write(artifact_id, io.BytesIO(b"theirs"))
    assert outside.read_bytes() == b"mine" * 1000


def test_folder() -> None:
    """Files lie beside an SQLite file, else in one known folder, unless told otherwise."""
    for url, folder in (
        ("sqlite:///study.db", "artifacts"),
        ("sqlite:///runs/demo/study.db", "runs/demo/artifacts"),
        ("sqlite:////data/study.db", "/data/artifacts"),
        ("postgresql+psycopg://user@host/database", "runs/artifacts"),
        ("mysql+pymysql://user@host/database", "runs/artifacts"),
    ):
        assert artifact_folder(url) == Path(folder)
        assert artifact_folder(url, Path("elsewhere")) == Path("elsewhere")


def test_all_get_the_same_uid(shared_storage: BaseStorage, shared_place: str) -> None:
    """Of several processes that ask at once for what names a study's files, none gets its own."""
    barrier = threading.Barrier(4)
    study = optuna.create_study(storage=shared_storage)

    def ask(_: int) -> str:
        with opened(shared_place, write=True) as own:
            barrier.wait()
            return study_uid(own, study._study_id)

    with ThreadPoolExecutor(4) as pool:
        uids = set(pool.map(ask, range(4)))
    assert uids == {study.user_attrs[attrs.UID]} == {study_uid(shared_storage, study._study_id)}


def test_two_databases_in_one_folder(store: ArtifactFolder, tmp_path: Path) -> None:
    """Every study has files of its own under every name, also those with one number."""
    urls = [f"sqlite:///{tmp_path / name}" for name in ("a.db", "b.db")]
    storages = [open_storage(url, create=True, write=True) for url in urls]
    studies = [optuna.create_study(storage=storage, study_name="study") for storage in storages]
    folder = store.folder
    assert studies[0]._study_id == studies[1]._study_id
    all_of = [*studies, optuna.create_study(storage=storages[0])]
    paths = [unfinished_path(folder, s, name) for s in all_of for name in ("1-a", "1-b")]
    assert len(set(paths)) == 6
    assert {path.parent for path in paths} == {folder / "unfinished"}
    again = optuna.load_study(study_name="study", storage=open_storage(urls[0]))
    assert unfinished_path(folder, again, "1-a") == paths[0]
    for study, content in zip(studies, (b"first", b"second"), strict=True):
        save_study_artifact(store, study._storage, study._study_id, "a.png", content)
        write_bytes(unfinished_path(folder, study, "1-a"), content)
    for study, content in zip(studies, (b"first", b"second"), strict=True):
        assert read_study_artifact(store, study._storage, "study", "a.png") == content
        (state,) = unfinished_states(folder, study.user_attrs[attrs.UID]).values()
        assert state.read_bytes() == content


def test_files_of_an_earlier_version(study: optuna.Study, store: ArtifactFolder) -> None:
    """Under their names of then they are found; a state is moved, the file of a study stays."""
    storage, study_id, folder = study._storage, study._study_id, store.folder
    earlier = f"study-{study_id}-a.png"
    storage.set_study_system_attr(study_id, *entry(earlier))
    (folder / earlier).write_bytes(b"earlier")
    assert read_study_artifact(store, storage, study.study_name, "a.png") == b"earlier"
    save_study_artifact(store, storage, study_id, "a.png", b"new")
    assert read_study_artifact(store, storage, study.study_name, "a.png") == b"new"
    assert len(get_all_artifact_meta(study)) == 1
    assert (folder / earlier).read_bytes() == b"earlier"  # perhaps another database's by now
    state = folder / "unfinished" / f"{study_id}-1-a.pt"
    write_bytes(state, b"state")
    for _ in range(2):
        adopt_unfinished(folder, study, "1-a")
        assert unfinished_path(folder, study, "1-a").read_bytes() == b"state"
    assert not state.exists()


def test_a_held_folder(tmp_path: Path) -> None:
    """One that was removed, replaced by another or by a file is named, and not made anew."""
    folder, elsewhere = tmp_path / "artifacts", tmp_path / "elsewhere"
    with held_folder(folder) as check:
        check()
        identity = folder_identity(folder)
        with held_folder(folder, identity) as check_of_another:
            check_of_another()
        folder.rename(elsewhere)
        with pytest.raises(ArtifactFolderError), held_folder(folder, identity):
            pass
        with pytest.raises(ArtifactFolderError, match=f"^Artifact folder {folder} was removed"):
            check()
        assert not folder.exists()
        for make, remove in ((Path.touch, Path.unlink), (Path.mkdir, Path.rmdir)):
            make(folder)
            with pytest.raises(ArtifactFolderError, match="removed or replaced"):
                check()
            remove(folder)
        elsewhere.rename(folder)
        check()
    assert list(folder.iterdir()) == []


def test_folder_below_a_file(tmp_path: Path) -> None:
    """A folder that cannot be created is refused in one line."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "artifacts"):
        with pytest.raises(
            StorageAccessError, match=r"^Artifact folder .*file.* cannot be created: .*\.$"
        ):
            open_artifacts(folder)


def test_stand_ins(study: optuna.Study, store: ArtifactFolder, tmp_path: Path) -> None:
    """A trial that fails gets the same files as all others, but fails all the same without."""
    whole, dead, poor = (running_trial(study) for _ in range(3))
    save_artifacts(store, whole, dict.fromkeys(attrs.FILES, b"content"))
    (tmp_path / "file").touch()
    folders = (store.folder, store.folder, tmp_path / "file")
    for trial, folder in zip((whole, dead, poor), folders, strict=True):
        cause = queue.Cause.CONFIGURATION
        assert queue.fail(study, trial._trial_id, "why", cause, artifacts=folder)
    storage = study._storage
    assert [trial.state for trial in study.get_trials()] == [TrialState.FAIL] * 3
    assert [names(storage, record(study, i)) for i in range(3)] == [[*attrs.FILES]] * 2 + [[]]
    assert read_artifact(store, storage, whole._trial_id, attrs.CURVES_FILE) == b"content"
    found = read_artifact(store, storage, dead._trial_id, attrs.RECONSTRUCTIONS_FILE)
    assert found == no_picture()
    assert len(list(store.folder.iterdir())) == 2 * len(attrs.FILES)


def test_clear_pictures(study: optuna.Study, store: ArtifactFolder) -> None:
    """Pictures are replaced by a small one, once; curves and entries stay, as does a loss."""
    trial = running_trial(study)
    files = {"a.png": b"x" * 50_000, "b.png": b"y" * 10_000, "c.csv": b"z" * 5_000}
    save_artifacts(store, trial, files)
    study.tell(trial, 0.5)
    before = names(study._storage, record(study, 0))
    freed = clear_pictures(store, study._storage, trial._trial_id)
    assert freed == 60_000 - 2 * len(no_picture())
    assert clear_pictures(store, study._storage, trial._trial_id) == 0
    assert names(study._storage, record(study, 0)) == before
    read = [read_artifact(store, study._storage, trial._trial_id, name) for name in files]
    assert read == [no_picture(), no_picture(), files["c.csv"]]
    for file in store.folder.iterdir():
        file.unlink()
    assert clear_pictures(store, study._storage, trial._trial_id) == 0
    assert names(study._storage, record(study, 0)) == before
    assert read_artifact(store, study._storage, trial._trial_id, "a.png") is None


def test_pictures_are_cleared_by_several_at_once(
    study: optuna.Study, store: ArtifactFolder
) -> None:
    """Runs that end together clean the same pictures, and none trips over another's files."""
    trials = [running_trial(study) for _ in range(30)]
    for trial in trials:
        save_artifacts(store, trial, {"a.png": b"x" * 50_000})
    barrier = threading.Barrier(8)

    def clear(_: int) -> None:
        barrier.wait()
        for trial in trials:
            clear_pictures(store, study._storage, trial._trial_id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(clear, range(8)))
    files = list(store.folder.iterdir())
    assert [file.read_bytes() for file in files] == [no_picture()] * 30
