"""Every analysis against studies whose answers are known."""

import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState, create_trial
from scipy import stats

from storage.records import StudyRecord, TrialRecord
from study.analysis import min_accuracy_of, ranked, ranked_by_constraint
from study.analysis.correlation import Coefficient, get_correlations
from study.analysis.front import get_front, non_dominated
from study.analysis.history import get_history, get_learning_curves, get_summary
from study.analysis.importance import HardlyVaried, get_importances
from study.analysis.tables import (
    get_best_trials,
    get_class_results,
    get_families,
    to_frame,
)
from tests.study_tests.synthetic import (
    CLASS_COUNTS,
    MULTITASK_SETTINGS,
    SETTINGS,
    START,
    VALIDATION_ACCURACY,
    VALIDATION_MSE,
    classified,
    multitask,
    planted,
    planted_multitask,
    study,
    trial,
    with_choice,
)

CNN = {"auto_encoder": "CNN", "epoch": 10, "learning_rate": 0.01}
LINEAR = {"auto_encoder": "linear", "epoch": 10, "learning_rate": 0.01}

BEATEN, LOW, MIDDLE, HIGH = (1, 10, 3, 5), (1, 12, 3, 6), (2, 18, 4, 8), (4, 19, 6, 9)
"""Images of each class that are right: accuracies of 0.475, 0.55, 0.8 and 0.95."""


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    """120 trials with a planted answer."""
    return planted()


def test_history_takes_the_running_best_over_complete_trials_only() -> None:
    """A pruned trial shows its last finite report and never becomes the best."""
    info = get_history(
        study(
            trial(0, value=0.3, params=CNN),
            trial(1, state=TrialState.PRUNED, params=LINEAR, curve=(0.2, 0.1, math.nan)),
            trial(2, value=0.2, params=LINEAR),
            trial(3, state=TrialState.FAIL),
            trial(4, value=0.25, params=CNN),
            trial(5, value=math.inf, params=CNN, curve=(0.4, math.inf)),
            settings=SETTINGS,
        )
    )
    assert [point.value for point in info.points] == [0.3, 0.1, 0.2, None, 0.25, 0.4]
    assert [point.best for point in info.points] == [0.3, 0.3, 0.2, 0.2, 0.2, 0.2]
    assert [point.family for point in info.points] == ["CNN", "linear", "linear", "all"] + [
        "CNN"
    ] * 2


def test_history_before_the_first_complete_trial_has_no_best() -> None:
    """Until a trial is complete there is no best value."""
    info = get_history(study(trial(0, state=TrialState.PRUNED, params=CNN, curve=(0.5,))))
    assert [(point.value, point.best) for point in info.points] == [(0.5, None)]


def test_learning_curves_keep_the_best_and_thin_the_rest(record: StudyRecord) -> None:
    """The best come first in their order, the others are spread over the whole study."""
    info = get_learning_curves(record, max_curves=30, n_best=10)
    by_value = sorted((t.value, t.number) for t in record.complete if t.value is not None)
    assert info.n_total == 120
    assert info.n_best == 10
    assert len({curve.number for curve in info.curves}) == len(info.curves) == 30
    assert [c.number for c in info.curves[:10]] == [number for _, number in by_value[:10]]
    assert [c.rank for c in info.curves[:10]] == list(range(1, 11))
    others = [curve.number for curve in info.curves[10:]]
    assert others == sorted(others)
    assert max(np.diff(others)) < 15


def test_learning_curves_count_epochs_from_one() -> None:
    """A curve keeps its values as they are, also those that are no numbers."""
    info = get_learning_curves(
        study(trial(0, value=0.2, params=CNN, curve=(0.4, math.nan, 0.2)), trial(1))
    )
    (curve,) = info.curves
    assert curve.epochs == (1, 2, 3)
    assert curve.values[0] == 0.4
    assert math.isnan(curve.values[1])
    assert curve.best == 0.2
    assert info.n_total == 1


