"""Pages of records, without a database or files; those that several tests read are made once."""

from collections.abc import Sequence
from functools import cache

from storage.records import StudyRecord
from study.analysis.correlation import Trials
from study.report import Pictures, ReportData, render_data
from tests.study_tests.synthetic import planted, planted_multitask


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


@cache
def search_page() -> str:
    """Return the report of 120 trials with a planted answer."""
    return render_report(planted())


@cache
def multitask_page() -> str:
    """Return the report of 120 trials that classify, with a constraint."""
    return render_report(planted_multitask())


@cache
def pareto_page() -> str:
    """Return the report of 60 trials with two objectives."""
    return render_report(planted_multitask(60, pareto=True, min_accuracy=None))
