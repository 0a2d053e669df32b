"""Analyses of kinds that are not this package's: they know what the study says, and no emoji."""

import math
import re
from dataclasses import replace

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces import Parameter, SearchSpace
from storage import attrs
from storage.records import StudyRecord
from study.analysis import branch_of, metrics_of
from study.analysis.confirmation import get_confirmation
from study.analysis.confirmation_text import describe_confirmation
from study.analysis.cost import get_costs
from study.analysis.latents import get_latents
from study.analysis.provenance import get_provenance
from study.analysis.tables import get_class_results
from study.kind_info import KindInfo, KindSource
from study.metrics import Metric
from tests.study_tests import synthetic
from tests.study_tests.analysis import test_confirmation
from tests.study_tests.synthetic import START, trial
from tests.study_tests.synthetic import study as study_of

LOSS = Metric(name="validation_cross_entropy", label="validation cross-entropy", low=0, place=0)
ACCURACY = Metric(
    name="validation_accuracy", label="validation accuracy", direction="maximize", low=0, high=1
)
SPACE = SearchSpace(
    name="small",
    parameters=(
        Parameter(name="units", distribution=IntDistribution(16, 256, log=True)),
        Parameter(name="rate", distribution=FloatDistribution(1e-4, 1e-1, log=True)),
        Parameter(name="bias", distribution=CategoricalDistribution([True, False])),
        Parameter(name="passes", distribution=IntDistribution(12, 12)),
    ),
)
DEFAULTS = {"units": 32, "rate": 1e-3, "bias": True, "passes": 12}
SETTINGS = {
    **synthetic.SETTINGS,
    "kind": "digits",
    "space": "small",
    "sampler": "random",
    "split": "random",
    "seed": 0,
}


def kind(*metrics: Metric, fidelity: str | None = None) -> KindInfo:
    """Return what is stored of a kind."""
    return KindInfo(
        name="digits",
        metrics=metrics,
        space=SPACE,
        fidelity=fidelity,
        default=DEFAULTS,
        costs=(Metric(name="weights", label="weights"),),
        source=KindSource(reference="/home/me/digits.py:DIGITS", digest="0"),
    )


def record(info: KindInfo, n_trials: int = 60) -> StudyRecord:
    """Return a random search in which the rate decides, and more units are better."""
    rng = np.random.default_rng(0)
    sign = -1.0 if info.objective.maximise else 1.0
    distributions = {p.name: p.distribution for p in SPACE.parameters}
    trials = []
    for i in range(n_trials):
        params = SPACE.at(list(rng.uniform(size=len(SPACE.parameters))), {})
        distance = abs(math.log10(float(params["rate"])) + 2)
        loss = 0.2 + 0.2 * distance - 0.001 * math.log(float(params["units"]))
        value = sign * (loss + float(rng.uniform(0, 0.01)))
        steps = [value + sign * 0.5 * math.exp(-step / 2) for step in range(12)]
        pruned = i % 8 == 7
        own = {attrs.WORKER: "host:1", attrs.SEED: i, "weights": 10 * int(params["units"])}
        own |= {attrs.EPOCHS_RUN: 4 if pruned else 12, attrs.TRAINING_SECONDS: 5.0 + i % 3}
        made = trial(
            i,
            state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
            value=None if pruned else value,
            curve=tuple(steps[: 4 if pruned else 12]),
            attrs=own if pruned else own | {ACCURACY.name: 1 - 0.5 * loss},
            started=START,
            completed=START,
        )
        trials.append(replace(made, params=params, distributions=distributions))
    user_attrs = {attrs.SETTINGS: SETTINGS, attrs.KIND: info.to_dict()}
    directions = (info.objective.direction,)
    return replace(study_of(*trials, name="digits"), user_attrs=user_attrs, directions=directions)


def test_what_a_study_says_of_its_kind() -> None:
    """Costs, steps and families are those that it stored."""
    study = record(kind(LOSS, ACCURACY, fidelity="passes"))
    assert metrics_of(study) == (LOSS, ACCURACY)
    assert [info.first.name for info in get_costs(study)] == ["weights", attrs.TRAINING_SECONDS]
    assert branch_of(study) is None
    assert get_class_results(study) is get_latents(study) is None
    command = get_provenance(study).command
    assert command.startswith("emoji-study run /home/me/digits.py:DIGITS --study digits-again ")


def test_a_confirmation_without_a_default() -> None:
    """Configurations are compared with each other, in the words of the kind."""
    values = {"a": [0.10, 0.11, 0.12, 0.13], "b": [0.20, 0.21, 0.22, 0.23]}
    made = test_confirmation.record(values, promised={"a": 0.05}, settings=SETTINGS)
    more = {
        attrs.KIND: kind(LOSS, ACCURACY).to_dict(),
        attrs.TEST_RESULTS: {str(i): {"cross_entropy": 0.3, "accuracy": 0.25} for i in range(8)},
    }
    info = get_confirmation(replace(made, user_attrs={**made.user_attrs, **more}))
    said = " ".join(describe_confirmation(info))
    assert "lowest mean validation cross-entropy: 0.1145" in said
    assert "On the test data, which nothing was chosen by, its cross-entropy is 0.3000" in said
    assert not re.search("(?i)emoji|mse|image|epoch|reconstruct|multitask", said)
    assert (info.get("a").test_accuracy.mean, info.get("b").difference) == (0.25, None)