def test_summary_counts_states_time_epochs_and_reused_trainings() -> None:
    """Pauses are no wall time, replicates no duplicates, and only pruning saves epochs."""
    minute = timedelta(minutes=1)
    record = study(
        trial(
            0,
            value=0.3,
            params=CNN,
            curve=(0.3,) * 10,
            attrs={"worker": "a:1", "training_seconds": 40.0},
            started=START,
            completed=START + minute,
        ),
        trial(
            1,
            state=TrialState.PRUNED,
            params={**CNN, "learning_rate": 0.1},
            curve=(0.4,) * 4,
            attrs={"worker": "b:2"},
            started=START + minute / 2,
            completed=START + 2 * minute,
        ),
        trial(
            2,
            value=0.3,
            params=CNN,
            attrs={"worker": "a:1", "epochs_run": 10},
            started=START + 60 * minute,
            completed=START + 61 * minute,
        ),
        trial(3, value=0.3, params=CNN, attrs={"reused_from": 2}),
        trial(4, state=TrialState.FAIL, params=CNN, curve=(0.9,)),
        trial(5, state=TrialState.RUNNING, params=CNN),
        settings=SETTINGS,
    )
    info = get_summary(record)
    assert info.n_trials == 6
    assert info.by_state == Counter(t.state for t in record.trials)
    assert info.best is record.trials[0]
    assert info.training_seconds == 40.0 + 90.0 + 60.0
    assert info.wall_seconds == 180.0
    assert info.epochs_run == 10 + 4 + 10 + 0 + 1
    assert info.epochs_asked == 40
    assert info.epochs_saved == 6
    assert info.n_workers == 2
    assert info.n_reused == 1
    assert info.last_completed == START + 61 * minute


def test_summary_of_an_empty_study_is_zero() -> None:
    """A study without trials has totals, all zero."""
    info = get_summary(study())
    assert (info.n_trials, info.by_state, info.best, info.wall_seconds) == (0, {}, None, 0.0)


def test_importance_finds_what_matters(record: StudyRecord) -> None:
    """The learning rate leads, and a parameter without effect keeps almost nothing."""
    info = get_importances(record)
    shares = {parameter.name: parameter.share for parameter in info.parameters}
    assert info.refusal is None
    assert info.caution is None
    assert info.parameters[0].name == "learning_rate"
    assert shares["weight_decay"] <= 0.07
    alone = get_importances(replace(record, trials=record.complete))
    assert next(p.share for p in alone.parameters if p.name == "weight_decay") <= 0.06
    assert sum(shares.values()) == pytest.approx(1.0)
    assert [p.share for p in info.parameters] == sorted(shares.values(), reverse=True)
    assert (info.n_trials, info.n_pruned, info.n_top) == (114, 12, 12)
    assert (info.sampler, info.adaptive, info.evaluator) == ("tpe", True, "PED-ANOVA")
    assert info.constant == ("epoch",)


