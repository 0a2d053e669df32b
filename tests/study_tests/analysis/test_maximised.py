"""What is to be high: mirrored studies have the same best and worst, and other words for them."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from storage import attrs
from storage.records import StudyRecord
from study.analysis import is_near, kind_of, ranked, relative_change
from study.analysis.ablation import describe_ablation, get_ablation
from study.analysis.comparison import ComparisonInfo, get_comparison
from study.analysis.confirmation import ConfirmationInfo, describe_confirmation, get_confirmation
from study.analysis.cost import get_costs
from study.analysis.distribution import get_distribution
from study.analysis.expected_best import get_expected_best
from study.analysis.fidelity import get_fidelity, replay_pruners
from study.analysis.front import get_front
from study.analysis.history import get_history, get_learning_curves, get_summary
from study.analysis.importance import get_importances
from study.analysis.incumbents import get_incumbents
from study.analysis.isolation import get_isolation
from study.analysis.tables import get_best_trials, get_families, get_top_families
from study.analysis.verdict import get_verdict
from study.figures import plot_ablation, plot_comparison, plot_confirmation
from study.kind_info import KindInfo, KindSource
from study.metrics import Metric
from study.sampling.names import StalledPruner
from study.terminal.followups import ablation_tables, confirmation_table
from tests.study_tests.analysis import test_ablation, test_confirmation
from tests.study_tests.pages import render_comparison, render_report
from tests.study_tests.synthetic import START, planted, study, trial

ERROR = Metric(name="validation_score", label="validation error", low=0, high=1, objective=True)
SCORE = replace(ERROR, label="validation balanced accuracy", direction="maximize")
PAID = Metric(name="accuracy", label="accuracy", direction="maximize", low=0, high=1)


def mirror(value: float | None) -> float | None:
    """Return what an accuracy is of an error rate, and back."""
    return None if value is None else 1 - value


def of_kind(record: StudyRecord, *metrics: Metric) -> StudyRecord:
    """Return a study of a user's kind; its values are mirrored if its objective is maximised."""
    objective = metrics[0]
    turn = mirror if objective.maximise else lambda value: value
    info = KindInfo(
        name="scores",
        metrics=metrics,
        costs=(Metric(name=attrs.PARAMETER_COUNT, label="weights"),),
        family="auto_encoder",
        source=KindSource(reference="scores.py:SCORES", digest="0"),
    )
    user_attrs = {**record.user_attrs, attrs.KIND: info.to_dict()}
    if attrs.EXPERIMENT in user_attrs:
        arms = user_attrs[attrs.EXPERIMENT]["arms"]
        arms = [{**arm, "expected": turn(arm["expected"])} for arm in arms]
        user_attrs[attrs.EXPERIMENT] = {**user_attrs[attrs.EXPERIMENT], "arms": arms}
    if attrs.TEST_RESULTS in user_attrs:
        user_attrs[attrs.TEST_RESULTS] = {
            number: {"score": turn(found["mse"])}
            for number, found in user_attrs[attrs.TEST_RESULTS].items()
        }
    return replace(
        record,
        directions=(objective.direction,),
        user_attrs=user_attrs,
        trials=tuple(
            replace(
                t,
                value=turn(t.value),
                intermediate_values={s: turn(v) for s, v in t.intermediate_values.items()},
            )
            for t in record.trials
        ),
    )


def both(record: StudyRecord, *others: Metric) -> tuple[StudyRecord, StudyRecord]:
    """Return a study of an error rate, and the same one of an accuracy."""
    return of_kind(record, ERROR, *others), of_kind(record, SCORE, *others)


def confirmations(values: Mapping[str, Sequence[float]], **more: Any) -> list[ConfirmationInfo]:
    """Return what a confirmation says, and its mirror image."""
    records = both(test_confirmation.record(values, **more))
    return [info for info in map(get_confirmation, records) if info is not None]


VALUES = {
    "default": test_confirmation.BASE,
    "a": test_confirmation.BETTER,
    "b": [value + 0.001 * (-1) ** i for i, value in enumerate(test_confirmation.BETTER)],
    "c": [value + 0.2 for value in test_confirmation.BASE],
    "middle": [value + 0.1 for value in test_confirmation.BASE],
}
PROMISED = {"a": 0.07, "b": 0.05, "c": 0.04, "middle": 0.2}
TESTS = {"a": [0.1] * 5, "b": [0.09] * 5, "c": [0.3] * 5}


