"""Each private name of Optuna and optuna-dashboard is still there, and takes what it took.

Where one of these fails, the other's version has changed it: mend ``storage/internals.py``.
"""

import ast
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import GrpcStorageProxy, RDBStorage

from storage import internals, operations
from storage.rdb import open_storage
from tests.servers import free_port

DATABASE = "optuna.storages._rdb.storage"
PROXY = "optuna.storages._grpc"


def study() -> optuna.Study:
    """Return a study that this process has in memory."""
    return optuna.create_study()


def client() -> GrpcStorageProxy:
    """Return a client of a server that does not run."""
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        proxy = GrpcStorageProxy(host="127.0.0.1", port=free_port())
    proxy.close()
    return proxy


def imported(module: str) -> Callable[[], Any]:
    """Return a function that imports a module."""
    return lambda: importlib.import_module(module)


@dataclass(frozen=True, kw_only=True)
class Private:
    """A private name.

    Args:
        of: Returns what has it.
        name: Of it.
        takes: Its parameters, where they matter.
    """

    of: Callable[[], Any]
    name: str
    takes: tuple[str, ...] | None = None


OPTUNA = [
    Private(of=study, name="_storage"),
    Private(of=study, name="_study_id"),
    Private(of=lambda: study().ask(), name="_trial_id"),
    Private(of=lambda: optuna.trial.create_trial(value=0.5), name="_trial_id"),
    Private(of=lambda: optuna, name="Trial", takes=("study", "trial_id")),
    Private(of=lambda: study().ask(), name="_cached_frozen_trial"),
    Private(of=lambda: study().ask(), name="storage"),
    Private(of=imported(DATABASE), name="_create_scoped_session"),
    *(
        Private(of=lambda: RDBStorage, name=name, takes=("self", *takes))
        for name, *takes in (
            ("_get_prepared_new_trial", "study_id", "template_trial", "session"),
            ("_build_frozen_trial_from_trial_model", "trial"),
            (
                "_set_trial_param_without_commit",
                *("session", "trial_id", "param_name", "param_value_internal", "distribution"),
                "previous_distribution",
            ),
            (
                "_set_trial_attr_without_commit",
                *("session", "model_cls", "trial_id", "key", "value"),
            ),
        )
    ),
    Private(of=imported("optuna.artifacts._upload"), name="ARTIFACTS_ATTR_PREFIX"),
    Private(of=imported("optuna.artifacts._upload"), name="DEFAULT_MIME_TYPE"),
    Private(of=client, name="_channel"),
    Private(
        of=imported(f"{PROXY}.auto_generated.api_pb2_grpc"),
        name="add_StorageServiceServicer_to_server",
        takes=("servicer", "server"),
    ),
    Private(
        of=imported(f"{PROXY}.servicer"), name="OptunaStorageProxyService", takes=("storage",)
    ),
]

DASHBOARD = [
    *(
        Private(of=imported(f"optuna_dashboard.{module}"), name=name, takes=tuple(takes))
        for module, name, *takes in (
            ("_note", "note_ver_key", "trial_id"),
            ("_note", "note_str_key_prefix", "trial_id"),
            ("_note", "split_body", "note_str", "trial_id"),
            ("_note", "get_note_from_system_attrs", "system_attrs", "trial_id"),
            ("_custom_plot_data", "is_valid_graph_object_id", "graph_object_id"),
            ("_custom_plot_data", "split_plot_data", "plot_data_str", "key_prefix"),
        )
    ),
    Private(of=imported("optuna_dashboard._custom_plot_data"), name="SYSTEM_ATTR_PLOT_DATA"),
]

_OF_A_TRIAL = ("trial_id", "key", "value_json")
_OF_A_STUDY = ("study_id", "key", "value_json")

MODELS = {
    "StudyModel": ("study_id", "study_name"),
    "StudyDirectionModel": ("study_id", "direction", "objective"),
    "StudyUserAttributeModel": _OF_A_STUDY,
    "StudySystemAttributeModel": _OF_A_STUDY,
    "TrialModel": (
        *("trial_id", "study_id", "number", "state", "datetime_start", "datetime_complete"),
        "find_or_raise_by_id",
    ),
    "TrialUserAttributeModel": _OF_A_TRIAL,
    "TrialSystemAttributeModel": _OF_A_TRIAL,
    "TrialParamModel": ("trial_id", "param_name", "param_value", "distribution_json"),
    "TrialValueModel": ("trial_id", "objective", "value", "value_type", "value_to_stored_repr"),
    "TrialIntermediateValueModel": (
        *("trial_id", "step", "intermediate_value", "intermediate_value_type"),
        "intermediate_value_to_stored_repr",
    ),
    "TrialHeartbeatModel": ("trial_id", "heartbeat"),
    "BaseModel": ("metadata",),
    "NOT_FOUND_MSG": (),
}
"""What is used of Optuna's tables."""


def check(library: str, private: Private) -> None:
    """Fail, and say who changed what, if a name is gone or takes something else."""
    try:
        found = getattr(private.of(), private.name)
    except (AttributeError, ImportError) as error:
        pytest.fail(f"{library} changed {private.name}: {error}")
    if private.takes is not None:
        takes = tuple(inspect.signature(found).parameters)
        if takes != tuple(private.takes):
            pytest.fail(f"{library} changed {private.name}: it takes {', '.join(takes)} now")


def name_of(value: object) -> str | None:
    """Return what names a case."""
    return value.name if isinstance(value, Private) else None


@pytest.mark.parametrize("private", OPTUNA, ids=name_of)
def test_optuna(private: Private) -> None:
    """A private name of Optuna."""
    check("Optuna", private)


@pytest.mark.parametrize("private", DASHBOARD, ids=name_of)
def test_dashboard(private: Private) -> None:
    """A private name of optuna-dashboard."""
    check("optuna-dashboard", private)


@pytest.mark.parametrize("model", MODELS)
def test_tables(model: str) -> None:
    """A table of Optuna's, and its columns."""
    check("Optuna", Private(of=lambda: internals.models, name=model))
    for name in MODELS[model]:
        check("Optuna", Private(of=lambda: getattr(internals.models, model), name=name))


def test_the_cache(url: str) -> None:
    """The database behind Optuna's cache, ``_backend``, is found; there may be none."""
    storage = open_storage(url, create=True)
    if storage is internals.database_of(storage) or internals.database_of(storage) is None:
        pytest.fail("Optuna changed _CachedStorage._backend")
    assert internals.database_of(optuna.storages.InMemoryStorage()) is None


def test_names_of_attributes() -> None:
    """Names under which Optuna keeps what it is told about a study and its trials."""
    told = study()
    told.enqueue_trial({"x": 0.5})
    assert told.trials[0].system_attrs[operations.FIXED_PARAMS] == {"x": 0.5}
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        told.set_metric_names(["error"])
    storage, key = internals.storage_of(told), internals.key_of(told)
    assert storage.get_study_system_attrs(key) == {operations.METRIC_NAMES: ["error"]}


def test_none_is_forgotten() -> None:
    """All private names in the module, and all tables that the package uses, are tried here."""
    package = Path(internals.__file__).parent
    nodes = list(ast.walk(ast.parse(Path(internals.__file__).read_text())))
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            used |= {alias.name for alias in node.names}
    tried = {private.name for private in (*OPTUNA, *DASHBOARD)}
    modules = {"_rdb", "_note", "_custom_plot_data"}
    assert {name for name in used if name.startswith("_")} - modules <= tried
    tables = {
        node.attr
        for path in package.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "models"
    }
    assert tables == MODELS.keys()