def test_importance_equals_optunas_own(record: StudyRecord) -> None:
    """The shares are those of Optuna's evaluator on an ordinary study of the same trials.

    Pruned trials count as worse than complete ones, and as worse the sooner they were pruned.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rebuilt = optuna.create_study()
    rebuilt.add_trials(
        create_trial(
            value=100.0 - len(t.intermediate_values) if t.value is None else t.value,
            params=dict(t.params),
            distributions=dict(t.distributions),
        )
        for t in record.trials
        if t.finished
    )
    optuna.logging.set_verbosity(verbosity)
    expected = get_param_importances(rebuilt, evaluator=PedAnovaImportanceEvaluator())
    expected.pop("epoch")
    shares = {p.name: p.share for p in get_importances(record, n_resamples=1).parameters}
    assert shares == pytest.approx(expected)


def test_importance_intervals_hold_the_share_and_are_seeded(record: StudyRecord) -> None:
    """Most shares lie in their interval, and the same seed gives the same interval."""
    info = get_importances(record, n_resamples=50, seed=3)
    assert info == get_importances(record, n_resamples=50, seed=3)
    assert info != get_importances(record, n_resamples=50, seed=4)
    assert all(0.0 <= p.low <= p.high <= 1.0 for p in info.parameters)
    assert info.parameters[0].low > 0.2
    assert info.parameters[0].low <= info.parameters[0].share <= info.parameters[0].high


def test_importance_names_parameters_that_no_best_trial_used(record: StudyRecord) -> None:
    """The parameter of the worse family is zero because of its condition, and says so."""
    info = get_importances(record, n_resamples=5)
    unused = {p.name: p.share for p in info.parameters if not p.used_by_top}
    assert unused == {"bottleneck_dim": 0.0}


def test_importance_names_what_hardly_varied() -> None:
    """Of a choice that more than nine in ten trials made, a share says next to nothing."""
    (found,) = get_importances(with_choice(3), n_resamples=2).hardly_varied
    assert found == HardlyVaried(name="batch_normalization", value=True, n_alike=37, n_trials=40)
    assert get_importances(with_choice(4), n_resamples=2).hardly_varied == ()
    assert get_importances(with_choice(20), n_resamples=2).hardly_varied == ()
    assert get_importances(with_choice(0), n_resamples=2).constant != ()


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        ((), "this study has 0"),
        (tuple(trial(i, value=0.1 * i, params=CNN) for i in range(9)), "this study has 9"),
        (tuple(trial(i, value=math.inf, params=CNN) for i in range(20)), "this study has 0"),
        (tuple(trial(i, value=0.1 * i, params=CNN) for i in range(20)), "No parameter varies"),
        (
            tuple(
                trial(i, value=0.5, params={**CNN, "learning_rate": 0.001 * (i + 1)})
                for i in range(20)
            ),
            "cannot be told from the rest",
        ),
    ],
)
def test_importance_refuses_in_plain_words(trials: tuple, reason: str) -> None:
    """Without enough different trials there is a reason instead of numbers."""
    info = get_importances(study(*trials))
    assert info.parameters == ()
    assert info.caution is None
    assert reason in str(info.refusal)


def test_importance_of_few_trials_comes_with_a_caution() -> None:
    """Below fifty complete trials fewer than five make up the best tenth, and the Info says so."""
    info = get_importances(planted(40), n_resamples=5)
    assert info.parameters
    assert "The best tenth of 38 complete and pruned trials is fewer than 5" in str(info.caution)


def halved(n_trials: int, n_complete: int) -> StudyRecord:
    """Return a study whose best trials are complete, and the others pruned the sooner the worse.

    The error depends on the learning rate alone.
    """
    rates = 10 ** np.random.default_rng(0).uniform(-4, -1, size=n_trials)
    best_first = sorted(range(n_trials), key=lambda i: abs(np.log10(rates[i]) + 2))
    trials = []
    for place, i in enumerate(best_first):
        params = {**CNN, "learning_rate": float(rates[i]), "weight_decay": 1e-5 * (1 + i % 7)}
        error = 0.1 + 0.01 * place
        if place < n_complete:
            trials.append(trial(i, value=error, params=params, curve=(error,) * 20))
        else:
            curve = (error,) * (9 if place < n_trials // 2 else 3)
            trials.append(trial(i, state=TrialState.PRUNED, params=params, curve=curve))
    return study(*sorted(trials, key=lambda t: t.number))


def test_importance_counts_pruned_trials() -> None:
    """A study of which pruning left a few is explained as if all trials were complete."""
    info = get_importances(halved(60, 6), n_resamples=5)
    whole = get_importances(halved(60, 60), n_resamples=5)
    assert (info.n_trials, info.n_pruned, info.n_top) == (60, 54, 6)
    assert info.region.startswith("all complete and pruned trials")
    assert info.caution is None
    assert info.parameters == whole.parameters
    assert info.parameters[0].name == "learning_rate"


def test_importance_says_when_pruned_trials_are_among_the_best() -> None:
    """With fewer complete trials than the best tenth holds, those that came furthest follow."""
    info = get_importances(halved(60, 4), n_resamples=5)
    assert info.n_top == 6
    assert "Only 4 trials are complete, so the best 6 hold pruned ones" in str(info.caution)
    whole = get_importances(halved(60, 60), n_resamples=5)
    assert info.parameters == whole.parameters


def test_importance_leaves_out_pruned_trials_that_say_nothing() -> None:
    """A trial that was pruned before its first report has no place; a NaN error has the last."""
    record = halved(60, 6)
    silent = trial(60, state=TrialState.PRUNED, params={**CNN, "learning_rate": 0.1})
    assert get_importances(study(*record.trials, silent), n_resamples=5).n_trials == 60
    broken = replace(
        silent, params={**silent.params, "weight_decay": 1e-5}, intermediate_values={0: math.nan}
    )
    info = get_importances(study(*record.trials, broken), n_resamples=5)
    assert (info.n_trials, info.n_pruned) == (61, 55)


def test_importance_for_other_metrics_needs_complete_trials() -> None:
    """What was pruned by its error says nothing of its accuracy."""
    classifying = planted_multitask()
    n_complete = sum(VALIDATION_ACCURACY.of(t) is not None for t in classifying.complete)
    accuracies = get_importances(classifying, metric=VALIDATION_ACCURACY, n_resamples=5)
    errors = get_importances(classifying, n_resamples=5)
    assert (accuracies.n_trials, accuracies.n_pruned) == (n_complete, 0)
    assert errors.n_trials == n_complete + errors.n_pruned
    assert errors.n_pruned > 0


def test_importance_says_when_ties_widen_the_best_tenth() -> None:
    """Trials that equal the best tenth's last value belong to it, and the Info says how many."""
    rates = np.linspace(0.001, 0.06, 60)
    trials = [
        trial(i, value=max(0.1, 0.01 * i), params={**CNN, "learning_rate": float(rate)})
        for i, rate in enumerate(rates)
    ]
    tied = get_importances(study(*trials), n_resamples=5)
    assert tied.n_top == 11
    assert tied.caution is None
    info = get_importances(study(*trials[:50]), n_resamples=5)
    assert info.caution == (
        "Because of equal values, 11 trials count as the best tenth instead of 5."
    )


