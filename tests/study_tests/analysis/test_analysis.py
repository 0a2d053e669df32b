"""History, importance, fronts and tables against studies whose answers are known."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState, create_trial

from storage.records import StudyRecord, TrialRecord
from study.analysis import kind_of, min_accuracy_of, ranked, ranked_by_constraint
from study.analysis.front import get_fronts, get_unbeaten, non_dominated
from study.analysis.history import get_history, get_learning_curves, get_summary
from study.analysis.ped_anova import HardlyVaried, get_ped_anova
from study.analysis.tables import get_best_trials, get_class_results, get_families
from tests.study_tests.synthetic import (
    CLASS_COUNTS,
    MULTITASK_SETTINGS,
    SETTINGS,
    START,
    VALIDATION_ACCURACY,
    classified,
    multitask,
    planted,
    planted_multitask,
    study,
    trial,
    with_choice,
)

PRUNED, FAIL = TrialState.PRUNED, TrialState.FAIL

CNN = {"auto_encoder": "CNN", "epoch": 10, "learning_rate": 0.01}
LINEAR = {"auto_encoder": "linear", "epoch": 10, "learning_rate": 0.01}

BEATEN, LOW, MIDDLE, HIGH = (1, 10, 3, 5), (1, 12, 3, 6), (2, 18, 4, 8), (4, 19, 6, 9)
"""Images of each class that are right: accuracies of 0.475, 0.55, 0.8 and 0.95."""


RECORD = planted()
JOINT, SEQUENTIAL = ({**CNN, "strategy": strategy} for strategy in ("joint", "sequential"))


def complete(number: int, value: float, params: dict, correct: tuple[int, ...]) -> TrialRecord:
    """Return a trial that classifies."""
    attrs = classified(correct, min_accuracy=0.7)
    return trial(number, value=value, params=params, attrs=attrs)


FEW = multitask(
    complete(0, 0.10, SEQUENTIAL, LOW),
    complete(1, 0.30, JOINT, MIDDLE),
    complete(2, 0.20, JOINT, BEATEN),
    complete(3, 0.40, JOINT, HIGH),
    trial(4, state=PRUNED, params=JOINT, curve=(0.5,)),
    trial(5, state=FAIL, params=SEQUENTIAL),
    complete(6, 0.10, SEQUENTIAL, LOW),
    trial(7, value=0.35, params=JOINT),
)
"""Eight trials, of which one is best, three break the constraint and three do not classify."""


def test_history_takes_the_running_best_over_feasible_complete_trials_only() -> None:
    """A pruned trial shows its last finite report and never becomes the best."""
    record = study(
        trial(0, state=PRUNED, params=LINEAR, curve=(0.2, 0.1, math.nan)),
        trial(1, value=0.3, params=CNN),
        trial(2, value=0.2, params=LINEAR),
        trial(3, state=FAIL),
        trial(4, value=math.inf, params=CNN, curve=(0.4, math.inf)),
        settings=SETTINGS,
    )
    info = get_history(record)
    assert [(p.value, p.best, p.trial.params.get("auto_encoder")) for p in info.points] == [
        (0.1, None, "linear"),
        (0.3, 0.3, "CNN"),
        (0.2, 0.2, "linear"),
        (None, 0.2, None),
        (math.inf, 0.2, "CNN"),
    ]
    groups = (info.valued, info.drawable, info.incumbents, info.shown)
    numbers = [[p.trial.number for p in group] for group in groups]
    assert numbers == [[0, 1, 2, 4], [0, 1, 2], [1, 2], [0, 1, 2]]
    points = get_history(FEW).points
    assert [point.best for point in points] == [None] + [0.3] * 7
    assert [p.trial.number for p in points if not p.trial.feasible] == [0, 2, 6]


def test_learning_curves_keep_the_best_and_thin_the_rest() -> None:
    """The best feasible ones come first in their order, others are spread over the study."""
    assert len(get_learning_curves(RECORD, max_curves=11, n_best=6).curves) == 11
    info = get_learning_curves(RECORD, max_curves=30, n_best=10)
    by_value = sorted((t.value, t.number) for t in RECORD.complete)
    assert (info.n_total, info.n_best, len(info.curves)) == (120, 10, 30)
    assert [(c.rank, c.trial.number) for c in info.curves[:10]] == [
        (i, number) for i, (_, number) in enumerate(by_value[:10], start=1)
    ]
    others = [curve.trial.number for curve in info.curves[10:]]
    assert others == sorted(set(others))
    assert max(np.diff(others)) < 15
    timed = {"training_seconds": 6.0, "epochs_run": 3}
    short = {"training_seconds": 1.5, "epochs_run": 1}
    trials = (
        trial(0, value=0.1, curve=(0.1,), attrs=classified(LOW, min_accuracy=0.7) | short),
        trial(1, value=0.2, curve=(0.4, math.nan, 0.2), attrs=classified(HIGH) | timed),
        trial(2, value=0.3, attrs=classified(HIGH)),
    )
    info = get_learning_curves(multitask(*trials), max_curves=3, n_best=2)
    assert (len(info.curves), info.n_gaps) == (2, 1)
    found = [(c.trial.number, c.rank, c.trial.feasible, c.epochs) for c in info.curves]
    assert found == [(1, 1, True, (1, 2, 3)), (0, None, False, (1,))]
    assert info.curves[0].values == pytest.approx((0.4, math.nan, 0.2), nan_ok=True)
    assert (info.curves[0].best, info.n_best, info.n_total) == (0.2, 1, 2)
    assert [curve.seconds_per_step for curve in info.curves] == [2.0, 1.5]
    endless = trial(3, value=math.inf, curve=(0.1, math.inf), attrs=classified(HIGH))
    unknown = trial(4, value=0.5, curve=(0.5,), attrs=classified(HIGH))
    curves = get_learning_curves(multitask(*trials, endless, unknown)).curves
    assert [(c.trial.number, c.rank) for c in curves] == [(1, 1), (4, 3), (3, 4), (0, None)]
    assert curves[1].seconds_per_step is None
    best = get_summary(multitask(*trials)).best
    assert best.number == 1


def test_summary_counts_states_time_epochs_and_reused_trainings() -> None:
    """Pauses are told, replicates are no duplicates, and only pruning saves epochs."""
    minute = timedelta(minutes=1)

    def ran(one: TrialRecord, start: float, end: float) -> TrialRecord:
        return replace(one, started=START + start * minute, completed=START + end * minute)

    timed = {"worker": "a:1", "training_seconds": 40.0}
    counted = {"worker": "a:1", "epochs_run": 10}
    pruned = trial(1, state=PRUNED, params=CNN, curve=(0.4,) * 4, attrs={"worker": "b:2"})
    record = study(
        ran(trial(0, value=0.3, params=CNN, curve=(0.3,) * 10, attrs=timed), 0, 1),
        ran(pruned, 0.5, 2),
        ran(trial(2, value=0.3, params=CNN, attrs=counted), 60, 61),
        trial(3, value=0.3, params=CNN, attrs={"reused_from": 2}),
        trial(4, state=FAIL, params=CNN, curve=(0.9,)),
        trial(5, state=TrialState.RUNNING, params=CNN),
        settings=SETTINGS,
    )
    info = get_summary(record)
    assert (info.n_trials, info.spent.n_workers, info.n_reused) == (6, 2, 1)
    assert info.by_state == Counter(t.state for t in record.trials)
    assert info.best is record.trials[0]
    assert info.spent.training_seconds == 40.0 + 90.0 + 60.0
    assert (info.spent.wall_seconds, info.spent.pause_seconds) == (61 * 60, 58 * 60)
    assert (info.spent.steps, info.spent.n_at_once) == (10 + 4 + 10 + 0 + 1, 2)
    assert info.epochs_saved == 6
    assert info.last_completed == START + 61 * minute
    assert (get_summary(study()).best, get_summary(study()).spent.wall_seconds) == (None, 0.0)


def by_optuna(trials: Iterable[TrialRecord]) -> dict[str, float]:
    """Return the importances that Optuna tells; a pruned trial is worse the sooner it ended."""
    rebuilt = optuna.create_study()
    rebuilt.add_trials(
        create_trial(
            value=100.0 - len(t.intermediate_values) if t.value is None else t.value,
            params=dict(t.params),
            distributions={name: t.distributions[name] for name in t.params},
        )
        for t in trials
        if t.finished
    )
    found = get_param_importances(rebuilt, evaluator=PedAnovaImportanceEvaluator())
    return {name: share for name, share in found.items() if name != "epoch"}


def test_ped_anova_is_optunas() -> None:
    """Shares are those of Optuna's evaluator, pruned trials last."""
    info = get_ped_anova(RECORD)
    shares = {parameter.name: parameter.share for parameter in info.parameters}
    assert info.constant == ("epoch",)
    assert info.parameters[0].name == "learning_rate"
    assert [p.share for p in info.parameters] == sorted(shares.values(), reverse=True)
    assert (info.n_trials, info.n_pruned, info.n_top) == (114, 12, 12)
    unused = {p.name: p.share for p in info.parameters if not p.used_by_top}
    assert unused == {"bottleneck_dim": 0.0}
    assert shares == pytest.approx(by_optuna(RECORD.trials))
    # The accuracy has its own parameter and trials.
    info = get_ped_anova(planted_multitask(), metric=VALIDATION_ACCURACY)
    assert info.parameters[0].name == "classification_lambda"
    assert (info.n_trials, info.n_pruned) == (102, 0)
    # Of a choice that more than nine in ten trials made, a share says next to nothing.
    three, four = (get_ped_anova(with_choice(n)) for n in (3, 4))
    (found,) = three.hardly_varied
    assert found == HardlyVaried(name="batch_normalization", value=True, n_alike=37, n_trials=40)
    assert four.hardly_varied == ()


