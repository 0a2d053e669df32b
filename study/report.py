"""The report of a study: one self-contained HTML file that needs no network.

Data goes in, a template turns it into a page, the page is written at once. The only module that
knows jinja2. It must not compute what a study found (``study.analysis``) nor draw
(``study.figures``), and never asks for the time or the machine, so that the same study always
gives the same bytes.
"""

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from optuna.trial import TrialState

from emoji_ae.files import write_bytes
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    BALANCED_ACCURACY,
    VALIDATION_ACCURACY,
    VALIDATION_MSE,
    Metric,
    family_of,
    is_multitask,
    min_accuracy_of,
    settings_of,
    varies,
)
from study.analysis.ablation import AblationInfo, describe_ablation, get_ablation
from study.analysis.agreement import AgreementInfo, get_agreements
from study.analysis.confirmation import (
    ConfirmationInfo,
    describe_confirmation,
    get_confirmation,
)
from study.analysis.correlation import CorrelationsInfo, Trials, get_correlations
from study.analysis.expected_best import ExpectedBestInfo, get_expected_best
from study.analysis.experiment import ExperimentInfo, get_experiment
from study.analysis.fidelity import (
    MAX_BEST_PRUNED,
    FidelityInfo,
    PrunersInfo,
    get_fidelity,
    replay_pruners,
    suggest_pruner,
)
from study.analysis.front import FrontInfo, get_front
from study.analysis.history import (
    HistoryInfo,
    LearningCurvesInfo,
    SummaryInfo,
    epochs_run,
    get_history,
    get_learning_curves,
    get_summary,
    training_seconds,
)
from study.analysis.importance import (
    BEST_TENTH,
    RELIABLE_TRIALS,
    ImportanceInfo,
    get_importances,
)
from study.analysis.noise import get_noise
from study.analysis.surrogate import MIN_INTERACTION
from study.analysis.tables import (
    MAX_GROUPS,
    BestTrialsInfo,
    ClassResultsInfo,
    FailuresInfo,
    FamiliesInfo,
    GroupsInfo,
    TopFamiliesInfo,
    get_all_groups,
    get_best_trials,
    get_class_results,
    get_failures,
    get_families,
    get_top_families,
)
from study.analysis.verdict import VerdictInfo, get_verdict
from study.figures import (
    plot_ablation,
    plot_confirmation,
    plot_correlations,
    plot_expected_best,
    plot_experiment,
    plot_fidelity,
    plot_front,
    plot_history,
    plot_importances,
    plot_learning_curves,
    plotly_js,
)
from study.formats import (
    format_accuracy,
    format_coefficient,
    format_count,
    format_duration,
    format_label,
    format_mse,
    format_p_value,
    format_percent,
    format_sampler,
    format_value,
)
from study.settings import IMPORTED

MAX_ROWS = 500
"""Longest table of the page; ``emoji-study export`` gives all trials."""

CLOSE_ORDER = 0.9
"""Rank correlation from which on early errors are said to order trials like final ones."""

_TEMPLATES = Path(__file__).parent / "templates"

_STATE_LABELS = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}