def test_importance_is_silent(record: StudyRecord, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither Optuna's log nor a warning reaches the terminal, and its level is left alone."""
    before = optuna.logging.get_verbosity()
    get_importances(record, n_resamples=5)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_correlations_equal_scipy_on_the_same_trials(record: StudyRecord) -> None:
    """Within a family, on a log scale where the space has one, booleans as 0 and 1."""
    info = get_correlations(record)
    frame = to_frame(record)
    complete = frame[frame["state"] == "COMPLETE"]
    assert [family.family for family in info.families] == ["CNN", "linear"]
    assert (info.sampler, info.adaptive) == ("tpe", True)
    for family in info.families:
        members = complete[complete["auto_encoder"] == family.family]
        assert family.n_trials == len(members)
        for parameter in family.parameters:
            values = members[parameter.name].astype(float)
            if parameter.name == "epoch":
                assert parameter.pearson == parameter.spearman == Coefficient()
                continue
            if parameter.name in ("learning_rate", "weight_decay"):
                assert parameter.log
                values = np.log10(values)
            pearson = stats.pearsonr(values, members["value"])
            spearman = stats.spearmanr(values, members["value"])
            assert parameter.pearson.value == pytest.approx(pearson.statistic)
            assert parameter.pearson.p == pytest.approx(pearson.pvalue)
            assert parameter.spearman.value == pytest.approx(spearman.statistic)
            assert parameter.spearman.p == pytest.approx(spearman.pvalue)
            assert parameter.n_trials == len(members)
    assert {p.name for p in info.families[0].parameters} >= {"batch_normalization"}
    assert "bottleneck_dim" not in {p.name for p in info.families[0].parameters}


def test_pearson_is_that_of_pandas_and_missing_where_nothing_varies() -> None:
    """Within each family, as the notebook took it; pandas has NaN where this has None."""
    record = planted()
    constant = [
        replace(t, params={**t.params, "batch_size": 16})
        if t.params["auto_encoder"] == "CNN"
        else t
        for t in record.trials
    ]
    record = replace(record, trials=tuple(constant))
    frame = to_frame(record)
    frame = frame[frame["state"] == "COMPLETE"]
    missing = set()
    for family in get_correlations(record, n_resamples=2).families:
        members = frame[frame["auto_encoder"] == family.family]
        for p in family.parameters:
            column = members[p.name].astype(float)
            expected = (np.log10(column) if p.log else column).corr(members["value"])
            if p.pearson.value is None:
                assert math.isnan(expected)
                missing.add((family.family, p.name))
            else:
                assert p.pearson.value == pytest.approx(expected)
    assert missing == {("CNN", "epoch"), ("CNN", "batch_size"), ("linear", "epoch")}


def test_correlations_take_the_logarithm_of_a_grids_learning_rates() -> None:
    """A learning rate that a grid lists as choices is on a log scale all the same."""
    grid = CategoricalDistribution((1e-3, 1e-2, 1e-1))
    trials = [
        replace(
            trial(i, value=value, params={"learning_rate": rate}),
            distributions={"learning_rate": grid},
        )
        for i, (rate, value) in enumerate([(1e-3, 0.3), (1e-2, 0.2), (1e-1, 0.1)])
    ]
    (family,) = get_correlations(study(*trials, settings={"sampler": "grid"})).families
    (parameter,) = family.parameters
    assert family.family == "all"
    assert parameter.log
    assert parameter.pearson.value == pytest.approx(-1.0)
    assert parameter.spearman.value == pytest.approx(-1.0)


def test_correlations_of_two_trials_are_missing() -> None:
    """Two points always lie on a line, so they get no coefficient."""
    info = get_correlations(
        study(
            trial(0, value=0.1, params={**CNN, "learning_rate": 0.1}),
            trial(1, value=0.2, params=CNN),
        )
    )
    assert {p.spearman.value for p in info.families[0].parameters} == {None}
    assert not info.adaptive


def test_best_trials_are_complete_and_in_order(record: StudyRecord) -> None:
    """The table holds the lowest values of complete trials with their parameters."""
    info = get_best_trials(record, k=5)
    values = sorted(t.value for t in record.complete if t.value is not None)
    assert [row.value for row in info.trials] == values[:5]
    assert [row.rank for row in info.trials] == [1, 2, 3, 4, 5]
    assert all(row.family == "CNN" and row.epochs_run == 20 for row in info.trials)
    assert "bottleneck_dim" not in info.parameters


def test_best_trials_are_of_different_trainings() -> None:
    """Points that were answered from another one's training stand behind it, not beside it."""
    record = study(
        trial(0, value=0.3, attrs={"reused_from": 2}),
        trial(1, value=0.1),
        trial(2, value=0.3),
        trial(3, value=0.1, attrs={"reused_from": 1}),
        trial(4, value=0.5),
    )
    info = get_best_trials(record, k=2)
    assert [(row.rank, row.number, row.value) for row in info.trials] == [(1, 1, 0.1), (2, 0, 0.3)]


def test_families_equal_pandas(record: StudyRecord) -> None:
    """Count, best, median and mean of a family are those of its complete trials."""
    frame = to_frame(record)
    groups = frame[frame["state"] == "COMPLETE"].groupby("auto_encoder")["value"]
    families = get_families(record).families
    assert [family.name for family in families] == ["CNN", "linear"]
    for family in families:
        values = groups.get_group(family.name)
        assert family.n_complete == len(values)
        assert family.best == values.min()
        assert family.median == pytest.approx(values.median())
        assert family.mean == pytest.approx(values.mean())
    assert sum(family.n_pruned for family in families) == 12


def test_family_without_a_complete_trial_comes_last_and_has_no_error() -> None:
    """A family that was always pruned is listed, without a value."""
    families = get_families(
        study(
            trial(0, state=TrialState.PRUNED, params=CNN, curve=(0.1,)),
            trial(1, value=0.2, params=LINEAR),
            trial(2, state=TrialState.FAIL),
            settings=SETTINGS,
        )
    ).families
    assert [(f.name, f.n_complete, f.n_pruned, f.best) for f in families] == [
        ("linear", 1, 0, 0.2),
        ("CNN", 0, 1, None),
    ]


def test_frame_has_one_row_per_trial_and_clean_types(record: StudyRecord) -> None:
    """Numbers are numbers, booleans nullable, times times, and a lacking value is missing."""
    frame = to_frame(record)
    assert len(frame) == 120
    assert list(frame.columns[:4]) == ["number", "state", "value", "auto_encoder"]
    assert list(frame.columns[-3:]) == ["started", "completed", "duration_s"]
    types = frame.dtypes.astype(str).to_dict()
    assert types["batch_size"] == types["bottleneck_dim"] == types["seed"] == "Int64"
    assert types["learning_rate"] == types["value"] == types["duration_s"] == "float64"
    assert types["batch_normalization"] == "boolean"
    assert types["started"] == "datetime64[us, UTC]"
    assert types["state"] == types["failure"] == "string"
    linear = frame["auto_encoder"] == "linear"
    assert frame.loc[linear, "batch_normalization"].isna().all()
    assert frame.loc[~linear, "batch_normalization"].notna().all()
    assert frame["value"].notna().sum() == 102
    assert frame["duration_s"].eq(60.0).all()


def test_frame_keeps_every_column_where_names_clash_or_kinds_mix() -> None:
    """A user attribute never replaces a column, and what is no scalar stays out."""
    frame = to_frame(
        study(
            trial(0, value=0.1, params=CNN, attrs={"value": 9, "mixed": 1, "list": [1]}),
            trial(1, value=0.2, params=CNN, attrs={"mixed": "one"}),
        )
    )
    assert frame["value"].tolist() == [0.1, 0.2]
    assert frame["attr_value"].tolist() == [9, pd.NA]
    assert frame["mixed"].tolist() == ["1", "one"]
    assert "list" not in frame


def test_frame_of_an_empty_study_has_its_columns() -> None:
    """An empty study exports a table with a header."""
    frame = to_frame(study(settings=SETTINGS))
    assert list(frame.columns) == [
        "number",
        "state",
        "value",
        "started",
        "completed",
        "duration_s",
    ]
    assert frame.empty


@pytest.fixture(scope="module")
def classifying() -> StudyRecord:
    """120 trials that classify, with a planted answer for either metric."""
    return planted_multitask()


@pytest.fixture
def few() -> StudyRecord:
    """Eight trials, of which one is best, three break the constraint and three do not classify."""
    joint, sequential = {**CNN, "strategy": "joint"}, {**CNN, "strategy": "sequential"}

    def complete(number: int, value: float, params: dict, correct: tuple[int, ...]) -> TrialRecord:
        attrs = classified(correct, min_accuracy=0.7)
        return trial(number, value=value, params=params, attrs=attrs)

    return multitask(
        complete(0, 0.10, sequential, LOW),
        complete(1, 0.30, joint, MIDDLE),
        complete(2, 0.20, joint, BEATEN),
        complete(3, 0.40, joint, HIGH),
        trial(4, state=TrialState.PRUNED, params=joint, curve=(0.5,)),
        trial(5, state=TrialState.FAIL, params=sequential),
        complete(6, 0.10, sequential, LOW),
        trial(7, value=0.35, params=joint),
    )


def test_ranking_follows_the_metric_and_keeps_its_values(few: StudyRecord) -> None:
    """The highest accuracy and the lowest error come first, each as stored."""
    assert [(value, t.number) for value, t in ranked(few)] == [
        (0.1, 0),
        (0.1, 6),
        (0.2, 2),
        (0.3, 1),
        (0.35, 7),
        (0.4, 3),
    ]
    assert [(value, t.number) for value, t in ranked(few, metric=VALIDATION_ACCURACY)] == [
        (0.95, 3),
        (0.8, 1),
        (0.55, 0),
        (0.55, 6),
        (0.475, 2),
    ]


def test_trials_that_break_the_constraint_come_last(few: StudyRecord) -> None:
    """The first of all is the study's best trial."""
    numbers = [t.number for _, t in ranked_by_constraint(few)]
    assert numbers == [1, 7, 3, 0, 6, 2]
    assert few.best is few.trials[1]
    assert get_summary(few).best is few.best
    assert get_summary(few).n_infeasible == 3


@pytest.mark.parametrize("value", [None, math.nan, math.inf, True, "0.5"])
def test_ranking_leaves_out_what_is_no_finite_number(value: object) -> None:
    """A metric that a trial lacks or that is no number takes it out of the ranking."""
    odd = trial(0, value=0.1, attrs={"validation_accuracy": value})
    assert ranked(study(odd), metric=VALIDATION_ACCURACY) == []


def test_the_demanded_accuracy_is_a_number_or_nothing() -> None:
    """Studies without the setting, or with none, have no constraint."""
    assert min_accuracy_of(multitask()) == 0.7
    assert min_accuracy_of(multitask(settings={**MULTITASK_SETTINGS, "min_accuracy": 1})) == 1.0
    assert (
        min_accuracy_of(multitask(settings={**MULTITASK_SETTINGS, "min_accuracy": None})) is None
    )
    assert min_accuracy_of(study()) is None


def test_importance_of_a_maximised_metric_is_that_of_its_highest_values() -> None:
    """What makes the metric high gets the importance, not what makes it low."""
    rng = np.random.default_rng(0)
    trials = []
    for number in range(200):
        up, down = rng.uniform(size=2)
        accuracy = 0.5 + 0.4 * (up > 0.9) - 0.4 * (down < 0.1) + 0.01 * rng.uniform()
        params = {"learning_rate": 10 ** (-4 + 3 * up), "weight_decay": 10 ** (-5 + 3 * down)}
        attrs = {"validation_accuracy": float(accuracy)}
        trials.append(trial(number, value=float(accuracy), params=params, attrs=attrs))
    record = multitask(*trials)
    highest = get_importances(record, metric=VALIDATION_ACCURACY, n_resamples=5)
    lowest = get_importances(record, n_resamples=5)
    assert highest.metric == VALIDATION_ACCURACY
    assert highest.n_top == 20
    assert [p.name for p in highest.parameters] == ["learning_rate", "weight_decay"]
    assert highest.parameters[0].share > 0.8
    assert lowest.metric == VALIDATION_MSE
    assert [p.name for p in lowest.parameters] == ["weight_decay", "learning_rate"]


def test_importance_tells_the_metrics_of_a_study_apart(classifying: StudyRecord) -> None:
    """The learning rate decides the error, the weight of the classification the accuracy."""
    errors = get_importances(classifying, n_resamples=5)
    accuracies = get_importances(classifying, metric=VALIDATION_ACCURACY, n_resamples=5)
    assert errors.parameters[0].name == "learning_rate"
    assert accuracies.parameters[0].name == "classification_lambda"
    assert accuracies.n_trials == 102


def test_importance_refuses_by_the_name_of_the_metric(few: StudyRecord) -> None:
    """A refusal counts the trials that have the metric."""
    info = get_importances(few, metric=VALIDATION_ACCURACY)
    assert info.refusal == (
        "Importances need at least 10 complete trials with a finite validation accuracy; "
        "this study has 5."
    )


def test_correlations_of_a_maximised_metric_keep_their_sign() -> None:
    """A parameter that raises the accuracy has a positive coefficient."""
    trials = [
        trial(
            i,
            value=0.1 * (i + 1),
            params={"learning_rate": 10.0 ** (i - 4)},
            attrs={"validation_accuracy": 0.5 + 0.1 * i},
        )
        for i in range(4)
    ]
    info = get_correlations(multitask(*trials, trial(4, value=9.0)), metric=VALIDATION_ACCURACY)
    (parameter,) = info.families[0].parameters
    assert info.metric == VALIDATION_ACCURACY
    assert (parameter.name, parameter.n_trials) == ("learning_rate", 4)
    assert parameter.spearman.value == pytest.approx(1.0)
    assert parameter.pearson.value == pytest.approx(1.0)


def test_front_holds_what_no_trial_beats(few: StudyRecord) -> None:
    """Of equal trials the first is on the front; breaking the constraint is no bar, but marked."""
    info = get_front(few)
    assert [point.number for point in info.points] == [0, 1, 2, 3, 6]
    assert [(p.number, p.mse, p.accuracy) for p in info.front] == [
        (0, 0.1, 0.55),
        (1, 0.3, 0.8),
        (3, 0.4, 0.95),
    ]
    assert [point.number for point in info.points if point.infeasible] == [0, 2, 6]
    assert [point.branch for point in info.points] == [
        "sequential",
        "joint",
        "joint",
        "joint",
        "sequential",
    ]
    assert (info.branch, info.min_accuracy) == ("strategy", 0.7)
    assert info.lowest_error == info.front[0]
    assert info.most_accurate == info.front[-1]
    assert info.front[1].balanced_accuracy == pytest.approx((0.5 + 0.9 + 4 / 6 + 0.8) / 4)


def test_front_of_a_study_that_does_not_classify_is_empty(record: StudyRecord) -> None:
    """Without accuracies there are no points and no ends."""
    info = get_front(record)
    assert (info.points, info.front, info.lowest_error, info.most_accurate) == ((), (), None, None)
    assert info.min_accuracy is None


# Few different numbers, so that many points are equal or share a coordinate.
_NUMBERS = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0]) | st.floats(0.0, 1.0)


