"""Each private function of Optuna and optuna-dashboard is there, and takes what it took.

Where one of these fails, the other's version has changed it: mend ``storage/internals.py``.
"""

import inspect
import pkgutil

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
    "optuna_dashboard._app:serialize_study_detail": (
        "study, best_trials, trials, intersection, union, union_user_attrs, "
        "has_intermediate_values, plotly_graph_objects, skipped_trial_numbers"
    ),
    "optuna_dashboard._serializer:serialize_frozen_trial": "study_id, trial, study_system_attrs",
    "optuna_dashboard._custom_plot_data:is_valid_graph_object_id": "graph_object_id",
    "optuna_dashboard._custom_plot_data:split_plot_data": "plot_data_str, key_prefix",
    "optuna.storages:RDBStorage._get_prepared_new_trial": (
        "self, study_id, template_trial, session"
    ),
    "optuna.storages:RDBStorage._get_best_trial_id": "self, study_id, direction",
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
