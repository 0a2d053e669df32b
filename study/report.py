"""The report of a study: one self-contained HTML file that needs no network.

Data goes in, a template turns it into a page, the page is written at once. The only module that
knows jinja2. It must not compute what a study found (``study.analysis``) nor draw
(``study.figures``), and never asks for the time or the machine, so that the same study always
gives the same bytes.
"""

import base64
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from optuna.trial import TrialState

from emoji_ae.files import write_bytes
from storage.records import StudyRecord, TrialRecord
from study.analysis import settings_of
from study.analysis.correlation import get_correlations
from study.analysis.history import (
    SummaryInfo,
    epochs_run,
    get_history,
    get_learning_curves,
    get_summary,
    training_seconds,
)
from study.analysis.importance import RELIABLE_TRIALS, ImportanceInfo, get_importances
from study.analysis.tables import get_best_trials, get_failures, get_families
from study.figures import (
    plot_correlations,
    plot_history,
    plot_importances,
    plot_learning_curves,
    plotly_js,
)
from study.formats import (
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

MAX_ROWS = 500
"""Longest table of the page; ``emoji-study export`` gives all trials."""

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


def render_report(record: StudyRecord, *, pictures: Pictures | None = None) -> str:
    """Turn a study into a page.

    Args:
        record: The study.
        pictures: Images of the best trial, if there are any.

    Returns:
        A complete HTML document; the same for the same arguments.
    """
    summary = get_summary(record)
    importances = get_importances(record)
    correlations = get_correlations(record)
    history = get_history(record)
    curves = get_learning_curves(record)
    settings = settings_of(record)
    figures = {}
    if importances.parameters:
        figures["importance"] = plot_importances(importances)
    if any(p.spearman is not None for f in correlations.families for p in f.parameters):
        figures["correlations"] = plot_correlations(correlations)
    if any(point.value is not None for point in history.points):
        figures["history"] = plot_history(history)
    if curves.curves:
        figures["learning-curves"] = plot_learning_curves(curves)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            name=record.name,
            command_name=shlex.quote(record.name),
            settings=settings,
            summary=summary,
            sentences=_sentences(record.name, settings, summary, importances),
            cautions=_cautions(settings, summary, importances),
            importances=importances,
            correlations=correlations,
            history=history,
            curves=curves,
            best_trials=get_best_trials(record),
            families=get_families(record).families,
            failures=get_failures(record).failures,
            pictures=pictures,
            figures={key: _json_for_script(figure.to_json()) for key, figure in figures.items()},
            plotly_js=Markup(plotly_js()),
            max_rows=MAX_ROWS,
            epochs_run=epochs_run,
            training_seconds=training_seconds,
        )
    )


def write_report(record: StudyRecord, *, out: Path, pictures: Pictures | None = None) -> None:
    """Write the page; a reader finds either the old file or the whole new one.

    Args:
        record: The study.
        out: The file; its folder is created.
        pictures: Images of the best trial, if there are any.

    Raises:
        OSError: If the file cannot be written.
    """
    write_bytes(out, render_report(record, pictures=pictures).encode())


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
        "coefficient": format_coefficient,
        "p_value": format_p_value,
        "value": format_value,
        "count": format_count,
        "duration": format_duration,
        "state": _STATE_LABELS.__getitem__,
        "label": format_label,
        "sampler": format_sampler,
        "nowrap": _keep_numbers_whole,
        "png": _data_uri,
    }
    return environment


def _sentences(
    name: str, settings: Mapping[str, Any], summary: SummaryInfo, importances: ImportanceInfo
) -> list[str]:
    """Say in plain words what was run and what was found."""
    if not summary.n_trials:
        return [f"The study “{name}” has no trials yet."]
    space = f" of the {settings['space']} space" if settings.get("space") else ""
    sampler = settings.get("sampler")
    chosen = f", chosen by the {format_sampler(str(sampler))} sampler" if sampler else ""
    states = ", ".join(
        f"{format_count(summary.by_state[state])} {label}"
        for state, label in _STATE_LABELS.items()
        if state in summary.by_state
    )
    trials = "1 trial" if summary.n_trials == 1 else f"{format_count(summary.n_trials)} trials"
    sentences = [f"The study “{name}” holds {trials}{space}{chosen}: {states}."]
    if summary.best is None:
        sentences.append("No trial is complete, so there is no best configuration yet.")
    else:
        sentences.append(
            f"The lowest validation MSE is {format_mse(summary.best.value)}, reached by trial "
            f"{summary.best.number}{_configuration(summary.best)}."
        )
    if importances.parameters and importances.caution is None:
        first = importances.parameters[0]
        sentences.append(
            f"What most separates the best tenth of the trials from the others is "
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


def _cautions(
    settings: Mapping[str, Any], summary: SummaryInfo, importances: ImportanceInfo
) -> list[str]:
    """Say what a reader must keep in mind."""
    cautions = []
    n_complete = summary.by_state.get(TrialState.COMPLETE, 0)
    if summary.best is not None and n_complete > 1:
        cautions.append(
            f"The best value is the lowest of {format_count(n_complete)}, measured on the "
            "validation images that chose it: expect a somewhat higher error on new images."
        )
    if importances.adaptive:
        cautions.append(
            f"The {format_sampler(importances.sampler or '')} sampler chose trials by earlier "
            "results, so importances and correlations describe this search, not the whole space "
            "evenly."
        )
    if 0 < n_complete < RELIABLE_TRIALS:
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
    if settings.get("split") == "random":
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
