"""Laws that hold for every analysis alike: what counts, seeds, and what is to be high.

Mirrored studies have the same best and worst, and other words for them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from storage import attrs
from storage.records import StudyRecord
from study.analysis import kind_of, margin, relative_change
from study.analysis.ablation import describe_ablation, get_ablation
from study.analysis.comparison import ComparisonInfo, get_comparison
from study.analysis.confirmation import ConfirmationInfo, get_confirmation
from study.analysis.confirmation_text import describe_confirmation
from study.analysis.correlation import get_correlations
from study.analysis.cost import get_costs
from study.analysis.distribution import get_distribution
from study.analysis.effects import get_effects
from study.analysis.expected_best import get_expected_best
from study.analysis.fidelity import get_fidelity, replay_pruners
from study.analysis.front import get_fronts
from study.analysis.history import get_history, get_learning_curves, get_summary
from study.analysis.incumbents import get_incumbents
from study.analysis.isolation import get_isolation
from study.analysis.ped_anova import get_ped_anova
from study.analysis.surrogate import get_surrogate
from study.analysis.tables import get_all_groups, get_best_trials, get_families, get_top_families
from study.analysis.verdict import get_verdict
from study.figures.comparisons import plot_confirmation
from study.kind_info import KindInfo, KindSource
from study.metrics import Metric
from study.terminal.followups import ablation_tables, confirmation_tables
from tests.study_tests.analysis import test_ablation, test_confirmation
from tests.study_tests.analysis.test_ablation import neighbours
from tests.study_tests.pages import render_report
from tests.study_tests.synthetic import START, planted, planted_multitask, study, trial

Analysis = Callable[..., Any]

EXPECTED: Analysis = lambda record: [p.value for p in get_expected_best(record).points]  # noqa: E731
CORRELATIONS = partial(get_correlations, n_resamples=10)


@pytest.mark.parametrize(
    ("analysis", "more"),
    [
        *((f, "pruned infeasible") for f in (get_isolation, get_costs)),
        *((f, "pruned") for f in (get_distribution, get_all_groups, get_top_families)),
        *((f, "pruned") for f in (get_fronts, get_best_trials, CORRELATIONS)),
        *((f, "") for f in (get_ped_anova, get_surrogate, get_fidelity, EXPECTED)),
    ],
)
def test_only_complete_trials_with_a_finite_error_count(analysis: Analysis, more: str) -> None:
    """Neither failed, running and waiting ones nor NaN and infinity change what is found."""
    record, start = planted_multitask(60), START + timedelta(days=1)
    cheap = {"parameter_count": 1, "training_seconds": 0.1, "validation_accuracy": 1.0}
    base = replace(record.trials[0], number=200, intermediate_values={0: 0.001}, user_attrs=cheap)
    base = replace(base, started=start, completed=start + timedelta(days=1))
    lost = (TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)
    odd = [replace(base, values=(value,)) for value in (np.nan, np.inf)]
    odd += [replace(base, state=state, values=()) for state in lost]
    if "pruned" in more:
        odd.append(replace(base, state=TrialState.PRUNED, values=()))
    if "infeasible" in more:
        odd.append(replace(base, values=(1e-4,), user_attrs={**cheap, "infeasible": True}))
    assert analysis(replace(record, trials=(*record.trials, *odd))) == analysis(record)


@pytest.mark.parametrize(
    "analysis",
    [
        *(get_distribution, get_families, get_isolation, get_effects, get_best_trials),
        *(get_ped_anova, get_surrogate, get_fidelity, EXPECTED),
        lambda record: CORRELATIONS(record).families,
    ],
)
def test_a_training_counts_once(analysis: Analysis) -> None:
    """Trials that took the result of another one's training change nothing of what is found."""
    record = planted_multitask(60)
    copies = (
        replace(t, number=100 + t.number, user_attrs={**t.user_attrs, attrs.REUSED_FROM: t.number})
        for t in record.trials
    )
    assert analysis(replace(record, trials=(*record.trials, *copies))) == analysis(record)


