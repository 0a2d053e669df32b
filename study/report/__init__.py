"""Reports: self-contained HTML files that need no network.

Data goes in, a template turns it into a page, the page is written at once.
"""

from study.report.pictures import Picture, Pictures
from study.report.study_report import render_report, write_report

__all__ = ["Picture", "Pictures", "render_report", "write_report"]
