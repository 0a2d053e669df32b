"""Which trials keep their pictures, and that nothing else is lost."""

import threading
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState

from storage import attrs
from storage.artifacts import (
    ArtifactFolder,
    no_picture,
    open_artifacts,
    read_artifact,
    unfinished_path,
)
from storage.records import load_study_record
from study.dashboard.refresh import refresh
from study.dashboard.retention import clean, clean_states, spared
from study.report.pictures import best_pictures
from study.running.worker import run_trial
from study.seeds import training_name
from study.settings import StudySettings
from tests.servers import opened
from tests.study_tests.dashboards import begin_study, url_of
from tests.study_tests.studies import claim, objective_of
from tests.study_tests.synthetic import planted, study, trial


def test_spared() -> None:
    """The ten best that keep the constraint, the median and the worst stay; of few trials all."""
    record = planted(120)
    order = sorted((t.value, t.number) for t in record.complete if t.value is not None)
    numbers = [number for _, number in order]
    expected = {*numbers[:10], numbers[(len(numbers) - 1) // 2], numbers[-1]}
    assert spared(record, "best") == expected
    assert (spared(record, "all"), spared(record, "none")) == (set(range(120)), set())
    few = study(trial(0, state=TrialState.FAIL), trial(1, value=0.2), trial(2, value=0.1))
    assert (spared(few, "best"), spared(study(), "best")) == ({1, 2}, set())
    own = [{"infeasible": True} if i < 5 else {} for i in range(30)]
    many = study(*(trial(i, value=0.1 + i, attrs=own[i]) for i in range(30)))
    assert spared(many, "best") >= set(range(5, 15))


def pictures(made: optuna.Study, number: int, store: ArtifactFolder) -> list[bytes | None]:
    """Return both pictures of a trial."""
    key = made.get_trials(deepcopy=False)[number]._trial_id
    return [read_artifact(store, made._storage, key, name) for name in attrs.FILES[:2]]


def test_refreshing_cleans_a_study_that_keeps_the_best(copied: Path) -> None:
    """Pictures of the others become a small one; entries, curves and the report's stay."""
    store = open_artifacts(copied / "artifacts")
    with opened(url_of(copied), write=True) as storage:
        made = optuna.load_study(study_name="faces", storage=storage)
        made.set_user_attr(attrs.KEPT_PICTURES, "best")
        record = load_study_record(storage, "faces")
        before = best_pictures(record, storage, store)
        stay = spared(record, "best")
        ended = {t.number for t in record.trials if t.state.is_finished()}
        assert len(ended - stay) > 3  # the dead, the pruned and the interrupted one, and another
        files = set(store.folder.iterdir())
        refresh(storage, "faces", url=url_of(copied), artifacts=store.folder)
        assert set(store.folder.iterdir()) == files
        for number in ended:
            gone = [picture == no_picture() for picture in pictures(made, number, store)]
            assert gone == [number not in stay] * 2
        assert best_pictures(record, storage, store) == before
        assert clean(storage, record, store, keep="best") == []
        sizes = {path: path.stat().st_size for path in files}
        rest = clean(storage, record, store, keep="none")
    freed = sum(sizes.values()) - sum(path.stat().st_size for path in sizes)
    assert freed > 10_000
    assert (len(rest), sum(rest)) == (len(stay), freed)


def test_states_of_finished_trainings_are_removed(tmp_path: Path, settings: StudySettings) -> None:
    """What a frozen worker left of them goes; what a trial will go on with stays."""
    made, folder, stop = begin_study(tmp_path, settings), tmp_path / "artifacts", threading.Event()
    objective = objective_of(settings, folder)
    run_trial(made, claim(made), replace(objective, draw=False), stop)
    stop.set()
    run_trial(made, claim(made), objective, stop)
    (kept,) = (folder / "unfinished").iterdir()
    finished, interrupted = made.get_trials()[1:3]
    assert (finished.state, interrupted.state) == (TrialState.COMPLETE, TrialState.FAIL)
    metas = get_all_artifact_meta(finished, storage=made._storage)
    assert tuple(meta.filename for meta in metas) == attrs.FILES
    assert pictures(made, 1, open_artifacts(folder)) == [no_picture()] * 2
    own, config = finished.user_attrs, objective.space.to_config(finished.params)
    training = training_name(config, own[attrs.SEED], own[attrs.DATA_FINGERPRINT], None)
    left = unfinished_path(folder, made, training)
    another = left.with_name(f"other-{training}.pt")
    for path in (left, another):  # of a worker that woke up, and of another study
        path.write_bytes(b"left")
    clean_states(made._storage, "faces", objective.space, folder)
    assert set((folder / "unfinished").iterdir()) == {kept, another}
    again = claim(made)
    clean_states(made._storage, "faces", objective.space, folder)
    assert again.user_attrs[attrs.RETRY_OF] == interrupted.number
    run_trial(made, again, objective, threading.Event())
    assert made.get_trials()[again.number].user_attrs[attrs.RESUMED_EPOCHS] == 1
