"""No training is done twice: trials that are answered from the stored curve of another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces import SearchSpace
from search_spaces.base import Config
from storage import attrs
from storage.artifacts import open_artifacts, read_artifact
from storage.internals import trial_key
from study.kinds import Kind, Trainer, Training
from study.running.curves import curves_digest, read_curves


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """A training that another trial did.

    Args:
        number: Of that trial.
        training: As far as this trial needs it.
        files: The other trial's, by name; it may have trained on.
    """

    number: int
    training: Training
    files: Mapping[str, bytes]


def find_source(
    study: optuna.Study,
    space: SearchSpace,
    config: Config,
    *,
    n_steps: int | None,
    seed: int,
    data_fingerprint: str,
    kind_digest: str | None,
) -> FrozenTrial | None:
    """Return a finished trial that did the same training, or that begins with it.

    Args:
        study: Where to look.
        space: Of its trials.
        config: What is to be trained.
        n_steps: For how long; None if that is not known.
        seed: Of the training.
        data_fingerprint: Of its data.
        kind_digest: Of the code that would train it.
    """
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    same = {
        attrs.SEED: seed,
        attrs.DATA_FINGERPRINT: data_fingerprint,
        attrs.KIND_DIGEST: kind_digest,
        attrs.REUSED_FROM: None,
    }
    for other in finished:
        own = other.user_attrs
        if any(own.get(name) != value for name, value in same.items()):
            continue
        whole = attrs.EARLY_STOPPED in own or (
            other.state is TrialState.COMPLETE
            if n_steps is None
            else own[attrs.EPOCHS_RUN] >= n_steps
        )
        if whole and space.to_config(other.params).identity() == config.identity():
            return other
    return None


def recall(
    source: FrozenTrial,
    trainer: Trainer,
    config: Config,
    kind: Kind,
    storage: BaseStorage,
    artifacts: Path,
) -> Reused | None:
    """Rebuild the training of a trial from its files; None if they are lost, or do not suffice.

    Args:
        source: The trial that did the training.
        trainer: Of the kind.
        config: What is to be trained, maybe for a shorter time.
        kind: Of the study.
        storage: Of the study.
        artifacts: Folder of the study's files.
    """
    store = open_artifacts(artifacts)

    def read(name: str) -> bytes | None:
        return read_artifact(store, storage, trial_key(source), name)

    curves = read(attrs.CURVES_FILE)
    if curves is None or curves_digest(curves) != source.user_attrs[attrs.CURVES_DIGEST]:
        return None  # lost or damaged
    files = {file.name: read(file.name) for file in kind.files}
    whole = {name: content for name, content in files.items() if content is not None}
    if len(whole) < len(files):
        return None
    training = trainer.recall(
        config, read_curves(curves), source.user_attrs[attrs.EPOCHS_RUN], source.user_attrs
    )
    if training is None:
        return None
    return Reused(number=source.number, training=training, files=whole)
