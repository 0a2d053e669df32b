"""No training is done twice: stored curves, and trials that are answered from another one's."""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces import SearchSpace
from search_spaces.base import Config
from storage import attrs
from storage.artifacts import open_artifacts, read_artifact
from storage.internals import trial_key
from study.kinds import Kind, Step, Trainer, Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """A training that the trial of a number did, as far as another one needs it.

    The files are the first trial's, by name; it may have trained on.
    """

    number: int
    training: Training
    files: Mapping[str, bytes]


def write_curves(rows: Sequence[Step]) -> bytes:
    """Write the table of a training's curves as CSV; cells of numbers that a row lacks are empty.

    Nine digits hold a number of single precision exactly.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(f"{row[name]:.9g}" if name in row else "" for name in names)
    return buffer.getvalue().encode()


def read_curves(content: bytes) -> list[dict[str, float]]:
    """Read what ``write_curves`` gave; raise a ValueError for anything else."""
    reader = csv.DictReader(io.StringIO(content.decode()))
    return [{name: float(text) for name, text in row.items() if text} for row in reader]


def curves_digest(content: bytes) -> str:
    """Return a short digest, by which a damaged file is known."""
    return hashlib.sha256(content).hexdigest()[:16]


def find_source(
    study: optuna.Study,
    space: SearchSpace,
    config: Config,
    n_steps: int | None,
    user_attrs: Mapping[str, Any],
) -> FrozenTrial | None:
    """Return a finished trial that did the same training, or that begins with it.

    It has the seed, and the digests of data and code, among these ``user_attrs``.
    """
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    alike = (attrs.SEED, attrs.DATA_FINGERPRINT, attrs.KIND_DIGEST)  # most others differ in seed
    for other in finished:
        if attrs.REUSED_FROM.of(other) is not None:
            continue
        if any(name.of(other) != name.among(user_attrs) for name in alike):
            continue
        whole = attrs.EARLY_STOPPED.of(other) or (
            other.state is TrialState.COMPLETE
            if n_steps is None
            else (attrs.EPOCHS_RUN.of(other) or 0) >= n_steps
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
    """Rebuild a trial's training from its files; None if they are lost, or do not suffice."""
    store = open_artifacts(artifacts)

    def read(name: str) -> bytes | None:
        return read_artifact(store, storage, trial_key(source), name)

    curves = read(attrs.CURVES_FILE)
    if curves is None or curves_digest(curves) != attrs.CURVES_DIGEST.of(source):
        return None  # lost or damaged
    found = {file.name: read(file.name) for file in kind.files}
    files = {name: content for name, content in found.items() if content is not None}
    if len(files) < len(found):
        return None  # lost
    training = trainer.recall(
        config, read_curves(curves), attrs.EPOCHS_RUN.of(source) or 0, source.user_attrs
    )
    if training is None:
        return None
    return Reused(number=source.number, training=training, files=files)
