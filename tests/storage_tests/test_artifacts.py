"""Files of trials: where they lie, their order, and what is left when they are lost."""

import functools
import io
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage

from storage import attrs, queue
from storage.artifacts import (
    ArtifactFolder,
    adopt_unfinished,
    artifact_folder,
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
from storage.moving import delete_studies
from storage.rdb import open_storage
from storage.writing import write_trial
from tests.servers import at_once, opened


@pytest.fixture
def store(tmp_path: Path) -> ArtifactFolder:
    """A store in a folder that did not exist."""
    return open_artifacts(tmp_path / "new" / "artifacts")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database for all tests."""
    return f"sqlite:///{tmp_path_factory.mktemp('artifacts') / 'study.db'}"


@pytest.fixture
def study(url: str) -> Iterator[optuna.Study]:
    """A new study in that database."""
    with opened(url, create=True, write=True) as storage:
        yield optuna.create_study(storage=storage)


def running_trial(study: optuna.Study) -> optuna.Trial:
    """Start another trial."""
    return optuna.Trial(study, study._storage.create_new_trial(study._study_id))


def names(study: optuna.Study, number: int) -> list[str]:
    """Return the names of a trial's files, as the dashboard lists them."""
    storage, trial = study._storage, study.get_trials()[number]
    return [meta.filename for meta in get_all_artifact_meta(trial, storage=storage)]


def entry(artifact_id: str) -> dict[str, str]:
    """Return the attribute by which a file named ``a.png`` is known."""
    meta = {"artifact_id": artifact_id, "filename": "a.png", "mimetype": "image/png"}
    return {f"artifacts:{artifact_id}": json.dumps(meta | {"encoding": None})}


def test_file_of_a_study(study: optuna.Study, store: ArtifactFolder) -> None:
    """It comes back, a newer one replaces it, a lost one is none, an earlier name is found."""
    storage, key, folder = study._storage, study._study_id, store.folder
    read = functools.partial(read_study_artifact, store, storage, study.study_name)
    ((name, meta),) = entry(earlier := f"study-{key}-a.png").items()
    storage.set_study_system_attr(key, name, meta)
    (folder / earlier).write_bytes(b"earlier")
    assert read("a.png") == b"earlier"
    for content in (b"old", b"new"):
        save_study_artifact(store, storage, key, "a.png", content)
        assert read("a.png") == content
    (found,) = get_all_artifact_meta(study)
    assert found.mimetype == "image/png"
    store.remove(found.artifact_id)
    assert read("a.png") is read("b.png") is None
    assert (folder / earlier).read_bytes() == b"earlier"
    state = folder / "unfinished" / f"{key}-1-a.pt"
    write_bytes(state, b"state")
    for _ in range(2):
        adopt_unfinished(folder, study, "1-a")
        assert unfinished_path(folder, study, "1-a").read_bytes() == b"state"
    assert not state.exists()


def test_round_trip(study: optuna.Study, store: ArtifactFolder, url: str) -> None:
    """Other processes find each trial's files, in the order given, and only its own."""
    files = {"z.png": b"\x89PNG\x00", "empty": b"", "m.txt": b"text", "b.png": b"picture"}
    for _ in range(5):  # the files' keys are random
        save_artifacts(store, running_trial(study), files)
    save_artifacts(store, running_trial(study), {"z.png": b"other"})
    with opened(url) as storage:
        reader = optuna.load_study(study_name=study.study_name, storage=storage)
        *trials, other = (trial._trial_id for trial in reader.get_trials())
        read = functools.partial(read_artifact, open_artifacts(store.folder), storage)
        for number, trial_id in enumerate(trials):
            assert names(reader, number) == list(files)
            assert {name: read(trial_id, name) for name in files} == files
        assert (read(other, "z.png"), read(other, "empty")) == (b"other", None)


def test_ids_that_lead_elsewhere(study: optuna.Study, store: ArtifactFolder) -> None:
    """What is no regular file of the folder is the same as a lost one, for all that use it."""
    folder, storage = store.folder, study._storage
    outside = folder.with_name("mine")
    outside.write_bytes(b"mine" * 1000)
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    links = {"loop": "loop", "chain": "link", "near": "../mine", "up": "..", "own": "/dev/fd"}
    for name, target in (links | {"environ": "/proc/self/environ", "zero": "/dev/zero"}).items():
        (folder / name).symlink_to(target)
    special = sorted(path.name for path in folder.iterdir())
    wrong = ["../mine", str(outside), *special, "", ".", "link/", "a\0b", "x" * 300]
    for artifact_id in wrong:
        trial = running_trial(study)
        write_trial(trial, system_attrs=entry(artifact_id))
        assert read_artifact(store, storage, trial._trial_id, "a.png") is None
        assert clear_pictures(store, storage, trial._trial_id) == 0
        with pytest.raises((ArtifactNotFound, OSError)):
            store.write(artifact_id, io.BytesIO(b"theirs"))
    assert delete_studies(storage, [study.study_name], store) == len(special) - 1
    assert (folder / "folder").is_dir()
    assert outside.read_bytes() == b"mine" * 1000


def test_folder() -> None:
    """Files lie beside an SQLite file, else in one known folder, unless told otherwise."""
    assert artifact_folder("sqlite:///study.db") == Path("artifacts")
    assert artifact_folder("sqlite:////data/study.db") == Path("/data/artifacts")
    assert artifact_folder(server := "postgresql+psycopg://user@host/a") == Path("runs/artifacts")
    assert artifact_folder(server, Path("elsewhere")) == Path("elsewhere")


def test_all_get_the_same_uid(shared_storage: BaseStorage, shared_place: str) -> None:
    """Of several processes that ask at once for what names a study's files, none gets its own."""
    study = optuna.create_study(storage=shared_storage)
    (uids,) = at_once(shared_place, [lambda own: study_uid(own, study._study_id)] * 4)
    assert set(uids) == {study.user_attrs[attrs.UID]}
    assert study_uid(shared_storage, study._study_id) in uids


def test_two_databases_in_one_folder(store: ArtifactFolder, tmp_path: Path) -> None:
    """Every study has files of its own under every name, also those with one number."""
    folder, contents = store.folder, {"a.db": b"first", "b.db": b"second"}
    studies = {}
    for name, content in contents.items():
        storage = open_storage(f"sqlite:///{tmp_path / name}", create=True, write=True)
        study = studies[name] = optuna.create_study(storage=storage, study_name="study")
        save_study_artifact(store, storage, study._study_id, "a.png", content)
        write_bytes(unfinished_path(folder, study, "1-a"), content)
    assert len({study._study_id for study in studies.values()}) == 1
    for name, study in studies.items():
        assert read_study_artifact(store, study._storage, "study", "a.png") == contents[name]
        (state,) = unfinished_states(folder, study.user_attrs[attrs.UID]).values()
        assert (state.parent, state.read_bytes()) == (folder / "unfinished", contents[name])


def test_a_held_folder(tmp_path: Path) -> None:
    """One that was removed, replaced or cannot be made is named, and not made anew."""
    folder, elsewhere = tmp_path / "artifacts", tmp_path / "elsewhere"
    with held_folder(folder) as check:
        identity = folder_identity(folder)
        with held_folder(folder, identity) as check_of_another:
            check_of_another()
        folder.rename(elsewhere)
        with pytest.raises(ArtifactFolderError), held_folder(folder, identity):
            pass
        with pytest.raises(ArtifactFolderError, match=f"^Artifact folder {folder} was removed"):
            check()
        assert not folder.exists()
        folder.mkdir()
        with pytest.raises(ArtifactFolderError, match="removed or replaced"):
            check()
        folder.rmdir()
        elsewhere.rename(folder)
        check()
    assert list(folder.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StorageAccessError, match=r"folder .*/file cannot be created: .*\.$"):
        open_artifacts(tmp_path / "file")


def test_stand_ins(study: optuna.Study, store: ArtifactFolder, tmp_path: Path) -> None:
    """A trial that fails gets the same files as all others, but fails all the same without."""
    whole, dead, poor = (running_trial(study) for _ in range(3))
    save_artifacts(store, whole, dict.fromkeys(attrs.FILES, b"content"))
    (tmp_path / "file").touch()
    for trial, folder in ((whole, store.folder), (dead, store.folder), (poor, tmp_path / "file")):
        cause = queue.Cause.CONFIGURATION
        assert queue.fail(study, trial._trial_id, "why", cause, artifacts=folder)
    assert [names(study, i) for i in range(3)] == [[*attrs.FILES], [*attrs.FILES], []]
    for trial, content in ((whole, b"content"), (dead, no_picture())):
        file = attrs.RECONSTRUCTIONS_FILE
        assert read_artifact(store, study._storage, trial._trial_id, file) == content
    assert len(list(store.folder.iterdir())) == 2 * len(attrs.FILES)


def test_clear_pictures(study: optuna.Study, store: ArtifactFolder) -> None:
    """Pictures are replaced by a small one, once; curves and entries stay, as does a loss."""
    trial, storage = running_trial(study), study._storage
    files = {"a.png": b"x" * 50_000, "b.png": b"y" * 10_000, "c.csv": b"z" * 5_000}
    save_artifacts(store, trial, files)
    for freed in (60_000 - 2 * len(no_picture()), 0):
        assert clear_pictures(store, storage, trial._trial_id) == freed
        read = [read_artifact(store, storage, trial._trial_id, name) for name in files]
        assert read == [no_picture(), no_picture(), files["c.csv"]]
    for file in store.folder.iterdir():
        file.unlink()
    assert clear_pictures(store, storage, trial._trial_id) == 0
    assert read_artifact(store, storage, trial._trial_id, "a.png") is None
    assert names(study, 0) == list(files)
