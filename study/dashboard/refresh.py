"""Writes what the dashboard shows of a study; as a process, ``python -m study.dashboard.refresh``,
it reads what to refresh from standard input, so that no password shows.
"""

import json
import os
import sys
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from storage import attrs
from storage.annotations import noted_trials, write_graphs, write_study_note, write_trial_notes
from storage.artifacts import ArtifactFolder
from storage.internals import key_of
from storage.rdb import open_storage
from storage.records import load_study_record
from study.analysis import is_ours
from study.dashboard import notes as our_notes
from study.dashboard import other_notes
from study.dashboard.graphs import draw_graphs
from study.dashboard.retention import clean


def refresh(storage: BaseStorage, name: str, *, url: str, artifacts: Path) -> bool:
    """Write the notes and charts of a study, and remove pictures that it does not keep.

    A password in ``url``, which stands in notes, is masked. Returns whether the study's note is
    ours; False if somebody wrote or edited it, which stays.
    """
    record = load_study_record(storage, name)
    study = optuna.load_study(study_name=name, storage=storage)
    about = our_notes if is_ours(record) else other_notes
    noted = noted_trials(study)
    wanted = our_notes.noteworthy(record)
    fresh = [trial for trial in wanted if trial.trial_id not in noted]
    notes = {trial.trial_id: about.trial_note(record, trial, url=url) for trial in fresh}
    unwanted = {trial_id for trial_id, edited in noted.items() if not edited}
    unwanted.difference_update(trial.trial_id for trial in wanted)
    write_trial_notes(study, notes, without=unwanted)
    note = about.study_note(record, study_id=key_of(study), url=url)
    unedited = write_study_note(study, note)
    write_graphs(study, draw_graphs(record))
    if attrs.KEPT_PICTURES.of(record) == "best":
        clean(storage, record, ArtifactFolder(artifacts), keep="best")
    return unedited


def main() -> None:
    """Refresh the study that one line of JSON names: url, study and artifacts."""
    if hasattr(os, "nice"):
        os.nice(19)  # the least claim to a core: a refresh must not slow the workers
    asked = json.loads(sys.stdin.readline())
    storage = open_storage(asked["url"], write=True)
    refresh(storage, asked["study"], url=asked["url"], artifacts=Path(asked["artifacts"]))


if __name__ == "__main__":
    main()
