"""The state of studies for a terminal."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from optuna.trial import TrialState
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from storage import attrs
from storage.outages import outage
from storage.queue import shown_worker
from storage.records import StudyRecord, StudySummary, TrialRecord, count
from study.analysis import (
    breaks_constraint,
    each_training_once,
    is_ours,
    kind_of,
    objectives_of,
    ranked,
    sampler_of,
)
from study.analysis.failures import texts_stored
from study.analysis.front import get_unbeaten
from study.analysis.remaining import grid_trainings
from study.formats import (
    counted,
    format_duration,
    format_list,
    format_measured,
    format_number,
    format_settings,
    in_line,
    plural,
)
from study.kind_info import objective_of, stored_kind
from study.metrics import Measured, Metric
from study.terminal.console import Screen
from study.terminal.progress import age_s, eta
from study.terminal.screen import shortened

_N_BEST = 5
_N_FAILURES = 5
_MAX_REASON = 500
_SHORT_NAME = 24


def study_table(summaries: Sequence[StudySummary]) -> Table:
    """Return one row per study, with a column for the second metric if a best trial has one."""
    kinds = [stored_kind(summary.user_attrs) for summary in summaries]
    seconds = [None if kind is None else kind.second for kind in kinds]
    shown = [_second(metric, s.best) for metric, s in zip(seconds, summaries, strict=True)]
    labels = {m.short_label for m, text in zip(seconds, shown, strict=True) if m and text}
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    # With the column for it, 80 columns are too few: then the kind is folded, not the name.
    short = all(len(summary.name) <= _SHORT_NAME for summary in summaries)
    table.add_column("study", overflow="fold", no_wrap=bool(labels) and short)
    for name in ("kind", "space"):
        table.add_column(name, overflow="fold")
    second = [labels.pop() if len(labels) == 1 else "second"] if labels else []
    for name in ("done", "failed", "running", "waiting", "best", *second):
        table.add_column(name, justify="right", no_wrap=True)
    for summary, text in zip(summaries, shown, strict=True):
        settings, n = attrs.SETTINGS.of(summary), summary.progress
        table.add_row(
            escape(in_line(summary.name)),
            *(("—", "—") if settings is None else map(escape, (settings.kind, settings.space))),
            *(str(number) for number in (n.finished, n.failed, n.running, n.waiting)),
            _best(summary),
            *([text or "—"] if second else []),
        )
    return table


def status_lines(
    record: StudyRecord,
    silent_s: Mapping[int, float] | None = None,
    *,
    now: datetime | None = None,
) -> Iterator[Table | str]:
    """Yield what is to be known of a study: counts, workers, failed and best trials.

    ``silent_s`` are the seconds since the last sign of life of running trials, by database key.
    """
    now = now or datetime.now(UTC)
    settings = attrs.SETTINGS.of(record)
    fixed = {} if settings is None else settings.fixed
    yield escape(f"Study {in_line(record.name)}: {format_settings(settings)}")
    if fixed:
        yield escape(f"Fixed: {kind_of(record).wording.settings(fixed)}")
    if (origin := attrs.IMPORTED.of(record)) is not None:
        yield escape(f"Imported from {origin.file}; not to be continued.")
    n = count(record.trials)
    ours, target = is_ours(record), attrs.TARGET.of(record) or n.finished
    running = [trial for trial in record.trials if trial.state == TrialState.RUNNING]
    finished = f"{n.finished} of {target} trials" if ours else counted(n.finished, "trial")
    counts = (
        f"{finished} finished: {n.complete} complete, {n.pruned} pruned; "
        f"{n.failed} failed, {n.running} running, {n.waiting} waiting"
    )
    if running and n.finished < target:
        space = kind_of(record).space if sampler_of(record) == "grid" else None
        trainings = [] if space is None else grid_trainings(space, fixed)
        remaining = target - n.finished
        counts += "; " + eta(
            record.trials, trainings, remaining=remaining, n_workers=n.running, now=now
        )
    yield counts
    if running:
        table = _worker_table if ours else _running_table
        yield table(record, running, silent_s or {}, now)
    if len(record.directions) > 1:
        best = list(get_unbeaten(record))
        yield f"{counted(len(best), 'trial')} that no other beats in all objectives together"
    else:
        best = [trial for _, trial in ranked(record, finite=False) if trial.feasible]
    if n_broken := sum(map(breaks_constraint, record.trials)):
        none = "" if best else ", so none is the best"
        yield (
            f"{counted(n_broken, 'complete trial')} {'breaks' if n_broken == 1 else 'break'} "
            f"the constraint{none}"
        )
    if best:
        told = each_training_once(best)
        yield _best_table(record, told[:_N_BEST])
        if len(record.directions) > 1 and len(told) > _N_BEST:
            yield f"and {len(told) - _N_BEST} more"
    failures = [trial for trial in record.trials if trial.state == TrialState.FAIL]
    if failures and not ours:
        numbers = format_list([str(trial.number) for trial in failures[-_N_FAILURES:]])
        which = f"{'Trials' if len(failures) > 1 else 'Trial'} {numbers}"
        which = f"Among others, {which.lower()}" if len(failures) > _N_FAILURES else which
        yield f"{which} failed; Optuna stores no reasons."
    for trial in failures[-_N_FAILURES:]:
        reason = attrs.FAILURE.of(trial) or "its worker died" if ours else texts_stored(trial)
        failed = " failed" if ours else ""
        if reason:
            yield escape(f"Trial {trial.number}{failed}: {shortened(reason, _MAX_REASON)}")


def watch(
    read: Callable[[], tuple[StudyRecord, Mapping[int, float]]],
    *,
    interval_s: float,
    console: Console | None = None,
) -> None:
    """Show a study's status in place until it is done or Ctrl-C is pressed.

    Every ``interval_s`` seconds, ``read`` returns it and what ``status_lines`` takes beside it.
    """
    screen = console or Screen()
    with Live(console=screen, auto_refresh=False) as live:
        while True:
            try:
                record, silent_s = read()
            except Exception as error:
                reason = outage(error)
                if reason is None:
                    raise
                live.update(f"The storage is away: {escape(reason)}", refresh=True)
            else:
                live.update(Group(*status_lines(record, silent_s)), refresh=True)
                if _is_done(record):
                    break
            time.sleep(interval_s)
    if not screen.is_terminal:
        screen.line()  # as on a terminal


def _is_done(record: StudyRecord) -> bool:
    """Whether all trials are there; where nobody said how many, none runs or waits."""
    n, target = count(record.trials), attrs.TARGET.of(record)
    return n.running + n.waiting == 0 if target is None else n.finished >= target


def _running_table(
    record: StudyRecord,
    running: Sequence[TrialRecord],
    silent_s: Mapping[int, float],
    now: datetime,
) -> Table:
    """Return one row for each running trial of another program's study."""
    kind = kind_of(record)
    table = Table("running trial", "for", "last report", box=None, header_style="bold")
    for trial in running:
        reports, silence = trial.intermediate_values, silent_s.get(trial.trial_id)
        last = max(reports, default=None)
        value = "—" if last is None else format_measured(reports[last], kind.objective)
        told = value if last is None else f"{value} at {kind.step} {last}"
        told += "" if silence is None else f", sign of life {format_duration(silence)} ago"
        age = "—" if trial.started is None else format_duration(age_s(trial, now))
        table.add_row(str(trial.number), age, told)
    return table


