"""What follows a search, as its analyses read it: arms, and what their trainings came to."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from optuna.trial import TrialState

from storage import attrs
from storage.records import StudyRecord, TrialRecord, experiment_of
from study.analysis import kind_of, settings_of
from study.analysis.estimates import Estimate, estimate
from study.analysis.experiment import trials_of_arm
from study.analysis.paired import Difference, Scale, compare_all, paired, scale_of
from study.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What follows a search: its arms, as they are stored, and what their trainings came to.

    Args:
        sides: The split of each pair of seed and split that is wanted.
        own: Numbers of the pairs whose split is that of the search.
        trials: By arm: its complete trials by the number of their pair.
        values: Their objective likewise.
        n_failed: By arm: pairs in which its training diverged and did not finish after all.
    """

    name: str
    follows: str
    arms: Sequence[Mapping[str, Any]]
    sides: Sequence[str]
    own: Container[int]
    trials: Mapping[str, Mapping[int, TrialRecord]]
    values: Mapping[str, Mapping[int, float]]
    n_failed: Mapping[str, int]
    objective: Metric
    scale: Scale

    @property
    def n_seeds(self) -> int:
        return len(self.sides)

    @property
    def n_missing(self) -> int:
        """Trainings that have neither finished nor diverged."""
        return sum(
            self.n_seeds - len(values) - self.n_failed[arm] for arm, values in self.values.items()
        )

    def compare(self, neighbours: Mapping[str, str]) -> dict[str, Difference]:
        """Compare arms, each with the one that is named behind it; together they are a table."""
        samples = {
            arm: paired(self.values[other], self.values[arm], self.sides)
            for arm, other in neighbours.items()
        }
        return compare_all(samples, self.objective, self.scale)

    def estimate(self, found: Mapping[int, float]) -> Estimate | None:
        """Return the mean of values of the objective, by their pairs."""
        sides = [self.sides[pair] for pair in found]
        return estimate(list(found.values()), self.objective, sides=sides)


def get_trained(record: StudyRecord, *names: str) -> Trained | None:
    """Read what a study trained that follows a search, None if it is none of these experiments."""
    experiment = experiment_of(record.user_attrs)
    if experiment is None or experiment["name"] not in names:
        return None
    trials = {arm["name"]: trials_of_arm(record, arm["name"]) for arm in experiment["arms"]}
    values = {
        name: {pair: t.value for pair, t in sorted(found.items()) if t.value is not None}
        for name, found in trials.items()
    }
    sides, objective = next(iter(experiment["sides"].values())), kind_of(record).objective
    searched = settings_of(record).get("sides")
    return Trained(
        name=experiment["name"],
        follows=str(experiment["follows"]),
        arms=experiment["arms"],
        sides=sides,
        own={pair for pair, own in enumerate(sides) if own == searched},
        trials=trials,
        values=values,
        n_failed={name: _count_failed(record, name, found) for name, found in values.items()},
        objective=objective,
        scale=scale_of(objective, chain.from_iterable(v.values() for v in values.values())),
    )


def _count_failed(record: StudyRecord, arm: str, finished: Container[int]) -> int:
    """Count the pairs in which the training of an arm diverged, and did not finish after all."""
    return len(
        {
            trial.user_attrs[attrs.PAIR]
            for trial in record.trials
            if trial.state == TrialState.FAIL
            and trial.user_attrs.get(attrs.ARM) == arm
            and str(trial.user_attrs.get(attrs.FAILURE, "")).startswith(attrs.DIVERGED)
            and trial.user_attrs[attrs.PAIR] not in finished
        }
    )
