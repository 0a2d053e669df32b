"""Each chart shows its Info: the right data, axes, colours and gaps."""

import json
import math

import plotly.graph_objects as go
import pytest
from optuna.trial import TrialState

from storage.records import StudyRecord
from study.analysis.correlation import get_correlations
from study.analysis.history import get_history, get_learning_curves
from study.analysis.importance import get_importances
from study.figures import (
    FAMILY_COLORS,
    plot_correlations,
    plot_history,
    plot_importances,
    plot_learning_curves,
    plotly_js,
)
from tests.study_tests.synthetic import planted, study, trial

CNN = {"auto_encoder": "CNN", "epoch": 10, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    """120 trials with a planted answer."""
    return planted()


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    """Return the named traces of a figure; of equal names the last."""
    return {trace.name: trace for trace in figure.data if trace.name}


def test_history_draws_every_trial_once(record: StudyRecord) -> None:
    """Markers add up to all trials with a value, and the step line is the running best."""
    info = get_history(record)
    found = traces(plot_history(info))
    best = found.pop("best so far")
    assert sum(len(trace.x) for trace in found.values()) == 120
    assert list(found) == [
        "CNN complete",
        "linear complete",
        "CNN pruned",
        "linear pruned",
        "failed",
    ]
    assert best.line.shape == "hv"
    assert list(best.y) == pytest.approx([point.best for point in info.points], rel=1e-4)


@pytest.mark.parametrize("plot", ["history", "learning_curves"])
def test_error_axes_are_logarithmic_and_named(record: StudyRecord, plot: str) -> None:
    """Errors have a log axis that says so."""
    if plot == "history":
        figure = plot_history(get_history(record))
    else:
        figure = plot_learning_curves(get_learning_curves(record))
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis.title.text == "validation MSE (log)"
    assert figure.layout.xaxis.title.text in ("trial", "epoch")


def test_a_family_has_one_colour_in_all_charts(record: StudyRecord) -> None:
    """The colour of an architecture is the same wherever it appears."""
    history = traces(plot_history(get_history(record)))
    curves = traces(plot_learning_curves(get_learning_curves(record)))
    correlations = traces(plot_correlations(get_correlations(record)))
    for family, color in FAMILY_COLORS.items():
        assert history[f"{family} complete"].marker.color == color
        assert curves[f"{family} complete"].line.color == color
        (bars,) = [bar for name, bar in correlations.items() if name.startswith(family)]
        assert bars.marker.color == color


def test_stopped_curves_are_dashed_and_end_in_an_x() -> None:
    """Pruned and failed trials differ from complete ones and show where they ended."""
    figure = plot_learning_curves(
        get_learning_curves(
            study(
                trial(0, value=0.2, params=CNN, curve=(0.4, 0.2)),
                trial(1, state=TrialState.PRUNED, params=CNN, curve=(0.5, 0.45)),
                trial(2, state=TrialState.FAIL, params=CNN, curve=(0.6, 0.7, math.nan)),
            )
        )
    )
    found = traces(figure)
    assert found["CNN complete"].line.dash is None
    assert found["CNN pruned"].line.dash == "dot"
    assert found["failed"].line.dash == "dash"
    ends = [t for t in figure.data if t.mode == "markers"]
    assert [(end.x, end.y, end.marker.symbol) for end in ends] == [
        ((2,), (0.45,), "x"),
        ((3,), (0.7,), "x"),
    ]
    assert list(found["best (trial 0)"].y) == [0.4, 0.2]


def test_a_group_has_one_legend_entry(record: StudyRecord) -> None:
    """Strong and pale curves of a group share their entry."""
    figure = plot_learning_curves(get_learning_curves(record))
    names = [t.name for t in figure.data if t.showlegend is not False]
    assert len(names) == len(set(names))


def test_importances_draw_shares_with_their_intervals(record: StudyRecord) -> None:
    """A whisker reaches from the lower to the upper end of the interval."""
    info = get_importances(record, n_resamples=20)
    (bars,) = plot_importances(info).data
    assert list(bars.x) == pytest.approx([p.share for p in info.parameters], rel=1e-4)
    first = info.parameters[0]
    assert bars.error_x.array[0] == pytest.approx(first.high - first.share, rel=1e-3)
    assert bars.error_x.arrayminus[0] == pytest.approx(first.share - first.low, rel=1e-3)


def test_correlations_leave_out_what_has_no_coefficient(record: StudyRecord) -> None:
    """A constant parameter has no bar, and every bar states its signed number."""
    figure = plot_correlations(get_correlations(record))
    for bars in figure.data:
        assert "epoch" not in bars.y
        assert all(text[0] in "+\N{MINUS SIGN}" for text in bars.text)
        assert [float(t.replace("\N{MINUS SIGN}", "-")) for t in bars.text] == pytest.approx(
            list(bars.x), abs=0.005
        )


def test_values_that_cannot_be_drawn_become_gaps() -> None:
    """NaN and infinity leave no trace in the JSON of a figure."""
    record = study(
        trial(0, value=math.inf, params=CNN, curve=(math.nan, math.inf, 0.3)),
        trial(1, value=0.0, params=CNN, curve=(0.1, 0.0)),
    )
    for figure in (
        plot_history(get_history(record)),
        plot_learning_curves(get_learning_curves(record)),
    ):
        text = figure.to_json()
        assert "NaN" not in text
        assert "Infinity" not in text
        json.loads(text)


def test_markup_in_names_is_escaped() -> None:
    """A family name cannot bring a link or a tag into a chart."""
    params = {"auto_encoder": "<a href='x'>CNN</a>"}
    (name,) = set(traces(plot_history(get_history(study(trial(0, value=0.1, params=params)))))) - {
        "best so far"
    }
    assert "<" not in name


def test_plotly_js_can_stand_in_a_script_element() -> None:
    """The library's source holds nothing that would end the element around it."""
    source = plotly_js().lower()
    assert "</script" not in source
    assert "<!--" not in source
