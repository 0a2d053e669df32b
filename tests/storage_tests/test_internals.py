"""Each private name of Optuna and optuna-dashboard is still there, and takes what it took.

Where one of these fails, the other's version has changed it: mend ``storage/internals.py``.
"""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import optuna
import pytest
from optuna.storages import GrpcStorageProxy

from storage import internals, operations
from storage.rdb import open_storage
from tests.servers import free_port

NODES = [
    node
    for path in Path(internals.__file__).parent.glob("*.py")
    for node in ast.walk(ast.parse(path.read_text()))
]
USED = [node for node in NODES if isinstance(node, ast.Attribute)]

TAKES = {
    "optuna:Trial": "study, trial_id",
    "optuna.storages._grpc.auto_generated.api_pb2_grpc:add_StorageServiceServicer_to_server": (
        "servicer, server"
    ),
    "optuna.storages._grpc.servicer:OptunaStorageProxyService": "storage",
    "optuna_dashboard._note:note_ver_key": "trial_id",
    "optuna_dashboard._note:note_str_key_prefix": "trial_id",
    "optuna_dashboard._note:split_body": "note_str, trial_id",
    "optuna_dashboard._note:get_note_from_system_attrs": "system_attrs, trial_id",
    "optuna_dashboard._custom_plot_data:is_valid_graph_object_id": "graph_object_id",
    "optuna_dashboard._custom_plot_data:split_plot_data": "plot_data_str, key_prefix",
    "optuna.storages:RDBStorage._get_prepared_new_trial": (
        "self, study_id, template_trial, session"
    ),
    "optuna.storages:RDBStorage._build_frozen_trial_from_trial_model": "self, trial",
    "optuna.storages:RDBStorage._set_trial_param_without_commit": (
        "self, session, trial_id, param_name, param_value_internal, distribution, "
        "previous_distribution"
    ),
    "optuna.storages:RDBStorage._set_trial_attr_without_commit": (
        "self, session, model_cls, trial_id, key, value"
    ),
}
"""Parameters of what is called."""


def test_what_is_called() -> None:
    """Private functions and methods take what they took."""
    found = {
        name: ", ".join(inspect.signature(pkgutil.resolve_name(name)).parameters) for name in TAKES
    }
    assert found == TAKES


def test_what_is_imported() -> None:
    """All that the package takes from the two is there, as are Optuna's tables and columns."""
    for node in NODES:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("optuna"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(
                    f"{node.module}.{alias.name}"
                )
    tables = {node.attr for node in USED if ast.unparse(node.value) == "models"}
    assert {"TrialModel", "StudyModel", "TrialHeartbeatModel"} < tables
    for table in tables:
        columns = [node.attr for node in USED if ast.unparse(node.value) == f"models.{table}"]
        for name in columns:
            assert hasattr(getattr(internals.models, table), name), f"{table}.{name} is gone"
    for made in NODES:
        if isinstance(made, ast.Call) and ast.unparse(made.func).startswith("models."):
            table = ast.unparse(made.func).removeprefix("models.")
            for keyword in made.keywords:
                assert hasattr(getattr(internals.models, table), str(keyword.arg))


def test_attributes(url: str) -> None:
    """Private attributes are there, and no other is used; the cache's database is found."""
    study = optuna.create_study()
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        client = GrpcStorageProxy(host="127.0.0.1", port=free_port())
    client.close()
    names = [
        (study, {"_storage", "_study_id"}),
        (study.ask(), {"_trial_id", "_cached_frozen_trial", "storage"}),
        (optuna.trial.create_trial(value=0.5), {"_trial_id"}),
        (client, {"_channel"}),
    ]
    for owner, private in names:
        assert all(hasattr(owner, name) for name in private), f"{owner} lacks one of {private}"
    tree = ast.walk(ast.parse(Path(internals.__file__).read_text()))
    used = {n.attr for n in tree if isinstance(n, ast.Attribute) and n.attr.startswith("_")}
    called = {name.rpartition(".")[2] for name in TAKES}
    assert used <= called.union(*(private for _, private in names))
    storage = open_storage(url, create=True)
    database = internals.database_of(storage)
    assert storage is not database is not None, "Optuna changed _CachedStorage._backend"
    assert internals.database_of(database) is database
    assert internals.database_of(optuna.storages.InMemoryStorage()) is None
    told = optuna.create_study()  # names under which Optuna keeps what it is told
    told.enqueue_trial({"x": 0.5})
    assert told.trials[0].system_attrs[operations.FIXED_PARAMS] == {"x": 0.5}
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        told.set_metric_names(["error"])
    memory, key = internals.storage_of(told), internals.key_of(told)
    assert memory.get_study_system_attrs(key) == {operations.METRIC_NAMES: ["error"]}
