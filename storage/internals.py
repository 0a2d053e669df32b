"""Private names of Optuna and optuna-dashboard: all that is used of them, under names of our own.

Any version of either may change them, so nothing else names them; ruff's SLF001 holds that, and
``tests/storage_tests/test_internals.py`` says which name is gone. gRPC and optuna-dashboard are
imported where they are asked for.
"""

import copy
import functools
import math
import re
import warnings
from abc import abstractmethod
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import optuna
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX as ARTIFACTS_ATTR_PREFIX
from optuna.artifacts._upload import DEFAULT_MIME_TYPE as DEFAULT_MIME_TYPE
from optuna.distributions import (
    BaseDistribution,
    _convert_old_distribution_to_new_distribution,
    json_to_distribution,
)
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb import models as models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.study import StudyDirection
from optuna.study._constrained_optimization import _get_constraints_from_system_attrs
from optuna.study._frozen import FrozenStudy as FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.orm import Session


def storage_of(study: optuna.Study) -> BaseStorage:
    """Return the storage that a study lies in."""
    return study._storage


def key_of(study: optuna.Study) -> int:
    """Return the storage's key of a study."""
    return study._study_id


def trial_key(trial: optuna.Trial | FrozenTrial) -> int:
    """Return the storage's key of a trial."""
    return trial._trial_id


def live_trial(study: optuna.Study, trial: optuna.Trial | FrozenTrial) -> optuna.Trial:
    """Return a running trial of a study as one that suggests and reports, read anew."""
    return optuna.Trial(study, trial._trial_id)


def own_copy(trial: optuna.Trial) -> FrozenTrial:
    """Return what a trial remembers of itself, from which it prunes; changes are its own."""
    return trial._cached_frozen_trial


def database_of(storage: BaseStorage) -> RDBStorage | None:
    """Return the database behind Optuna's cache, or without one; None if there is none."""
    backend = getattr(storage, "_backend", storage)
    return backend if isinstance(backend, RDBStorage) else None


class ReadingDatabase(RDBStorage):
    """A database whose trials are read otherwise than by Optuna."""

    lacking: Collection[str] = ()
    """Tables and columns that earlier versions of Optuna did not have yet."""

    @abstractmethod
    def read_frozen(
        self, study_id: int, *, after: int, among: Collection[int]
    ) -> list[FrozenTrial]:
        """Read trials of a study: those with a key above ``after``, and ``among`` these keys."""

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        found = self.read_frozen(study_id, after=trial_id_greater_than, among=included_trial_ids)
        return [trial for trial in found if states is None or trial.state in states]

    def _get_best_trial_id(self, study_id: int, direction: StudyDirection) -> int:
        if self.lacking:
            return BaseStorage.get_best_trial(self, study_id)._trial_id
        return super()._get_best_trial_id(study_id, direction)


def forget(storage: BaseStorage) -> None:
    """Let Optuna's caches read all anew: databases give the key of a deleted study again."""
    if isinstance(storage, _CachedStorage):
        with storage._lock:
            storage._studies.clear()
            storage._trial_id_to_study_id_and_number.clear()
            storage._study_id_and_number_to_trial_id.clear()
    elif isinstance(storage, GrpcStorageProxy):
        with storage._cache.lock:
            storage._cache.studies.clear()


def constraints_of(system_attrs: Mapping[str, Any]) -> dict[str, float]:
    """Return what Optuna stored of a trial's constraints, in either of its ways."""
    numbers = {name: value for name, value in system_attrs.items() if _is_constraint(name, value)}
    return _get_constraints_from_system_attrs(numbers)


def distribution_of(text: str) -> BaseDistribution:
    """Return a stored range of a parameter, one of Optuna 2 as that of today.

    Whoever reads it is not warned of what somebody else should not have stored.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)  # of choices such as lists
        old = json_to_distribution(text)
    if "UniformDistribution" not in text:
        return old
    return _convert_old_distribution_to_new_distribution(old, suppress_warning=True)


def _is_constraint(name: str, value: Any) -> bool:
    values = value if name == CONSTRAINTS and isinstance(value, list | tuple) else [value]
    return all(isinstance(number, int | float) for number in values)


CONSTRAINTS = "constraints"
"""System attribute of constraints without names, and the beginning of those with names."""


def constraint_attrs(constraints: Mapping[str, float]) -> dict[str, Any]:
    """Return the system attributes that ``constraints_of`` reads as these constraints.

    Those that count from 0 are stored in the older way, which its dashboard knows as well.
    """
    if list(constraints) == [str(i) for i in range(len(constraints))]:
        return {CONSTRAINTS: list(constraints.values())} if constraints else {}
    return {f"{CONSTRAINTS}:{name}": lack for name, lack in constraints.items()}


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of a database, with what Optuna does to trials within one."""

    session: Session
    database: RDBStorage

    def insert_trial(self, study_id: int, template: FrozenTrial) -> models.TrialModel:
        """Add a trial to a study, under its next number."""
        return self.database._get_prepared_new_trial(study_id, template, self.session)

    def to_frozen(self, trial: models.TrialModel) -> FrozenTrial:
        """Read all of a trial."""
        return self.database._build_frozen_trial_from_trial_model(trial)

    def set_params(self, trial_id: int, params: Iterable[tuple[str, float, str]]) -> None:
        """Store parameters of a running trial: name, internal representation, range as JSON."""
        set_param = self.database._set_trial_param_without_commit
        for name, internal, text in params:
            set_param(self.session, trial_id, name, internal, json_to_distribution(text))

    def set_attrs(
        self, trial_id: int, user: Mapping[str, Any], system: Mapping[str, Any] | None = None
    ) -> None:
        """Store user and system attributes of a running trial, new or replaced."""
        set_attr = self.database._set_trial_attr_without_commit
        for name, value in user.items():
            set_attr(self.session, models.TrialUserAttributeModel, trial_id, name, value)
        for name, value in (system or {}).items():
            set_attr(self.session, models.TrialSystemAttributeModel, trial_id, name, value)