@given(st.lists(st.tuples(_NUMBERS, _NUMBERS)))
def test_the_front_dominates_everything_else(points: list[tuple[float, float]]) -> None:
    """No point dominates one of the front, and each other is dominated by or equal to one."""

    def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    found = non_dominated(points)
    front = [points[i] for i in found]
    assert len(set(front)) == len(front)
    assert not any(dominates(point, best) for point in points for best in front)
    for i, point in enumerate(points):
        assert i in found or any(dominates(best, point) or best == point for best in front)


def test_history_never_takes_a_trial_that_breaks_the_constraint_for_the_best(
    few: StudyRecord,
) -> None:
    """The running best is that of the feasible trials, and the others are marked."""
    info = get_history(few)
    assert [point.best for point in info.points] == [None] + [0.3] * 7
    assert [p.number for p in info.points if p.infeasible] == [0, 2, 6]


def test_learning_curves_rank_feasible_trials_only() -> None:
    """The lowest curve has no rank if its trial breaks the constraint."""
    info = get_learning_curves(
        multitask(
            trial(0, value=0.1, curve=(0.1,), attrs=classified(LOW, min_accuracy=0.7)),
            trial(1, value=0.2, curve=(0.2,), attrs=classified(HIGH, min_accuracy=0.7)),
        )
    )
    assert [(c.number, c.rank, c.infeasible) for c in info.curves] == [
        (1, 1, False),
        (0, None, True),
    ]
    assert info.n_best == 1


