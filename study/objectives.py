"""The objective of a study: one trial is one training, judged on the validation split."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import optuna
import pandas as pd
import torch
from optuna.artifacts import FileSystemArtifactStore

from emoji_ae.errors import DivergedError
from emoji_ae.models import count_parameters
from emoji_ae.train import EpochMetrics, TrainResult, train_autoencoder
from storage import attrs
from storage.artifacts import save_artifacts
from study.data import StudyData
from study.pictures import pick, reconstructions_png
from study.seeds import trial_seed
from study.settings import StudySettings, code_version


class TrialInterrupted(Exception):
    """A trial was stopped from outside and says nothing about its configuration."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AutoencoderObjective:
    """Trains an autoencoder and returns its lowest validation MSE.

    Reports the validation MSE of every epoch (step 0 is the first), and stops where the pruner
    says so. Curves and pictures are stored whatever the end.

    Args:
        settings: Of the study.
        data: Training and validation images.
        artifacts: Where curves and pictures go.
        device: Where to train.
    """

    settings: StudySettings
    data: StudyData
    artifacts: FileSystemArtifactStore
    device: torch.device

    def __call__(self, trial: optuna.Trial, stop_requested: Callable[[], bool]) -> float:
        """Run one trial.

        Args:
            trial: A live trial.
            stop_requested: Asked after every epoch; True ends the training.

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
        self._describe(trial, seed, replicate)
        ends: list[Exception] = []

        def on_epoch(metrics: EpochMetrics) -> bool:
            trial.report(metrics.validation_mse, step=metrics.epoch)
            last = metrics.epoch + 1 == config.epoch
            if stop_requested():
                ends.append(TrialInterrupted(f"interrupted after epoch {metrics.epoch + 1}"))
            elif not last and trial.should_prune():
                ends.append(optuna.TrialPruned(f"pruned after epoch {metrics.epoch + 1}"))
            return bool(ends)

        try:
            result = train_autoencoder(
                config,
                self.data.train,
                self.data.validation,
                seed=seed,
                device=self.device,
                on_epoch=on_epoch,
            )
        except DivergedError as error:
            self._store(trial, error.result)
            raise
        self._store(trial, result)
        if ends:
            raise ends[0]
        assert result.best is not None  # a finite curve has a lowest point
        return result.best.validation_mse

    def _describe(self, trial: optuna.Trial, seed: int, replicate: int) -> None:
        trial.set_user_attr(attrs.SEED, seed)
        trial.set_user_attr(attrs.REPLICATE, replicate)
        trial.set_user_attr(attrs.DATA_FINGERPRINT, self.data.fingerprint)
        trial.set_user_attr(attrs.CODE_VERSION, code_version())
        trial.set_user_attr(attrs.DEVICE, str(self.device))
        trial.set_user_attr(attrs.THREADS, torch.get_num_threads())

    def _store(self, trial: optuna.Trial, result: TrainResult) -> None:
        last = result.curve[-1]
        values = {
            attrs.EPOCHS_RUN: len(result.curve),
            attrs.TRAINING_SECONDS: round(last.seconds, 3),
            attrs.PARAMETER_COUNT: count_parameters(result.model),
            attrs.LAST_VALIDATION_MSE: last.validation_mse,
            attrs.LAST_TRAIN_MSE: last.train_mse,
        }
        if result.best is not None:
            values[attrs.VALIDATION_MSE] = result.best.validation_mse
            values[attrs.BEST_EPOCH] = result.best.epoch + 1
        for name, value in values.items():
            trial.set_user_attr(name, value)
        shown = pick(len(self.data.validation))
        save_artifacts(
            self.artifacts,
            trial,
            {
                attrs.RECONSTRUCTIONS_FILE: reconstructions_png(
                    result.model,
                    self.data.validation[shown],
                    [self.data.validation_texts[i] for i in shown],
                ),
                attrs.CURVES_FILE: curves_csv(result.curve),
            },
        )


def curves_csv(curve: tuple[EpochMetrics, ...]) -> bytes:
    """Write all metrics of all epochs as CSV; epochs are counted from 0, as steps are."""
    buffer = io.StringIO()
    pd.DataFrame(curve).to_csv(buffer, index=False, float_format="%.7g")
    return buffer.getvalue().encode()
