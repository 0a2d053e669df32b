"""A pruner that Optuna lacks."""

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial


class StalledPruner(BasePruner):
    """Prunes a trial that another pruner would prune, once it has stopped improving.

    A trial that still improves steadily is left alone. Optuna's ``PatientPruner`` does the
    same, except that it never prunes a trial whose values stand still, as those of a collapsed
    training do. ``patience`` are the steps without a new best value, at least 1.
    """

    def __init__(self, wrapped: BasePruner, *, patience: int) -> None:
        self._wrapped = wrapped
        self._patience = patience

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Say whether to prune."""
        sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        values = [sign * value for _, value in sorted(trial.intermediate_values.items())]
        before, recent = values[: -self._patience], values[-self._patience :]
        if not before or min(recent) < min(before):
            return False
        return self._wrapped.prune(study, trial)