_NUMBER_WITH_EXPONENT = re.compile(r"\d[\d.]*e-\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image and what the best model made of it.

    Args:
        text: Description of the image.
        original: PNG file.
        reconstruction: PNG file.
        mse: Reconstruction error of this image.
    """

    text: str
    original: bytes
    reconstruction: bytes
    mse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Originals and reconstructions of the best trial.

    Args:
        caption: Which trial and which images these are, without a final stop.
        items: In the order of the page.
    """

    caption: str
    items: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that a report says about a study.

    Args:
        summary: Totals.
        verdict: Checks.
        importances: By metric: the error, and accuracy where trials classify. None of an
            experiment, whose arms are no sample of a space; likewise the next three.
        within_best: Importances within the best tenth, of the metrics that have any.
        agreements: Of methods, of the same metrics.
        correlations: By metric.
        expected_best: None for an experiment, which is no search.
        fidelity: None likewise.
        pruners: None likewise.
        history: Values over trials.
        curves: Learning curves.
        best_trials: The best ones.
        families: By architecture.
        strategies: By strategy, None where trials do not differ in it.
        front: Of the trade-off, None where trials do not classify.
        class_results: None likewise, and where the study does not store the classes.
        top_families: Families among the best trials, by metric.
        groups: Metrics by the values of each parameter that has few, by metric.
        experiment: What was compared, None for a search or what follows one.
        confirmations: Of the search, or the one that the study is.
        ablations: Likewise.
        failures: Of trials.
    """

    summary: SummaryInfo
    verdict: VerdictInfo
    importances: tuple[ImportanceInfo, ...]
    within_best: Mapping[Metric, ImportanceInfo]
    agreements: Mapping[Metric, tuple[AgreementInfo, ...]]
    correlations: tuple[CorrelationsInfo, ...]
    expected_best: ExpectedBestInfo | None
    fidelity: FidelityInfo | None
    pruners: PrunersInfo | None
    history: HistoryInfo
    curves: LearningCurvesInfo
    best_trials: BestTrialsInfo
    families: FamiliesInfo
    strategies: FamiliesInfo | None
    front: FrontInfo | None
    class_results: ClassResultsInfo | None
    top_families: tuple[TopFamiliesInfo, ...]
    groups: Mapping[str, Sequence[GroupsInfo]]
    experiment: ExperimentInfo | None
    confirmations: tuple[ConfirmationInfo, ...]
    ablations: tuple[AblationInfo, ...]
    failures: FailuresInfo


def get_findings(
    record: StudyRecord, followups: Sequence[StudyRecord] = (), *, correlated: Trials = "all"
) -> Findings:
    """Run all analyses that a report shows.

    Args:
        record: The study.
        followups: Confirmations and ablations of the study.
        correlated: Which trials the correlations are of.
    """
    multitask = is_multitask(record)
    measured = (VALIDATION_MSE, VALIDATION_ACCURACY) if multitask else (VALIDATION_MSE,)
    search = attrs.EXPERIMENT not in record.user_attrs
    confirmations = tuple(filter(None, map(get_confirmation, (record, *followups))))
    ablations = tuple(filter(None, map(get_ablation, (record, *followups))))
    is_followup = not search and bool(confirmations or ablations)
    metrics = measured if search else ()
    summary = get_summary(record)
    importances = tuple(get_importances(record, metric=metric) for metric in metrics)
    explained = [found.metric for found in importances if found.parameters]
    agreements = {metric: get_agreements(record, metric=metric) for metric in explained}
    groups: dict[str, list[GroupsInfo]] = {}
    for metric in measured:
        for found in get_all_groups(record, metric=metric):
            groups.setdefault(found.parameter, []).append(found)
    return Findings(
        summary=summary,
        verdict=get_verdict(
            record,
            now=summary.last_completed
            or datetime.min,  # not the clock: equal studies, equal pages
            relative_noise=get_noise(record).relative_sd,
            predictable=_predictable(summary, agreements.get(VALIDATION_MSE, ())),
        ),
        importances=importances,
        within_best={
            metric: get_importances(record, metric=metric, region=BEST_TENTH)
            for metric in explained
        },
        agreements=agreements,
        correlations=tuple(
            get_correlations(record, metric=metric, trials=correlated) for metric in metrics
        ),
        expected_best=get_expected_best(record) if search else None,
        fidelity=get_fidelity(record) if search else None,
        pruners=replay_pruners(record) if search else None,
        history=get_history(record),
        curves=get_learning_curves(record),
        best_trials=get_best_trials(record),
        families=get_families(record),
        strategies=get_families(record, parameter="strategy")
        if varies(record, "strategy")
        else None,
        front=get_front(record) if multitask else None,
        class_results=get_class_results(record) if multitask else None,
        top_families=tuple(get_top_families(record, metric=metric) for metric in measured),
        groups=groups,
        experiment=None if search or is_followup else get_experiment(record),
        confirmations=confirmations,
        ablations=ablations,
        failures=get_failures(record),
    )


def render_report(
    record: StudyRecord,
    *,
    pictures: Pictures | None = None,
    followups: Sequence[StudyRecord] = (),
    correlated: Trials = "all",
) -> str:
    """Turn a study into a page.

    Args:
        record: The study.
        pictures: Images of the best trial, if there are any.
        followups: Confirmations and ablations of the study.
        correlated: Which trials the correlations are of.

    Returns:
        A complete HTML document; the same for the same arguments.
    """
    found = get_findings(record, followups, correlated=correlated)
    settings = settings_of(record)
    figures = _figures(found)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            name=record.name,
            command_name=shlex.quote(record.name),
            settings=settings,
            multitask=is_multitask(record),
            min_accuracy=min_accuracy_of(record),
            n_objectives=len(record.directions),
            summary=found.summary,
            sentences=_sentences(record, found.summary, found.importances, found.front),
            cautions=_cautions(settings, found.summary, found.importances),
            checks=found.verdict.checks,
            all_importances=found.importances,
            min_interaction=MIN_INTERACTION,
            within_best=found.within_best,
            agreements=found.agreements,
            all_correlations=found.correlations,
            expected_best=found.expected_best,
            fidelity=found.fidelity,
            close_order=CLOSE_ORDER,
            pruners=found.pruners,
            suggested=suggest_pruner(found.pruners) if found.pruners else None,
            offered=suggest_pruner(found.pruners, offered=True) if found.pruners else None,
            max_best_pruned=MAX_BEST_PRUNED,
            history=found.history,
            curves=found.curves,
            best_trials=found.best_trials,
            families=found.families.families,
            strategies=found.strategies.families if found.strategies is not None else (),
            front=found.front,
            experiment=found.experiment,
            is_search=attrs.EXPERIMENT not in record.user_attrs,
            confirmations=found.confirmations,
            ablations=found.ablations,
            describe_confirmation=describe_confirmation,
            describe_ablation=describe_ablation,
            class_results=found.class_results,
            top_families=found.top_families,
            groups=found.groups,
            max_groups=MAX_GROUPS,
            failures=found.failures.failures,
            pictures=pictures,
            figures=figures,
            plotly_js=Markup(plotly_js()),
            max_rows=MAX_ROWS,
            key=_key,
            experiment_key=_experiment_key,
            accuracy_metrics=(VALIDATION_ACCURACY, BALANCED_ACCURACY),
            epochs_run=epochs_run,
            training_seconds=training_seconds,
        )
    )


def write_report(
    record: StudyRecord,
    *,
    out: Path,
    pictures: Pictures | None = None,
    followups: Sequence[StudyRecord] = (),
    correlated: Trials = "all",
) -> None:
    """Write the page; a reader finds either the old file or the whole new one.

    Args:
        record: The study.
        out: The file; its folder is created.
        pictures: Images of the best trial, if there are any.
        followups: Confirmations and ablations of the study.
        correlated: Which trials the correlations are of.

    Raises:
        OSError: If the file cannot be written.
    """
    page = render_report(record, pictures=pictures, followups=followups, correlated=correlated)
    write_bytes(out, page.encode())


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "mse": format_mse,
        "accuracy": format_accuracy,
        "coefficient": format_coefficient,
        "p_value": format_p_value,
        "value": format_value,
        "count": format_count,
        "duration": format_duration,
        "percent": format_percent,
        "capitalise": _capitalise,
        "state": _STATE_LABELS.__getitem__,
        "label": format_label,
        "sampler": format_sampler,
        "nowrap": _keep_numbers_whole,
        "png": _data_uri,
        "quote": shlex.quote,
    }
    return environment


def _key(section: str, metric: Metric) -> str:
    """Name the chart of a section; that of the objective is named like the section."""
    return section if metric.name is None else f"{section}-{metric.name}"


def _experiment_key(label: str) -> str:
    """Name the chart of an experiment in the metric with this label."""
    return f"experiment-{label.lower().replace(' ', '-')}"


def _figures(found: Findings) -> dict[str, Markup]:
    """Draw all charts that have something to show, by the names of their places."""
    figures = {}
    if found.experiment is not None:
        for label in found.experiment.labels:
            figures[_experiment_key(label)] = plot_experiment(found.experiment, label)
    for i, confirmation in enumerate(found.confirmations):
        if any(c.validation for c in confirmation.confirmed):
            figures[f"confirmation-{i}"] = plot_confirmation(confirmation)
    for i, ablation in enumerate(found.ablations):
        if len(ablation.path) > 1 and any(step.validation for step in ablation.path):
            figures[f"ablation-{i}"] = plot_ablation(ablation)
    if found.front is not None and found.front.points:
        figures["front"] = plot_front(found.front)
    for importance in found.importances:
        if importance.parameters:
            figures[_key("importance", importance.metric)] = plot_importances(importance)
    for correlations in found.correlations:
        if any(p.spearman is not None for f in correlations.families for p in f.parameters):
            key = _key("correlations", correlations.metric)
            figures[key] = plot_correlations(correlations)
    if any(point.value is not None for point in found.history.points):
        figures["history"] = plot_history(found.history)
    if found.curves.curves:
        figures["learning-curves"] = plot_learning_curves(found.curves)
    if found.expected_best is not None and found.expected_best.points:
        figures["expected-best"] = plot_expected_best(found.expected_best)
    if found.fidelity is not None and found.fidelity.points:
        figures["fidelity"] = plot_fidelity(found.fidelity)
    return {key: _json_for_script(figure.to_json()) for key, figure in figures.items()}


def _sentences(
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
        f"{format_count(summary.by_state[state])} {label}"
        for state, label in _STATE_LABELS.items()
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


def _predictable(summary: SummaryInfo, agreements: Sequence[AgreementInfo]) -> bool | None:
    """Say whether the error could be predicted in the branch of the best trial, if tried."""
    if summary.best is None:
        return None
    family = family_of(summary.best)
    found = next((a.surrogate for a in agreements if a.family == family), None)
    return None if found is None or found.r2 is None else found.refusal is None


def _cautions(
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


def _capitalise(text: str) -> str:
    """Begin with a capital and leave the rest, acronyms included, as it is."""
    return text[:1].upper() + text[1:]


def _keep_numbers_whole(text: str) -> Markup:
    """Escape a text and keep numbers such as 1e-3 from being broken at their hyphen."""
    return Markup(
        _NUMBER_WITH_EXPONENT.sub(r'<span class="nowrap">\g<0></span>', str(escape(text)))
    )


def _json_for_script(text: str | None) -> Markup:
    """Make JSON safe inside a script element, where ``</script>`` and ``<!--`` have a meaning."""
    return Markup((text or "null").replace("<", "\\u003c"))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
