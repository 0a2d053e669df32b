"""Which trials keep their pictures, the removal of the others', and that of old states.

A picture is not removed but replaced by a small one that says so: the dashboard offers the files
of the first trial for all of them, and an entry without a file would break its pages. Curves stay,
since they answer trials whose training was done before.
"""

from pathlib import Path

from optuna.storages import BaseStorage

from search_spaces import SearchSpace
from storage import attrs
from storage.artifacts import ArtifactFolder, clear_pictures, study_uid, unfinished_states
from storage.records import StudyRecord, TrialRecord, load_study_record
from study.analysis import ranked_by_constraint
from study.choices import Pictures
from study.seeds import training_name

N_BEST = 10
"""Trials that count as the best."""


def spared(record: StudyRecord, keep: Pictures) -> set[int]:
    """Return the numbers of the trials whose pictures stay.

    Of the best these are ten, and the median and the worst, which the report shows beside them.
    """
    if keep == "all":
        return {trial.number for trial in record.trials}
    if keep == "none":
        return set()
    order = [trial.number for _, trial in ranked_by_constraint(record)]
    return {*order[:N_BEST], *order[(len(order) - 1) // 2 :][:1], *order[-1:]}


def clean(
    storage: BaseStorage, record: StudyRecord, store: ArtifactFolder, *, keep: Pictures
) -> list[int]:
    """Remove the pictures of ended trials, but for those that stay; return each one's bytes."""
    stay = spared(record, keep)
    freed = [
        clear_pictures(store, storage, trial.trial_id)
        for trial in record.trials
        if trial.state.is_finished() and trial.number not in stay
    ]
    return [n_bytes for n_bytes in freed if n_bytes]


def clean_states(storage: BaseStorage, name: str, space: SearchSpace, folder: Path) -> None:
    """Remove the states of a study's unfinished trainings that have finished meanwhile.

    A worker that was taken for dead, and wakes when another one has trained its trial, leaves one.
    """
    states = unfinished_states(folder, study_uid(storage, storage.get_study_id_from_name(name)))
    if not states:
        return
    record = load_study_record(storage, name)
    ended: set[str] = set()
    wanted: set[str] = set()  # a trial will go on with them
    for trial in record.trials:
        if trial.finished or attrs.has_diverged(trial.user_attrs):
            ended |= _training(trial, space)
        elif not trial.state.is_finished():
            attempt: TrialRecord | None = trial
            while attempt is not None:  # the latest one may not have come to train at all
                wanted |= _training(attempt, space)
                before = attrs.RETRY_OF.of(attempt)
                attempt = None if before is None else record.trials[before]
    for training in (ended - wanted) & states.keys():
        states[training].unlink(missing_ok=True)


def _training(trial: TrialRecord, space: SearchSpace) -> set[str]:
    """Return the name of a trial's training, if the trial has begun one."""
    seed, data = attrs.SEED.of(trial), attrs.DATA_FINGERPRINT.of(trial)
    if seed is None or data is None:
        return set()
    digest = attrs.KIND_DIGEST.of(trial)
    return {training_name(space.to_config(space.given(trial.params)), seed, data, digest)}
