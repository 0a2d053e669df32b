"""The verdict of a report in plain sentences: what was found, how sure, what to do next."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from optuna.trial import TrialState

from storage.records import StudyRecord
from study.analysis import data_of, is_own, is_search, settings_of, word_for
from study.analysis.ablation import describe_ablation
from study.analysis.confirmation import CHOSEN, ConfirmationInfo, Estimate, describe_confirmation
from study.analysis.experiment import describe_comparisons
from study.analysis.front import FrontInfo
from study.analysis.history import SummaryInfo
from study.analysis.importance import RELIABLE_TRIALS
from study.analysis.provenance import describe_code
from study.analysis.verdict import Level
from study.formats import (
    counted,
    format_change,
    format_configuration,
    format_count,
    format_data,
    format_label,
    format_list,
    format_measured,
    format_percent,
    format_sampler,
    format_state,
    plural,
)
from study.kind_info import KindInfo
from study.metrics import Metric
from study.report.embedded import ReportData
from study.report.findings import Findings
from study.settings import IMPORTED

_MAX_NAMED = 3  # checks in the verdict

STATES = (  # in the order of a page
    *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL),
    *(TrialState.RUNNING, TrialState.WAITING),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command to type next, and what it is good for: the end of a sentence."""

    why: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reader must know who reads nothing else: what was run, what came out, what to do."""

    opening: str
    found: tuple[str, ...]
    sure: tuple[str, ...]
    next: tuple[Step, ...]


def get_verdict_text(found: Findings) -> Verdict:
    """Say in plain words what a study found."""
    return Verdict(
        opening=_opening(found.record, found.summary),
        found=tuple(_found(found)),
        sure=(*describe_lacking(found.data), *_sure(found)),
        next=tuple(_next_steps(found)),
    )


def _opening(record: StudyRecord, summary: SummaryInfo) -> str:
    settings = settings_of(record)
    if not summary.n_trials:
        return f"The study “{record.name}” has no trials yet."
    space = f" of the {settings['space']} space" if settings.get("space") else ""
    chosen = "" if is_search(record) else ", arms of an experiment"
    if is_search(record) and (sampler := settings.get("sampler")):
        chosen = f", chosen by the {format_sampler(str(sampler))} sampler"
    states = ", ".join(
        f"{format_count(summary.by_state[state])} {format_state(state)}"
        for state in STATES
        if state in summary.by_state
    )
    trials = counted(summary.n_trials, "trial")
    vendors = settings.get("vendors")
    data = f" Its data are {format_data(settings.get('data'), vendors)}." if vendors else ""
    return f"The study “{record.name}” holds {trials}{space}{chosen}: {states}.{data}"


def _found(found: Findings) -> Iterator[str]:
    record, kind, summary, front = found.record, found.kind, found.summary, found.front
    if found.experiment is not None:
        yield from describe_comparisons(found.experiment)
        return
    if not found.search:
        for confirmation in found.confirmations:
            yield from describe_confirmation(confirmation, found.at_home)
        for ablation in found.ablations:
            yield from describe_ablation(ablation)
        return
    if not summary.n_trials:
        yield "Nothing yet."
        return
    if front is not None and len(record.directions) > 1:
        yield _objectives(kind, front)
    if summary.best is None:
        why = "No trial that keeps the constraint" if summary.n_infeasible else "No trial"
        yield f"{why} is complete, so there is no best configuration yet."
    else:
        among = " of the trials that keep the constraint" if summary.n_infeasible else ""
        family = kind.family if is_own(record) else None
        comma = "," if family in summary.best.params else ""
        reached = (
            f"{summary.best.number}{comma} {format_configuration(summary.best.params, family)}"
        )
        yield (
            f"The {kind.objective.best} {kind.objective.label}{among} is "
            f"{format_measured(summary.best.value, kind.objective)}, reached by trial "
            f"{reached.rstrip()}."
        )
    if front is not None:
        yield from _other_metrics(kind, summary, front)
    for importance in found.explained.importances:
        if not importance.parameters or importance.caution is not None:
            continue
        first = importance.parameters[0]
        by_metric = "" if front is None else f" by {importance.metric.label}"
        yield (
            f"What most separates the best tenth of the trials{by_metric} from the others is "
            f"{format_label(first.name)}, with {format_percent(first.share)} of the "
            f"importance (95\N{NO-BREAK SPACE}% interval {format_percent(first.low)} to "
            f"{format_percent(first.high)})."
        )
    if summary.epochs_saved:
        yield (
            f"Pruning saved {format_count(summary.epochs_saved)} of "
            f"{format_count(summary.epochs_asked)} {plural(kind.step)} "
            f"({format_percent(summary.epochs_saved / summary.epochs_asked)})."
        )


def describe_lacking(data: ReportData) -> Iterator[str]:
    """Say what a page that was made from older ones does not know."""
    if data.n_left_out:
        n_held = sum(len(record.trials) for record in data.studies)
        yield (
            f"This page was made from an older one, which held {format_count(n_held)} of "
            f"{format_count(n_held + data.n_left_out)} trials."
        )
    if data.thinned:
        yield (
            "This page was made from an older one, which held a part of the intermediate values: "
            "learning curves and what pruners would have done are coarser than in that page."
        )


def _sure(found: Findings) -> Iterator[str]:
    """Say how sure the findings are: confirmation first, then what to keep in mind."""
    data = data_of(found.record)
    infos = [info for info in found.confirmations if found.search and info.other_data is None]
    confirmed = [sentence for info in infos if (sentence := _confirmed(info, data))]
    yield from confirmed
    yield from _cautions(found, confirmed=bool(confirmed))
    checks = found.checks
    open_checks = [check for check in checks if check.level != Level.PASS]
    if open_checks:
        names = ", ".join(check.name for check in open_checks[:_MAX_NAMED])
        rest = len(open_checks) - _MAX_NAMED
        yield (
            f"{len(open_checks)} of {len(checks)} checks need{'s' * (len(open_checks) == 1)} "
            f"attention: {names}{f' and {rest} more' if rest > 0 else ''}."
        )
    elif found.summary.n_trials:
        yield f"None of {len(checks)} checks needs attention."


def _confirmed(info: ConfirmationInfo, data: str) -> str | None:
    """Say what the best configuration reached when it was trained again, if it was."""
    if info.best is None or (best := info.get(info.best)).validation is None:
        return None
    objective = info.objective
    chosen = len(info.confirmed) > 1 and any(c.role == CHOSEN for c in info.confirmed)
    among = f" of {format_list([c.name for c in info.confirmed])}" if chosen else ""
    text = (
        f"Trained again with {info.n_seeds} fresh seeds and splits, {best.name} has the "
        f"{objective.best} mean {objective.label}{among}: {_estimate(best.validation, objective)}"
    )
    if best.difference is not None:
        text += f", {format_change(best.difference)} against the default"
    if best.test is not None:
        test = _estimate(best.test, objective)
        text += f"; on the test {data} its {objective.short_label} is {test}"
    n_tied = len(info.tied) - 1
    if n_tied > 0:
        text += f". It cannot be told from {n_tied} other configuration{'s' * (n_tied != 1)}"
    return f"{text}."


def _estimate(found: Estimate, metric: Metric) -> str:
    mean = format_measured(found.mean, metric)
    if found.low is None or found.high is None:
        return mean
    low, high = format_measured(found.low, metric), format_measured(found.high, metric)
    return f"{mean} (95\N{NO-BREAK SPACE}% interval {low} to {high})"


def _next_steps(found: Findings) -> Iterator[Step]:
    """Say what to do next: what the worst checks ask for, confirmation, ablation, training."""
    name = shlex.quote(found.record.name)
    if not found.summary.n_trials or not found.search:
        return
    commands: dict[str, list[str]] = {}
    for check in found.checks:
        if check.command is not None and check.level != Level.PASS:
            commands.setdefault(check.command, []).append(check.name)
    for command, names in list(commands.items())[:_MAX_NAMED]:
        checks = " and ".join(f"“{name}”" for name in names)
        yield Step(why=f"answers the check{'s' * (len(names) != 1)} {checks}", command=command)
    if found.summary.best is None:
        return
    if found.at_home is None:
        again = "trains the best configurations again with fresh seeds and splits"
        why = f"{again} and measures them once on the test {data_of(found.record)}"
        command = f"confirm --study {name}"
    elif not found.ablations:
        why = "says which of its settings the best configuration needs"
        command = f"ablate --study {name}"
    else:
        why = "trains the best configuration for good and keeps its weights"
        command = f"train --study {name} --trial best"
    yield Step(why=why, command=f"emoji-study {command}")


def _objectives(kind: KindInfo, front: FrontInfo) -> str:
    """Say that two objectives were optimised, and where that led."""
    labels = " and ".join(m.label for m in (kind.objective, kind.second) if m is not None)
    n = len(front.front)
    are, no_other = ("trial is", "it") if n == 1 else ("trials are", "any of them")
    led = (
        f"; {format_count(n)} {are} on the trade-off front: no other trial beats {no_other} "
        "in one of the two without losing in the other"
    )
    return f"Two objectives were optimised together, {labels}{led if front.points else ''}."


def _other_metrics(kind: KindInfo, summary: SummaryInfo, front: FrontInfo) -> Iterator[str]:
    """Say what else the best trial reached, and how many trials break the constraint."""
    best = summary.best
    measured = {
        metric.label: format_measured(value, metric)
        for metric in kind.metrics[1:]
        if metric.always and best is not None and (value := metric.of(best)) is not None
    }
    if measured:
        (label, text), *others = measured.items()
        yield ", its ".join([f"Its {label} is {text}", *map(" ".join, others)]) + "."
    if front.min_accuracy is not None and kind.second is not None:
        n_complete = summary.by_state.get(TrialState.COMPLETE, 0)
        breaking = "breaks" if summary.n_infeasible == 1 else "break"
        bound = "least" if kind.second.maximise else "most"
        yield (
            f"The study demands a {kind.second.label} of at {bound} "
            f"{format_measured(front.min_accuracy, kind.second)}; "
            f"{format_count(summary.n_infeasible)} of {format_count(n_complete)} complete trials "
            f"{breaking} this constraint and cannot be the best."
        )


def _cautions(found: Findings, *, confirmed: bool) -> Iterator[str]:
    """Say what a reader must keep in mind."""
    record, summary, importances = found.record, found.summary, found.explained.importances
    settings, objective, data = settings_of(record), found.kind.objective, data_of(record)
    if (code := describe_code(record)) is not None:
        yield code
    n_complete = summary.by_state.get(TrialState.COMPLETE, 0)
    n_feasible = n_complete - summary.n_infeasible
    if found.search and summary.best is not None and n_feasible > 1 and not confirmed:
        yield (
            f"Not confirmed yet: the best value is the {objective.best} of "
            f"{format_count(n_feasible)}, measured on the validation {data} that chose it; expect "
            f"a somewhat {objective.worse} {word_for(objective)} on new {data}."
        )
    if importances and importances[0].adaptive:
        yield (
            f"The {format_sampler(importances[0].sampler or '')} sampler chose trials by earlier "
            "results, so importances and correlations describe this search, not the whole space "
            "evenly."
        )
    if importances and 0 < n_complete < RELIABLE_TRIALS:
        n_pruned = importances[0].n_pruned
        pruned = f", importances on {format_count(n_pruned)} pruned ones as well"
        yield (
            f"Conclusions rest on {n_complete} complete trial{'s' * (n_complete != 1)}"
            f"{pruned if n_pruned else ''}; {RELIABLE_TRIALS} or more make importances steady."
        )
    n_failed = summary.by_state.get(TrialState.FAIL, 0) - summary.n_begun_again
    n_trials = format_count(summary.n_trials)
    if n_failed:
        yield f"{format_count(n_failed)} of {n_trials} trials failed and count in no statistic."
    if summary.n_begun_again:
        were = "was" if summary.n_begun_again == 1 else "were"
        yield (
            f"{format_count(summary.n_begun_again)} of {n_trials} trials {were} interrupted or "
            "failed and begun again; only the later attempt counts."
        )
    if settings.get("sampler") == IMPORTED:
        yield (
            f"The results were imported from a file. Where its {word_for(objective)}s were "
            "measured on a test split, that split chose the best trial and is no test any more; "
            "curves, seeds and the split itself are unknown."
        )
    elif settings.get("split") == "random" and is_own(record):
        yield (
            "The random split puts variants of one emoji on both sides, so errors look lower "
            "than they would on new emoji."
        )
