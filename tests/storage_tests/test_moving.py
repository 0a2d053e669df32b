"""Studies that move: all of them arrives, or nothing, and what names them knows the new name."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from storage import attrs, operations
from storage.annotations import noted_trials, write_study_note, write_trial_notes
from storage.artifacts import (
    ArtifactFolder,
    open_artifacts,
    read_artifact,
    save_artifacts,
    study_uid,
    unfinished_path,
    unfinished_states,
)
from storage.errors import StorageAccessError
from storage.files import write_bytes
from storage.internals import study_note, trial_key
from storage.moving import (
    LEFT_BEHIND,
    copy_studies,
    delete_studies,
    pack_study,
    rename_studies,
    with_followups,
)
from storage.rdb import open_storage
from storage.records import followups, load_study_record, study_names
from tests.servers import next_line, opened, process
from tests.storage_tests.test_reading import fields
from tests.study_tests.foreign import make_study
from tests.study_tests.synthetic import EXPERIMENT, SETTINGS


def content(storage: BaseStorage, name: str) -> tuple[Any, ...]:
    """Return all that a storage holds of a study, but its keys and trials that do not end."""
    key = storage.get_study_id_from_name(name)
    trials = [t for t in storage.get_all_trials(key) if t.state != TrialState.RUNNING]
    for trial in trials:
        trial._trial_id = 0
    own = storage.get_study_user_attrs(key), storage.get_study_system_attrs(key)
    return (*own, storage.get_study_directions(key), fields(trials))


def test_copy_of_all_sorts(shared_storage: BaseStorage, url: str, tmp_path: Path) -> None:
    """All arrives everywhere, from database and journal; of taken names no study does."""
    journal = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    for source in (open_storage(url, create=True, write=True), journal):
        names = [make_study(source, seed).study_name for seed in (2, 6, 7, 11)]
        for name in names:
            packed = pack_study(source, name, new_name=str(uuid4()))
            copy_studies([packed], shared_storage, source=tmp_path, target=tmp_path)
            there = list(content(shared_storage, packed.name))
            trials = load_study_record(source, name).trials
            running = [t.number for t in trials if t.state == TrialState.RUNNING]
            assert len(running) == packed.n_running
            found = load_study_record(shared_storage, packed.name).trials
            assert all(found[number].state == TrialState.FAIL for number in running)
            assert len(found) == len(trials)
            there[-1] = [t for i, t in enumerate(there[-1]) if i not in running]
            assert tuple(there) == content(source, name)
    before = study_names(shared_storage)
    both = [pack_study(journal, names[0], new_name=name) for name in ("new", before[0])]
    with pytest.raises(StorageAccessError, match="There is a study of that name already"):
        copy_studies(both, shared_storage, source=tmp_path, target=tmp_path)
    assert study_names(shared_storage) == before


@pytest.fixture
def store(tmp_path: Path) -> ArtifactFolder:
    """A folder of artifacts."""
    return open_artifacts(tmp_path / "artifacts")


def filled(study: optuna.Study, store: ArtifactFolder) -> optuna.Study:
    """Make it one of ours with a complete and a running trial, notes, and files of all sorts."""
    study.set_user_attr(attrs.SETTINGS, SETTINGS)
    template = create_trial(
        state=TrialState.RUNNING,
        params={"x": 0.25},
        distributions={"x": FloatDistribution(0, 1)},
        user_attrs={attrs.DESIGN_INDEX: 7, attrs.WORKER: "host:1"},
    )
    storage, key = study._storage, study._study_id
    first, _ = (storage.create_new_trial(key, template_trial=template) for _ in range(2))
    files = {"a.png": b"picture", "b.png": b"other"}
    save_artifacts(store, optuna.Trial(study, first), files)
    storage.set_trial_state_values(first, TrialState.COMPLETE, [0.5])
    study_uid(storage, key)
    write_bytes(unfinished_path(store.folder, study, "1-a"), b"state")
    write_study_note(study, "of the study")
    write_trial_notes(study, {first: "of the trial"})
    storage.set_study_system_attr(key, "NSGAIISampler:parent:1", [first])
    storage.set_study_system_attr(key, "artifacts:x", 7)  # as nobody writes it
    return study


def test_copy_has_files_of_its_own(study: optuna.Study, store: ArtifactFolder) -> None:
    """Either may be deleted, in one folder too; what ran waits in the copy to go on."""
    search, storage, folder = filled(study, store), study._storage, store.folder
    for name in ("copy", "copy of the copy"):
        packed = pack_study(storage, search.study_name, new_name=f"{search.study_name} {name}")
        n_copied, n_lost = copy_studies([packed], storage, source=folder, target=folder)
        assert (n_copied, n_lost) == (6, 0)
        n_files = delete_studies(storage, [search.study_name], store)
        assert n_files == n_copied - (name == "copy") * 3
        search = optuna.load_study(study_name=packed.name, storage=storage)
        first, ran, waiting, *_ = search.get_trials()
        for file, expected in (("a.png", b"picture"), ("b.png", b"other")):
            assert read_artifact(store, storage, trial_key(first), file) == expected
        assert (ran.state, ran.user_attrs[attrs.FAILURE]) == (TrialState.FAIL, LEFT_BEHIND)
        assert waiting.system_attrs[operations.FIXED_PARAMS] == ran.params != {}
        assert waiting.user_attrs == {attrs.RETRY_OF: 1, attrs.DESIGN_INDEX: 7}
        states = unfinished_states(folder, search.user_attrs[attrs.UID])
        assert [state.read_bytes() for state in states.values()] == [b"state"]
        system = storage.get_study_system_attrs(search._study_id)
        assert study_note(system) == (1, "of the study")
        assert list(noted_trials(search)) == [trial_key(first)]
        assert "NSGAIISampler:parent:1" not in system
    assert delete_studies(storage, [search.study_name], store) > 0
    assert [path for path in folder.rglob("*") if path.is_file()] == []


COPY = """
import sys
from pathlib import Path
import sqlalchemy
from storage.moving import copy_studies, pack_study
from storage.rdb import open_storage
source, target, folder, other = sys.argv[1:]

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
def stop(_connection, _cursor, statement, *_):
    if statement.startswith("INSERT INTO trial_user_attributes"):
        print("most is there", flush=True)
        sys.stdin.readline()

