"""Files of trials (pictures, curves) in Optuna's artifact store, where its dashboard looks."""

import errno
import functools
import io
import json
import mimetypes
import os
import re
import shutil
import stat
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import BinaryIO

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


_NAME = re.compile(r"[\w-][\w.-]{0,199}", re.ASCII)
"""What an artifact id may be."""

_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO)
"""What opening says where there is no regular file but nothing, a folder, a link or a socket."""


class ArtifactFolder(FileSystemArtifactStore):
    """The regular files of one folder, and nothing outside of it.

    Ids come from a database, and others may write into both. So an id is a name and never a path,
    and a symbolic link is as good as no file.
    """

    def _get_filepath(self, artifact_id: str) -> Path:
        """Return where a file lies; raise an ArtifactNotFound if no file can have that name."""
        if not (isinstance(artifact_id, str) and _NAME.fullmatch(artifact_id)):
            raise ArtifactNotFound(f"{artifact_id!r} is not the name of a file.")
        return Path(self._base_path) / artifact_id

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a file; raise an ArtifactNotFound if there is none."""
        path = self._get_filepath(artifact_id)
        try:
            opened = open(path, "rb", opener=_open_no_link)  # noqa: SIM115  # for the caller
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise ArtifactNotFound(f"{artifact_id!r} is lost.") from error
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            opened.close()
            raise ArtifactNotFound(f"{artifact_id!r} is no regular file.")
        return opened

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Write a file."""
        with open(self._get_filepath(artifact_id), "wb", opener=_open_no_link) as opened:
            shutil.copyfileobj(content_body, opened)

    def size(self, artifact_id: str) -> int | None:
        """Return the bytes of a file, None if there is none."""
        try:
            found = self._get_filepath(artifact_id).lstat()
        except (ArtifactNotFound, FileNotFoundError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None


def _open_no_link(path: str, flags: int) -> int:
    """Open a file, but not what a link leads to; and wait for no one where it is a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


def open_artifacts(folder: Path) -> ArtifactFolder:
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
    return ArtifactFolder(folder)


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


def clear_pictures(store: ArtifactFolder, storage: BaseStorage, trial_id: int) -> int:
    """Replace the pictures of a trial by one that says that they are gone.

    Returns:
        By how many bytes the files became smaller.
    """
    empty, freed = no_picture(), 0
    frozen = storage.get_trial(trial_id)
    for meta in get_all_artifact_meta(frozen, storage=storage):
        size = store.size(meta.artifact_id)
        if meta.mimetype != "image/png" or size is None:
            continue
        saved = size - len(empty)
        if saved > 0:
            path = store._get_filepath(meta.artifact_id)
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


def artifact_ids(storage: BaseStorage, study_id: int) -> list[str]:
    """Return the ids of all files of a study and of its trials, whatever else their entries say.

    Raises:
        KeyError: If there is no such study.
    """
    trials = storage.get_all_trials(study_id, deepcopy=False)
    owners = [storage.get_study_system_attrs(study_id), *(trial.system_attrs for trial in trials)]
    # The dashboard once kept those of trials with the study, as `dashboard:artifacts:TRIAL:ID`.
    places = (ARTIFACTS_ATTR_PREFIX, f"dashboard:{ARTIFACTS_ATTR_PREFIX}")
    keys = (key for owner in owners for key in owner if key.startswith(places))
    return [key.rpartition(":")[2] for key in keys]


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
