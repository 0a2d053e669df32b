"""Pages of records, without a database or files."""

from collections.abc import Sequence

from storage.records import StudyRecord
from study.analysis.correlation import Trials
from study.report import Pictures, ReportData, render_data


def render_report(
    record: StudyRecord,
    *,
    pictures: Pictures | None = None,
    followups: Sequence[StudyRecord] = (),
    correlated: Trials = "all",
) -> str:
    """Return the report of a study."""
    return render_data(
        ReportData(
            studies=(record,),
            followups=tuple(followups),
            pictures=pictures,
            correlated=correlated,
        )
    )


def render_comparison(records: Sequence[StudyRecord]) -> str:
    """Return the comparison of studies."""
    return render_data(ReportData(studies=tuple(records)))
