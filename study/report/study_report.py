"""The report of one study: its findings, its charts and its pictures on one page.

Must not compute what a study found (``study.analysis``) nor draw (``study.figures``), and never
asks for the time or the machine, so that the same study always gives the same bytes.
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict

from storage import attrs
from storage.records import StudyRecord
from study.analysis import (
    NEAR,
    data_of,
    is_own,
    is_search,
    kind_of,
    measured_on_request,
    min_accuracy_of,
    reference_of,
    settings_of,
    third_of,
    word_for,
)
from study.analysis.ablation import describe_ablation
from study.analysis.confirmation import describe_confirmation
from study.analysis.correlation import Trials
from study.analysis.fidelity import MAX_BEST_PRUNED, suggest_pruner
from study.analysis.history import epochs_run, training_seconds
from study.analysis.surrogate import MIN_INTERACTION
from study.analysis.tables import MAX_GROUPS
from study.figures import shown_costs, shown_front
from study.formats import format_label, plural
from study.report.charts import chart_key, draw_charts, experiment_key
from study.report.embedded import ReportData, bounded, pack
from study.report.findings import Findings, get_findings
from study.report.page import render_page, safe_in_script
from study.report.pictures import Pictures
from study.report.processes import OtherProcesses
from study.report.sentences import describe_evaluators, get_verdict_text
from study.report.trials import get_columns, get_constants, get_costs_told, get_reading

CLOSE_ORDER = 0.9
"""Rank correlation from which on early errors are said to order trials like final ones."""


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
    return render_study(
        ReportData(
            studies=(record,),
            followups=tuple(followups),
            pictures=pictures,
            correlated=correlated,
        )
    )


def render_study(data: ReportData, *, processes: OtherProcesses | None = None) -> str:
    """Turn a study and what belongs to it into a page, as ``render_report`` does.

    Args:
        data: With one study.
        processes: Others that take a part of the work, or None.
    """
    (record,) = data.studies
    kept = bounded(data)
    packed = pack(kept)
    columns = get_columns(record)
    found = get_findings(record, data.followups, correlated=data.correlated, processes=processes)
    settings = settings_of(record)
    kind = kind_of(record)
    search = is_search(record)
    return render_page(
        "report.html.jinja",
        title=record.name,
        contents=_contents(data, found),
        figures=draw_charts(found, kind),
        name=record.name,
        command_name=shlex.quote(record.name),
        settings=settings,
        kind=kind,
        kind_name=reference_of(record) or "KIND",
        objective=kind.objective,
        second=kind.second,
        third=third_of(record),
        step=format_label(kind.step),
        steps=plural(kind.step),
        further=tuple(metric for metric in kind.metrics[1:] if metric.always),
        images=data_of(record),
        own=is_own(record),
        min_accuracy=min_accuracy_of(record),
        n_objectives=len(record.directions),
        summary=found.summary,
        verdict=get_verdict_text(record, found, n_left_out=data.n_left_out, thinned=data.thinned),
        report_data=packed,
        columns=columns,
        reading=safe_in_script(
            json.dumps({"columns": [asdict(c) for c in columns], **get_reading(record)})
        ),
        constants=get_constants(record),
        n_held=len(kept.studies[0].trials),
        checks=found.verdict.checks,
        all_importances=found.importances,
        min_interaction=MIN_INTERACTION,
        within_best=found.within_best,
        agreements=found.agreements,
        all_correlations=found.correlations,
        all_isolations=found.isolations,
        expected_best=found.expected_best,
        fidelity=found.fidelity,
        close_order=CLOSE_ORDER,
        pruners=found.pruners,
        suggested=suggest_pruner(found.pruners) if found.pruners else None,
        offered=suggest_pruner(found.pruners, offered=True) if found.pruners else None,
        max_best_pruned=MAX_BEST_PRUNED,
        history=found.history,
        incumbents=found.incumbents,
        curves=found.curves,
        timeline=found.timeline,
        distribution=found.distribution,
        best_trials=found.best_trials,
        stored={trial.number: trial for trial in record.trials},
        costs_told=get_costs_told(record),
        counted=next((cost for cost in kind.costs if cost.name == attrs.PARAMETER_COUNT), None),
        families=found.families.families,
        branch=found.branch,
        branches=found.branches.families if found.branches is not None else (),
        front=found.front,
        n_front_shown=len(shown_front(found.front)) if found.front is not None else 0,
        costs=found.costs,
        near=NEAR,
        costs_thinned=any(len(shown_costs(info)) < len(info.points) for info in found.costs),
        latents=found.latents,
        gallery=data.gallery,
        measures_on_request=bool(measured_on_request(record)),
        several_metrics=len(found.top_families) > 1,
        experiment=found.experiment,
        is_search=search,
        confirmations=found.confirmations,
        at_home=found.at_home,
        ablations=found.ablations,
        describe_confirmation=describe_confirmation,
        describe_ablation=describe_ablation,
        class_results=found.class_results,
        top_families=found.top_families,
        groups=found.groups,
        max_groups=MAX_GROUPS,
        failures=found.failures.failures,
        provenance=found.provenance,
        evaluators=describe_evaluators(found),
        pictures=data.pictures,
        trial_files=data.files,
        key=chart_key,
        experiment_key=experiment_key,
        epochs_run=epochs_run,
        training_seconds=training_seconds,
    )


def _contents(data: ReportData, found: Findings) -> list[tuple[str, str]]:
    """Return id and heading of the sections of a page."""
    (record,) = data.studies
    kind, search = kind_of(record), is_search(record)
    low = "high" if kind.objective.maximise else "low"
    files = {file.name for file in kind.files}
    on_request = {metric.name for metric in kind.metrics if not metric.always}
    sections = {
        "verdict": ("Verdict", True),
        "experiment": ("Experiment", found.experiment is not None),
        "confirmation": ("Confirmation", not search and bool(found.confirmations)),
        "ablation": ("Ablation", not search and bool(found.ablations)),
        "checks": ("Checks", True),
        "key-numbers": ("Key numbers", True),
        "best-configuration": ("Best configuration", True),
    }
    later = {
        "confirmation": ("Confirmation", search),
        "pictures": ("Pictures", attrs.RECONSTRUCTIONS_FILE in files),
        "trial-files": ("Pictures of trials", bool(data.files)),
        "importance": ("Importance", True),
        "correlations": ("Correlations", True),
        "isolation": ("Isolation plots", True),
        "history": ("History", True),
        "incumbents": ("Best so far", True),
        "learning-curves": ("Learning curves", True),
        "timeline": ("Timeline", True),
        "distribution": ("Distribution", True),
        "expected-best": ("Expected best", True),
        "families": ("Families", kind.family is not None),
        "branches": (plural(found.branch or "").capitalize(), found.branch is not None),
        "trade-off": ("Trade-off", kind.second is not None),
        "cost": (f"Cost of a {low} {word_for(kind.objective)}", search),
        "classes": ("Classes", found.class_results is not None),
        "latent-space": ("Latent space", attrs.LATENT_ATTRIBUTE_AUC in on_request),
        "fidelity": ("Fidelity and pruners", True),
        "ablation": ("Ablation", search),
        "tables": ("Tables of the original" if is_own(record) else "Tables", True),
        "failures": ("Failures", True),
        "best-trials": ("Best trials", True),
        "trials": ("All trials", True),
        "reproduce": ("Reproduce", True),
    }
    return [
        (name, heading)
        for part in (sections, later)
        for name, (heading, shown) in part.items()
        if shown
    ]