@contextmanager
def transaction(database: RDBStorage) -> Iterator[Transaction]:
    """Open a transaction, committed at the end of the block; nothing of it stays if that fails.

    That is a StorageInternalError, or an IntegrityError where another one has stored the like.
    """
    with _create_scoped_session(database.scoped_session) as session:
        yield Transaction(session, database)


def channel_of(client: GrpcStorageProxy) -> Any:
    """Return a client's ``grpc.Channel``."""
    return client._channel


def add_proxy(server: Any, storage: BaseStorage) -> None:
    """Let a ``grpc.Server`` answer all that Optuna's clients ask of a storage."""
    from optuna.storages._grpc.auto_generated import api_pb2_grpc
    from optuna.storages._grpc.servicer import OptunaStorageProxyService

    add: Any = api_pb2_grpc.add_StorageServiceServicer_to_server  # generated, without types
    add(OptunaStorageProxyService(storage), server)


# optuna-dashboard, which keeps texts in pieces among the system attributes of a study.


@functools.cache
def speed_up_dashboard() -> None:
    """Let a first look at a study take no longer than writing down what is in it.

    The dashboard asks numpy four times of each reported value whether it is a number, where
    Python's own functions do; and it looks for each trial's notes and files among those of all
    trials, where they need to be parted but once.
    """
    from optuna_dashboard import _app, _serializer

    whole, one = _app.serialize_study_detail, _serializer.serialize_frozen_trial

    @functools.wraps(whole)
    def of_a_study(study: FrozenStudy, *args: Any) -> Any:
        parted = copy.copy(study)
        parted.system_attrs = _Parted(study.system_attrs)
        return whole(parted, *args)

    @functools.wraps(one)
    def of_a_trial(study_id: int, trial: FrozenTrial, told: "_Parted") -> Any:
        return one(study_id, trial, told.by_trial.get(trial._trial_id, {}))

    _app.serialize_study_detail, _serializer.serialize_frozen_trial = of_a_study, of_a_trial
    _serializer.np = SimpleNamespace(
        isnan=math.isnan,
        isposinf=math.inf.__eq__,
        isneginf=(-math.inf).__eq__,
        isfinite=math.isfinite,
    )


class _Parted(dict[str, Any]):
    """System attributes of a study."""

    @functools.cached_property
    def by_trial(self) -> Mapping[int, dict[str, Any]]:
        """Those that tell of a trial, by its key."""
        found: dict[int, dict[str, Any]] = {}
        for name, value in self.items():
            if (keyed := keyed_by_trial(name)) is not None:
                found.setdefault(keyed[1], {})[name] = value
        return found


# It once kept the files of trials with the study, as ``dashboard:artifacts:TRIAL:ID``.
FILE_PLACES = (ARTIFACTS_ATTR_PREFIX, f"dashboard:{ARTIFACTS_ATTR_PREFIX}")
"""How the names of system attributes begin that tell of a file."""
_KEYED = re.compile(r"(dashboard:(?:artifacts:)?|preference:skip_trial:)(\d+)(|:.*)", re.DOTALL)


def file_id(name: str) -> str:
    """Return the id of the file that a system attribute of this name tells of."""
    return name.rpartition(":")[2]


def keyed_by_trial(name: str) -> tuple[str, int, str] | None:
    """Return the trial's key in the name of a study's system attribute, and what is around it."""
    found = _KEYED.fullmatch(name)
    return found and (found[1], int(found[2]), found[3])


def is_cache(name: str) -> bool:
    """Whether a study's attribute holds trials' keys that a genetic sampler finds anew."""
    return ":parent:" in name


def cut_note(trial_id: int | None, text: str = "") -> tuple[str, str, dict[str, str]]:
    """Return what names the version of a trial's or the study's note, its pieces, and these."""
    from optuna_dashboard import _note

    prefix = _note.note_str_key_prefix(trial_id)
    return _note.note_ver_key(trial_id), prefix, _note.split_body(text, trial_id)


def study_note(system_attrs: Mapping[str, Any]) -> tuple[int, str]:
    """Return version and text of a study's note, 0 and empty if there is none."""
    from optuna_dashboard import _note

    note = _note.get_note_from_system_attrs(system_attrs, None)
    return note["version"], note["body"]


def cut_graph(graph_id: str, figure: str) -> tuple[str, dict[str, str]]:
    """Return how the names of a chart's pieces begin, and these; ids are ``[A-Za-z0-9-_.]+``."""
    from optuna_dashboard import _custom_plot_data as plots

    assert plots.is_valid_graph_object_id(graph_id), graph_id
    prefix = f"{plots.SYSTEM_ATTR_PLOT_DATA}{graph_id}:"
    return prefix, plots.split_plot_data(figure, prefix)
