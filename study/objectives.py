"""The objective of a study: one trial is one training, judged on the validation split."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch
from optuna.artifacts import FileSystemArtifactStore
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState

from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics, curve_from_csv, curve_to_csv
from emoji_ae.errors import DivergedError
from emoji_ae.models import count_parameters
from emoji_ae.resume import ResumeFile
from emoji_ae.train import TrainResult, suspended_result, train_autoencoder
from storage import attrs
from storage.artifacts import open_artifacts, read_artifact, save_artifacts, unfinished_path
from storage.writing import Reports, write_trial
from study.data import StudyData
from study.pictures import pick, reconstructions_png
from study.seeds import trial_seed
from study.settings import StudySettings, code_version

PRUNER_CHECKS = 50
"""How often the pruner is asked in the longest training of a study, at even distances."""


class TrialInterrupted(Exception):
    """A trial was stopped from outside and says nothing about its configuration."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AutoencoderObjective:
    """Trains an autoencoder and returns its lowest validation MSE.

    Reports the validation MSE of every epoch (step 0 is the first), and stops where the pruner
    says so. Curves and pictures are stored whatever the end. A training that a finished trial
    of the study has already done, as a whole or as its beginning, is answered from that trial's
    curve. One that was interrupted goes on where it stopped.

    Args:
        settings: Of the study.
        data: Training and validation images.
        artifacts: Folder of curves, pictures and the states of unfinished trainings.
        device: Where to train.
    """

    settings: StudySettings
    data: StudyData
    artifacts: Path
    device: torch.device

    def __call__(self, trial: optuna.Trial, stop_requested: Callable[[], bool]) -> float:
        """Run one trial.

        Args:
            trial: A live trial.
            stop_requested: Asked after every epoch; True suspends the training.

        Returns:
            The lowest mean reconstruction error on the validation split.

        Raises:
            optuna.TrialPruned: If the pruner stopped it.
            TrialInterrupted: If ``stop_requested`` did.
            DivergedError: If an error became NaN or infinite.
        """
        space = self.settings.search_space
        config = space.to_config(space.suggest(trial, self.settings.fixed))
        replicate = int(trial.user_attrs.get(attrs.REPLICATE, 0))
        seed = trial_seed(self.settings.seed, config, replicate)
        write_trial(
            trial,
            user_attrs={
                attrs.SEED: seed,
                attrs.REPLICATE: replicate,
                attrs.DATA_FINGERPRINT: self.data.fingerprint,
                attrs.CODE_VERSION: code_version(),
                attrs.DEVICE: str(self.device),
                attrs.THREADS: torch.get_num_threads(),
            },
        )
        store = open_artifacts(self.artifacts)
        reused = _reuse(trial, store, seed=seed, n_epochs=config.epoch)
        if reused is not None:
            return reused
        return self._train(trial, config, store, seed=seed, stop_requested=stop_requested)

    def _train(
        self,
        trial: optuna.Trial,
        config: AutoencoderConfig,
        store: FileSystemArtifactStore,
        *,
        seed: int,
        stop_requested: Callable[[], bool],
    ) -> float:
        resume = ResumeFile(
            unfinished_path(self.artifacts, trial.study, seed),
            identity=config.identity(),
            seed=seed,
            max_epochs=config.epoch,
        )
        reports = Reports(trial)
        for metrics in resume.state.curve if resume.state is not None else ():
            reports.add(metrics.validation_mse, step=metrics.epoch)
        prunes = not isinstance(trial.study.pruner, NopPruner)
        prune_interval = max(1, self.settings.max_epochs // PRUNER_CHECKS)
        pruned = False

        def on_epoch(metrics: EpochMetrics) -> bool:
            nonlocal pruned
            reports.add(metrics.validation_mse, step=metrics.epoch)
            n_epochs = metrics.epoch + 1
            if n_epochs == config.epoch:
                return False
            if stop_requested():
                raise TrialInterrupted(f"interrupted after epoch {n_epochs}")
            if prunes and n_epochs % prune_interval == 0:
                pruned = trial.should_prune()
            return pruned

        try:
            result = train_autoencoder(
                config,
                self.data.train,
                self.data.validation,
                seed=seed,
                device=self.device,
                on_epoch=on_epoch,
                resume=resume,
            )
        except TrialInterrupted:
            if resume.state is not None:  # kept before the interruption was passed on
                self._store(trial, store, suspended_result(config, resume.state))
            raise
        except DivergedError as error:
            self._store(trial, store, error.result)
            resume.remove()
            raise
        finally:
            reports.flush()
        self._store(trial, store, result)
        resume.remove()
        if pruned:
            raise optuna.TrialPruned(f"pruned after epoch {len(result.curve)}")
        assert result.best is not None  # a finite curve has a lowest point
        return result.best.validation_mse

    def _store(
        self, trial: optuna.Trial, store: FileSystemArtifactStore, result: TrainResult
    ) -> None:
        last, best = result.curve[-1], result.best
        kept = {} if best is None else _best_attrs(best.validation_mse, epoch=best.epoch)
        write_trial(
            trial,
            user_attrs={
                attrs.EPOCHS_RUN: len(result.curve),
                attrs.TRAINING_SECONDS: round(last.seconds, 3),
                attrs.PARAMETER_COUNT: count_parameters(result.model),
                attrs.LAST_VALIDATION_MSE: last.validation_mse,
                attrs.LAST_TRAIN_MSE: last.train_mse,
                **kept,
            },
        )
        shown = pick(len(self.data.validation))
        pictures = reconstructions_png(
            result.model,
            self.data.validation[shown],
            [self.data.validation_texts[i] for i in shown],
        )
        _save(store, trial, pictures=pictures, curve=result.curve)


def _reuse(
    trial: optuna.Trial, store: FileSystemArtifactStore, *, seed: int, n_epochs: int
) -> float | None:
    """Answer a trial from the curve of a finished one; None if none has done its training.

    Equal seeds mean equal trainings, up to their length. Pictures are those of the other
    trial, which may have trained on.
    """
    source = _find_source(trial, seed=seed, n_epochs=n_epochs)
    if source is None:
        return None
    storage = trial.study._storage
    pictures = read_artifact(store, storage, source._trial_id, attrs.RECONSTRUCTIONS_FILE)
    curves = read_artifact(store, storage, source._trial_id, attrs.CURVES_FILE)
    if pictures is None or curves is None:
        return None
    values = [source.intermediate_values[epoch] for epoch in range(n_epochs)]
    curve = curve_from_csv(curves)[:n_epochs]
    best = min(values)
    write_trial(
        trial,
        user_attrs={
            attrs.REUSED_FROM: source.number,
            attrs.EPOCHS_RUN: 0,
            attrs.TRAINING_SECONDS: 0.0,
            attrs.PARAMETER_COUNT: source.user_attrs[attrs.PARAMETER_COUNT],
            attrs.LAST_VALIDATION_MSE: values[-1],
            attrs.LAST_TRAIN_MSE: curve[-1].train_mse,
            **_best_attrs(best, epoch=values.index(best)),
        },
        intermediate_values=dict(enumerate(values)),
    )
    _save(store, trial, pictures=pictures, curve=curve)
    return best


def _find_source(trial: optuna.Trial, *, seed: int, n_epochs: int) -> FrozenTrial | None:
    """Return a finished trial that did the same training for at least as many epochs."""
    finished = trial.study.get_trials(
        deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
    )
    return next(
        (
            other
            for other in finished
            if other.user_attrs.get(attrs.SEED) == seed
            and attrs.REUSED_FROM not in other.user_attrs
            and len(other.intermediate_values) >= n_epochs
        ),
        None,
    )


def _best_attrs(validation_mse: float, *, epoch: int) -> dict[str, float]:
    """Return the attributes of the lowest error; its epoch is given from 0, stored from 1."""
    return {attrs.VALIDATION_MSE: validation_mse, attrs.BEST_EPOCH: epoch + 1}


def _save(
    store: FileSystemArtifactStore,
    trial: optuna.Trial,
    *,
    pictures: bytes,
    curve: Sequence[EpochMetrics],
) -> None:
    """Attach a trial's files; epochs are counted from 0, as steps are."""
    files = {attrs.RECONSTRUCTIONS_FILE: pictures, attrs.CURVES_FILE: curve_to_csv(curve)}
    save_artifacts(store, trial, files)
