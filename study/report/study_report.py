"""The report of one study: what all its sections may show, around what each finds and draws."""

import shlex

from study.analysis import data_of, is_own, min_accuracy_of, reference_of, settings_of
from study.formats import format_label, plural
from study.report.embedded import ReportData, bounded, pack
from study.report.findings import Findings
from study.report.page import render_page
from study.report.processes import OtherProcesses
from study.report.sections import chart_key, report_sections
from study.report.sentences import get_verdict_text


def render_study(data: ReportData, *, processes: OtherProcesses | None = None) -> str:
    """Turn one study and what belongs to it into a page."""
    (record,) = data.studies
    kept = bounded(data)
    found = Findings(data, processes)
    kind = found.kind
    return render_page(
        "report",
        title=record.name,
        sections=report_sections(found),
        report_data=pack(kept),
        name=record.name,
        command_name=shlex.quote(record.name),
        settings=settings_of(record),
        kind=kind,
        kind_name=reference_of(record) or "KIND",
        objective=kind.objective,
        second=kind.second,
        step=format_label(kind.step),
        steps=plural(kind.step),
        further=tuple(metric for metric in kind.metrics[1:] if metric.always),
        images=data_of(record),
        own=is_own(record),
        min_accuracy=min_accuracy_of(record),
        n_objectives=len(record.directions),
        is_search=found.search,
        summary=found.summary,
        verdict=get_verdict_text(found),
        n_held=len(kept.studies[0].trials),
        branch=found.branch,
        front=found.front,
        several_metrics=len(found.metrics) > 1,
        key=chart_key,
    )
