"""Analyses of kinds that are not this package's: they know what the study says, and no emoji."""

import importlib
import inspect
import math
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces import Parameter, SearchSpace
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study import analysis
from study.analysis import branch_of, kind_of, metrics_of
from study.analysis.agreement import branches, get_agreement
from study.analysis.comparison import get_comparison
from study.analysis.confirmation import DEFAULT, TOP, describe_confirmation, get_confirmation
from study.analysis.cost import get_costs
from study.analysis.history import get_summary
from study.analysis.latents import get_latents
from study.analysis.provenance import get_provenance
from study.analysis.tables import get_class_results
from study.analysis.verdict import get_verdict
from study.experiment import Arm
from study.kind_info import KindInfo, KindSource
from study.metrics import Metric
from tests.study_tests.synthetic import START, trained, trial
from tests.study_tests.synthetic import study as study_of

LOSS = Metric(
    name="validation_cross_entropy", label="validation cross-entropy", low=0, objective=True
)
SCORE = Metric(name="score", label="score", direction="maximize", objective=True)
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
SETTINGS = {"kind": "digits", "space": "small", "sampler": "random", "split": "random", "seed": 0}
FOREIGN = re.compile(
    r"(?i)emoji(?!-study)|autoencoder|auto_encoder|mse|reconstruct|latent|architecture|epoch"
    r"|image|multitask|notebook|--space extended"
)


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


def texts(found: Any) -> Iterator[str]:
    """Yield all texts in what an analysis found, names of fields and of attributes left out."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, KindInfo | TrialRecord):
        return
    elif is_dataclass(found) and not isinstance(found, type):
        names = (f.name for f in fields(found) if f.name not in ("unit", "evaluator"))
        yield from texts([getattr(found, name) for name in names])
    elif isinstance(found, Mapping):
        yield from texts([*found, *found.values()])
    elif isinstance(found, list | tuple):
        for item in found:
            yield from texts(item)


def analysed(study: StudyRecord) -> Iterator[Any]:
    """Run all analyses that need nothing but a search, and three that need more."""
    for found in pkgutil.iter_modules(analysis.__path__, "study.analysis."):
        for name, function in vars(importlib.import_module(found.name)).items():
            if name.startswith(("get_", "replay_")) and function.__module__ == found.name:
                parameters = inspect.signature(function).parameters.values()
                few = {p.name: 2 for p in parameters if p.name in ("n_resamples", "n_orders")}
                if [p.name for p in parameters if p.default is p.empty] == ["record"]:
                    yield function(study, **few)
    yield get_agreement(study, family="all")
    yield get_verdict(study, now=START, relative_noise=0.01, predictable=False)
    other = replace(study, name="other", trials=study.trials[:30])
    yield get_comparison([study, other], n_bootstrap=5, n_resamples=20)


@pytest.mark.parametrize(
    ("metrics", "fidelity"),
    [((LOSS, ACCURACY), "passes"), ((SCORE, ACCURACY), None)],
)
def test_no_word_is_of_another_kind(metrics: tuple[Metric, ...], fidelity: str | None) -> None:
    """Names, sentences and commands are of the study's kind, or of any."""
    study = record(kind(*metrics, fidelity=fidelity), 40)
    found = list(analysed(study))
    assert len(found) > 20
    said = [text for info in found for text in texts(info)]
    assert [text for text in said if FOREIGN.search(text)] == []
    assert fidelity is None or any("passes" in text for text in said)


def test_what_a_study_says_of_its_kind() -> None:
    """Costs, steps and families are those that it stored."""
    study = record(kind(LOSS, ACCURACY, fidelity="passes"))
    assert metrics_of(study) == (LOSS, ACCURACY)
    assert kind_of(study).source is not None
    assert [info.name for info in get_costs(study)] == ["weights", attrs.TRAINING_SECONDS]
    assert branch_of(study) is None
    assert branches(study) == ["all"]
    assert get_class_results(study) is None
    assert get_latents(study) is None
    assert get_summary(study).epochs_asked == 12 * 60
    assert get_summary(record(kind(LOSS))).epochs_asked == 0
    command = get_provenance(study).command
    assert command.startswith("emoji-study run /home/me/digits.py:DIGITS --study digits-again ")


@pytest.mark.parametrize("roles", [(DEFAULT, TOP), (TOP, TOP)])
def test_a_confirmation_without_a_default(roles: Sequence[str]) -> None:
    """Configurations are compared with each other, in the words of the kind."""
    values = {
        arm: [0.1 + 0.1 * j + 0.01 * pair for pair in range(4)] for j, arm in enumerate("ab")
    }
    arms = [
        Arm(name=name, role=role, trial=j, expected=0.05, params={})
        for j, (name, role) in enumerate(zip(values, roles, strict=True))
    ]
    names = {"name": attrs.CONFIRMATION, "follows": "digits"}
    made = trained(values, arms, own=lambda *_: {ACCURACY.name: 0.5}, settings=SETTINGS, **names)
    more = {
        attrs.KIND: kind(LOSS, ACCURACY).to_dict(),
        attrs.TEST_RESULTS: {str(i): {"cross_entropy": 0.3, "accuracy": 0.25} for i in range(8)},
    }
    info = get_confirmation(replace(made, user_attrs={**made.user_attrs, **more}))
    said = " ".join(describe_confirmation(info))
    assert "lowest mean validation cross-entropy: 0.11500" in said
    assert "On the test data, which nothing was chosen by, its cross-entropy is 0.30000" in said
    assert not FOREIGN.search(said)
    assert info.get("a").test_accuracy is not None
