"""What ``emoji-study train`` does: one configuration for good, and one look at the test data."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from storage.file_names import file_name
from storage.files import atomic_paths, require_writable
from storage.rdb import open_storage
from study.commands.next_step import next_step
from study.errors import StudyError
from study.formats import format_count, format_duration, format_measured, plural
from study.kind_sources import find_kind, make_trainer
from study.kinds import EXAMPLES, Data, Run, Step, Trainer, plain
from study.requests import DEFAULT_KIND, Given, Say, TrainRequest
from study.running.choosing import Chosen, given_training, stored_training
from study.running.deciding import decide
from study.running.job import own_threads
from study.running.opening import load_data
from study.terminal.progress import step_bar
from study.terminal.signals import stop_signals

METRICS_FILE = "metrics.json"
Show = Callable[[Step], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """What a chosen model reaches.

    Args:
        interrupted: From outside: such a model is not judged, it has nothing on the test data.
        best: Numbers of what was kept, on the validation data.
        best_step: The step they are of, counted from 1; None if the training does not say.
        test: Numbers of the same model on data that no choice has seen.
    """

    interrupted: bool
    best: Mapping[str, float]
    best_step: int | None
    n_steps: int
    seconds: float
    facts: Mapping[str, Any]
    test: Mapping[str, Any]


def train(request: TrainRequest, *, say: Say) -> Final | None:
    """Train a stored trial, or given parameters, and say what came out.

    SIGINT and SIGTERM end the training with the step that is under way; None is returned if there
    is nothing to keep.

    Raises:
        StudyError: If the trial does not exist, or the data are not the study's.
    """
    if request.study:
        if request.assignments or request.n_steps is not None:
            raise StudyError(
                "A stored trial has its parameters: give --study, or --set and --epochs, not both."
            )
        storage = open_storage(request.url)
        chosen = stored_training(
            storage, request.study, request.trial, seed=request.seed, kind=request.kind
        )
    else:
        kind = find_kind(request.kind or DEFAULT_KIND).kind
        assignments = kind.with_steps(request.assignments, request.n_steps)
        chosen = given_training(kind, assignments, seed=request.seed or 0)
    out = request.out or Path("runs/train") / file_name(chosen.label)
    with stop_signals() as stop:
        final = _train(request, chosen, out, stop.is_set, say)
    if final is None:
        step = chosen.kind.step
        say(f"{chosen.label}: interrupted before the first {step} had ended; nothing was written.")
    return final


def _train(
    request: TrainRequest, chosen: Chosen, out: Path, stop_requested: Callable[[], bool], say: Say
) -> Final | None:
    """Load the data, train, and say what came out; see ``train_final``."""
    own_threads(request.threads or chosen.threads or joblib.cpu_count())
    kind, name = chosen.kind, str(request.study)
    given = Given(data=request.data, options=request.options)
    settings = decide(given, chosen.settings, kind, study=name)
    trainer = make_trainer(kind)
    device = trainer.resolve_device(request.device)
    data = load_data(trainer, settings, study=name, stored=chosen.settings is not None)
    if chosen.sides is not None:  # a trial of an experiment, with a split of its own
        data = data.with_sides(chosen.sides)
    own_threads(request.threads or chosen.threads or joblib.cpu_count())
    if stop_requested():
        return None
    with step_bar(chosen.n_steps, kind.objective, title=chosen.label) as show:
        final = train_final(
            chosen, trainer, data, device=device, out=out, show=show, stop_requested=stop_requested
        )
    if final is not None:
        for line in _describe(final, chosen, trainer, out):
            say(line)
        if request.study and not final.interrupted:
            say(next_step("confirm", "--study", request.study, url=request.url))
    return final


class _FinalRun(Run):
    """A run that nobody prunes, and that ends when that is asked for."""

    def __init__(
        self, chosen: Chosen, device: str, show: Show, stop_requested: Callable[[], bool]
    ) -> None:
        super().__init__(seed=chosen.seed, device=device, show=show)
        self.interrupted = False
        self.n_done = 0
        self._n_steps = chosen.n_steps
        self._stop_requested = stop_requested

    def step(self, numbers: Step, *, save: Callable[[Path], object] | None = None) -> bool:
        """Show a step, and say whether the training is to end."""
        super().step(numbers)
        self.n_done += 1
        self.interrupted = self._stop_requested() and self.n_done != self._n_steps  # not the last
        return self.interrupted


def train_final(
    chosen: Chosen,
    trainer: Trainer,
    data: Data,
    *,
    device: str,
    out: Path,
    show: Show = lambda numbers: None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Final | None:
    """Train a configuration and write model, pictures and metrics to a folder, which is created.

    What an earlier training has left in the folder is valid until all of the new files are
    written, and then replaced by them. A training that is interrupted is kept as well, with the
    best of its steps and pictures of validation data, unless only one step had ended.

    Args:
        stop_requested: Asked after every step; True interrupts, unless that was the last.

    Raises:
        OSError: If the folder cannot be written.
        DivergedError: If a number becomes NaN or infinite.
    """
    kind = chosen.kind
    names = [kind.model_file, *(file.name for file in kind.files), METRICS_FILE]
    for name in names:  # fails now rather than after the training
        require_writable(out / name)
    run = _FinalRun(chosen, device, show, stop_requested)
    training = trainer.train(chosen.config, data, run)
    if not training.best or (run.interrupted and len(training.steps) == 1):
        return None
    with atomic_paths([out / name for name in names]) as (model, *others, numbers):
        training.save(model)
        if not model.exists():
            raise StudyError(
                f"`save` of the kind {kind.name} must write the very file that it gets."
            )
        test = trainer.test(model, data, device=device) if not run.interrupted else None
        final = Final(
            interrupted=run.interrupted,
            best=kind.measured(training.best),
            best_step=None if training.best_step is None else training.best_step + 1,
            n_steps=len(training.steps),
            seconds=round(training.seconds, 3),
            facts=plain(training.facts),
            test={} if test is None else kind.tested(test),
        )
        for file, path in zip(kind.files, others, strict=True):
            path.write_bytes(training.file(file.name, tested=not run.interrupted))
        content = _content(final, chosen)
        numbers.write_bytes(json.dumps(content, indent=2).encode() + b"\n")
    return final


def _content(final: Final, chosen: Chosen) -> dict[str, Any]:
    """Return what ``metrics.json`` holds; a step has the name that the kind gives it.

    What every model could be tested for and was not, as it was interrupted, is None.
    """
    step = chosen.kind.step
    names = (metric.test_name for metric in chosen.kind.metrics if metric.always)
    tested: dict[str, Any] = {**dict.fromkeys(names), **final.test}
    costs = {cost.name for cost in chosen.kind.costs}
    return {
        "config": chosen.config.to_dict(),
        "seed": chosen.seed,
        "interrupted": final.interrupted,
        **final.best,
        **{f"test_{name}": value for name, value in tested.items() if name != EXAMPLES},
        f"best_{step}": final.best_step,
        plural(step).replace(" ", "_"): final.n_steps,
        **{name: value for name, value in final.facts.items() if name in costs},
        "training_seconds": final.seconds,
    }


def _describe(final: Final, chosen: Chosen, trainer: Trainer, out: Path) -> list[str]:
    kind, label, step = chosen.kind, chosen.label, chosen.kind.step
    value = final.best[kind.objective.name]
    reached = f"{kind.objective.label} {format_measured(value, kind.objective)}"
    at = "" if final.best_step is None else f" ({step} {final.best_step})"
    if final.interrupted:
        planned = "" if chosen.n_steps is None else f" of {chosen.n_steps}"
        return [
            f"{label}: interrupted after {step} {final.n_steps}{planned}. The best so far, "
            f"{reached}{at}, is in {out}, without a look at the test data; the same command "
            "trains anew."
        ]
    at = "" if final.best_step is None else f" ({step} {final.best_step} of {final.n_steps})"
    tested = [
        f"{metric.test_label} {format_measured(final.test[metric.test_name], metric)}"
        for metric in kind.metrics
        if metric.test_name in final.test
    ]
    costs = [
        f"{format_count(final.facts[cost.name])} {cost.label}"
        for cost in kind.costs
        if cost.name in final.facts
    ]
    lines = [
        f"{label}: {', '.join([reached + at, *tested])}; "
        f"{', '.join([*costs, format_duration(final.seconds)])}. Written to {out}",
        *trainer.describe_test(final.test),
    ]
    if chosen.other_code:
        lines.append(
            "The trial was trained by another version of the kind's code, so this does not "
            "repeat it."
        )
    elif chosen.value is not None:
        same = value == chosen.value
        relation = "exactly." if same else f"not exactly, it had {chosen.value!r}:"
        reason = "" if same else " another number of threads, another processor or version."
        lines.append(f"This repeats the trial's {kind.objective.label} {relation}{reason}")
    return lines
