"""What was run, what was found and what to keep in mind, in plain sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import TrialState

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    BALANCED_ACCURACY,
    VALIDATION_ACCURACY,
    settings_of,
)
from study.analysis.front import FrontInfo
from study.analysis.history import (
    SummaryInfo,
)
from study.analysis.importance import (
    RELIABLE_TRIALS,
    ImportanceInfo,
)
from study.formats import (
    format_accuracy,
    format_count,
    format_label,
    format_mse,
    format_percent,
    format_sampler,
    format_state,
    format_value,
)
from study.settings import IMPORTED

_STATES = (
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAIL,
    TrialState.RUNNING,
    TrialState.WAITING,
)


def get_sentences(
    record: StudyRecord,
    summary: SummaryInfo,
    importances: Sequence[ImportanceInfo],
    front: FrontInfo | None,
) -> list[str]:
    """Say in plain words what was run and what was found."""
    name, settings = record.name, settings_of(record)
    if not summary.n_trials:
        return [f"The study “{name}” has no trials yet."]
    space = f" of the {settings['space']} space" if settings.get("space") else ""
    sampler = settings.get("sampler")
    chosen = f", chosen by the {format_sampler(str(sampler))} sampler" if sampler else ""
    if attrs.EXPERIMENT in record.user_attrs:
        chosen = ", arms of an experiment"
    states = ", ".join(
        f"{format_count(summary.by_state[state])} {format_state(state)}"
        for state in _STATES
        if state in summary.by_state
    )
    trials = "1 trial" if summary.n_trials == 1 else f"{format_count(summary.n_trials)} trials"
    sentences = [f"The study “{name}” holds {trials}{space}{chosen}: {states}."]
    if front is not None and len(record.directions) > 1:
        sentences.append(_objectives(front))
    if summary.best is None:
        why = "No trial that keeps the constraint" if summary.n_infeasible else "No trial"
        sentences.append(f"{why} is complete, so there is no best configuration yet.")
    else:
        among = " of the trials that keep the constraint" if summary.n_infeasible else ""
        sentences.append(
            f"The lowest validation MSE{among} is {format_mse(summary.best.value)}, reached by "
            f"trial {summary.best.number}{_configuration(summary.best)}."
        )
    if front is not None:
        sentences += _classification(summary, front)
    for found in importances:
        if not found.parameters or found.caution is not None:
            continue
        first = found.parameters[0]
        by_metric = "" if front is None else f" by {found.metric.label}"
        sentences.append(
            f"What most separates the best tenth of the trials{by_metric} from the others is "
            f"{format_label(first.name)}, with {format_percent(first.share)} of the "
            f"importance (95\N{NO-BREAK SPACE}% interval {format_percent(first.low)} to "
            f"{format_percent(first.high)})."
        )
    if summary.epochs_saved:
        sentences.append(
            f"Pruning saved {format_count(summary.epochs_saved)} of "
            f"{format_count(summary.epochs_asked)} epochs "
            f"({format_percent(summary.epochs_saved / summary.epochs_asked)})."
        )
    return sentences


def _objectives(front: FrontInfo) -> str:
    """Say that two objectives were optimised, and where that led."""
    text = "Two objectives were optimised together, validation MSE and validation accuracy"
    if not front.points:
        return f"{text}."
    n = len(front.front)
    are, no_other = ("trial is", "it") if n == 1 else ("trials are", "any of them")
    return (
        f"{text}; {format_count(n)} {are} on the trade-off front: no other trial beats {no_other} "
        "in one of the two without losing in the other."
    )


def _classification(summary: SummaryInfo, front: FrontInfo) -> list[str]:
    """Say how well the best trial classifies, and how many trials break the constraint."""
    sentences = []
    accuracy = None if summary.best is None else VALIDATION_ACCURACY.of(summary.best)
    if summary.best is not None and accuracy is not None:
        balanced = BALANCED_ACCURACY.of(summary.best)
        rest = "" if balanced is None else f", its balanced accuracy {format_accuracy(balanced)}"
        sentences.append(f"Its validation accuracy is {format_accuracy(accuracy)}{rest}.")
    if front.min_accuracy is not None:
        n_complete = summary.by_state.get(TrialState.COMPLETE, 0)
        breaking = "breaks" if summary.n_infeasible == 1 else "break"
        sentences.append(
            f"The study demands a validation accuracy of at least "
            f"{format_accuracy(front.min_accuracy)}; {format_count(summary.n_infeasible)} of "
            f"{format_count(n_complete)} complete trials {breaking} this constraint and cannot "
            "be the best."
        )
    return sentences


def get_cautions(
    settings: Mapping[str, Any], summary: SummaryInfo, importances: Sequence[ImportanceInfo]
) -> list[str]:
    """Say what a reader must keep in mind."""
    cautions = []
    n_complete = summary.by_state.get(TrialState.COMPLETE, 0)
    n_feasible = n_complete - summary.n_infeasible
    if summary.best is not None and n_feasible > 1:
        cautions.append(
            f"The best value is the lowest of {format_count(n_feasible)}, measured on the "
            "validation images that chose it: expect a somewhat higher error on new images."
        )
    if importances and importances[0].adaptive:
        cautions.append(
            f"The {format_sampler(importances[0].sampler or '')} sampler chose trials by earlier "
            "results, so importances and correlations describe this search, not the whole space "
            "evenly."
        )
    if importances and 0 < n_complete < RELIABLE_TRIALS:
        cautions.append(
            f"Conclusions rest on {n_complete} complete trial{'s' * (n_complete != 1)}; "
            f"{RELIABLE_TRIALS} or more make importances steady."
        )
    n_failed = summary.by_state.get(TrialState.FAIL, 0)
    if n_failed:
        cautions.append(
            f"{format_count(n_failed)} of {format_count(summary.n_trials)} trials failed and "
            "count in no statistic."
        )
    if settings.get("sampler") == IMPORTED:
        cautions.append(
            "The results were imported from a file. Where its errors were measured on a test "
            "split, that split chose the best trial and is no test any more; curves, seeds and "
            "the split itself are unknown."
        )
    elif settings.get("split") == "random":
        cautions.append(
            "The random split puts variants of one emoji on both sides, so errors look lower "
            "than they would on new emoji."
        )
    return cautions


def _configuration(trial: TrialRecord) -> str:
    """Describe a trial's parameters as the end of a sentence."""
    params = dict(trial.params)
    family = params.pop("auto_encoder", None)
    words = f", a {family} autoencoder" if family is not None else ""
    parts = [f"{format_label(name)} {format_value(value)}" for name, value in params.items()]
    return words + (f" with {', '.join(parts)}" if parts else "")
