"""Means and medians by parameter, and families among the best."""

from itertools import chain

from study.analysis import grouped, is_own
from study.analysis.tables import MAX_GROUPS, get_all_groups, get_top_families
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Tables"


def section(found: Findings) -> Section | Missing:
    """Tell how trials came out, in groups."""
    heading = "Tables of the original" if is_own(found.record) else HEADING
    top = [get_top_families(found.record, metric=metric) for metric in found.metrics]
    if not top[0].families:
        return Missing("no trial is complete yet", found.more_trials, heading=heading)
    tables = (get_all_groups(found.record, metric=metric) for metric in found.metrics)
    groups = grouped(chain.from_iterable(tables), lambda table: table.parameter)
    data = {"top_families": top, "groups": groups, "max_groups": MAX_GROUPS}
    return Section(data, folded="Means and medians by setting", heading=heading)
