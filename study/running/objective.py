"""The objective of a study: one trial is one training, judged on the validation data."""

import importlib.metadata
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import optuna

from search_spaces import Scalar, SearchSpace, SearchSpaceError
from search_spaces.base import Config
from storage import artifacts, attrs
from storage.internals import constraint_attrs, key_of, own_copy, storage_of
from storage.operations import FIXED_PARAMS
from storage.outages import first_line
from storage.writing import suggesting, write_trial
from study.errors import StudyError
from study.kinds import (
    Data,
    DivergedError,
    File,
    Interrupted,
    Kind,
    Trainer,
    Training,
    plain,
)
from study.running.reuse import Reused, curves_digest, find_source, recall, write_curves
from study.running.trial_run import TrialRun
from study.sampling.names import ADAPTIVE_SAMPLERS, suggest_untried
from study.seeds import pair_seed, sampler_seed, training_name, trial_seed
from study.settings import StudySettings, code_version

_GIT_S = 10.0  # seconds that git may take to tell the commit of a folder

Values = float | tuple[float, float]
"""What a trial is told: the objective, with two objectives the second one too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingObjective:
    """Trains what a trial's parameters say and returns its best value of the objective.

    Reports every step (0 is the first), and stops where the pruner says so; a study of two
    objectives has neither, for Optuna prunes by one alone. Curves and files are stored whatever
    the end. A training that a finished trial of the study has already done, as a whole or as its
    beginning, is answered from that trial's curve, where the trainer can. One that was
    interrupted goes on where it stopped.

    Args:
        artifacts: Folder of curves, pictures and the states of unfinished trainings.
        kind_digest: Of the file of the kind's code; None for a kind of this package.
        keep_models: Whether the trained models themselves are kept, see ``model_path``; then
            nothing is answered from a stored curve, which has none.
        draw: Whether trials keep pictures; without, each has one that says that there is none.
        measure: Whether models, where there is one, are measured by what is not always measured.
        check_folder: Called before something is stored; raises an ArtifactFolderError if the
            folder takes no files, see ``held_folder``.
    """

    settings: StudySettings
    kind: Kind
    trainer: Trainer
    data: Data
    artifacts: Path
    device: str
    threads: int
    space: SearchSpace
    kind_digest: str | None = None
    keep_models: bool = False
    draw: bool = True
    measure: bool = False
    check_folder: Callable[[], None] = lambda: None

    def __call__(self, trial: optuna.Trial, stop_requested: Callable[[], bool]) -> Values:
        """Run one live trial; return the objective's value, or both, of what the training keeps.

        Raises:
            optuna.TrialPruned, Interrupted: If the pruner, or ``stop_requested``, stopped it.
            SearchSpaceError: If it was enqueued with values that the study's space does not have.
            DivergedError: If a number became NaN or infinite.
            ArtifactFolderError: If the trial's files cannot be stored.
        """
        trial, params = self._suggest(trial)
        config = self.space.to_config(params)
        replicate = attrs.REPLICATE.of(trial) or 0
        pair = attrs.PAIR.of(trial)
        seed = (
            trial_seed(self.settings.seed, config, replicate)
            if pair is None
            else pair_seed(self.settings.seed, pair)
        )
        user_attrs: dict[str, Any] = {
            attrs.SEED: seed,
            attrs.REPLICATE: replicate,
            attrs.DATA_FINGERPRINT: self.data.fingerprint,
            attrs.CODE_VERSION: code_version(),
            attrs.ENVIRONMENT: _environment(self.kind.environment),
            attrs.DEVICE: self.device,
            attrs.THREADS: self.threads,
            **({} if self.kind_digest is None else {attrs.KIND_DIGEST: self.kind_digest}),
        }
        write_trial(trial, user_attrs=user_attrs)
        self.check_folder()  # before it would be created anew
        n_steps = self.kind.n_steps(params)
        source = None
        if not self.keep_models:
            source = find_source(trial.study, self.space, config, n_steps, user_attrs)
        if source is not None:
            storage = storage_of(trial.study)
            reused = recall(source, self.trainer, config, self.kind, storage, self.artifacts)
            if reused is not None:
                return self._store(trial, reused.training, reused)
        return self._train(trial, config, n_steps, seed=seed, stop_requested=stop_requested)

    def _suggest(self, trial: optuna.Trial) -> tuple[optuna.Trial, dict[str, Scalar]]:
        """Choose and store the parameters of a trial; return it, from here on, and them."""
        space, fixed = self.space, self.settings.fixed
        frozen = own_copy(trial)
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

    def _train(
        self,
        trial: optuna.Trial,
        config: Config,
        n_steps: int | None,
        *,
        seed: int,
        stop_requested: Callable[[], bool],
    ) -> Values:
        """Train, store what came out, and return the objective's values."""
        name = training_name(config, seed, self.data.fingerprint, self.kind_digest)
        artifacts.adopt_unfinished(self.artifacts, trial.study, name)
        state = artifacts.unfinished_path(self.artifacts, trial.study, name)
        run = TrialRun(
            trial,
            self.kind,
            self.settings,
            seed=seed,
            device=self.device,
            n_steps=n_steps,
            longest=self.kind.max_steps(self.space, self.settings.fixed) or 0,
            state=state,
            check_folder=self.check_folder,
            stop_requested=stop_requested,
        )
        try:
            training = self.trainer.train(config, self.data, run)
            self._require_training(training, pruned=run.pruned)
        except (Interrupted, DivergedError) as error:
            if error.training is not None:
                self._store(trial, error.training)
            if isinstance(error, DivergedError):
                run.remove_state()
            raise
        finally:
            run.flush()
        values = self._store(trial, training)
        if self.measure and not run.pruned:
            write_trial(trial, user_attrs=plain(training.measure()))
        if self.keep_models:
            uid = artifacts.study_uid(storage_of(trial.study), key_of(trial.study))
            path = artifacts.model_path(self.artifacts, uid, trial.number)
            with artifacts.storing(self.artifacts, ValueError):
                path.parent.mkdir(parents=True, exist_ok=True)
                training.save(path)
        run.remove_state()
        if run.pruned:
            raise optuna.TrialPruned(f"pruned after {self.kind.step} {len(training.steps)}")
        return values

    def _require_training(self, training: Training, *, pruned: bool) -> None:
        """Raise a StudyError if the kind must be mended, a DivergedError of no finite result."""
        if not isinstance(training, Training):
            raise StudyError(
                f"`train` of the kind {self.kind.name!r} must return a study.kinds.Finished, or "
                f"another Training, but returned a {type(training).__name__}."
            )
        if training.best is None:
            raise DivergedError("The training ended without anything to keep.", training)
        step, n_steps = training.best_step, len(training.steps)
        if step is not None and not 0 <= step < n_steps:
            raise StudyError(
                f"`best_step` counts from 0 and must be below {n_steps}, the number of steps, but "
                f"is {step}."
            )
        best = self.kind.measured(training.best)
        for metric in self.kind.metrics:
            value = best.get(metric.name)
            # A pruned training may not have come to measure all of them.
            if value is None and metric.always and (metric.objective or not pruned):
                raise StudyError(
                    f"`best` of a training must have the metric {metric.name!r}, but has "
                    f"{', '.join(best) or 'nothing'}."
                )
            if value is not None and not math.isfinite(value):
                raise DivergedError(f"{metric.label} is {value}.", training)

    def _store(
        self, trial: optuna.Trial, training: Training, reused: Reused | None = None
    ) -> Values:
        """Store what a training came to, whatever its end; return the objective's values."""
        curves = write_curves(training.rows())
        numbers: dict[str, Any] = {
            attrs.EPOCHS_RUN: 0 if reused else len(training.steps),
            **plain(training.facts),
            attrs.TRAINING_SECONDS: round(training.seconds, 3),
        }
        objective, second = self.kind.objective.name, self.kind.second
        reports = {}
        if reused is None:
            numbers[attrs.CURVES_DIGEST] = curves_digest(curves)
        else:
            numbers[attrs.REUSED_FROM] = reused.number
            if not self.settings.pareto:
                reports = {i: float(step[objective]) for i, step in enumerate(training.steps)}
        best = plain(training.best or {})
        numbers |= best
        if training.best_step is not None:
            numbers[attrs.BEST_EPOCH] = training.best_step + 1
        system_attrs: dict[str, Any] = {}
        needed = self.settings.min_accuracy
        if needed is not None and second is not None and second.name in best:
            # Accuracies are numbers of single precision: 7 of 10 is a little less than 0.7.
            lack = round(-second.sign * (needed - best[second.name]), 6)
            system_attrs = constraint_attrs({"0": lack})
            if lack > 0:
                numbers[attrs.INFEASIBLE] = True
        write_trial(
            trial, user_attrs=numbers, intermediate_values=reports, system_attrs=system_attrs
        )
        self.check_folder()
        files = {file.name: self._content(file, training, reused) for file in self.kind.files}
        artifacts.save_artifacts(
            artifacts.open_artifacts(self.artifacts), trial, files | {attrs.CURVES_FILE: curves}
        )
        value = float(best.get(objective, math.nan))  # NaN where it keeps nothing
        if not self.settings.pareto or second is None:
            return value
        return value, float(best.get(second.name, math.nan))

    def _content(self, file: File, training: Training, reused: Reused | None) -> bytes:
        """Return the content of a trial's file; of an answered one maybe the other trial's."""
        if file.picture and not self.draw:
            return artifacts.no_picture()
        try:
            return training.file(file.name)
        except LookupError:
            if reused is None:
                raise
            return reused.files[file.name]


def _environment(distributions: Sequence[str]) -> str:
    """Return versions of Python, some distributions and Optuna, system, cores, and commit."""

    def version(name: str) -> str:
        told = getattr(sys.modules.get(name), "__version__", None)  # it may tell its build
        return str(told or importlib.metadata.version(name))

    versions = ", ".join(f"{name} {version(name)}" for name in (*distributions, "optuna"))
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    text = f"Python {platform.python_version()}, {versions}, {system}"
    return f"{text}, {commit}" if (commit := current_commit()) else text


@cache
def current_commit() -> str | None:
    """Return git's commit of the current folder, and whether files differ; None without one."""

    def git(*words: str) -> str:
        asked = ["git", "--no-optional-locks", *words]
        told = subprocess.run(asked, capture_output=True, check=True, text=True, timeout=_GIT_S)
        return told.stdout.strip()

    try:
        commit = git("rev-parse", "--short=10", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return f"commit {commit}{' with changes' if changed else ''}"
