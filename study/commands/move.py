"""What ``emoji-study copy``, ``rename`` and ``delete`` do."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from storage import attrs
from storage.annotations import NOTE_DIGEST, noted_trials, write_trial_notes
from storage.artifacts import ArtifactFolder, artifact_folder
from storage.internals import key_of, storage_of
from storage.limits import require_room, require_study_name
from storage.moving import (
    Packed,
    copy_studies,
    delete_studies,
    pack_study,
    rename_studies,
    with_followups,
)
from storage.queue import silences
from storage.rdb import GRACE_PERIOD_S, find_storage, open_storage
from storage.records import followups, load_summaries, only_study, study_names, unknown_study
from storage.urls import redact
from study.commands.ask import confirmed
from study.commands.next_step import next_step
from study.errors import StudyError
from study.formats import counted, format_list
from study.requests import CopyRequest, DeleteRequest, RenameRequest, Say
from study.running.housekeeping import housekeeping


def copy(request: CopyRequest, *, say: Say) -> bool:
    """Copy studies to another storage, all or none; return whether that was wanted.

    Raises:
        StudyError: If a name cannot be given.
        Unanswered: If nobody can be asked.
        StorageError: If a study cannot be read, or the other storage cannot take it.
    """
    target = find_storage(request.to)
    storage = open_storage(request.url)
    held = study_names(storage)
    named = list(dict.fromkeys(request.studies))
    names = held if request.whole else named or [only_study(storage)]
    _require(storage, names)
    if not names:
        raise StudyError("The storage holds no study that could be copied.")
    if request.name is not None and len(names) > 1:
        raise StudyError(
            f"--name belongs to one study, but these are {len(names)}: leave it out, or name one "
            "with --study."
        )
    studies = [pack_study(storage, name, new_name=request.name) for name in names]
    for packed in studies:
        owners = (packed.study, *packed.study["trials"])
        require_room(
            request.to,
            study=packed.name,
            attributes=chain.from_iterable(
                {**o["user_attrs"], **o["system_attrs"]} for o in owners
            ),
            parameters=(name for trial in packed.study["trials"] for name, *_ in trial["params"]),
        )
    remedy = "--name gives the copy another"
    if len(names) > 1:
        remedy = "--study NAME --name NEW copies it alone, under another"
    _require_free(target, [packed.name for packed in studies], remedy)
    source = artifact_folder(request.url, request.artifacts)
    folder = artifact_folder(request.to, request.to_artifacts)
    if not confirmed(_copy_question(names, studies, request.to), yes=request.yes, say=say):
        return False
    target = target or open_storage(request.to, create=True, write=True)
    n_files, n_lost = copy_studies(studies, target, source=source, target=folder)
    n_trials = sum(len(packed.study["trials"]) for packed in studies)
    files = f", {counted(n_files, 'file')} to {folder}" if n_files else ""
    what = f"{_listed(names)} with {counted(n_trials, 'trial')}"
    given = [packed.name for packed in studies]
    renamed = "" if given == names else f" as {format_list(list(map(repr, given)))}"
    say(f"Copied {what} to {redact(request.to)}{renamed}{files}.")
    if n_lost:
        say(
            f"Warning: {counted(n_lost, 'file')} of the trials not found in {source}; "
            "where they lie elsewhere, --artifacts says so."
        )
    left = _left(storage, names)
    if left:
        say(f"Not copied, for they are studies of their own: {', '.join(left)}.")
    for packed in studies:
        _renew_notes(target, packed.name, url=request.to, artifacts=folder, say=say)
    say(next_step("status", "--study", studies[-1].name, url=request.to))
    return True


def rename(request: RenameRequest, *, say: Say) -> bool:
    """Give a study another name, and with it those that follow it; return if that was wanted.

    Raises:
        StudyError: If somebody works on it, or the name cannot be given.
        Unanswered: If nobody can be asked.
        StorageError: If the storage cannot be written, or has no such study.
    """
    storage = open_storage(request.url, write=True)
    _require(storage, [request.study])
    names = with_followups(followups(storage), request.study, request.new_name)
    for name in names.values():
        require_study_name(name)
    _require_free(storage, list(names.values()), "take another")
    for name in names:
        study_id = storage.get_study_id_from_name(name)
        alive = [s for s in silences(storage, study_id).values() if s < GRACE_PERIOD_S]
        if alive:
            raise StudyError(
                f"Workers are at {counted(len(alive), 'trial')} of study {name!r} and know it by "
                "its name: stop them first."
            )
    pairs = ", ".join(f"{old!r} to {new!r}" for old, new in names.items())
    if not confirmed(f"Rename {pairs}?", yes=request.yes, say=say):
        return False
    rename_studies(storage, names)
    say(f"Renamed {pairs}.")
    for name in names.values():
        folder = artifact_folder(request.url, request.artifacts)
        _renew_notes(storage, name, url=request.url, artifacts=folder, say=say)
    return True


def delete(request: DeleteRequest, *, say: Say) -> bool:
    """Delete studies with all their files; return whether that was wanted.

    Raises:
        Unanswered: If nobody can be asked.
        StorageError: If the storage cannot be written, or has no such study.
    """
    storage = open_storage(request.url, write=True)
    names = list(dict.fromkeys(request.studies))
    _require(storage, names)
    found = [summary.progress for summary in load_summaries(storage) if summary.name in names]
    n_running = sum(progress.running for progress in found)
    n_trials = sum(p.finished + p.failed + p.waiting for p in found) + n_running
    running = f", of which {n_running} run," if n_running else ""
    folder = artifact_folder(request.url, request.artifacts)
    left = _left(storage, names)
    stays = f" What follows stays: {', '.join(left)}." if left else ""
    question = (
        f"Delete {_listed(names)} with {counted(n_trials, 'trial')}{running} and all files of "
        f"theirs in {folder}, for ever?{stays}"
    )
    if not confirmed(question, yes=request.yes, say=say):
        return False
    n_files = delete_studies(storage, names, ArtifactFolder(folder))
    say(f"Deleted {_listed(names)} and {counted(n_files, 'file')}.{stays}")
    return True


def _copy_question(names: Sequence[str], studies: Sequence[Packed], url: str) -> str:
    n_trials = sum(len(packed.study["trials"]) for packed in studies)
    n_files = len(set().union(*(packed.files for packed in studies)))
    n_running = sum(packed.n_running for packed in studies)
    running = f", {n_running} of them running, which will have failed there," if n_running else ""
    return (
        f"Copy {_listed(names)} with {counted(n_trials, 'trial')}{running} and "
        f"{counted(n_files, 'file')} to {redact(url)}?"
    )


def _left(storage: BaseStorage, names: Sequence[str]) -> list[str]:
    """Return the names of studies that follow some, and are none of them."""
    return [n for n, search in followups(storage).items() if search in names and n not in names]


def _listed(names: Sequence[str]) -> str:
    return f"study {names[0]!r}" if len(names) == 1 else f"studies {', '.join(map(repr, names))}"


def _require(storage: BaseStorage, names: Sequence[str]) -> None:
    """Raise an UnknownStudyError if one of the studies is not there."""
    known = set(study_names(storage))
    for name in names:
        if name not in known:
            raise unknown_study(storage, name)


def _require_free(storage: BaseStorage | None, names: Sequence[str], remedy: str) -> None:
    """Raise a StudyError if there is a study of one of the names."""
    taken = [] if storage is None else sorted(set(names) & set(study_names(storage)))
    if taken:
        raise StudyError(f"There is a study named {taken[0]!r} already; {remedy}.")


def _renew_notes(storage: BaseStorage, name: str, *, url: str, artifacts: Path, say: Say) -> None:
    """Write the notes and charts of a study of ours anew, for they say how to reach it."""
    study = optuna.load_study(study_name=name, storage=storage)
    stored = storage_of(study).get_study_system_attrs(key_of(study))
    if NOTE_DIGEST not in stored or not attrs.is_ours(study.user_attrs):
        return
    from study.dashboard.refresh import refresh  # with all that draws charts

    remedy = "`emoji-study dashboard --refresh` does it"
    with housekeeping(f"Notes of study {name} were not renewed", say, remedy=remedy):
        ours = [key for key, edited in noted_trials(study).items() if not edited]
        write_trial_notes(study, {}, without=ours)
        refresh(storage, name, url=url, artifacts=artifacts)
