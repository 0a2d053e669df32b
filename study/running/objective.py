"""The objective of a study: one trial is one training, judged on the validation split."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, TrialState

from emoji_ae.checkpoint import Checkpoint, save_checkpoint
from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics, MultitaskMetrics, curve_from_csv, curve_to_csv
from emoji_ae.drawing.learning_curve import learning_curve_png
from emoji_ae.errors import CheckpointError
from emoji_ae.latent_quality import measure_latents
from emoji_ae.loop import DivergedError, TrainResult, suspended_result
from emoji_ae.models import Autoencoder, count_parameters
from emoji_ae.multitask import MultitaskResult, best_metrics
from emoji_ae.resume import ResumeFile, TrainState
from emoji_ae.training import train_model
from search_spaces import Scalar, SearchSpace, SearchSpaceError
from storage import attrs
from storage.artifacts import (
    ArtifactFolder,
    adopt_unfinished,
    model_path,
    no_picture,
    open_artifacts,
    read_artifact,
    save_artifacts,
    storing,
    study_uid,
    unfinished_path,
)
from storage.operations import FIXED_PARAMS
from storage.outages import first_line
from storage.writing import Reports, suggesting, write_trial
from study.emoji.data import StudyData
from study.pictures import reconstructions_png
from study.running.environment import describe_environment
from study.sampling.names import ADAPTIVE_SAMPLERS, suggest_untried
from study.seeds import pair_seed, sampler_seed, training_name, trial_seed
from study.settings import StudySettings, code_version

PRUNER_CHECKS = 50
"""How often the pruner is asked in the longest training of a study, at even distances."""

CONSTRAINTS = "constraints"
"""System attribute of a trial: by how much it breaks each constraint. Optuna 5 stores each by its
name instead and reads both; its dashboard 0.21 reads only this.
"""

Values = float | tuple[float, float]
"""What a trial is told: validation MSE, with two objectives validation accuracy too."""


class TrialInterrupted(Exception):
    """A trial was stopped from outside and says nothing about its configuration."""


class _StateFile(ResumeFile):
    """The state of an unfinished training among a study's files.

    Args:
        path: As ``ResumeFile``, as all others but these two.
        folder: Of the study's files.
        check_folder: Called before each save, which would create a folder that was removed.
    """

    def __init__(
        self, path: Path, *, folder: Path, check_folder: Callable[[], None], **others: Any
    ) -> None:
        super().__init__(path, **others)
        self._folder = folder
        self._check_folder = check_folder

    def save(self, state: TrainState) -> None:
        """Save the state in any case.

        Raises:
            ArtifactFolderError: If the file cannot be written.
        """
        self._check_folder()
        with storing(self._folder, RuntimeError):  # torch turns some write errors into it
            super().save(state)

    def remove(self) -> None:
        """Remove the file, for a training that has ended, if that is possible."""
        with suppress(OSError):
            super().remove()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingObjective:
    """Trains what a trial's parameters say and returns its lowest validation MSE.

    Reports the validation MSE of every epoch (step 0 is the first), and stops where the pruner
    says so; a study of two objectives has neither, for Optuna prunes by one alone. Curves and
    pictures are stored whatever the end. A training that a finished trial of the study has
    already done, as a whole or as its beginning, is answered from that trial's curve. One that
    was interrupted goes on where it stopped.

    Args:
        settings: Of the study.
        data: Training and validation images.
        artifacts: Folder of curves, pictures and the states of unfinished trainings.
        device: Where to train.
        own_space: What parameters are suggested from; None for the space of the settings.
        keep_models: Whether the trained models themselves are kept, see ``model_path``; then
            nothing is answered from a stored curve, which has none.
        draw: Whether trials keep pictures; without, each has one that says that there is none.
        measure: Whether trained models have their latents measured, see
            ``emoji_ae.latent_quality``; what is answered from a stored curve has no model.
        check_folder: Called before something is stored; raises an ArtifactFolderError if the
            folder takes no files, see ``held_folder``.
    """

    settings: StudySettings
    data: StudyData
    artifacts: Path
    device: torch.device
    own_space: SearchSpace | None = None
    keep_models: bool = False
    draw: bool = True
    measure: bool = False
    check_folder: Callable[[], None] = lambda: None

    @property
    def space(self) -> SearchSpace:
        """What parameters are suggested from."""
        return self.own_space or self.settings.search_space

    def __call__(self, trial: optuna.Trial, stop_requested: Callable[[], bool]) -> Values:
        """Run one trial.

        Args:
            trial: A live trial.
            stop_requested: Asked after every epoch; True suspends the training.

        Returns:
            The lowest mean reconstruction error on the validation split; for a study of two
            objectives, the accuracy of the same weights behind it.

        Raises:
            optuna.TrialPruned: If the pruner stopped it.
            TrialInterrupted: If ``stop_requested`` did.
            SearchSpaceError: If it was enqueued with values that the study's space does not have.
            DivergedError: If an error became NaN or infinite.
            ArtifactFolderError: If the trial's files cannot be stored.
        """
        trial, params = self._suggest(trial)
        config = self.space.to_config(params)
        replicate = int(trial.user_attrs.get(attrs.REPLICATE, 0))
        pair = trial.user_attrs.get(attrs.PAIR)
        seed = (
            trial_seed(self.settings.seed, config, replicate)
            if pair is None
            else pair_seed(self.settings.seed, pair)
        )
        write_trial(
            trial,
            user_attrs={
                attrs.SEED: seed,
                attrs.REPLICATE: replicate,
                attrs.DATA_FINGERPRINT: self.data.fingerprint,
                attrs.CODE_VERSION: code_version(),
                attrs.ENVIRONMENT: describe_environment(),
                attrs.DEVICE: str(self.device),
                attrs.THREADS: torch.get_num_threads(),
            },
        )
        self.check_folder()  # before it would be created anew
        store = open_artifacts(self.artifacts)
        source = None if self.keep_models else self._find_source(trial, config, seed=seed)
        if source is not None and self._reuse(trial, config, store, source):
            return self._values(trial)
        self._train(trial, config, store, seed=seed, stop_requested=stop_requested)
        return self._values(trial)

    def _suggest(self, trial: optuna.Trial) -> tuple[optuna.Trial, dict[str, Scalar]]:
        """Choose and store the parameters of a trial; return it, from here on, and them.

        Raises:
            SearchSpaceError: If it was enqueued with values that the study's space does not have.
        """
        space, fixed = self.space, self.settings.fixed
        frozen = trial._cached_frozen_trial
        enqueued = {**frozen.params, **frozen.system_attrs.get(FIXED_PARAMS, {})}
        if not enqueued and self.settings.sampler in ADAPTIVE_SAMPLERS:
            seed = sampler_seed(self.settings.seed, trial.number)
            return suggest_untried(trial, space, fixed, seed=seed)
        space.require(enqueued, fixed)
        try:
            with suggesting(trial):
                params = space.suggest(trial, fixed)
        except ValueError as error:
            if not enqueued:
                raise
            raise SearchSpaceError(first_line(error)) from None
        return trial, params

    def _values(self, trial: optuna.Trial) -> Values:
        """Return what was stored at the end of a training as the objective's values."""
        mse = float(trial.user_attrs[attrs.VALIDATION_MSE])
        if not self.settings.pareto:
            return mse
        return mse, float(trial.user_attrs[attrs.VALIDATION_ACCURACY])

    def _train(
        self,
        trial: optuna.Trial,
        config: AutoencoderConfig,
        store: ArtifactFolder,
        *,
        seed: int,
        stop_requested: Callable[[], bool],
    ) -> None:
        """Train, and store what came out."""
        training = training_name(config, seed, self.data.fingerprint)
        adopt_unfinished(self.artifacts, trial.study, training)
        resume = _StateFile(
            unfinished_path(self.artifacts, trial.study, training),
            folder=self.artifacts,
            check_folder=self.check_folder,
            identity=config.identity(),
            seed=seed,
            max_epochs=config.epoch,
        )
        reports = Reports(trial)
        prunes = not self.settings.pareto and not isinstance(trial.study.pruner, NopPruner)
        prune_interval = max(1, self.settings.max_epochs // PRUNER_CHECKS)
        pruned = False

        def report(metrics: EpochMetrics) -> None:
            if not self.settings.pareto:
                reports.add(metrics.validation_mse, step=metrics.epoch)

        def on_epoch(metrics: EpochMetrics) -> bool:
            nonlocal pruned
            report(metrics)
            n_epochs = metrics.epoch + 1
            if n_epochs == config.epoch:
                return False
            if stop_requested():
                raise TrialInterrupted(f"interrupted after epoch {n_epochs}")
            if prunes and n_epochs % prune_interval == 0:
                pruned = trial.should_prune()
            return pruned

        if resume.state is not None:
            resumed = resume.state.curve
            write_trial(trial, user_attrs={attrs.RESUMED_EPOCHS: len(resumed)})
            for metrics in resumed:
                report(metrics)
        try:
            result = train_model(
                config,
                self.data.train_for(config),
                self.data.validation,
                seed=seed,
                device=self.device,
                images_per_epoch=self.data.n_own,
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
        if self.measure and not pruned:
            self._store_latents(trial, result.model)
        if self.keep_models:
            checkpoint = Checkpoint(
                model=result.model,
                config=config,
                seed=seed,
                data_fingerprint=self.data.fingerprint,
                curve=result.curve,
            )
            uid = study_uid(trial.study._storage, trial.study._study_id)
            with storing(self.artifacts, CheckpointError):
                save_checkpoint(checkpoint, model_path(self.artifacts, uid, trial.number))
        resume.remove()
        if pruned:
            raise optuna.TrialPruned(f"pruned after epoch {len(result.curve)}")

    def _store(
        self,
        trial: optuna.Trial,
        store: ArtifactFolder,
        result: TrainResult[Any],
    ) -> None:
        """Store the figures, the pictures and the curve of a training, whatever its end."""
        values: dict[str, Any] = {
            attrs.EPOCHS_RUN: len(result.curve),
            attrs.PARAMETER_COUNT: count_parameters(result.model),
        }
        curve: tuple[EpochMetrics, ...] = result.curve
        if isinstance(result, MultitaskResult):
            curve += result.classifier_curve
            if result.confusion is not None:
                values[attrs.CONFUSION] = result.confusion.tolist()
            if result.early_stopped:
                values[attrs.EARLY_STOPPED] = True
        values[attrs.TRAINING_SECONDS] = round(curve[-1].seconds, 3)
        curves = curve_to_csv(curve)
        values[attrs.CURVES_DIGEST] = _digest(curves)
        self._write_figures(trial, values, last=result.curve[-1], best=result.best)
        pictures = no_picture()
        if self.draw:
            pictures = reconstructions_png(
                result.model, self.data.validation.images, self.data.validation_texts
            )
        self._save(store, trial, result.curve, pictures=pictures, curves=curves)

    def _store_latents(self, trial: optuna.Trial, model: Autoencoder) -> None:
        """Store the numbers for a model's latents, those that there are."""
        quality = measure_latents(model.cpu(), self.data.latent_sample)
        figures = {
            attrs.LATENT_ATTRIBUTE_AUC: quality.attribute_auc,
            attrs.LATENT_ANALOGY_RANK: quality.analogy_rank,
            attrs.LATENT_PATH_SMOOTHNESS: quality.path_smoothness,
            attrs.LATENT_PROBE_ACCURACY: quality.probe_accuracy,
            attrs.LATENT_VARIANCE_USED: quality.variance_used,
        }
        write_trial(trial, user_attrs={name: x for name, x in figures.items() if x is not None})

    def _write_figures(
        self,
        trial: optuna.Trial,
        values: Mapping[str, Any],
        *,
        last: EpochMetrics,
        best: EpochMetrics | None,
        intermediate_values: Mapping[int, float] | None = None,
    ) -> None:
        """Store a trial's figures: some by name, and those of its last and its best epoch."""
        system_attrs: dict[str, Any] = {}
        figures = {
            **values,
            attrs.LAST_VALIDATION_MSE: last.validation_mse,
            attrs.LAST_TRAIN_MSE: last.train_mse,
        }
        if best is not None:
            figures[attrs.VALIDATION_MSE] = best.validation_mse
            figures[attrs.BEST_EPOCH] = best.epoch + 1
        if isinstance(best, MultitaskMetrics):
            figures[attrs.VALIDATION_CROSS_ENTROPY] = best.validation_cross_entropy
            figures[attrs.VALIDATION_ACCURACY] = best.validation_accuracy
            figures[attrs.VALIDATION_BALANCED_ACCURACY] = best.validation_balanced_accuracy
            if self.settings.min_accuracy is not None:
                # Accuracies are numbers of single precision: 7 of 10 is a little less than 0.7.
                lack = round(self.settings.min_accuracy - best.validation_accuracy, 6)
                system_attrs[CONSTRAINTS] = [lack]
                if lack > 0:
                    figures[attrs.INFEASIBLE] = True
        write_trial(
            trial,
            user_attrs=figures,
            intermediate_values=intermediate_values,
            system_attrs=system_attrs,
        )

    def _find_source(
        self, trial: optuna.Trial, config: AutoencoderConfig, *, seed: int
    ) -> FrozenTrial | None:
        """Return a finished trial that did the same training, or that begins with it."""
        finished = trial.study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
        )
        to_config = self.space.to_config
        return next(
            (
                other
                for other in finished
                if other.user_attrs.get(attrs.SEED) == seed
                and other.user_attrs.get(attrs.DATA_FINGERPRINT) == self.data.fingerprint
                and attrs.REUSED_FROM not in other.user_attrs
                and (
                    other.user_attrs[attrs.EPOCHS_RUN] >= config.epoch
                    or attrs.EARLY_STOPPED in other.user_attrs
                )
                and to_config(other.params).identity() == config.identity()
            ),
            None,
        )

    def _reuse(
        self,
        trial: optuna.Trial,
        config: AutoencoderConfig,
        store: ArtifactFolder,
        source: FrozenTrial,
    ) -> bool:
        """Answer a trial from the stored curve of another; say whether that was possible.

        Pictures are those of the other trial, which may have trained on.
        """
        storage = trial.study._storage
        pictures = read_artifact(store, storage, source._trial_id, attrs.RECONSTRUCTIONS_FILE)
        curves = read_artifact(store, storage, source._trial_id, attrs.CURVES_FILE)
        if pictures is None or curves is None:
            return False
        if _digest(curves) != source.user_attrs[attrs.CURVES_DIGEST]:
            return False  # the file was damaged
        n_source = source.user_attrs[attrs.EPOCHS_RUN]
        rows = curve_from_csv(curves)
        curve, after = rows[: min(config.epoch, n_source)], rows[n_source:]
        # Only equal lengths share what follows: see `MultitaskConfig.identity`.
        classifier_curve = [m for m in after if isinstance(m, MultitaskMetrics)]
        best = best_metrics(curve, classifier_curve)
        copied = {attrs.PARAMETER_COUNT}
        if source.user_attrs.get(attrs.BEST_EPOCH) == best.epoch + 1:
            copied.add(attrs.CONFUSION)
        if len(curve) == n_source < config.epoch:
            copied.add(attrs.EARLY_STOPPED)
        values: dict[str, Any] = {
            attrs.REUSED_FROM: source.number,
            attrs.EPOCHS_RUN: 0,
            attrs.TRAINING_SECONDS: 0.0,
            **{name: source.user_attrs[name] for name in copied if name in source.user_attrs},
        }
        self._write_figures(
            trial,
            values,
            last=curve[-1],
            best=best,
            intermediate_values=None
            if self.settings.pareto
            else {metrics.epoch: metrics.validation_mse for metrics in curve},
        )
        curves = curve_to_csv((*curve, *classifier_curve))
        self._save(store, trial, curve, pictures=pictures, curves=curves)
        return True

    def _save(
        self,
        store: ArtifactFolder,
        trial: optuna.Trial,
        curve: Sequence[EpochMetrics],
        *,
        pictures: bytes,
        curves: bytes,
    ) -> None:
        """Attach a trial's files; in that of its curves, epochs are counted from 0."""
        files = {
            attrs.RECONSTRUCTIONS_FILE: pictures,
            attrs.LEARNING_CURVE_FILE: learning_curve_png(curve) if self.draw else no_picture(),
            attrs.CURVES_FILE: curves,
        }
        self.check_folder()
        save_artifacts(store, trial, files)


def _digest(content: bytes) -> str:
    """Return a short digest, by which a damaged file is known."""
    return hashlib.sha256(content).hexdigest()[:16]