def alike(n: int, *, value: float | None = None, rate: float = 0.0) -> list[TrialRecord]:
    """Return trials with values and learning rates that rise, unless they are given as equal."""
    params = [{**CNN, "learning_rate": 0.001 + rate * i} for i in range(n)]
    values = [0.1 * i if value is None else value for i in range(n)]
    return [trial(i, value=values[i], params=params[i]) for i in range(n)]


def test_ped_anova_needs_trials_that_differ() -> None:
    """Of few, infinite, or equal settings or values there are no shares."""
    equal = alike(20, value=0.5, rate=0.001)
    for trials in (alike(9), alike(20, value=math.inf), alike(20), equal):
        info = get_ped_anova(study(*trials))
        assert info.parameters == info.hardly_varied == ()


def halved(n_complete: int) -> StudyRecord:
    """Return 60 trials whose best are complete, and the others pruned the sooner the worse.

    The error depends on the learning rate alone.
    """
    trials = []
    for i, t in enumerate(alike(60, rate=0.001)):
        params = {**t.params, "weight_decay": 1e-5 * (1 + i % 7)}
        if i >= n_complete:
            curve = dict.fromkeys(range(9 if i < 30 else 3), t.value)
            t = replace(t, state=PRUNED, values=(), intermediate_values=curve)
        distributions = trial(0, params=params).distributions
        trials.append(replace(t, params=params, distributions=distributions))
    return study(*trials, settings=SETTINGS)