def test_best_trials_show_accuracy_and_mark_what_breaks_the_constraint(few: StudyRecord) -> None:
    """Feasible trials stand above the others, whatever their error."""
    rows = get_best_trials(few, k=4).trials
    assert [(row.rank, row.number, row.infeasible) for row in rows] == [
        (1, 1, False),
        (2, 7, False),
        (3, 3, False),
        (4, 0, True),
    ]
    assert [row.accuracy for row in rows] == [0.8, None, 0.95, 0.55]
    assert rows[2].balanced_accuracy == pytest.approx((1 + 0.95 + 1 + 0.9) / 4)
    assert rows[1].balanced_accuracy is None


def test_families_can_be_those_of_any_parameter(few: StudyRecord) -> None:
    """Strategies have errors and accuracies; the best trial of one is feasible."""
    info = get_families(few, parameter="strategy")
    joint, sequential = info.families
    assert info.parameter == "strategy"
    assert (joint.name, joint.n_complete, joint.n_infeasible, joint.n_pruned) == ("joint", 4, 1, 1)
    assert (joint.best_number, joint.best) == (1, 0.3)
    assert joint.median == pytest.approx(0.325)
    assert joint.mean == pytest.approx(0.3125)
    assert (joint.best_accuracy, joint.median_accuracy) == (0.95, 0.8)
    assert (sequential.name, sequential.n_complete, sequential.n_infeasible) == (
        "sequential",
        2,
        2,
    )
    assert (sequential.best_number, sequential.best, sequential.median) == (None, None, 0.1)
    assert (sequential.best_accuracy, sequential.median_accuracy) == (0.55, 0.55)