def test_a_confirmation_names_the_best() -> None:
    """Best, tied, wins and incumbents are those of the mirrored errors; differences turn."""
    low, high = confirmations(VALUES, promised=PROMISED, tests=TESTS)
    assert [c.name for c in high.confirmed] == [c.name for c in low.confirmed]
    assert (high.best, high.tied, high.cheapest) == (low.best, low.tied, low.cheapest)
    assert set(high.tied) == {"a", "b"}
    assert low.ratios
    assert not high.ratios
    for mine, theirs in zip(high.confirmed, low.confirmed, strict=True):
        assert (mine.n_wins, mine.beats_low) == (theirs.n_wins, theirs.beats_low)
        if mine.difference is not None and theirs.difference is not None:
            assert mine.difference * theirs.difference < 0
        if mine.shrinkage is not None and theirs.shrinkage is not None:
            assert mine.shrinkage * theirs.shrinkage > 0
    a, default = high.get("a"), high.get("default")
    assert a.validation is not None
    assert default.validation is not None
    assert a.difference == pytest.approx(a.validation.mean / default.validation.mean - 1)
    assert a.shrinkage == pytest.approx(1 - a.validation.mean / 0.93)
    assert [i.trial for i in high.incumbents] == [i.trial for i in low.incumbents] == [10, 20, 30]
    costs = [i.overtuning for i in high.incumbents]
    assert costs == pytest.approx([i.overtuning for i in low.incumbents])
    assert costs == pytest.approx([0, 0, 0.21])


def test_the_words_of_a_confirmation() -> None:
    """The best is the highest, and what is better is higher."""
    (high,) = confirmations(VALUES, promised=PROMISED, tests=TESTS)[1:]
    said = " ".join(describe_confirmation(replace(high, other_data="other"), high))
    assert f"{high.best} has the highest mean validation balanced accuracy" in said
    assert "it was higher with 5 of 5 seeds, so it beats the default" in said
    assert "above that of the default" in said
    assert "liked best have values 4.0\N{NO-BREAK SPACE}% below what it had measured" in said
    assert f"where {high.best} has the highest" in said
    assert "lowest" not in said
    assert "lower" not in said
    assert "error" not in said


def test_what_a_confirmation_leaves_out() -> None:
    """All others are worse where they are lower."""
    (high,) = confirmations({"default": VALUES["default"], "c": VALUES["c"]})[1:]
    said = " ".join(describe_confirmation(high))
    assert (high.best, high.tied) == ("default", ("default",))
    assert "All others are worse beyond what chance explains." in said
    assert "It is the default itself" in said


SCORES = st.lists(st.integers(0, 64).map(lambda n: n / 64), min_size=4, max_size=4)


@given(st.lists(SCORES, min_size=2, max_size=5))
@examples(deadline=None, max_examples=50)
def test_laws_of_a_mirrored_confirmation(found: list[list[float]]) -> None:
    """Whatever the values, order and wins are the same, and scores of 0 are compared as well."""
    names = ["default", *(f"arm {i}" for i in range(1, len(found)))]
    low, high = confirmations(dict(zip(names, found, strict=True)))
    assert [c.name for c in high.confirmed] == [c.name for c in low.confirmed]
    assert [c.n_wins for c in high.confirmed] == [c.n_wins for c in low.confirmed]
    assert high.best == low.best
    assert low.ratios or high.tied == low.tied
    list(describe_confirmation(high))


def test_estimates_end_at_the_highest_value() -> None:
    """No share is above 1, so neither is the end of its interval."""
    low, high = confirmations({"default": [0.5] * 4, "a": [0.01, 0.02, 0.01, 0.4]})
    mine, theirs = high.get("a").validation, low.get("a").validation
    assert mine is not None
    assert theirs is not None
    assert (mine.high, theirs.low) == (1.0, 0.0)
    assert mine.low == pytest.approx(mirror(theirs.high))


def test_differences_of_nothing() -> None:
    """There is no share of 0, and nothing is said of it."""
    (high,) = confirmations({"default": [1.0] * 4, "a": [0.5, 0.25, 0.5, 0.5]})[1:]
    assert (high.best, high.get("a").difference, high.get("a").n_wins) == ("a", None, 4)
    assert "default" not in " ".join(describe_confirmation(high))
    assert relative_change(0.5, 0.0) is None
    assert relative_change(-1.0, -2.0) == 0.5


