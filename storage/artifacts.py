"""Files of trials (pictures, curves) in Optuna's artifact store, where its dashboard looks."""

import io
import json
import mimetypes
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import optuna
from optuna.artifacts import ArtifactMeta, FileSystemArtifactStore, get_all_artifact_meta
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX, DEFAULT_MIME_TYPE
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage

from storage.errors import StorageAccessError
from storage.urls import sqlite_path


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
    for position, (name, content) in enumerate(files.items()):
        mimetype, encoding = mimetypes.guess_type(name)
        meta = ArtifactMeta(
            # Databases list entries by their keys, so the keys are in the files' order.
            artifact_id=f"{position:02}-{uuid.uuid4()}",
            filename=name,
            mimetype=mimetype or DEFAULT_MIME_TYPE,
            encoding=encoding,
        )
        store.write(meta.artifact_id, io.BytesIO(content))
        # Optuna stores the entry first, and a worker that dies in between leaves an entry
        # without a file, at which the dashboard fails.
        trial.storage.set_trial_system_attr(
            trial._trial_id, ARTIFACTS_ATTR_PREFIX + meta.artifact_id, json.dumps(asdict(meta))
        )


def read_artifact(
    store: FileSystemArtifactStore, storage: BaseStorage, trial_id: int, name: str
) -> bytes | None:
    """Return a trial's file; None if the trial has none of that name, or it was lost."""
    frozen = storage.get_trial(trial_id)
    for meta in get_all_artifact_meta(frozen, storage=storage):
        if meta.filename == name:
            try:
                with store.open_reader(meta.artifact_id) as reader:
                    return reader.read()
            except ArtifactNotFound:  # its writer was killed between entry and file
                return None
    return None
