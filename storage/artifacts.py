"""Files of trials (pictures, curves) in Optuna's artifact store, where its dashboard looks."""

import errno
import functools
import json
import mimetypes
import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import BinaryIO

import optuna
from optuna.artifacts import ArtifactMeta, get_all_artifact_meta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage

from storage import attrs, operations
from storage.errors import ArtifactFolderError, StorageError
from storage.files import replacing
from storage.internals import ARTIFACTS_ATTR_PREFIX, DEFAULT_MIME_TYPE, key_of, storage_of
from storage.served import perform
from storage.urls import file_path
from storage.writing import write_trial

_PROBE = bytes(2**16)  # more than the files of a trial
_STUDY_FILE = "study-"  # how the artifact ids of a study's own files begin
_NAME = re.compile(r"[\w-][\w.-]{0,199}", re.ASCII)  # what an artifact id may be
_UID = re.compile(r"[0-9a-f]{32}")
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO)
"""What opening says where there is no regular file but nothing, a folder, a link or a socket."""

Identity = tuple[int, int]  # of a folder on this machine, whatever its name: device and inode


def artifact_folder(url: str, override: Path | None = None) -> Path:
    """Return where a storage's artifacts lie: beside its file, else in ``runs/artifacts``."""
    if override is not None:
        return override
    path = file_path(url)
    return (path.parent if path is not None else Path("runs")) / "artifacts"


