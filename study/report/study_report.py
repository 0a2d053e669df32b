"""The report of one study: its findings, its charts and its pictures on one page.

Must not compute what a study found (``study.analysis``) nor draw (``study.figures``), and never
asks for the time or the machine, so that the same study always gives the same bytes.
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict

from storage.records import StudyRecord
from study.analysis import (
    BALANCED_ACCURACY,
    NEAR,
    VALIDATION_ACCURACY,
    is_multitask,
    is_search,
    latent_metrics_of,
    min_accuracy_of,
    settings_of,
)
from study.analysis.ablation import describe_ablation
from study.analysis.confirmation import describe_confirmation
from study.analysis.correlation import Trials
from study.analysis.fidelity import MAX_BEST_PRUNED, suggest_pruner
from study.analysis.history import epochs_run, training_seconds
from study.analysis.surrogate import MIN_INTERACTION
from study.analysis.tables import MAX_GROUPS
from study.figures import shown_costs, shown_front
from study.report.charts import chart_key, draw_charts, experiment_key
from study.report.embedded import ReportData, bounded, pack
from study.report.findings import Findings, get_findings
from study.report.page import render_page, safe_in_script
from study.report.pictures import Pictures
from study.report.processes import OtherProcesses
from study.report.sentences import describe_evaluators, get_verdict_text
from study.report.trials import get_columns, get_constants

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
    multitask = is_multitask(record)
    search = is_search(record)
    return render_page(
        "report.html.jinja",
        title=record.name,
        contents=_contents(found, is_search=search, multitask=multitask),
        figures=draw_charts(found),
        name=record.name,
        command_name=shlex.quote(record.name),
        settings=settings,
        multitask=multitask,
        min_accuracy=min_accuracy_of(record),
        n_objectives=len(record.directions),
        summary=found.summary,
        verdict=get_verdict_text(record, found, n_left_out=data.n_left_out, thinned=data.thinned),
        report_data=packed,
        columns=columns,
        column_data=safe_in_script(json.dumps([asdict(column) for column in columns])),
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
        families=found.families.families,
        strategies=found.strategies.families if found.strategies is not None else (),
        front=found.front,
        n_front_shown=len(shown_front(found.front)) if found.front is not None else 0,
        costs=found.costs,
        near=NEAR,
        costs_thinned=any(len(shown_costs(info)) < len(info.points) for info in found.costs),
        latents=found.latents,
        gallery=data.gallery,
        measures_latents=bool(latent_metrics_of(record)),
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
        key=chart_key,
        experiment_key=experiment_key,
        accuracy_metrics=(VALIDATION_ACCURACY, BALANCED_ACCURACY),
        epochs_run=epochs_run,
        training_seconds=training_seconds,
    )


def _contents(found: Findings, *, is_search: bool, multitask: bool) -> list[tuple[str, str]]:
    """Return id and heading of the sections of a page."""
    sections = {
        "verdict": ("Verdict", True),
        "experiment": ("Experiment", found.experiment is not None),
        "confirmation": ("Confirmation", not is_search and bool(found.confirmations)),
        "ablation": ("Ablation", not is_search and bool(found.ablations)),
        "checks": ("Checks", True),
        "key-numbers": ("Key numbers", True),
        "best-configuration": ("Best configuration", True),
    }
    later = {
        "confirmation": ("Confirmation", is_search),
        "pictures": ("Pictures", True),
        "importance": ("Importance", True),
        "correlations": ("Correlations", True),
        "isolation": ("Isolation plots", True),
        "history": ("History", True),
        "incumbents": ("Best so far", True),
        "learning-curves": ("Learning curves", True),
        "timeline": ("Timeline", True),
        "distribution": ("Distribution", True),
        "expected-best": ("Expected best", True),
        "families": ("Families", True),
        "strategies": ("Strategies", multitask),
        "trade-off": ("Trade-off", multitask),
        "cost": ("Cost of a low error", is_search),
        "classes": ("Classes", multitask),
        "latent-space": ("Latent space", True),
        "fidelity": ("Fidelity and pruners", True),
        "ablation": ("Ablation", is_search),
        "tables": ("Tables of the original", True),
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