def test_ped_anova_counts_pruned_trials() -> None:
    """A study of which pruning left a few is explained as if all trials were complete."""
    whole, info, fewer = (get_ped_anova(halved(n)) for n in (60, 6, 4))
    assert (info.n_trials, info.n_pruned, info.n_top, fewer.n_top) == (60, 54, 6, 6)
    assert info.parameters == fewer.parameters == whole.parameters
    assert info.parameters[0].name == "learning_rate"
    silent = trial(60, state=PRUNED, params={**CNN, "learning_rate": 0.1, "weight_decay": 1e-5})
    broken = replace(silent, intermediate_values={0: math.nan})
    for more, counts in ((silent, (60, 54)), (broken, (61, 55))):
        info = get_ped_anova(study(*halved(6).trials, more, settings=SETTINGS))
        assert (info.n_trials, info.n_pruned) == counts
    # Equal values widen the best tenth.
    rising = enumerate(alike(60, rate=0.001))
    trials = [replace(t, values=(max(0.1, 0.01 * i),)) for i, t in rising]
    assert get_ped_anova(study(*trials)).n_top == 11


def test_best_trials_are_complete_and_in_order() -> None:
    """The lowest errors of different trainings come first, of feasible trials before others."""
    info = get_best_trials(RECORD, k=5)
    values = sorted(t.value for t in RECORD.complete)
    assert [row.value for row in info] == values[:5]
    errors, reused = (0.3, 0.1, 0.3, 0.1, 0.5), {0: 2, 3: 1}
    attrs = [{"reused_from": reused[i]} if i in reused else {} for i in range(5)]
    record = study(*(trial(i, value=errors[i], attrs=attrs[i]) for i in range(5)))
    assert [row.number for row in get_best_trials(record, k=2)] == [1, 2]
    assert [row.number for row in get_best_trials(FEW, k=4)][:3] == [1, 7, 3]
    assert [t.number for _, t in ranked_by_constraint(FEW)] == [1, 7, 3, 0, 6, 2]
    assert FEW.best is get_summary(FEW).best is FEW.trials[1]
    assert get_summary(FEW).n_infeasible == 3