class ArtifactFolder:
    """The regular files of one folder, and nothing outside of it: an artifact store for Optuna.

    Ids come from a database, and others may write into both. So an id is a name and never a path,
    and a symbolic link is as good as no file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, artifact_id: str) -> Path:
        """Return where a file lies; raise an ArtifactNotFound if no file can have that name."""
        if not (isinstance(artifact_id, str) and _NAME.fullmatch(artifact_id)):
            raise ArtifactNotFound(f"{artifact_id!r} is not the name of a file.")
        return self.folder / artifact_id

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Open a file; raise an ArtifactNotFound if there is none."""
        path = self.path(artifact_id)
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
        with open(self.path(artifact_id), "wb", opener=_open_no_link) as opened:
            shutil.copyfileobj(content_body, opened)

    def remove(self, artifact_id: str) -> None:
        """Remove a file; raise an ArtifactNotFound if there is none."""
        try:
            self.path(artifact_id).unlink()
        except FileNotFoundError:
            raise ArtifactNotFound(f"{artifact_id!r} is lost.") from None

    def size(self, artifact_id: str) -> int | None:
        """Return the bytes of a file, None if there is none."""
        try:
            found = self.path(artifact_id).lstat()
        except (ArtifactNotFound, FileNotFoundError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None


def _open_no_link(path: str, flags: int) -> int:
    """Open a file, but not what a link leads to; and wait for no one where it is a pipe."""
    if sys.platform != "win32":  # which makes no links of files unless it is told to
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK
    return os.open(path, flags, 0o666)


def require_folder(folder: Path) -> None:
    """Raise an ArtifactFolderError if what is in the place of a folder is none; create nothing."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise ArtifactFolderError(f"Artifact folder {folder} cannot be created: it is no folder.")


def open_artifacts(folder: Path) -> ArtifactFolder:
    """Open the artifact store in ``folder``; create it, or raise an ArtifactFolderError."""
    require_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactFolderError(
            f"Artifact folder {folder} cannot be created: {error.strerror}."
        ) from None
    return ArtifactFolder(folder)


@contextmanager
def held_folder(folder: Path, identity: Identity | None = None) -> Iterator[Callable[[], None]]:
    """Open the folder of an artifact store, and yield a function that tries it.

    The function really writes, so whoever calls it before a training does not train in vain. It
    raises an ArtifactFolderError if the folder takes no files, or is another one than at first:
    that with ``identity``, which another process of this machine holds. Without, it is created.
    """
    with ExitStack() as stack:
        if identity is None:
            open_artifacts(folder)
            with storing(folder):
                descriptor = os.open(folder, os.O_RDONLY)  # so no other gets its inode
            stack.callback(os.close, descriptor)
        held = identity or folder_identity(folder)

        def check() -> None:
            if held is None or folder_identity(folder) != held:
                raise ArtifactFolderError(
                    f"Artifact folder {folder} was removed or replaced: put back the one that was "
                    "there; the same command then continues."
                )
            with storing(folder):
                probe = folder / f".{uuid.uuid4().hex}.tmp"
                try:
                    probe.write_bytes(_PROBE)
                finally:
                    probe.unlink(missing_ok=True)

        check()
        yield check


def folder_identity(folder: Path) -> Identity | None:
    """Return the identity of a folder, None if it cannot be seen."""
    with suppress(OSError):
        found = folder.stat()
        return found.st_dev, found.st_ino
    return None


@contextmanager
def storing(folder: Path, wrong: type[Exception] = OSError) -> Iterator[None]:
    """Turn a block's OSErrors, and those that are ``wrong`` too, into an ArtifactFolderError."""
    try:
        yield
    except StorageError:
        raise
    except (OSError, wrong) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise ArtifactFolderError(
            f"Artifact folder {folder} takes no files ({reason}): mend that, or name another with "
            "--artifacts; the same command then continues."
        ) from error


def study_uid(storage: BaseStorage, study_id: int) -> str:
    """Return what names a study's files in a folder that databases share, a new one if need be."""
    stored = attrs.UID.among(storage.get_study_user_attrs(study_id))
    if not stored:
        own = {"study_id": study_id, "name": attrs.UID, "value": uuid.uuid4().hex}
        stored = perform(storage, operations.keep_study_attr, **own)
    return str(stored)


def unfinished_path(folder: Path, study: optuna.Study, training: str) -> Path:
    """Return where the state of an unfinished training is kept, the same for every attempt."""
    uid = study_uid(storage_of(study), key_of(study))
    return folder / "unfinished" / f"{uid}-{training}.pt"


def adopt_unfinished(folder: Path, study: optuna.Study, training: str) -> None:
    """Give the state that an earlier version kept of a training the name that it has today.

    Studies of several databases shared the names of then. One state under such a name is as good
    as the other, though, as long as ``training`` says what is trained on which data with which
    seed: equal trainings have equal states.
    """
    path = unfinished_path(folder, study, training)
    if not path.exists():
        with suppress(OSError):
            path.with_name(f"{key_of(study)}-{training}.pt").rename(path)


def unfinished_states(folder: Path, uid: str) -> dict[str, Path]:
    """Return the kept states of a study's unfinished trainings, by what names the training."""
    paths = (folder / "unfinished").glob(f"{uid}-*.pt")
    return {path.stem.removeprefix(f"{uid}-"): path for path in paths}


def model_path(folder: Path, study: str | int, number: int) -> Path:
    """Return where the trained model of a trial is kept until it has been tested.

    Its ``study`` is what ``study_uid`` says; its key for where an earlier version kept that, or
    the model of another database's trial: whoever reads such a one must compare what it is of,
    and leave it there for the others.
    """
    return folder / "models" / f"{study}-{number}.pt"


def kept_files(folder: Path, uid: object) -> list[Path]:
    """Return all files that are named by a study's uid: states of trainings, and models."""
    if not (isinstance(uid, str) and _UID.fullmatch(uid)):
        return []
    return [path for kind in ("unfinished", "models") for path in (folder / kind).glob(f"{uid}-*")]


def save_artifacts(store: ArtifactFolder, trial: optuna.Trial, files: Mapping[str, bytes]) -> None:
    """Attach files to a running trial, in their order.

    The dashboard's gallery shows the same position of every trial, so all trials must attach
    the same names in the same order. If one cannot be written, or the trial has ended, none is
    left. Optuna stores the entry first, and a worker that dies in between leaves an entry without
    a file, at which the dashboard fails.
    """
    entries = _write_files(store, files)
    try:
        write_trial(trial, system_attrs=entries)
    except UpdateFinishedTrialError:
        _remove_files(store, entries)  # another worker has the trial now
        raise


def stand_ins(store: ArtifactFolder) -> dict[str, str]:
    """Write files for a trial that ended without any; return entries for its system attributes.

    The dashboard offers no gallery at all where the first trial has no files.
    """
    text = b"no step was finished\n"
    contents = {name: no_picture() if name.endswith(".png") else text for name in attrs.FILES}
    return _write_files(store, contents)


def clear_pictures(store: ArtifactFolder, storage: BaseStorage, trial_id: int) -> int:
    """Replace a trial's pictures by one that says that they are gone; return the bytes freed."""
    empty, freed = no_picture(), 0
    for meta in get_all_artifact_meta(storage.get_trial(trial_id), storage=storage):
        saved = (store.size(meta.artifact_id) or 0) - len(empty)
        if meta.mimetype == "image/png" and saved > 0:
            with replacing(store.path(meta.artifact_id)) as partial:
                partial.write_bytes(empty)
            freed += saved
    return freed


@functools.cache
def no_picture() -> bytes:
    """Return a small PNG that says that there is no picture."""
    return resources.files("storage").joinpath("no_picture.png").read_bytes()


def read_artifact(
    store: ArtifactFolder, storage: BaseStorage, trial_id: int, name: str
) -> bytes | None:
    """Return a trial's file; None if the trial has none of that name, or it was lost."""
    for meta in get_all_artifact_meta(storage.get_trial(trial_id), storage=storage):
        if meta.filename == name:
            return _content(store, meta)
    return None


def save_study_artifact(
    store: ArtifactFolder, storage: BaseStorage, study_id: int, name: str, content: bytes
) -> None:
    """Attach a file to a study, in place of an older one of the same name.

    The file of an earlier version stays, as it may have become another database's study's.
    """
    with storing(store.folder):
        artifact_id = f"{_STUDY_FILE}{name}-{uuid.uuid4().hex}"
        key, entry = _write_file(store, artifact_id, name, content)
    own = f"{ARTIFACTS_ATTR_PREFIX}{_STUDY_FILE}{name}-"
    earlier = f"{ARTIFACTS_ATTR_PREFIX}{_STUDY_FILE}{study_id}-{name}"
    removed = perform(
        storage,
        operations.set_study_system_attrs,
        study_id=study_id,
        values={key: entry},
        prefixes=[own, earlier],
    )
    _remove_files(store, [key for key in removed if key.startswith(own)])


def read_study_artifact(
    store: ArtifactFolder, storage: BaseStorage, study: str, name: str
) -> bytes | None:
    """Return a study's file; None if it has none of that name, or it was lost."""
    for meta in get_all_artifact_meta(optuna.load_study(study_name=study, storage=storage)):
        if meta.filename == name and meta.artifact_id.startswith(_STUDY_FILE):
            return _content(store, meta)
    return None


def _write_files(store: ArtifactFolder, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write files, all or none; return the entries by which a trial knows them."""
    entries: dict[str, str] = {}
    try:
        with storing(store.folder):
            for position, (name, content) in enumerate(files.items()):
                # Databases list entries by their keys, so the keys are in the files' order.
                key, entry = _write_file(store, f"{position:02}-{uuid.uuid4()}", name, content)
                entries[key] = entry
    except ArtifactFolderError:
        _remove_files(store, entries)
        raise
    return entries


def _remove_files(store: ArtifactFolder, keys: Iterable[str]) -> None:
    """Remove files that nobody knows, or knows any more, by the keys of their entries."""
    for key in keys:
        with suppress(ArtifactNotFound, OSError):
            store.remove(key.removeprefix(ARTIFACTS_ATTR_PREFIX))


def _write_file(
    store: ArtifactFolder, artifact_id: str, name: str, content: bytes
) -> tuple[str, str]:
    """Write a file; return key and value of the attribute by which its owner knows it."""
    mimetype, encoding = mimetypes.guess_type(name)
    meta = ArtifactMeta(artifact_id, name, mimetype or DEFAULT_MIME_TYPE, encoding)
    with replacing(store.folder / artifact_id) as partial:
        partial.write_bytes(content)
    return ARTIFACTS_ATTR_PREFIX + artifact_id, json.dumps(asdict(meta))


def _content(store: ArtifactFolder, meta: ArtifactMeta) -> bytes | None:
    """Return a file, None if it was lost."""
    with suppress(ArtifactNotFound), store.open_reader(meta.artifact_id) as reader:
        return reader.read()
    return None
