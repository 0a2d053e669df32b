"""The charts that a study's page of the dashboard shows beside its own, each some tens of kB.

The page gets all of them anew at every look, so they are charts of the report's sections with
fewer points.
"""

from storage.records import StudyRecord
from study.figures.style import entitled
from study.report.embedded import ReportData
from study.report.findings import Findings
from study.report.page import Graph
from study.report.sections import graphs_of

HEIGHT = 430
"""Of the place that a page has for a chart, in pixels."""


def draw_graphs(record: StudyRecord) -> dict[str, str | None]:
    """Draw the charts of a study: Plotly's JSON by id, None where there is nothing to show yet."""
    graphs = graphs_of(Findings(ReportData(studies=(record,))))
    return {name: None if graph is None else _draw(graph) for name, graph in graphs.items()}


def _draw(graph: Graph) -> str:
    return str(entitled(graph.figure, graph.title, *graph.notes, height=HEIGHT).to_json())
