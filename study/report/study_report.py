"""The report of one study: its answer, and its sections by the questions that they answer."""

from functools import partial

from storage import attrs
from study import analysis
from study.formats import format_label, in_line, plural
from study.report.answer import get_answer
from study.report.embedded import ReportData, bounded, pack
from study.report.findings import Findings
from study.report.page import chart_key, render_page
from study.report.pictures import true_caption
from study.report.processes import OtherProcesses
from study.report.sections import groups_of
from study.sampling.names import ADAPTIVE_SAMPLERS


def render_study(data: ReportData, processes: OtherProcesses | None) -> str:
    """Turn one study and what belongs to it into a page."""
    (record,) = data.studies
    kept = bounded(data)
    found = Findings(data, processes)
    kind, groups = found.kind, groups_of(found)
    words = {
        "name": in_line(record.name),
        "command": found.command,
        "placed": found.placed,
        "settings": attrs.SETTINGS.of(record),
        "sampler": analysis.sampler_of(record),
        "adaptive": analysis.sampler_of(record) in ADAPTIVE_SAMPLERS,
        "kind": kind,
        "wording": kind.wording,
        "objective": kind.objective,
        "second": kind.second,
        "step": format_label(kind.step),
        "steps": plural(kind.step),
        "further": kind.further,
        "images": analysis.data_of(record),
        "family_of": partial(analysis.family_of, parameter=kind.family),
        "ours": found.ours,
        "own": analysis.is_own(record),
        "time": "training time" if found.ours else "time",
        "min_accuracy": analysis.min_accuracy_of(record),
        "objectives": found.objectives,
        "n_objectives": len(record.directions),
        "is_search": found.search,
        "summary": found.summary,
        "once": ", each training once" if found.summary.n_reused else "",
        "branch": found.branch,
        "front": found.front,
        "unbeaten": found.unbeaten,
        "several_metrics": len(found.metrics) > 1,
        "key": chart_key,
        "n_held": len(kept.studies[0].trials),
        "answer": get_answer(found),
        "pictures": data.pictures,
        "true_caption": partial(true_caption, record=record),
        "trial_files": data.files,
        "storage_note": storage_note(data.storage),
        "checks": found.checks,
    }
    return render_page(
        "report",
        title=record.name,
        groups=groups,
        words=words,
        report_data=partial(pack, kept),
    )


def storage_note(storage: str | None) -> str:
    """Say from where the commands of a page find the study; nothing for a server."""
    if storage is None or not storage.startswith("sqlite:///"):
        return ""
    path = storage.removeprefix("sqlite:///")
    where = "in which the report was made" if "/" in path else f"that holds {path}"
    return f"Commands are for the folder {where}."
