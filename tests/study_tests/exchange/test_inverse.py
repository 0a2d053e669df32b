"""Another program's study that is exported and imported again is that study."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from storage.importing import insert_study
from storage.record_json import record_to_json
from storage.records import StudyRecord, load_study_record
from study.exchange.read_results import read_results
from study.exchange.write_table import write_table
from tests.servers import opened

HOSTILE = [
    *("value", "value_1", "number", "state", "started", "curve", "duration", "Unnamed: 0"),
    *("param_x", "attr_x", "constraint_0", "params_x", "user_attrs_x", "x", "learning_rate"),
    *("epoch", "seed", "settings", "a,b", '"x"', "\n", "\r", "\0", " ", "", "16", "<b>", "Ü"),
]
NAMES = st.sampled_from(HOSTILE) | st.text(max_size=5)
TEXTS = st.sampled_from(["16", "1_0", "True", "null", "nan", "[1]", '"', "", " x"]) | NAMES
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
FINITE = st.floats(-1e6, 1e6)
TIMES = st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2037-01-01"))


@st.composite
def ranges(draw: st.DrawFn) -> BaseDistribution:
    """Draw a range of any kind."""
    low, size = draw(st.integers(1, 50)), draw(st.integers(0, 50))
    choices = st.lists(
        draw(st.sampled_from([TEXTS, SCALARS])), min_size=1, max_size=4, unique=True
    )
    return draw(
        st.sampled_from(
            [
                IntDistribution(-low, size),
                IntDistribution(low, low + size, log=True),
                IntDistribution(low, low + 2 * size, step=2),
                FloatDistribution(-low, size),
                FloatDistribution(1 / low, low + size, log=True),
                FloatDistribution(-low, -low + size, step=0.25),
            ]
        )
        | st.builds(CategoricalDistribution, choices)
    )


@st.composite
def trials(draw: st.DrawFn, n_values: int, space: Mapping[str, Any]) -> FrozenTrial:
    """Draw a trial that has some of the parameters, each in one of its ranges."""
    state = draw(st.sampled_from(TrialState))
    waiting, ended = state == TrialState.WAITING, state.is_finished()
    found = {} if waiting else draw(st.fixed_dictionaries({}, optional=space))
    started = draw(TIMES)
    old = st.fixed_dictionaries({"constraints": st.lists(FINITE, max_size=3)})
    new = st.dictionaries(
        NAMES.map("constraints:{}".format), st.floats(allow_nan=False), max_size=3
    )
    values = st.lists(st.floats(allow_nan=False), min_size=n_values, max_size=n_values)
    return FrozenTrial(
        number=0,
        trial_id=0,
        state=state,
        value=None,
        values=draw(values) if state == TrialState.COMPLETE else None,
        datetime_start=None if waiting else started,
        datetime_complete=started + draw(st.timedeltas(timedelta(), timedelta(9)))
        if ended
        else None,
        params={name: value for name, (value, _) in found.items()},
        distributions={name: range_ for name, (_, range_) in found.items()},
        user_attrs=draw(st.dictionaries(NAMES, VALUES, max_size=4)),
        system_attrs=draw(old | new),
        intermediate_values=draw(st.dictionaries(st.integers(0, 5000), st.floats(), max_size=4)),
    )


def inside(range_: BaseDistribution) -> st.SearchStrategy[tuple[Any, BaseDistribution]]:
    """Draw a value of a range, of numbers also of a wider one, beside the range."""
    if isinstance(range_, CategoricalDistribution):
        return st.tuples(st.sampled_from(range_.choices), st.just(range_))
    assert isinstance(range_, IntDistribution | FloatDistribution)
    wider = type(range_)(range_.low, range_.high + 1, log=range_.log)
    return st.sampled_from([(range_.low, range_), (range_.high, range_), (wider.high, wider)])


@st.composite
def studies(draw: st.DrawFn) -> StudyRecord:
    """Draw a study, as it reads from Optuna's memory."""
    directions = draw(st.lists(st.sampled_from(["minimize", "maximize"]), min_size=1, max_size=3))
    study = optuna.create_study(directions=directions, study_name="first")
    for name, value in draw(st.dictionaries(NAMES, VALUES, max_size=3)).items():
        study.set_user_attr(name, value)
    if draw(st.booleans()):
        names = draw(st.lists(NAMES, min_size=len(directions), max_size=len(directions)))
        study._storage.set_study_system_attr(study._study_id, "study:metric_names", names)
    space = {
        name: inside(range_)
        for name, range_ in draw(st.dictionaries(NAMES, ranges(), max_size=4)).items()
    }
    study.add_trials(draw(st.lists(trials(len(directions), space), min_size=1, max_size=5)))
    return load_study_record(study._storage, study.study_name)


def told(record: StudyRecord, *, by_csv: bool = False) -> dict[str, Any]:
    """Return all of a study but its name and the database's keys; ``by_csv`` what that holds."""
    found = record_to_json(record) | {"name": None, "distributions": None}
    for trial, stored in zip(found["trials"], record.trials, strict=True):
        trial |= {"trial_id": None, "distributions": None if by_csv else stored.distributions}
    return found | ({"metric_names": None, "user_attrs": None} if by_csv else {})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BaseStorage, Path]]:
    """A database for what is imported, and its folder."""
    folder = tmp_path_factory.mktemp("inverse")
    with opened(f"sqlite:///{folder / 'study.db'}", create=True, write=True) as storage:
        yield storage, folder


@given(first=studies())
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_inverse(place: tuple[BaseStorage, Path], first: StudyRecord) -> None:
    """A Parquet file brings all back, CSV all but what it has no column for."""
    storage, folder = place
    for ending, directions in (("parquet", ()), ("csv", first.directions)):
        path, name = folder / f"trials.{ending}", str(uuid4())
        write_table(first, path, curves=True)
        insert_study(storage, read_results(path, name=name, directions=directions))
        by_csv = ending == "csv"
        again = load_study_record(storage, name)
        assert told(again, by_csv=by_csv) == told(first, by_csv=by_csv)