def test_an_ablation_knows_better_from_worse() -> None:
    """The same changes are better and worse, with the other sign and the right words."""
    records = both(test_ablation.record(expected=dict.fromkeys(test_ablation.VALUES, 0.1)))
    low, high = (info for info in map(get_ablation, records) if info is not None)
    for mine, theirs in itertools.chain(
        zip(high.path, low.path, strict=True),
        *(
            zip(h.others, lo.others, strict=True)
            for h, lo in zip(high.sweeps, low.sweeps, strict=True)
        ),
    ):
        assert (mine.name, mine.better, mine.worse) == (theirs.name, theirs.better, theirs.worse)
    assert high.total.better
    assert high.total.difference is not None
    assert high.total.difference > 0
    said = " ".join(describe_ablation(high))
    assert "validation balanced accuracy changes by +" in said
    assert "Better than the winner, each by itself: learning_rate 0.01." in said
    for table in ablation_tables(high):
        marks, changes = (list(table.columns[i].cells) for i in (0, 3))
        assert any(marks)
        assert all(c[0] == m for m, c in zip(marks, changes, strict=True) if m)


def numbers(found: Any) -> list[int]:
    """Return the numbers of trials."""
    return [item.number for item in found]


def test_a_mirrored_search() -> None:
    """All that orders trials orders them alike."""
    low, high = both(planted(120))
    assert numbers(t for _, t in ranked(high)) == numbers(t for _, t in ranked(low))
    for get in (get_best_trials, get_learning_curves):
        mine, theirs = ([*vars_of(get(record))] for record in (high, low))
        assert mine == theirs
    assert get_summary(high).best == high.best
    assert numbers(get_incumbents(high).incumbents) == numbers(get_incumbents(low).incumbents)
    assert numbers(get_history(high).incumbents) == numbers(get_history(low).incumbents)
    for mine, theirs in zip(
        get_learning_curves(high).curves, get_learning_curves(low).curves, strict=True
    ):
        assert mine.best == max(mine.values) == mirror(theirs.best)
    assert names_of(get_families(high).families) == names_of(get_families(low).families)
    assert names_of(get_top_families(high).families) == names_of(get_top_families(low).families)
    mine, theirs = (get_importances(record, n_resamples=2) for record in (high, low))
    assert [(p.name, p.share) for p in mine.parameters] == [
        (p.name, p.share) for p in theirs.parameters
    ]
    for a, b in zip(get_isolation(high).parameters, get_isolation(low).parameters, strict=True):
        assert [v.best_number for v in a.values] == [v.best_number for v in b.values]


def vars_of(found: Any) -> Iterator[tuple[int, int | None]]:
    """Yield number and rank of what was ranked."""
    for item in getattr(found, "trials", None) or found.curves:
        yield item.number, item.rank


def names_of(found: Any) -> list[str]:
    """Return names."""
    return [item.name for item in found]


def test_mirrored_estimates() -> None:
    """What is expected of searches is mirrored; what early values say of late ones is equal."""
    low, high = both(planted(60))
    for mine, theirs in zip(
        get_expected_best(high).points, get_expected_best(low).points, strict=True
    ):
        assert (mine.value, mine.low, mine.high) == pytest.approx(
            (1 - theirs.value, 1 - theirs.high, 1 - theirs.low)
        )
    for mine, theirs in zip(
        get_distribution(high).families, get_distribution(low).families, strict=True
    ):
        assert mine.lower_quartile == pytest.approx(1 - theirs.upper_quartile)
    spearman, pruned = (
        [
            [p.spearman for p in get_fidelity(record).points],
            [r.share_saved for r in replay_pruners(record, n_orders=2).replays],
        ]
        for record in (high, low)
    )
    assert spearman == [pytest.approx(found) for found in pruned]


def test_mirrored_fronts() -> None:
    """Fronts join the same trials, and the best of them is the highest."""
    low, high = both(planted(120))
    for mine, theirs in zip(get_costs(high), get_costs(low), strict=True):
        assert numbers(mine.front) == numbers(theirs.front)
        assert mine.best.number == theirs.best.number
        assert mine.best.mse == max(point.mse for point in mine.points)
        near = [p.cost for p in mine.points if p.mse >= 0.9 * mine.best.mse]
        assert mine.cheapest_near.cost == min(near)
    rng = np.random.default_rng(0)
    trials = (
        trial(i, value=float(v), attrs={"accuracy": float(v) + rng.normal()})
        for i, v in enumerate(rng.uniform(size=50))
    )
    low, high = both(study(*trials), PAID)
    assert numbers(get_front(high).front) == numbers(get_front(low).front)


@pytest.mark.parametrize("best", [0.5, -0.5, 0.0])
def test_what_is_near(best: float) -> None:
    """It is at most a tenth worse, whichever side that is."""
    for sign in (1, -1):
        assert is_near(best + sign * 0.09 * abs(best), best)
        assert not is_near(best + sign * (0.11 * abs(best) + 1e-9), best)


