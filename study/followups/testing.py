"""The one look at the test data: the kept models of a confirmation, measured each once."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import TrialState

from storage import attrs, operations
from storage.artifacts import (
    artifact_folder,
    model_path,
    open_artifacts,
    save_study_artifact,
    study_uid,
)
from storage.records import StudyRecord, TrialRecord, load_study_record
from storage.served import perform
from study.analysis.confirmation import get_confirmation
from study.analysis.experiment import trials_of_arm
from study.followups.setup import Prepared
from study.formats import counted
from study.kinds import EXAMPLES
from study.requests import Place, Say
from study.running.housekeeping import housekeeping
from study.running.job import own_threads

MAX_BLOCKS = 300
"""Groups of test examples that are kept of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptModels:
    """The trained models of a follow-up, which are kept until they have been tested."""

    folder: Path
    uid: str
    study_id: int
    followup: Prepared

    def find(self, trial: TrialRecord) -> Path | None:
        """Return where a trial's model is; None if it is lost, or another one lies there."""
        kind = self.followup.found.kind
        space = self.followup.settings.space_in(kind)
        config = space.to_config(space.given(trial.params))
        seed, data = attrs.SEED.of(trial), attrs.DATA_FINGERPRINT.of(trial)
        if seed is None or data is None:
            return None
        for study in (self.uid, self.study_id):  # the latter of an earlier version
            path = model_path(self.folder, study, trial.number)
            with suppress(ValueError):
                self.followup.trainer.require_model(
                    path,
                    config,
                    seed=seed,
                    data_fingerprint=data,
                )
                return path
        return None


def measure_models(
    followup: Prepared, storage: BaseStorage, record: StudyRecord, place: Place, *, say: Say
) -> StudyRecord:
    """Measure the kept models of a confirmation on the test data, each once, after all choices.

    Another command may do the same; it removes a model only when its result was stored.
    """
    study_id = storage.get_study_id_from_name(followup.name)
    device = followup.trainer.resolve_device(place.device)
    models = _KeptModels(
        folder=artifact_folder(place.url, place.artifacts),
        uid=study_uid(storage, study_id),
        study_id=study_id,
        followup=followup,
    )
    tested: Mapping[str, object] = attrs.TEST_RESULTS.of(record) or {}
    kind = followup.found.kind
    names = [m.test_name for m in kind.metrics[:2] if m.always]
    found: dict[str, dict[str, Any]] = {}
    for trial in record.complete:
        model = None if str(trial.number) in tested else models.find(trial)
        if model is None:
            continue
        own_threads(attrs.THREADS.of(trial) or 1)  # as `train` does
        measured = kind.tested(followup.trainer.test(model, followup.data, device=device))
        found[str(trial.number)] = {name: measured[name] for name in names if name in measured}
        if examples := measured.get(EXAMPLES):
            perform(
                storage,
                operations.keep_study_attr,
                study_id=study_id,
                name=attrs.tested_examples(trial.number),
                value=blocks(examples),
            )
    results = perform(
        storage,
        operations.merge_study_attr,
        study_id=study_id,
        name=attrs.TEST_RESULTS,
        entries=found,
    )
    after = load_study_record(storage, followup.name)
    with housekeeping("the pictures of the best model are not drawn", say):
        _exhibit(after, storage, models)
    with housekeeping("models that were tested may be left", say):
        for trial in record.trials:
            if str(trial.number) in results or trial.state is TrialState.FAIL:
                model_path(models.folder, models.uid, trial.number).unlink(missing_ok=True)
    lost = sum(str(trial.number) not in results for trial in record.complete)
    if lost:
        say(
            f"Warning: the trained models of {counted(lost, 'trial')} are not in "
            f"{models.folder}; workers on other machines must share it (--artifacts) for the "
            "test."
        )
    return after


def blocks(examples: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return groups of test examples, or blocks of them where there are more than can be kept.

    Each is a number of examples and their mean, with the digits that single precision has.
    """
    found = []
    for i in range(min(len(examples), MAX_BLOCKS)):
        block = examples[i::MAX_BLOCKS]
        n = sum(size for size, _ in block)
        found.append((n, float(f"{sum(size * mean for size, mean in block) / n:.7g}")))
    return found


def _exhibit(record: StudyRecord, storage: BaseStorage, models: _KeptModels) -> None:
    """Keep the files by which a kind shows its best confirmed configuration's model."""
    info = get_confirmation(record)
    if info is None or info.best is None:
        return
    for pair, trial in sorted(trials_of_arm(record, info.best).items()):
        model = models.find(trial)
        if model is None:
            continue  # it was tested before, or is lost
        caption = f"{info.best}, seed and split {pair + 1} of {record.name}"
        trainer, data = models.followup.trainer, models.followup.data
        store = open_artifacts(models.folder)
        for name, content in trainer.exhibit(model, data, caption=caption).items():
            save_study_artifact(store, storage, models.study_id, name, content)
        return