def test_class_results_are_those_of_the_best_trial(few: StudyRecord) -> None:
    """Counts, recalls and the matrix agree with what trial 1 got right."""
    info = get_class_results(few)
    assert info is not None
    assert [(c.name, c.n_train, c.n_validation, c.share) for c in info.classes] == [
        ("animal", 12, 4, 0.1),
        ("human face", 60, 20, 0.5),
        ("other", 18, 6, 0.15),
        ("person", 30, 10, 0.25),
    ]
    assert [c.recall for c in info.classes] == pytest.approx([0.5, 0.9, 4 / 6, 0.8])
    assert (info.number, info.accuracy) == (1, 0.8)
    assert info.balanced_accuracy == pytest.approx((0.5 + 0.9 + 4 / 6 + 0.8) / 4)
    assert info.confusion == ((2, 2, 0, 0), (0, 18, 2, 0), (0, 0, 4, 2), (2, 0, 0, 8))
    assert (info.largest.name, info.guessing) == ("human face", 0.25)


def test_class_without_validation_images_has_no_recall() -> None:
    """What cannot be measured is missing, and chance is that of the classes that are there."""
    counts = {"train": {"a": 2, "b": 1, "c": 1}, "validation": {"a": 3, "b": 1}}
    attrs = {**classified(HIGH), "confusion": [[2, 1, 0], [0, 1, 0], [0, 0, 0]]}
    info = get_class_results(multitask(trial(0, value=0.1, attrs=attrs), class_counts=counts))
    assert info is not None
    assert [(c.n_train, c.n_validation) for c in info.classes] == [(2, 3), (1, 1), (1, 0)]
    assert [c.recall for c in info.classes] == [pytest.approx(2 / 3), 1.0, None]
    assert info.guessing == 0.5


@pytest.mark.parametrize(
    "trials",
    [
        (),
        (trial(0, value=0.1),),
        (trial(0, value=0.1, attrs=classified(LOW, min_accuracy=0.7)),),
        (trial(0, value=0.1, attrs={"confusion": [[1, 0], [0, 1]]}),),
    ],
    ids=["no trial", "not classified", "infeasible", "another number of classes"],
)
def test_classes_without_a_best_trial_that_classified_are_only_counted(trials: tuple) -> None:
    """The imbalance is known before anything is trained."""
    info = get_class_results(multitask(*trials))
    assert info is not None
    assert [c.n_train for c in info.classes] == list(CLASS_COUNTS["train"].values())
    assert {c.recall for c in info.classes} == {None}
    assert (info.number, info.accuracy, info.balanced_accuracy) == (None, None, None)
    assert info.confusion == ()


def test_class_results_need_the_counts(record: StudyRecord) -> None:
    """A study that stores no counts has no table of classes."""
    assert get_class_results(record) is None
    assert get_class_results(multitask(trial(0, value=0.1), class_counts=None)) is None
