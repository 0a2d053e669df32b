"""A study that is exported and imported again is that study, another program's or ours."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import inf, nan
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import TrialState

from search_spaces.designs import design_points
from storage.importing import insert_study
from storage.record_json import record_to_json
from storage.records import StudyRecord, load_study_record
from study.analysis import kind_of
from study.emoji import AUTOENCODER, MULTITASK
from study.exchange.read_results import read_results
from study.exchange.write_table import write_table
from tests.servers import opened
from tests.study_tests import synthetic
from tests.study_tests.foreign import make_study
from tests.study_tests.synthetic import SETTINGS, trial

_ENDS = (TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

NAMES = st.text(max_size=5) | st.sampled_from(
    [
        *("value", "value_1", "number", "state", "started", "curve", "duration", "Unnamed: 0"),
        *("param_x", "attr_x", "constraint_0", "params_x", "user_attrs_x", "x", "learning_rate"),
        *("epoch", "seed", "settings", "a,b", '"x"', "\n", "\r", "\0", " ", "", "<b>", "Ü"),
    ]
)
TEXTS = NAMES | st.sampled_from(["16", "1_0", "1e5", "True", "null", "nan", "[1]", '"', " x"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


def told(record: StudyRecord, *, by_csv: bool) -> dict[str, Any]:
    """Return all of a study but its name and the database's keys, or what CSV holds of it."""
    found = record_to_json(record) | {"name": None, "distributions": None}
    for one, stored in zip(found["trials"], record.trials, strict=True):
        one |= {"trial_id": None, "distributions": None if by_csv else stored.distributions}
    return found | ({"metric_names": None, "user_attrs": None} if by_csv else {})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BaseStorage, Path]]:
    """A database for what is imported, and its folder."""
    folder = tmp_path_factory.mktemp("inverse")
    with opened(f"sqlite:///{folder / 'study.db'}", create=True, write=True) as storage:
        yield storage, folder


def check(place: tuple[BaseStorage, Path], first: StudyRecord) -> None:
    """Export and import a study; CSV says no directions, nor what is not of a single trial."""
    storage, folder = place
    for ending, directions in (("parquet", ()), ("csv", first.directions)):
        path, name, by_csv = folder / f"trials.{ending}", str(uuid4()), ending == "csv"
        write_table(first, path, curves=True)
        insert_study(storage, read_results(path, name=name, directions=directions))
        again = load_study_record(storage, name)
        assert told(again, by_csv=by_csv) == told(first, by_csv=by_csv)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50, suppress_health_check=[HealthCheck.filter_too_much])
def test_inverse(place: tuple[BaseStorage, Path], seed: int) -> None:
    """Random studies come back whole by Parquet, by CSV but for what it has no column for."""
    study = make_study(InMemoryStorage(), seed, max_trials=20)
    first = load_study_record(study._storage, study.study_name)
    assume(first.trials)
    check(place, first)


def our_study(seed: int) -> StudyRecord:
    """Return a study of ours, of any kind and space."""
    rng = np.random.default_rng(seed)
    kind = (AUTOENCODER, MULTITASK)[int(rng.integers(2))]
    space = list(kind.spaces.values())[int(rng.integers(len(kind.spaces)))]
    ranges = {parameter.name: parameter.distribution for parameter in space.parameters}
    pareto = kind is MULTITASK and bool(rng.integers(2))
    trials = []
    for number, point in enumerate(islice(design_points("random", space, {}, seed=seed), 12)):
        state = _ENDS[int(rng.integers(len(_ENDS)))]
        complete, curve = state is TrialState.COMPLETE, rng.lognormal(size=rng.integers(9))
        own = {
            "measured_on": "validation",
            "training_seconds": float(rng.lognormal()),
            "epochs_run": len(curve),
            "seed": int(rng.integers(2**62)),
            "worker": "höst/a,b-1:2",
            **({"failure": 'died: "x", 1e5'} if state is TrialState.FAIL else {}),
            **{m.name: float(rng.random()) for m in kind.metrics[1:] if complete and m.always},
        }
        made = replace(
            trial(number, curve=tuple(curve.tolist()), attrs=own),
            state=state,
            values=tuple(rng.lognormal(size=1 + pareto).tolist()) if complete else (),
            params=point,
            distributions={name: ranges[name] for name in point},
        )
        trials.append(made)
    settings = {**SETTINGS, "kind": kind.name, "space": space.name, "pareto": pareto}
    directions = ("minimize", "maximize") if pareto else ("minimize",)
    return replace(synthetic.study(*trials, settings=settings), directions=directions)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_ours(place: tuple[BaseStorage, Path], seed: int) -> None:
    """Random studies of ours come back trial by trial, by both formats; only ranges are new."""
    first, (_, folder) = our_study(seed), place
    for ending in ("csv", "parquet"):
        write_table(first, folder / f"ours.{ending}", curves=True)
        again = read_results(folder / f"ours.{ending}", name=first.name)
        assert (again.directions, kind_of(again).name) == (first.directions, kind_of(first).name)
        for got, wanted in zip(again.trials, first.trials, strict=True):
            assert got == replace(wanted, trial_id=got.trial_id, distributions=got.distributions)


@given(
    params=st.dictionaries(NAMES, SCALARS, max_size=4),
    attributes=st.dictionaries(NAMES, VALUES, max_size=4),
    constraints=st.dictionaries(NAMES, st.floats(allow_nan=False), max_size=3),
    reports=st.dictionaries(st.integers(0, 5000), st.floats(), max_size=4),
    names=st.lists(NAMES, min_size=2, max_size=2),
)
@settings(max_examples=30)
def test_hostile(
    place: tuple[BaseStorage, Path],
    params: dict[str, Any],
    attributes: dict[str, Any],
    constraints: dict[str, float],
    reports: dict[int, float],
    names: list[str],
) -> None:
    """Whatever names and values are, they come back, of the type that they had."""
    ranges = {name: CategoricalDistribution([value, "other"]) for name, value in params.items()}
    full = replace(
        trial(0, curve=(0.5,)),
        state=TrialState.COMPLETE,
        values=(inf, -inf),
        params=params,
        distributions=ranges,
        other_attrs=attributes,
        constraints=constraints,
        intermediate_values=dict(sorted(({7: nan} | reports).items())),
    )
    bare = replace(full, number=1, params={}, distributions={}, other_attrs={}, constraints={})
    first = StudyRecord(
        name="first",
        directions=("minimize", "maximize"),
        metric_names=tuple(names),
        user_attrs={},
        other_attrs=attributes,
        trials=(full, bare),
    )
    check(place, first)