def _worker_table(
    record: StudyRecord,
    running: Sequence[TrialRecord],
    silent_s: Mapping[int, float],
    now: datetime,
) -> Table:
    """Return one row for each worker that is at a trial."""
    n_done = Counter(attrs.WORKER.of(t) for t in record.trials if t.finished)
    table = Table("running trial", "worker", box=None, header_style="bold")
    kind = kind_of(record)
    label = escape(kind.objective.label)
    for name in ("trials done", kind.step, f"{plural(kind.step)}/s", label, "heartbeat"):
        table.add_column(name, justify="right")
    for trial in running:
        worker = attrs.WORKER.of(trial)
        silence = silent_s.get(trial.trial_id)
        reached, rate, value = "—", "—", "—"
        if trial.intermediate_values:
            last = max(trial.intermediate_values)
            of = "" if kind.fidelity is None else f" of {trial.params.get(kind.fidelity, '—')}"
            reached = f"{last + kind.first_step}{of}"
            value = format_measured(trial.intermediate_values[last], kind.objective)
            # Of this attempt at the trial alone.
            n_steps = last + 1 - (attrs.RESUMED_EPOCHS.of(trial) or 0)
            seconds = age_s(trial, now)
            rate = format_number(n_steps / seconds, 3) if seconds > 0 else "—"
        table.add_row(
            str(trial.number),
            escape(shown_worker(str(worker or "—"))),
            str(n_done[worker]),
            reached,
            rate,
            value,
            "—" if silence is None else f"{format_duration(silence)} ago",
        )
    return table


def _best_table(record: StudyRecord, trials: Sequence[TrialRecord]) -> Table:
    """Return one row per trial; other metrics only where they tell something.

    What is fixed for all trials is not repeated.
    """
    kind, several = kind_of(record), len(record.directions) > 1
    others = objectives_of(record)[1:] if several else filter(None, [kind.second])
    told = [metric for metric in others if any(_second(metric, trial) for trial in trials)]
    settings = attrs.SETTINGS.of(record)
    fixed = {} if settings is None else settings.fixed
    first = "trial" if several else "best trial"
    table = Table(first, escape(kind.objective.label), box=None, header_style="bold")
    for name in (
        *(escape(metric.short_label) for metric in told),
        *([f"best {kind.step}"] if is_ours(record) else []),
        "settings",
    ):
        table.add_column(name)
    for trial in trials:
        table.add_row(
            str(trial.number),
            format_measured(trial.value, kind.objective),
            *(_second(metric, trial) or "—" for metric in told),
            *([str(attrs.BEST_EPOCH.of(trial) or "—")] if is_ours(record) else []),
            escape(
                kind.wording.settings({n: v for n, v in trial.params.items() if n not in fixed})
            ),
        )
    return table


def _best(summary: StudySummary) -> str:
    """Return the best value of a study; of several objectives, how many there are."""
    if len(summary.directions) > 1:
        return f"{len(summary.directions)} objectives"
    objective, best = objective_of(summary), summary.best
    return "—" if best is None else format_measured(best.values[0], objective)


def _second(metric: Metric | None, trial: Measured | None) -> str:
    """Return a trial's second metric, empty without one."""
    value = None if metric is None or trial is None else metric.of(trial)
    return "" if metric is None or value is None else format_measured(value, metric)
