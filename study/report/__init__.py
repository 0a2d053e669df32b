"""Reports: self-contained HTML files that need no network."""

from study.report.comparison_report import render_studies
from study.report.embedded import ReportData, read_report_data
from study.report.pictures import Pictures
from study.report.processes import OtherProcesses
from study.report.study_report import render_study

__all__ = ["Pictures", "ReportData", "read_report_data", "render_data"]


def render_data(data: ReportData, *, processes: OtherProcesses | None = None) -> str:
    """Turn studies into a page: the report of one, or the comparison of several.

    Args:
        processes: Others that take a part of the work on one study, or None.

    Returns:
        A complete HTML document; the same for the same data.
    """
    if len(data.studies) == 1:
        return render_study(data, processes)
    return render_studies(data)
