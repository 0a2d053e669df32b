"""The notes beside a study of another program and its trials: what Optuna stores of them."""

from collections.abc import Iterator

from optuna.trial import TrialState

from storage.records import StudyRecord, TrialRecord
from study.analysis import objectives_of
from study.dashboard.notes import escape, place_of, report_of
from study.formats import (
    capitalised,
    format_duration,
    format_list,
    format_measured,
    format_state,
)
from study.metrics import Metric
from study.wording import Wording


def study_note(record: StudyRecord, *, study_id: int, url: str) -> str:
    """Say how a study's trials are judged, and what the dashboard's pages mean.

    ``study_id`` is the database's key; a password in ``url`` is masked.
    """
    lines = [
        f"## {escape(record.name)}",
        "A study that was not made by emoji-study.",
        *(
            f"{metric.better.capitalize()} is better: {escape(metric.label)}."
            for metric in objectives_of(record)
        ),
    ]
    if any(trial.constraints for trial in record.trials):
        lines.append("A trial that breaks a constraint is no candidate for the best.")
    lines += report_of(study_id, place_of(record, url))
    return "\n\n".join(lines) + "\n"


def trial_note(record: StudyRecord, trial: TrialRecord, *, url: str) -> str:
    """Say what an ended trial was, and what it reached; the ``url`` has no part in it."""
    objectives = objectives_of(record)
    lines = [f"**{format_state(trial.state).capitalize()}**: {_result(objectives, trial)}"]
    if trial.params:
        words = Wording([trial]).configuration(trial.params)  # choices are those of all trials
        lines.append(f"{escape(capitalised(words))}.")
    facts = list(_facts(trial))
    return "\n\n".join([*lines, *(["\n".join(f"- {f}" for f in facts)] if facts else [])]) + "\n"


def _result(objectives: tuple[Metric, ...], trial: TrialRecord) -> str:
    told = [
        f"{escape(metric.label)} {format_measured(value, metric)}"
        for metric in objectives
        if (value := metric.any_of(trial)) is not None
    ]
    if told:
        return f"{format_list(told)}."
    if not trial.intermediate_values:
        return "no value."
    step, value = max(trial.intermediate_values.items())
    return f"it last reported {format_measured(value, objectives[0])}, at step {step}."


def _facts(trial: TrialRecord) -> Iterator[str]:
    if trial.state == TrialState.FAIL:
        yield "Optuna stores no reason why it failed."
    broken = [escape(name) for name, lack in trial.constraints.items() if not lack <= 0]
    if broken:
        yield f"**Infeasible**: it breaks {format_list([f'constraint {n}' for n in broken])}."
    if trial.duration_s is not None:
        yield f"It took {format_duration(trial.duration_s)}."