def test_families_have_the_numbers_of_their_complete_trials() -> None:
    """Count, best, median and mean of a family are those of its complete trials, if it has any."""
    families = get_families(RECORD)
    assert [family.name for family in families] == ["CNN", "linear"]
    for family in families:
        values = [t.value for t in RECORD.complete if t.params["auto_encoder"] == family.name]
        assert (family.n_complete, family.best) == (len(values), min(values))
        assert (family.median, family.mean) == pytest.approx((np.median(values), np.mean(values)))
    # Strategies have errors and accuracies; the best trial of one is feasible.
    joint, sequential = info = get_families(FEW, parameter="strategy")
    counts = [(f.name, f.n_complete, f.n_infeasible, f.n_pruned) for f in info]
    # Two of the sequential trials are equal in all, so one is a copy.
    assert counts == [("joint", 4, 1, 1), ("sequential", 1, 1, 0)]
    assert (joint.best_number, joint.best) == (1, 0.3)
    assert (joint.best_accuracy, joint.median_accuracy) == (0.95, 0.8)
    assert (sequential.best_number, sequential.best, sequential.median) == (None, None, 0.1)
    pruned = trial(0, state=PRUNED, params=CNN, curve=(0.1,))
    record = study(pruned, trial(1, value=0.2, params=LINEAR), settings=SETTINGS)
    families = get_families(record)
    assert [(f.name, f.best) for f in families] == [("linear", 0.2), ("CNN", None)]


def test_ranking_follows_the_metric_and_keeps_its_values() -> None:
    """The highest accuracy and the lowest error come first, each as stored, if it is a number."""
    for metric, values, numbers in (
        (None, [0.1, 0.1, 0.2, 0.3, 0.35, 0.4], [0, 6, 2, 1, 7, 3]),
        (VALIDATION_ACCURACY, [0.95, 0.8, 0.55, 0.55, 0.475], [3, 1, 0, 6, 2]),
    ):
        found = [(value, t.number) for value, t in ranked(FEW, metric=metric)]
        assert found == [*zip(values, numbers, strict=True)]
    for value in (None, math.nan, math.inf, True, "0.5"):
        odd = trial(0, value=0.1, attrs={"validation_accuracy": value})
        assert ranked(study(odd), metric=VALIDATION_ACCURACY) == []
    for needed, expected in ((0.7, 0.7), (1, 1.0), (None, None)):
        settings = {**MULTITASK_SETTINGS, "min_accuracy": needed}
        assert min_accuracy_of(multitask(settings=settings)) == expected


# Few different numbers, so that many points are equal or share a coordinate.
_NUMBERS = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0]) | st.floats(0.0, 1.0)


@given(st.lists(st.tuples(_NUMBERS, _NUMBERS)) | st.lists(st.tuples(*3 * [_NUMBERS])))
@examples(max_examples=50)
def test_the_front_dominates_everything_else(points: list[tuple[float, ...]]) -> None:
    """No point dominates one of the front, and each other is dominated by or equal to one."""

    def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

    found = non_dominated(points)
    front = [points[i] for i in found]
    assert len(set(front)) == len(front)
    assert not any(dominates(point, best) for point in points for best in front)
    for i, point in enumerate(points):
        assert i in found or any(dominates(best, point) or best == point for best in front)