@pytest.mark.parametrize(
    "analysis",
    [
        *(partial(f, planted(40)) for f in (CORRELATIONS, get_expected_best)),
        *(partial(f, planted(40)) for f in (get_fidelity, partial(replay_pruners, max_studies=4))),
        partial(get_surrogate, planted(40)),
    ],
)
def test_equal_arguments(analysis: Analysis, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing else decides what is drawn; Optuna is silent, its level left alone."""
    verbosity = optuna.logging.get_verbosity()
    assert analysis() == analysis()
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity


ERROR = Metric(name="validation_score", label="validation error", low=0, high=1, place=0)
SCORE = replace(ERROR, label="validation balanced accuracy", direction="maximize")
PAID = Metric(name="accuracy", label="accuracy", direction="maximize", low=0, high=1)


def mirror(value: float | None) -> float | None:
    """Return what an accuracy is of an error rate, and back."""
    return None if value is None else 1 - value


def of_kind(record: StudyRecord, *metrics: Metric) -> StudyRecord:
    """Return a study of a user's kind; its values are mirrored if its objective is maximised."""
    turn = mirror if metrics[0].maximise else lambda value: value
    info = KindInfo(
        name="scores",
        metrics=metrics,
        costs=(Metric(name=attrs.PARAMETER_COUNT, label="weights"),),
        family="auto_encoder",
        source=KindSource(reference="scores.py:SCORES", digest="0"),
    )
    more = {attrs.KIND: info.to_dict()}
    if experiment := record.user_attrs.get(attrs.EXPERIMENT):
        arms = [{**arm, "expected": turn(arm["expected"])} for arm in experiment["arms"]]
        more[attrs.EXPERIMENT] = {**experiment, "arms": arms}
    if results := record.user_attrs.get(attrs.TEST_RESULTS):
        more[attrs.TEST_RESULTS] = {n: {"score": turn(r["mse"])} for n, r in results.items()}
    trials = (
        replace(
            t,
            values=tuple(map(turn, t.values)),
            intermediate_values={s: turn(v) for s, v in t.intermediate_values.items()},
        )
        for t in record.trials
    )
    return replace(
        record,
        directions=(metrics[0].direction,),
        user_attrs={**record.user_attrs, **more},
        trials=tuple(trials),
    )


def both(record: StudyRecord, *others: Metric) -> tuple[StudyRecord, StudyRecord]:
    """Return a study of an error rate, and the same one of an accuracy."""
    return of_kind(record, ERROR, *others), of_kind(record, SCORE, *others)


VALUES = {
    "default": test_confirmation.BASE,
    "a": test_confirmation.BETTER,
    "b": [value + 0.001 * (-1) ** i for i, value in enumerate(test_confirmation.BETTER)],
    "c": [value + 0.2 for value in test_confirmation.BASE],
    "middle": [value + 0.1 for value in test_confirmation.BASE],
}
PROMISED = {"a": 0.07, "b": 0.05, "c": 0.04, "middle": 0.2}
TESTS = {"a": [0.1] * 5, "b": [0.09] * 5, "c": [0.3] * 5}


def confirmations(values: Mapping[str, Sequence[float]], **more: Any) -> list[ConfirmationInfo]:
    """Return what a confirmation says, and its mirror image."""
    return [*map(get_confirmation, both(test_confirmation.record(values, **more)))]


def test_a_confirmation_names_the_best() -> None:
    """Best, tied, wins and incumbents are those of the mirrored errors; differences turn."""
    low, high = confirmations(VALUES, promised=PROMISED, tests=TESTS)
    assert [c.name for c in high.confirmed] == [c.name for c in low.confirmed]
    assert (high.best, high.tied) == (low.best, low.tied)
    assert set(high.tied) == {"a", "b"}
    assert (low.ratios, high.ratios) == (True, False)
    for mine, theirs in zip(high.confirmed, low.confirmed, strict=True):
        assert (mine.n_wins, mine.beats) == (theirs.n_wins, theirs.beats)
    a, default = high.get("a"), high.get("default")
    means = a.validation.mean, default.validation.mean
    assert a.difference.mean == pytest.approx(means[0] / means[1] - 1)
    assert a.shrinkage == pytest.approx(1 - a.validation.mean / 0.93)
    for info in (low, high):
        assert [i.trial for i in info.incumbents] == [10, 20, 30]
        assert [i.overtuning for i in info.incumbents] == pytest.approx([0, 0, 0.21])
    said = " ".join(describe_confirmation(replace(high, other_data="other"), high))
    for words in (
        f"{high.best} has the highest mean validation balanced accuracy",
        "higher with all 5 seeds.",
        "above the default's",
        f"best have values {100 * high.rise.chosen:.1f}\N{NO-BREAK SPACE}% below what it",
        f"They rank as on the search's own data, where {high.best} is the best.",
    ):
        assert words in said
    assert [word for word in ("lowest", "lower", "error") if word in said] == []


def test_ends_of_what_can_be() -> None:
    """No share is above 1, so neither is the end of its interval; there is no share of 0."""
    low, high = confirmations({"default": [0.5] * 4, "a": [0.01, 0.02, 0.01, 0.4]})
    mine, theirs = high.get("a").validation, low.get("a").validation
    assert (mine.interval.high, theirs.interval.low > 0) == (1.0, True)
    low, high = confirmations({"default": [1.0] * 4, "a": [0.5, 0.25, 0.5, 0.5]})
    assert (high.best, high.get("a").difference.mean, high.get("a").n_wins) == ("a", None, 4)
    assert "default's" not in " ".join(describe_confirmation(high))
    assert (relative_change(0.5, 0.0), relative_change(-1.0, -2.0)) == (None, 0.5)
    share = Metric(name="x", label="x", low=0, high=1)
    assert margin(share, [0.5, 0.6, 0.8], 0.1) == pytest.approx(0.05)
    assert margin(replace(share, low=None), [-1000.5, -1000.0, -998.5], 0.1) == pytest.approx(0.05)
    # Means stand on a plain axis, those of 0 too.
    figure = plot_confirmation(high, kind_of(both(study())[1]))
    assert figure.layout.xaxis.type is None
    assert list(figure.data[-1].x) == [0.5625, 0.0]
    assert list(next(confirmation_tables(high)).columns[1].cells) == ["a", "default"]


def test_an_ablation_knows_better_from_worse() -> None:
    """The same changes are better and worse, with the other sign and the right words."""
    records = both(test_ablation.record(expected=dict.fromkeys(test_ablation.VALUES, 0.1)))
    low, high = map(get_ablation, records)
    flags = [
        [(found.better, found.worse) for found in (*info.path, *neighbours(info).values())]
        for info in (low, high)
    ]
    assert flags[0] == flags[1]
    assert (high.total.better, high.total.difference.mean > 0) == (True, True)
    said = " ".join(describe_ablation(high))
    assert "validation balanced accuracy changes by +" in said
    assert "Better than the winner, each by itself: learning_rate 0.01." in said
    for table in ablation_tables(high):
        marks, changes = (list(table.columns[i].cells) for i in (0, 3))
        assert any(marks)
        assert all(c[0] == m for m, c in zip(marks, changes, strict=True) if m)


def order(record: StudyRecord) -> dict[str, Any]:
    """Return all that orders trials and families of a search."""
    curve = get_expected_best(record)
    return {
        "best": [t.number for t in get_best_trials(record)],
        "curves": [(c.trial.number, c.rank) for c in get_learning_curves(record).curves],
        "incumbents": [i.number for i in get_incumbents(record).incumbents],
        "history": [i.trial.number for i in get_history(record).incumbents],
        "families": [family.name for family in get_families(record)],
        "importances": get_ped_anova(record).parameters,
        "isolation": [
            (value.best_number, value.n_trials)
            for parameter in get_isolation(record).parameters
            for value in parameter.values
        ],
        "expected": [(p.n, round(abs(p.value - curve.best), 9)) for p in curve.points],
        "fronts": [
            ([p.trial.number for p in (*info.front, info.best, info.cheapest_near)])
            for info in get_costs(record)
        ],
    }


def test_a_mirrored_search() -> None:
    """All that orders trials orders them alike, and says nothing of low values."""
    low, high = both(planted(120))
    assert order(low) == order(high)
    assert get_history(high).points[-1].best == get_summary(high).best.value == high.best.value
    curves = (get_learning_curves(record).curves for record in (high, low))
    for mine, theirs in zip(*curves, strict=True):
        assert mine.best == max(mine.values) == mirror(theirs.best)
    verdict = get_verdict(high, now=START, noise=0.1, predictable=True)
    said = " ".join(check.sentence for check in verdict)
    assert [word for word in ("lowest", "rror") if word in said] == []
    replays = (replay_pruners(record, max_studies=4).replays for record in (high, low))
    for mine, theirs in zip(*replays, strict=True):
        for field in ("share_saved", "n_best_pruned", "mean_regret"):
            assert getattr(mine, field) == pytest.approx(getattr(theirs, field), abs=1e-9)
    rng = np.random.default_rng(0)
    trials = (
        trial(i, value=float(v), attrs={"accuracy": float(v) + rng.normal()})
        for i, v in enumerate(rng.uniform(size=50))
    )
    fronts = [[p.trial.number for p in get_fronts(r)[0].front] for r in both(study(*trials), PAID)]
    assert fronts[0] == fronts[1]


def test_another_unit() -> None:
    """Of another program's values nothing depends on unit, zero or sign, nor steps on distance."""
    trials = tuple(replace(t, user_attrs={}) for t in planted(120).trials)
    before = StudyRecord(name="other", directions=("minimize",), user_attrs={}, trials=trials)
    for scale, shift, way in ((8.0, -1024.0, "minimize"), (-1e-6, 0.0, "maximize")):
        after = replace(
            before,
            directions=(way,),
            trials=tuple(
                replace(
                    t,
                    values=tuple(scale * v + shift for v in t.values),
                    intermediate_values={
                        1000 * (s + 1): scale * v + shift for s, v in t.intermediate_values.items()
                    },
                )
                for t in trials
            ),
        )
        found = []
        for record in (before, after):
            checks = get_verdict(record, now=START, noise=None, predictable=True)
            told = order(record)
            told["expected"] = [n for n, _ in told["expected"]]
            replays = replay_pruners(record, max_studies=4).replays
            found.append(
                [
                    sorted((check.name, check.level) for check in checks),
                    told,
                    [round(r.share_saved, 9) for r in replays],
                    [round(r.mean_relative_regret or 0.0, 6) for r in replays],
                    [point.spearman for point in get_fidelity(record).points],
                    get_expected_best(record).n_close,
                ]
            )
        assert found[0] == found[1]
        curve, longer = (get_learning_curves(record).curves[0] for record in (before, after))
        assert longer.epochs == tuple(1000 * (step + 1) for step in curve.epochs)
        assert get_summary(after).spent.steps == 1000 * get_summary(before).spent.steps


def test_a_mirrored_comparison() -> None:
    """The same study is better, with the same probability; other directions do not compare."""

    def compared(*records: StudyRecord) -> ComparisonInfo:
        return get_comparison(records, n_resamples=50, n_bootstrap=20)

    good = planted(60)
    worse = tuple(replace(t, values=tuple(v + 0.05 for v in t.values)) for t in good.trials)
    bad = replace(good, name="bad", trials=worse)
    low, high = (compared(*pair) for pair in zip(both(good), both(bad), strict=True))
    for mine, theirs in zip(high.budgets.values(), low.budgets.values(), strict=True):
        for one, other in zip(mine.pairs, theirs.pairs, strict=True):
            assert (one.better, one.probability) == (other.better, other.probability)
        for a, b in zip(mine.curves[0].points, theirs.curves[0].points, strict=True):
            turned = [mirror(v) for v in (b.median, b.high, b.low, b.expected)]
            assert [a.median, a.low, a.high, a.expected] == pytest.approx(turned)
    assert high.budgets["trials"].pairs[-1].better == "planted"
    mine, theirs = high.studies[0], low.studies[0]
    assert mine.quantiles == pytest.approx([1 - v for v in theirs.quantiles])
    assert list(mine.distribution) == sorted(mine.distribution)
    low, high = both(good)
    info = compared(low, replace(high, name="other"))
    assert info.budgets == {}
    assert "high ones in another" in info.refusals[-1]
    assert compared(high, of_kind(bad, replace(SCORE, label="F1"))).objective.maximise


def test_a_page_of_a_maximised_study() -> None:
    """A report with follow-ups names the highest everywhere."""
    confirmation = test_confirmation.record(VALUES, promised=PROMISED, tests=TESTS)
    records = (planted(24), confirmation, test_ablation.record())
    search, *followups = (both(record)[1] for record in records)
    page = render_report(search, followups=followups)
    for words in (
        "has the highest mean validation balanced accuracy",
        "What a high value costs",
        "worse than in the search by",
    ):
        assert words in page
    header = page.partition("<header")[2].partition("</header>")[0]
    assert "lowest" not in header
    for part in ("confirmation", "cost", "history", "ablation", "learning-curves"):
        section = page.partition(f'<section id="{part}"')[2].partition("</section>")[0]
        section = section.partition("<script")[0]
        assert section
        assert "lowest" not in section, part
