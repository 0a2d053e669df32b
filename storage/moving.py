"""Studies that move: copied to another storage with their files, renamed, deleted.

What is in a database changes in one transaction. Files are written before it and removed after it,
so whatever ends the process, a study that is there has its files.
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from storage import attrs, operations
from storage.artifacts import ArtifactFolder, kept_files, open_artifacts, stand_ins, storing
from storage.bulk import pack_trial
from storage.errors import StorageAccessError
from storage.files import replacing
from storage.internals import (
    ARTIFACTS_ATTR_PREFIX,
    database_of,
    file_id,
    is_cache,
    keyed_by_trial,
    trial_key,
)
from storage.records import load_times
from storage.served import ServedStorage, perform

LEFT_BEHIND = "it ran when the study was copied; its worker stayed with the original"
"""Why a trial of a copy failed."""
_TAG = re.compile(r"(-[0-9a-f]{8})?$")  # what an earlier copy has added to the id of a file


@dataclass(frozen=True, slots=True)
class Packed:
    """A study as ``bulk.insert_study`` takes it, by the name that it is to have."""

    study: dict[str, Any]
    n_running: int

    @property
    def name(self) -> str:
        """The name of the copy."""
        return str(self.study["name"])

    @property
    def files(self) -> set[str]:
        """The ids of the files that it names."""
        owners = (self.study, *self.study["trials"])
        names = (name for owner in owners for name in owner["system_attrs"])
        return {file_id(name) for name in names if name.startswith(ARTIFACTS_ATTR_PREFIX)}


def pack_study(storage: BaseStorage, name: str, *, new_name: str | None = None) -> Packed:
    """Read all of a study that a copy is to have, under a name of its own.

    A trial that is running cannot take its worker along: in the copy it has failed, and in one of
    our studies it is queued again, as if it had been interrupted.
    """
    study_id = storage.get_study_id_from_name(name)
    # Before the trials: of a design that goes on meanwhile, a point comes twice rather than never.
    user_attrs = dict(storage.get_study_user_attrs(study_id))
    stored = storage.get_study_system_attrs(study_id)
    found = storage.get_all_trials(study_id, deepcopy=False)
    known = isinstance(storage, ServedStorage) or database_of(storage) is not None
    times = load_times(storage, study_id) if known else {}
    ours, ranges = attrs.is_ours(user_attrs), dict[str, int]()
    trials = {
        trial_key(trial): pack_trial(trial, ranges, times.get(trial_key(trial))) for trial in found
    }
    running = [trial for trial in found if trial.state == TrialState.RUNNING]
    for trial in running:
        own = trials[trial_key(trial)]
        own |= {"state": TrialState.FAIL.name, "completed": datetime.now(UTC).isoformat()}
        if ours:
            own["user_attrs"] = own["user_attrs"] | {attrs.FAILURE: LEFT_BEHIND}
    again = [_retry(trial, len(found) + i) for i, trial in enumerate(running)] if ours else []
    system_attrs: dict[str, Any] = {}
    keyed_attrs = []
    for name_of, value in stored.items():
        keyed = keyed_by_trial(name_of)
        if keyed is None and not is_cache(name_of):
            system_attrs[name_of] = value
        elif keyed is not None and keyed[1] in trials:
            before, key, behind = keyed
            if before.endswith(ARTIFACTS_ATTR_PREFIX):  # as optuna-dashboard once kept them
                entry = {f"{ARTIFACTS_ATTR_PREFIX}{file_id(name_of)}": value}
                trials[key]["system_attrs"] = trials[key]["system_attrs"] | entry
            else:
                keyed_attrs.append((before, trials[key]["number"], behind, value))
    study = {
        "name": name if new_name is None else new_name,
        "directions": [way.name for way in storage.get_study_directions(study_id)],
        "user_attrs": user_attrs,
        "system_attrs": system_attrs,
        "keyed_attrs": keyed_attrs,
        "trials": [*trials.values(), *again],
        "ranges": list(ranges),
    }
    return Packed(study, len(running))


def _retry(trial: FrozenTrial, number: int) -> dict[str, Any]:
    """Return a waiting trial that repeats one, see ``operations.fail``."""
    params = {**trial.system_attrs.get(operations.FIXED_PARAMS, {}), **trial.params}
    kept = (name for name in operations.KEPT if name in trial.user_attrs)
    own: dict[str, Any] = {name: trial.user_attrs[name] for name in kept}
    fixed = {operations.FIXED_PARAMS: params} if params else {}
    waiting = create_trial(
        state=TrialState.WAITING,
        user_attrs=own | {attrs.RETRY_OF: trial.number},
        system_attrs=fixed,
    )
    waiting.number = number
    return pack_trial(waiting, {})


def copy_studies(
    studies: Sequence[Packed], storage: BaseStorage, *, source: Path, target: Path
) -> tuple[int, int]:
    """Store studies, all or none, with their files from a folder of artifacts in another one.

    Returns how many files came along, and how many were not to be found. A file belongs to one
    study for ever, so those of a copy have names of their own, also where both folders are one.

    Raises:
        StorageAccessError: If a name is taken.
        ArtifactFolderError: If a file cannot be written.
    """
    files = _Files(source, target)
    try:
        stored = [files.copy_of(packed.study) for packed in studies]
    except BaseException:
        files.remove()
        raise
    # Where this fails nobody can say whether it was done, so the files stay.
    if not perform(storage, operations.insert_studies, studies=stored):
        files.remove()
        names = ", ".join(repr(packed.name) for packed in studies)
        raise StorageAccessError(f"There is a study of that name already: {names}; give --name.")
    return len(files.written), files.n_lost


class _Files:
    """Copies the files of studies."""

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = ArtifactFolder(source), ArtifactFolder(target)
        self.written: list[Path] = []
        self.n_lost = 0

    def copy_of(self, study: Mapping[str, Any]) -> dict[str, Any]:
        """Copy all files of a study; return the study with entries that tell of the copies."""
        uid, user_attrs = uuid.uuid4().hex, study["user_attrs"]
        ids: dict[str, str] = {}

        def new_id(found: str) -> str:
            if found not in ids:
                named = _TAG.sub(f"-{uid[:8]}", found, count=1)
                ids[found] = named if self._copy_artifact(found, named) else found
            return ids[found]

        for path in kept_files(self._source.folder, attrs.UID.among(user_attrs)):
            named = f"{uid}-{path.name.partition('-')[2]}"
            with path.open("rb") as reader:
                self._write(reader, self._target.folder / path.parent.name / named)
        own = {attrs.UID: uid} if attrs.is_ours(user_attrs) else {}
        return {
            **study,
            "user_attrs": user_attrs | own,
            "system_attrs": _renamed(study["system_attrs"], new_id),
            "trials": [
                {**trial, "system_attrs": _renamed(trial["system_attrs"], new_id)}
                | self._stand_ins(trial)
                for trial in study["trials"]
            ],
        }

    def _stand_ins(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        """Write files for a trial that was running, unless it has some, as for any that fails."""
        ran, own = attrs.FAILURE.among(trial["user_attrs"]) == LEFT_BEHIND, trial["system_attrs"]
        if not ran or any(name.startswith(ARTIFACTS_ATTR_PREFIX) for name in own):
            return {}
        entries = stand_ins(open_artifacts(self._target.folder))
        self.written += [self._target.path(file_id(name)) for name in entries]
        return {"system_attrs": own | entries}

    def remove(self) -> None:
        for path in self.written:
            path.unlink(missing_ok=True)

    def _copy_artifact(self, found: str, named: str) -> bool:
        """Copy a file of a trial; say whether there is one."""
        try:
            with self._source.open_reader(found) as reader:
                self._write(reader, self._target.path(named))
        except ArtifactNotFound:
            self.n_lost += 1
            return False
        return True

    def _write(self, reader: BinaryIO, path: Path) -> None:
        with storing(self._target.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial, partial.open("wb") as file:
                copyfileobj(reader, file)
            self.written.append(path)


def _renamed(found: Mapping[str, Any], new_id: Callable[[str], str]) -> dict[str, Any]:
    """Return attributes whose entries of files tell of new ids."""
    return dict(_renamed_entry(name, value, new_id) for name, value in found.items())


def _renamed_entry(name: str, value: Any, new_id: Callable[[str], str]) -> tuple[str, Any]:
    meta = None
    if name.startswith(ARTIFACTS_ATTR_PREFIX) and isinstance(value, str):
        with suppress(ValueError):
            meta = json.loads(value)
    if not isinstance(meta, dict):  # a file that was removed, or no file at all
        return name, value
    found = new_id(file_id(name))
    return f"{ARTIFACTS_ATTR_PREFIX}{found}", json.dumps(meta | {"artifact_id": found})


def delete_studies(
    storage: BaseStorage, names: Sequence[str], folder: ArtifactFolder | None
) -> int:
    """Remove studies, with their files from a folder; return how many files there were."""
    found = [storage.get_study_user_attrs(storage.get_study_id_from_name(name)) for name in names]
    ids = perform(storage, operations.delete_studies, names=list(names))
    if folder is None:
        return 0
    paths = [path for own in found for path in kept_files(folder.folder, attrs.UID.among(own))]
    for artifact_id in ids:
        with suppress(ArtifactNotFound):
            paths.append(folder.path(artifact_id))
    n_removed = 0
    for path in paths:
        with suppress(OSError):  # lost already, or not to be removed: nobody knows it any more
            path.unlink()
            n_removed += 1
    return n_removed


def with_followups(names: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    """Return the new name of each study that is renamed with one: those that are named after it.

    Args:
        names: Studies that follow others, each with the name of that one.
    """
    after = {
        name: f"{new}{name.removeprefix(old)}"
        for name, followed in names.items()
        if followed == old and name.startswith(f"{old}-")
    }
    return {old: new} | after


def rename_studies(storage: BaseStorage, names: Mapping[str, str]) -> None:
    """Give studies new names, also in what follows them; a StorageAccessError if one is taken."""
    if not perform(storage, operations.rename_studies, names=dict(names)):
        taken = ", ".join(repr(new) for new in names.values())
        raise StorageAccessError(f"There is a study of that name already: {taken}.")
