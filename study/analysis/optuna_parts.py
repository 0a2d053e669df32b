"""What Optuna's evaluators, charts and pruners are asked with: trials and studies in memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Scalar


class TrialSample(Study):
    """A study with given complete trials, none of which is copied or checked."""

    def __init__(self, sample: Sequence[FrozenTrial], n_objectives: int = 1) -> None:
        storage = InMemoryStorage()
        with quiet_optuna():
            study = optuna.create_study(storage=storage, directions=["minimize"] * n_objectives)
        super().__init__(study_name=study.study_name, storage=storage)
        self.sample = sample

    def get_trials(self, *args: object, **kwargs: object) -> list[FrozenTrial]:
        return list(self.sample)


def frozen_trial(
    number: int,
    value: float | None,
    params: Mapping[str, Scalar],
    distributions: Mapping[str, BaseDistribution],
    state: TrialState = TrialState.COMPLETE,
    values: Sequence[float] | None = None,
) -> FrozenTrial:
    """Return a trial for Optuna's evaluators and pruners; nothing of it is checked."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value,
        values=values,
        datetime_start=None,
        datetime_complete=None,
        params=dict(params),
        distributions=dict(distributions),
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from writing a line per study and trial."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
