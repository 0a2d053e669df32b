"""What a low error costs: fronts by hand, what has no cost, and what a page says of it."""

from collections.abc import Mapping
from typing import Any

from emoji_ae.config import AutoencoderConfig
from storage import attrs
from storage.records import TrialRecord
from study.analysis import kind_of
from study.analysis.cost import get_costs
from study.analysis.thinning import MAX_MARKS
from study.figures.comparisons import plot_costs
from tests.study_tests.pages import render_report
from tests.study_tests.report.test_report import Page
from tests.study_tests.synthetic import SETTINGS, study, trial


def costly(
    number: int,
    value: float,
    *,
    weights: int | None = None,
    seconds: float | None = None,
    params: Mapping[str, Any] | None = None,
    **more: Any,
) -> TrialRecord:
    """Return a complete trial with costs."""
    found = {attrs.PARAMETER_COUNT: weights, attrs.TRAINING_SECONDS: seconds, **more}
    known = {name: value for name, value in found.items() if value is not None}
    return trial(number, value=value, params=params or {"auto_encoder": "CNN"}, attrs=known)


def test_fronts_by_hand() -> None:
    """The front is what nothing beats in both, and a step line in the place of its cost."""
    record = study(
        costly(0, 0.010, weights=900, seconds=30),
        costly(1, 0.0109, weights=100, seconds=60),
        costly(2, 0.0105, weights=1000, seconds=90),
        costly(3, 0.05, weights=50, seconds=5),
        costly(4, 0.06, weights=60, seconds=5, params={"auto_encoder": "linear"}),
        settings=SETTINGS,
    )
    infos = get_costs(record)
    names = [attrs.PARAMETER_COUNT, attrs.TRAINING_SECONDS]
    weights, seconds = (info for name in names for info in infos if info.first.name == name)
    assert [p.trial.number for p in weights.front] == [3, 1, 0]
    assert (weights.best.trial.number, weights.cheapest_near.trial.number) == (0, 1)
    assert [p.trial.number for p in seconds.front] == [3, 0]
    assert seconds.cheapest_near == seconds.best == seconds.front[-1]
    assert [p.trial.number for p in weights.points] == [0, 1, 2, 3, 4]
    assert weights.spread == 20
    assert [info.saves for info in (weights, seconds)] == [True, False]
    figures = plot_costs(infos, kind_of(record))
    assert list(figures) == [info.first.name for info in infos]
    for info in infos:
        figure = figures[info.first.name]
        front, cnn, linear = figure.data
        assert list(front.x) == [p.first for p in info.front]
        assert (front.name, cnn.name, linear.name) == ("front", "CNN", "linear")
        assert (cnn.meta, front.line.shape) == ({"trials": True}, "hv")
        assert sorted((*cnn.customdata, *linear.customdata)) == [0, 1, 2, 3, 4]
        assert figure.layout.meta["brush"] == {"x": info.first.name, "y": "value"}


def test_what_has_no_cost_is_left_out() -> None:
    """Answered trials took no time, equal weights are no choice, latent sizes need the space."""
    record = study(
        costly(0, 0.01, weights=10, seconds=30),
        costly(1, 0.02, weights=10, seconds=20),
        costly(2, 0.002, weights=10, seconds=0.5, **{attrs.REUSED_FROM: 0}),
        costly(3, 0.003, weights=10, seconds=0.0),
        settings=SETTINGS,
    )
    (seconds,) = get_costs(record)
    assert (seconds.first.name, [p.trial.number for p in seconds.points]) == (
        "training_seconds",
        [0, 1],
    )
    assert get_costs(study()) == get_costs(study(costly(0, 0.01, weights=5))) == ()
    linear = {"auto_encoder": "linear", "bottleneck_dim": 16}
    trials = costly(0, 0.02, params=linear), costly(1, 0.01)
    (latents,) = get_costs(study(*trials, settings=SETTINGS))
    assert [(p.trial.number, p.first) for p in latents.points] == [(0, 16), (1, 2048)]
    assert AutoencoderConfig().latent_size == 2048
    assert get_costs(study(*trials)) == ()


def test_many_trials_are_thinned() -> None:
    """A chart has so many marks at most, all of the front among them, and the page says so."""
    n = MAX_MARKS // 2 + 100
    best = costly(n, 0.009, weights=12_345, seconds=90)
    good = costly(n + 1, 0.0098, weights=1_234, seconds=60)
    trials = (costly(i, 0.01 + 0.0001 * (i * 37 % n), weights=n - i + 1) for i in range(n))
    record = study(*trials, best, good, settings=SETTINGS)
    info, _ = get_costs(record)
    shown = info.shown
    assert len(shown) == MAX_MARKS // 2
    assert {p.trial.number for p in info.front} <= {p.trial.number for p in shown}
    text = Page(render_report(record)).text("cost")
    words = ("12,345", "1,234", "1 min 30 s", "1 min 0 s", "cheapest within", "an even selection")
    assert [word for word in words if word not in text] == []