def compared(*records: StudyRecord) -> ComparisonInfo:
    """Compare studies."""
    return get_comparison(records, n_resamples=50, n_bootstrap=20)


def test_a_mirrored_comparison() -> None:
    """The same study is better, with the same probability; curves and quantiles are mirrored."""
    good = planted(60)
    bad = replace(
        good,
        name="bad",
        trials=tuple(replace(t, value=t.value and t.value + 0.05) for t in good.trials),
    )
    low, high = (compared(*pair) for pair in zip(both(good), both(bad), strict=True))
    for mine, theirs in zip(high.budgets, low.budgets, strict=True):
        assert [(p.better, p.probability, p.verdict) for p in mine.pairs] == [
            (p.better, p.probability, p.verdict) for p in theirs.pairs
        ]
        points = zip(mine.curves[0].points, theirs.curves[0].points, strict=True)
        for a, b in points:
            expected = [mirror(v) for v in (b.median, b.high, b.low, b.expected)]
            assert [a.median, a.low, a.high, a.expected] == pytest.approx(expected)
    assert high.budgets[0].pairs[-1].better == "planted"
    for mine, theirs in zip(high.studies, low.studies, strict=True):
        assert mine.quantiles == pytest.approx([1 - v for v in theirs.quantiles])
        assert mine.quantiles[0] == max(mine.quantiles)
        values = [value for value, _ in mine.distribution]
        assert values == sorted(values)
        assert mine.distribution[-1][1] == 1
        assert mine.distribution[0][1] == pytest.approx(1 / mine.n_candidates)
    plot_comparison(high, "trials")


def test_other_directions_do_not_compare() -> None:
    """What is low in one study and high in another has no order; the page says so."""
    low, high = both(planted(40))
    high = replace(high, name="other")
    info = compared(low, high)
    assert info.budgets == ()
    assert "high ones in another" in info.refusals[-1]
    assert "Nothing can be said about an equal budget" in render_comparison([low, high])
    assert compared(high, of_kind(planted(40), replace(SCORE, label="F1"))).objective.maximise


def test_checks_of_a_mirrored_search() -> None:
    """The verdict says nothing of low values."""
    _, high = both(planted(120))
    said = " ".join(
        c.sentence
        for c in get_verdict(high, now=START, relative_noise=0.1, predictable=True).checks
    )
    assert "lowest" not in said
    assert "rror" not in said
    assert "trials lie within" in said


def test_a_page_of_a_maximised_study() -> None:
    """A report with follow-ups names the highest everywhere."""
    _, search = both(planted(120))
    _, confirmation = both(test_confirmation.record(VALUES, promised=PROMISED, tests=TESTS))
    _, ablation = both(test_ablation.record())
    page = render_report(search, followups=(confirmation, ablation))
    for words in (
        "has the highest mean validation balanced accuracy",
        "What a high value costs",
        "falls short of what the search had measured",
        "mean differences as shares of the default’s mean",
    ):
        assert words in page
    for part in ("confirmation", "cost", "incumbents", "verdict", "ablation", "learning-curves"):
        section = page.partition(f'<section id="{part}"')[2].partition("</section>")[0]
        section = section.partition("<script")[0]
        assert section
        assert "lowest" not in section, part


def test_charts_of_what_is_high() -> None:
    """Means stand on a plain axis, those of 0 too."""
    low, high = confirmations({"default": [1.0] * 4, "a": [0.5, 0.25, 0.5, 0.5]})
    kinds = [kind_of(record) for record in both(study())]
    assert plot_confirmation(low, kinds[0]).layout.xaxis.type == "log"
    figure = plot_confirmation(high, kinds[1])
    assert figure.layout.xaxis.type is None
    assert list(figure.data[-1].x) == [0.5625, 0.0]
    info = get_ablation(of_kind(test_ablation.record(), SCORE))
    assert info is not None
    assert plot_ablation(info, kinds[1]).layout.xaxis.type is None
    assert list(confirmation_table(high).columns[1].cells) == ["a", "default"]


class Always(BasePruner):
    """Prunes whatever it is asked about."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return True


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_training_that_improves_goes_on(direction: str) -> None:
    """Only one that has stopped improving is pruned, whatever better is."""
    pruner = StalledPruner(Always(), patience=2)
    made = optuna.create_study(direction=direction)
    sign = 1 if direction == "maximize" else -1
    for values, stalled in (([1, 2, 3, 4], False), ([4, 3, 2, 1], True)):
        found = optuna.trial.create_trial(
            value=0.0, intermediate_values={i: float(sign * v) for i, v in enumerate(values)}
        )
        assert pruner.prune(made, found) == stalled
