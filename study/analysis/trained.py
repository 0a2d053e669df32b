"""What follows a search, as its analyses read it: arms, and what their trainings came to."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from optuna.trial import TrialState

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from storage.values import Experiment
from study.analysis import kind_of
from study.analysis.estimates import Estimate, Scale, count_splits, estimate_on
from study.analysis.experiment import trials_of_arm
from study.analysis.paired import Difference, compare_all, paired, scale_of
from study.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What follows a search, as it is stored, and what its trainings came to.

    Args:
        sides: The split of each pair of seed and split that is wanted.
        own: Numbers of the pairs whose split is that of the search.
        trials: By arm: its complete trials by the number of their pair.
        n_failed: By arm: pairs in which its training diverged and did not finish after all.
    """

    made: Experiment
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
    def n_splits(self) -> int:
        """Independent numbers among them, see ``estimates.by_split``."""
        return count_splits(self.sides)[0]

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
        """Return the mean of values of the objective, by their pairs, on the scale."""
        return estimate_on(self.scale, found, self.objective, self.sides)


def get_trained(record: StudyRecord, *names: str) -> Trained | None:
    """Read what a study trained that follows a search, None if it is none of these experiments."""
    experiment = attrs.EXPERIMENT.of(record)
    if experiment is None or experiment.name not in names:
        return None
    trials = {arm.name: trials_of_arm(record, arm.name) for arm in experiment.arms}
    values = {
        name: {pair: t.value for pair, t in sorted(found.items()) if t.value is not None}
        for name, found in trials.items()
    }
    sides, objective = next(iter(experiment.sides.values())), kind_of(record).objective
    settings = attrs.SETTINGS.of(record)
    return Trained(
        made=experiment,
        sides=sides,
        own={pair for pair, own in enumerate(sides) if settings and own == settings.sides},
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
            pair
            for trial in record.trials
            if trial.state == TrialState.FAIL
            and attrs.ARM.of(trial) == arm
            and attrs.has_diverged(trial.user_attrs)
            and (pair := attrs.PAIR.of(trial)) not in finished
        }
    )