packed = pack_study(open_storage(source), "search")
storage = open_storage(target, create=True, write=True)
copy_studies([packed], storage, source=Path(folder), target=Path(other))
"""


def test_copy_that_is_killed(database: str, tmp_path: Path, store: ArtifactFolder) -> None:
    """Whoever kills a copy in the middle finds no study there, and the same copy succeeds."""
    url, other = f"sqlite:///{tmp_path / 'source.db'}", tmp_path / "other"
    with opened(url, create=True, write=True) as source:
        filled(optuna.create_study(storage=source, study_name="search"), store)
    for killed in (True, False):
        with process(COPY, url, database, store.folder, other) as copying:
            assert next_line(copying) == "most is there"
            if killed:
                copying.kill()
            copying.communicate("\n")
        with opened(database) as storage:
            assert study_names(storage) == [] if killed else ["search"]
    with opened(database) as storage:
        first, *_ = storage.get_all_trials(storage.get_study_id_from_name("search"))
        found = read_artifact(ArtifactFolder(other), storage, trial_key(first), "a.png")
        assert (found, first.user_attrs[attrs.DESIGN_INDEX]) == (b"picture", 7)


def test_new_names(shared_storage: BaseStorage) -> None:
    """What follows a study is renamed with it; a name that is taken changes nothing."""
    names = ("lines", "lines-confirmation", "third", "foreign")
    experiment = {**EXPERIMENT, "follows": "lines", "question": "Which of study lines stay good?"}
    for name in names:
        study = optuna.create_study(storage=shared_storage, study_name=name)
        if name != "lines":
            study.set_user_attr(attrs.EXPERIMENT, experiment)
        if name != "foreign":
            study.set_user_attr(attrs.SETTINGS, SETTINGS)
    keys = [shared_storage.get_study_id_from_name(name) for name in names]
    wanted = with_followups(followups(shared_storage), "lines", "rows")
    assert wanted == {"lines": "rows", "lines-confirmation": "rows-confirmation"}
    with pytest.raises(StorageAccessError, match="There is a study of that name already"):
        rename_studies(shared_storage, wanted | {"lines": "third"})
    rename_studies(shared_storage, wanted)
    found = {study.study_name: study for study in shared_storage.get_all_studies()}
    new = ["rows", "rows-confirmation", "third", "foreign"]
    assert [shared_storage.get_study_name_from_id(key) for key in keys] == new
    told = [found[name].user_attrs[attrs.EXPERIMENT] for name in new[1:]]
    renamed = {"follows": "rows", "question": "Which of study rows stay good?"}
    assert told == [experiment | renamed, experiment | renamed, experiment]
    for call in (rename_studies, delete_studies):
        with pytest.raises(KeyError):
            call(shared_storage, {"nobody": "x"}, *([None] if call is delete_studies else []))
