"""Files of trials (pictures, curves) in Optuna's artifact store, where its dashboard looks."""

import functools
import io
import json
import mimetypes
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import optuna
from optuna.artifacts import ArtifactMeta, FileSystemArtifactStore, get_all_artifact_meta
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX, DEFAULT_MIME_TYPE
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage

from storage import attrs
from storage.errors import StorageAccessError
from storage.urls import sqlite_path
from storage.writing import write_trial


def artifact_folder(url: str, override: Path | None = None) -> Path:
    """Return where a storage's artifacts lie: beside an SQLite file, else ``runs/artifacts``."""
    if override is not None:
        return override
    path = sqlite_path(url)
    return (path.parent if path is not None else Path("runs")) / "artifacts"


def open_artifacts(folder: Path) -> FileSystemArtifactStore:
    """Open the artifact store in ``folder``, which is created where it does not exist.

    Raises:
        StorageAccessError: If the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageAccessError(
            f"Artifact folder {folder} cannot be created: {error.strerror}."
        ) from None
    return FileSystemArtifactStore(folder)


def unfinished_path(folder: Path, study: optuna.Study, training: str) -> Path:
    """Return where the state of an unfinished training is kept, beside the artifacts.

    Args:
        folder: Of the artifact store.
        study: That the training belongs to.
        training: Names it within the study, the same for every attempt at it.
    """
    return folder / "unfinished" / f"{study._study_id}-{training}.pt"


def model_path(folder: Path, study_id: int, number: int) -> Path:
    """Return where the trained model of a trial is kept until it has been tested.

    Args:
        folder: Of the artifact store.
        study_id: The database's key of the study that the trial belongs to.
        number: Of the trial.
    """
    return folder / "models" / f"{study_id}-{number}.pt"


def save_artifacts(
    store: FileSystemArtifactStore, trial: optuna.Trial, files: Mapping[str, bytes]
) -> None:
    """Attach files to a running trial, in their order.

    The dashboard's gallery shows the same position of every trial, so all trials must attach
    the same names in the same order.

    Args:
        store: Where the contents go.
        trial: A running trial.
        files: Contents by file name.
    """
    # Optuna stores the entry first, and a worker that dies in between leaves an entry
    # without a file, at which the dashboard fails.
    write_trial(trial, system_attrs=_write_files(store, files))


def stand_ins(store: FileSystemArtifactStore) -> dict[str, str]:
    """Write files that stand in for those of a trial that ended without any.

    The dashboard offers no gallery at all where the first trial has no files.

    Returns:
        Their entries, which belong into the trial's system attributes.
    """
    contents = {
        name: no_picture() if name.endswith(".png") else b"no epoch was finished\n"
        for name in attrs.FILES
    }
    return _write_files(store, contents)


def clear_pictures(store: FileSystemArtifactStore, storage: BaseStorage, trial_id: int) -> int:
    """Replace the pictures of a trial by one that says that they are gone.

    Returns:
        By how many bytes the files became smaller.
    """
    empty, freed = no_picture(), 0
    frozen = storage.get_trial(trial_id)
    for meta in get_all_artifact_meta(frozen, storage=storage):
        path = Path(store._base_path) / meta.artifact_id
        if meta.mimetype != "image/png" or not path.exists():
            continue
        saved = path.stat().st_size - len(empty)
        if saved > 0:
            beside = path.with_suffix(".new")
            beside.write_bytes(empty)
            beside.replace(path)  # whoever looks at it meanwhile sees one or the other
            freed += saved
    return freed


@functools.cache
def no_picture() -> bytes:
    """Return a small PNG that says that there is no picture."""
    return resources.files("storage").joinpath("no_picture.png").read_bytes()


def read_artifact(
    store: FileSystemArtifactStore, storage: BaseStorage, trial_id: int, name: str
) -> bytes | None:
    """Return a trial's file; None if the trial has none of that name, or it was lost."""
    frozen = storage.get_trial(trial_id)
    for meta in get_all_artifact_meta(frozen, storage=storage):
        if meta.filename == name:
            return _content(store, meta.artifact_id)
    return None


def save_study_artifact(
    store: FileSystemArtifactStore, storage: BaseStorage, study_id: int, name: str, content: bytes
) -> None:
    """Attach a file to a study, in place of an older one of the same name."""
    key, entry = _write_file(store, f"study-{study_id}-{name}", name, content)
    storage.set_study_system_attr(study_id, key, entry)


def read_study_artifact(
    store: FileSystemArtifactStore, storage: BaseStorage, study: str, name: str
) -> bytes | None:
    """Return a study's file; None if it has none of that name, or it was lost."""
    study_id = storage.get_study_id_from_name(study)
    artifact_id = f"study-{study_id}-{name}"
    if ARTIFACTS_ATTR_PREFIX + artifact_id not in storage.get_study_system_attrs(study_id):
        return None
    return _content(store, artifact_id)


def _write_files(store: FileSystemArtifactStore, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write files; return the entries by which a trial knows them."""
    # Databases list entries by their keys, so the keys are in the files' order.
    return dict(
        _write_file(store, f"{position:02}-{uuid.uuid4()}", name, content)
        for position, (name, content) in enumerate(files.items())
    )


def _write_file(
    store: FileSystemArtifactStore, artifact_id: str, name: str, content: bytes
) -> tuple[str, str]:
    """Write a file; return key and value of the attribute by which its owner knows it."""
    mimetype, encoding = mimetypes.guess_type(name)
    meta = ArtifactMeta(
        artifact_id=artifact_id,
        filename=name,
        mimetype=mimetype or DEFAULT_MIME_TYPE,
        encoding=encoding,
    )
    store.write(artifact_id, io.BytesIO(content))
    return ARTIFACTS_ATTR_PREFIX + artifact_id, json.dumps(asdict(meta))


def _content(store: FileSystemArtifactStore, artifact_id: str) -> bytes | None:
    """Return a file, None if it was lost or its writer was killed before it was whole."""
    try:
        with store.open_reader(artifact_id) as reader:
            return reader.read()
    except ArtifactNotFound:
        return None
