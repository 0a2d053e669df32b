"""Points that no other trial of a study has: a sampler that Optuna lacks, and what it misses."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Parameter, Scalar, SearchSpace, SearchSpaceError
from storage import attrs

N_DRAWS = 100
"""Random points that are drawn, at most, for one that was not tried."""


class UntriedSampler(BaseSampler):
    """Draws at random where another sampler suggests a point that was tried before.

    In a space of few points an adaptive sampler settles on one of them. If that was pruned,
    nothing new is learnt from then on: equal points train alike.
    """

    def __init__(self, wrapped: BaseSampler, *, seed: int) -> None:
        self._wrapped = wrapped
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._wrapped.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values of all these parameters, those of every branch of the space."""
        found = {
            name: _exact(value, search_space[name])
            for name, value in self._wrapped.sample_relative(study, trial, search_space).items()
        }
        if not found:
            return found
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        for _ in range(N_DRAWS):
            if not _is_tried(found, others):
                break
            found = {
                name: self._random.sample_independent(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
        return found

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._wrapped.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._wrapped.before_trial(study, trial)

    def reseed_rng(self) -> None:
        self._wrapped.reseed_rng()
        self._random.reseed_rng()


def _exact(value: Any, distribution: BaseDistribution) -> Any:
    """Return a number of a range with a step as others have it, whatever rounding made of it."""
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return value
    parameter = Parameter("", distribution)
    return parameter.at(parameter.quantile(value))


def untried_points(
    study: Study, trial: FrozenTrial, space: SearchSpace, fixed: Mapping[str, Scalar], *, seed: int
) -> Iterator[dict[str, Scalar]]:
    """Yield points that no other trial of the study's replicate has, as far as known.

    At first random ones; where these were nearly all tried, the others of a finite space.
    """
    replicate = attrs.REPLICATE.of(trial) or 0
    tried = {
        frozenset(other.params.items())
        for other in study.get_trials(deepcopy=False)
        if other.number != trial.number and (attrs.REPLICATE.of(other) or 0) == replicate
    }
    rng, n = np.random.default_rng(seed), len(space.parameters)
    drawn = (space.at(rng.random(n).tolist(), fixed) for _ in range(N_DRAWS))
    with suppress(SearchSpaceError):  # it is continuous
        for point in chain(drawn, space.grid(fixed)):
            if frozenset(point.items()) not in tried:
                yield point


def _is_tried(found: Mapping[str, Any], others: Sequence[FrozenTrial]) -> bool:
    """Whether a trial has a point, in all values that can differ, and all of its parameters.

    One that runs may still lack some; it has all if an ended one has the same.
    """
    same = [
        t
        for t in others
        if all(
            (name in found and found[name] == value) or t.distributions[name].single()
            for name, value in t.params.items()
        )
    ]
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return any(t.state in ended for t in same) or any(
        t.params.keys() == other.params.keys()
        for t in same
        for other in others
        if other.state in ended
    )