def test_objectives_of_a_foreign_study() -> None:
    """Each has its name, direction, values and axis; the front is that of Optuna."""
    values = (1.0, -1.0, 2.0), (2.0, 0.0, 2.0), (2.0, -1.0, 2.0), (0.1, 0.0, math.inf)
    trials = [replace(trial(i), values=own) for i, own in enumerate(values)]
    trials.append(replace(trial(4, attrs={"infeasible": True}), values=(0.5, 9.0, 9.0)))
    record = replace(study(*trials), directions=("minimize", "maximize", "minimize"))
    first, second, third = kind_of(record).metrics
    assert (first.label, first.logarithmic, second.logarithmic) == ("objective 0", True, False)
    assert (second.maximise, [third.of(t) for t in trials]) == (True, [2.0, 2.0, 2.0, None, 9.0])
    assert [t.number for t in get_unbeaten(record)] == [0, 1, 3]
    assert get_summary(record).best is None
    assert kind_of(replace(record, metric_names=("a", "b", "c"))).second.label == "b"
    # Each pair of objectives has a front, up to six; of two alone it is the whole truth.
    for n, n_fronts in ((2, 1), (3, 3), (4, 6), (5, 6)):
        more = study(*(replace(t, values=(*t.values, 1.0, 1.0)[:n]) for t in trials))
        more = replace(more, directions=("minimize", *["maximize"] * (n - 1)))
        fronts = get_fronts(more)
        assert [front.joined for front in fronts] == [n == 2] * n_fronts
        unbeaten = {t.number for t in get_unbeaten(more)}
        assert {point.trial.number for point in fronts[0].front} == unbeaten
    assert get_unbeaten(FEW) == (FEW.trials[1],)
    assert get_unbeaten(study()) == ()


def test_front_of_a_study() -> None:
    """Of equal trials the first is on it; breaking the constraint is no bar, but marked."""
    info = get_fronts(FEW)[0]
    assert [(p.trial.number, p.trial.feasible) for p in info.points] == [
        *((0, False), (1, True), (2, False), (3, True), (6, False))
    ]
    front = [(p.trial.number, p.first, p.second) for p in info.front]
    assert front == [(0, 0.1, 0.55), (1, 0.3, 0.8), (3, 0.4, 0.95)]
    assert (info.best_in_first, info.best_in_second) == (info.front[0], info.front[-1])
    assert (info.branch, info.least) == ("strategy", 0.7)
    assert get_fronts(RECORD) == ()  # it does not classify


def test_class_results_are_those_of_the_best_trial() -> None:
    """Counts, recalls and matrix agree with what trial 1 got right; what is unknown is missing."""
    info = get_class_results(FEW)
    assert [(c.name, c.n_train, c.n_validation, c.share) for c in info.classes] == [
        *(("animal", 12, 4, 0.1), ("human face", 60, 20, 0.5)),
        *(("other", 18, 6, 0.15), ("person", 30, 10, 0.25)),
    ]
    assert [c.recall for c in info.classes] == pytest.approx([0.5, 0.9, 4 / 6, 0.8])
    assert (info.number, info.accuracy) == (1, 0.8)
    assert info.balanced_accuracy == pytest.approx((0.5 + 0.9 + 4 / 6 + 0.8) / 4)
    assert info.confusion == ((2, 2, 0, 0), (0, 18, 2, 0), (0, 0, 4, 2), (2, 0, 0, 8))
    assert (info.largest.name, info.guessing) == ("human face", 0.25)
    counts = {"train": {"a": 2, "b": 1, "c": 1}, "validation": {"a": 3, "b": 1}}
    attrs = {**classified(HIGH), "confusion": [[2, 1, 0], [0, 1, 0], [0, 0, 0]]}
    info = get_class_results(multitask(trial(0, value=0.1, attrs=attrs), class_counts=counts))
    assert [(c.n_train, c.n_validation, c.recall) for c in info.classes] == [
        *((2, 3, pytest.approx(2 / 3)), (1, 1, 1.0), (1, 0, None))
    ]
    assert info.guessing == 0.5
    assert get_class_results(RECORD) is None  # it stores no counts
    # The imbalance is known before anything classifies, or where another number of classes was.
    for attrs in ({}, classified(LOW, min_accuracy=0.7), {"confusion": [[1, 0], [0, 1]]}):
        info = get_class_results(multitask(trial(0, value=0.1, attrs=attrs)))
        assert [c.n_train for c in info.classes] == list(CLASS_COUNTS["train"].values())
        assert (info.classes[0].recall, info.number, info.confusion) == (None, None, ())
