"""The run of a trial's training, as its trainer sees it: reports, prunes, interrupts, saves."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import optuna
from optuna.pruners import NopPruner

from storage import attrs
from storage.artifacts import storing
from storage.files import atomic_path
from storage.writing import Reports, write_trial
from study.errors import StudyError
from study.kinds import Interrupted, Kind, Run, Step
from study.settings import StudySettings

PRUNER_CHECKS = 50
"""How often the pruner is asked in the longest training of a study, at even distances."""
MAX_OVERHEAD = 0.005
"""Share of a training's time that saving its state may take."""
_EXPECTED_BYTES_PER_S = 2e8  # until a save has been timed

Result = TypeVar("Result")


class TrialRun(Run):
    """The run of a live trial's training of ``n_steps``, None if that is not known.

    An unfinished training's state is in the file ``state``, before whose writing ``check_folder``
    is called; ``stop_requested``, which is asked after every step, interrupts the training;
    ``longest`` are the steps of the study's longest training, 0 if that is not known, and
    ``pruned`` says that the pruner ended this one.
    """

    def __init__(
        self,
        trial: optuna.Trial,
        kind: Kind,
        settings: StudySettings,
        *,
        seed: int,
        device: str,
        n_steps: int | None,
        longest: int,
        state: Path,
        check_folder: Callable[[], None],
        stop_requested: Callable[[], bool],
    ) -> None:
        super().__init__(seed=seed, device=device)
        self.pruned = False
        self._trial, self._step_name = trial, kind.step
        # Optuna prunes by one objective alone, so of two nothing is reported.
        self._reported = None if settings.pareto else kind.objective.name
        self._n_steps = n_steps
        self._reports = Reports(trial)
        self._n_done = 0
        self._prune_interval = 0
        if self._reported is not None and not isinstance(trial.study.pruner, NopPruner):
            self._prune_interval = max(1, longest // PRUNER_CHECKS)
        self._state, self._check_folder = state, check_folder
        self._stop_requested = stop_requested
        self._last_save = time.perf_counter()
        self._save_s: float | None = None

    def load(self, read: Callable[[Path], Result]) -> Result | None:
        """Return what an interrupted attempt had saved, None if there is nothing to be read."""
        if not self._state.is_file():
            return None
        try:
            return read(self._state)
        except Exception:  # damaged files raise anything; the training then begins anew
            return None

    def resumed(self, steps: Sequence[Step]) -> None:
        """Store how much earlier attempts had done, and report it."""
        write_trial(self._trial, user_attrs={attrs.RESUMED_EPOCHS: len(steps)})
        for step in steps:
            self._report(step)

    def step(self, numbers: Step, *, save: Callable[[Path], object] | None = None) -> bool:
        """Report a step; return whether the training ends with it, or raise ``Interrupted``."""
        self._report(numbers)
        if self._n_done == self._n_steps:
            return False
        if self._stop_requested():
            if save is not None:
                self.save(save)
            raise Interrupted(f"interrupted after {self._step_name} {self._n_done}")
        if self._prune_interval and self._n_done % self._prune_interval == 0:
            self.pruned = self._trial.should_prune()
        if save is not None and not self.pruned:
            self.offer(save)
        return self.pruned

    def offer(self, save: Callable[[Path], object], *, n_bytes: int = 1_000_000) -> None:
        """Save the state, unless that would take more than its share of the time."""
        expected_s = self._save_s or n_bytes / _EXPECTED_BYTES_PER_S
        if (time.perf_counter() - self._last_save) * MAX_OVERHEAD >= expected_s:
            self.save(save)

    def save(self, save: Callable[[Path], object]) -> None:
        """Save the state in any case, or raise an ArtifactFolderError."""
        started = time.perf_counter()
        self._check_folder()  # a folder that was removed would be created anew
        # torch turns some write errors into a RuntimeError
        with storing(self._state.parent.parent, RuntimeError), atomic_path(self._state) as partial:
            save(partial)
        self._last_save = time.perf_counter()
        self._save_s = self._last_save - started

    def flush(self) -> None:
        """Store the last reports."""
        self._reports.flush()

    def remove_state(self) -> None:
        """Remove the state of a training that has ended, if that is possible."""
        with suppress(OSError):
            self._state.unlink(missing_ok=True)

    def _report(self, numbers: Step) -> None:
        if self._reported is not None:
            if self._reported not in numbers:
                raise StudyError(
                    f"`step` must get the objective {self._reported!r}, but got "
                    f"{', '.join(numbers) or 'nothing'}."
                )
            self._reports.add(float(numbers[self._reported]), step=self._n_done)
        self._n_done += 1
