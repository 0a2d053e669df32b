"""Queueing a trial again after an attempt that said nothing about its configuration."""

from typing import Any

import optuna
from optuna.trial import FrozenTrial

from storage import attrs

MAX_RETRIES = 2
"""How often a trial is tried again whose worker died, or that failed in a grid."""

_KEPT = (
    attrs.DESIGN_INDEX,
    attrs.REPLICATE,
    attrs.ATTEMPT,
    attrs.PAIR,
    attrs.ARM,
    attrs.SIDES,
)


def requeue(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial again, with its parameters and its place in a design."""
    _enqueue_again(study, trial, {})


def requeue_after_death(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial of a dead worker again, unless that has happened too often already.

    Optuna's own callback for stale trials copies all that the dead worker wrote: its name, by
    which the copy would be taken for dead as well, and the entries of its files.
    """
    attempt = int(trial.user_attrs.get(attrs.ATTEMPT, 0)) + 1
    if attempt <= MAX_RETRIES:
        _enqueue_again(study, trial, {attrs.ATTEMPT: attempt})


def _enqueue_again(study: optuna.Study, trial: FrozenTrial, changes: dict[str, Any]) -> None:
    fixed: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
    kept = {name: trial.user_attrs[name] for name in _KEPT if name in trial.user_attrs}
    study.enqueue_trial(
        {**fixed, **trial.params}, user_attrs={**kept, **changes, attrs.RETRY_OF: trial.number}
    )
