"""Laws that hold for every analysis alike: what counts, and seeds."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from study.analysis.correlation import get_correlations
from study.analysis.cost import get_costs
from study.analysis.distribution import get_distribution
from study.analysis.expected_best import get_expected_best
from study.analysis.experiment import get_experiment
from study.analysis.fidelity import get_fidelity, replay_pruners
from study.analysis.front import get_front
from study.analysis.importance import get_importances
from study.analysis.isolation import get_isolation
from study.analysis.surrogate import get_surrogate
from study.analysis.tables import get_all_groups, get_best_trials, get_top_families
from tests.study_tests.analysis import test_experiment
from tests.study_tests.synthetic import START, planted, planted_multitask, trial

Analysis = Callable[..., Any]

IMPORTANCES, CORRELATIONS = (
    partial(function, n_resamples=10) for function in (get_importances, get_correlations)
)


@pytest.mark.parametrize(
    ("analysis", "more"),
    [
        *((f, "pruned infeasible") for f in (get_isolation, get_costs)),
        *((f, "pruned") for f in (get_distribution, get_all_groups, get_top_families)),
        *((f, "pruned") for f in (get_front, get_best_trials, CORRELATIONS)),
        *((f, "") for f in (IMPORTANCES, get_fidelity, get_expected_best)),
    ],
)
def test_only_complete_trials_with_a_finite_error_count(analysis: Analysis, more: str) -> None:
    """Neither failed, running and waiting ones nor NaN and infinity change what is found."""
    complete = [(TrialState.COMPLETE, value) for value in (np.nan, np.inf)]
    lost = [(state, None) for state in (TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING)]
    also = {"pruned": (TrialState.PRUNED, None), "infeasible": (TrialState.COMPLETE, 1e-4)}
    cheap = {"parameter_count": 1, "training_seconds": 0.1, "validation_accuracy": 1.0}
    record = planted_multitask(60)
    odd = [
        trial(
            200 + i,
            state=state,
            value=value,
            params=record.trials[0].params,
            curve=(0.001,),
            attrs=cheap | ({"infeasible": True} if value == 1e-4 else {}),
            started=START + timedelta(days=1),
            completed=START + timedelta(days=2),
        )
        for i, (state, value) in enumerate([*complete, *lost, *map(also.get, more.split())])
    ]
    assert analysis(replace(record, trials=(*record.trials, *odd))) == analysis(record)


@pytest.mark.parametrize(
    "analysis",
    [
        *(partial(f, planted(40)) for f in (IMPORTANCES, CORRELATIONS, get_expected_best)),
        *(partial(f, planted(40)) for f in (get_fidelity, partial(replay_pruners, n_orders=2))),
        partial(get_surrogate, planted(40)),
        partial(
            get_experiment, test_experiment.record({"a": range(7), "b": [1.0, 3.0] * 3 + [9]})
        ),
    ],
)
def test_equal_arguments_give_equal_results(
    analysis: Analysis, capfd: pytest.CaptureFixture[str]
) -> None:
    """The seed decides what is drawn, and nothing else; Optuna is silent, its level left alone."""
    verbosity = optuna.logging.get_verbosity()
    assert analysis(seed=0) == analysis() != analysis(seed=1)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity
