"""Studies as other programs make them, drawn from a seed: nothing that Optuna stores is unusual.

Directions, names, ranges, states, reports, constraints and attributes of all sorts, the rare ones
far more often than anybody's studies have them.
"""

import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

MARKUP = "</script><b>loss</b> {{7 * 7}} [red]"
NAMES = (
    *("accuracy", "value", "number", "state", "epoch", "learning_rate", "batch size", "kind"),
    *(MARKUP, "\"a\" 'b' | `c`\\", "\N{GRINNING FACE} höhe", "two\nlines", "x" * 300, " ", "-1"),
)
"""Of parameters, metrics, attributes and choices; two of them begin what commands take apart."""

OURS: Mapping[str, Sequence[Any]] = {
    "seed": ([1], {"a": 1}, 3),
    "experiment": ("baseline", {"name": "x"}, {"arms": 3}, None),
    "settings": ("v1", {"kind": "autoencoder"}, []),
    "imported": (True, "file"),
    "worker": ({}, ["w"], "host"),
    "infeasible": ("no", True),
    "kind": ("lgbm",),
    "retry_of": ([0], 0),
    "reused_from": ("text", 0, None),
    "training_seconds": ("1 s", 12.5),
    "parameter_count": ("1M", 3),
    "epochs_run": ({}, 7),
    "test_results": ([], "none"),
    "target_trials": ("many", 1000),
    "failure": (["x"], "out of memory"),
    "emoji_study:kind": ({}, "x"),
}
"""Names that this package gives to attributes as well, with values that it never writes."""

_CHOICES = (
    ("a", "b", "c"),
    (None, "None", 10, "10", 10.5),
    (True, False),
    (1, 2, 4, 8),
    (*NAMES[8:12],),
    ("only",),
)
_STEPS = ((0, 1), (1, 1), (1000, 1000), (0, 7), (5, 1))
_START = datetime(2024, 3, 1, 12)  # noqa: DTZ001  # local time, as Optuna's is
_STATES = [TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")]


def make_study(storage: BaseStorage, seed: int, *, max_trials: int = 40) -> optuna.Study:
    """Put a study into a storage: another one for each seed, the same one for the same."""
    return _Maker(storage, np.random.default_rng(seed), max_trials).make(f"study {seed}")


def best_of(study: optuna.Study) -> list[FrozenTrial]:
    """Return the best trial as Optuna says, with several objectives the best ones."""
    try:
        return study.best_trials if len(study.directions) > 1 else [study.best_trial]
    except ValueError:  # there is none
        return []


class _Maker:
    def __init__(self, storage: BaseStorage, rng: np.random.Generator, max_trials: int) -> None:
        self.storage, self.rng, self.max_trials = storage, rng, max_trials

    def one(self, items: Sequence[Any]) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def make(self, name: str) -> optuna.Study:
        n_objectives = self.one((1, 1, 1, 2, 2, 3))
        ways = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
        directions = [self.one(ways) for _ in range(n_objectives)]
        if self.chance(0.05):
            directions[0] = StudyDirection.NOT_SET
        if self.chance(0.2):
            name = f"{name} {self.one(NAMES)}"
        study_id = self.storage.create_new_study(directions, name)
        study = optuna.load_study(study_name=name, storage=self.storage)
        if self.chance(0.4):
            names = [str(m) for m in self.rng.choice(NAMES, n_objectives, replace=False)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(names)
        for key, value in self.attributes().items():
            study.set_user_attr(key, value)
        space = self.space()
        values = [self.values() for _ in directions]
        states = self.one(((1, 0, 0, 0, 0), (0.6, 0.2, 0.1, 0.05, 0.05), (0.1, 0.2, 0.7, 0, 0)))
        constrained = self.one((None, None, "old", "new"))
        steps = self.one((None, *_STEPS)) if n_objectives == 1 else None
        for number in range(int(self.rng.integers(self.max_trials + 1))):
            state = _STATES[int(self.rng.choice(5, p=states))]
            trial = self.trial(number, state, space, values, steps, constrained)
            self.storage.create_new_trial(study_id, template_trial=trial)
        return study

    def attributes(self) -> dict[str, Any]:
        if self.chance(0.5):
            return {}
        names = [*map(str, self.rng.choice(list(OURS), 3)), str(self.one(NAMES))]
        return {name: self.one(OURS.get(name, (1, "text", [1, None]))) for name in names}

    def space(self) -> dict[str, BaseDistribution]:
        """Return ranges by name; those behind a choice are there for its first value alone."""
        low = float(self.one((0.0, -5.0, 1e-300, 1e-6)))
        offered = [
            FloatDistribution(low, low + 7.0),
            FloatDistribution(1e-5, 1e-1, log=True),
            FloatDistribution(0.0, 1.0, step=0.25),
            FloatDistribution(2.0, 2.0),
            IntDistribution(1, 1024, log=True),
            IntDistribution(-3, 12, step=3),
            *(CategoricalDistribution(choices) for choices in _CHOICES),
        ]
        names = [str(n) for n in self.rng.choice(NAMES, self.rng.integers(6), replace=False)]
        return {name: self.one(offered) for name in names}

    def values(self) -> tuple[float, float, float, float]:
        """Return scale, offset, share of infinite values and number of digits of an objective."""
        scale = self.one((0.0, 1e-12, 1.0, 1.0, 1.0, 1e6, 1e300))
        offset = self.one((0.0, 0.0, -3.0, 2.0)) * scale
        return scale, offset, self.one((0, 0, 0.1)), self.one((0, 9))

    def trial(
        self,
        number: int,
        state: TrialState,
        space: Mapping[str, BaseDistribution],
        values: Sequence[tuple[float, float, float, float]],
        steps: tuple[int, int] | None,
        constrained: str | None,
    ) -> FrozenTrial:
        params = self.params(space) if state != TrialState.WAITING else {}
        inner = [space[name].to_internal_repr(value) for name, value in params.items()]
        effect = float(np.tanh(np.sum(inner))) if inner else 0.0
        told = [self.value(effect, *how) for how in values]
        lacks = [float(v) for v in self.rng.normal(size=2)]
        system: dict[str, Any] = {"constraints": lacks} if constrained == "old" else {}
        if constrained == "new":
            system = {f"constraints:{name}": v for name, v in zip("ab", lacks, strict=True)}
        ended = state.is_finished()
        start = _START + timedelta(seconds=30.0 * number + 20 * float(self.rng.random()))
        timed = self.chance(0.95)
        reports = self.reports(told[0], steps) if state != TrialState.WAITING else {}
        if state == TrialState.PRUNED:
            last = list(reports.values())[-1:]
            told = last if last and np.isfinite(last[0]) and len(values) == 1 else []
        return FrozenTrial(
            number=number,
            state=state,
            value=None,
            values=told if state in (TrialState.COMPLETE, TrialState.PRUNED) and told else None,
            datetime_start=start if timed and state != TrialState.WAITING else None,
            datetime_complete=start + timedelta(seconds=40 * float(self.rng.random()))
            if timed and ended
            else None,
            params=params,
            distributions={name: space[name] for name in params},
            user_attrs=self.attributes(),
            system_attrs=system if ended else {},
            intermediate_values=reports,
            trial_id=-1,
        )

    def params(self, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, distribution in space.items():
            if isinstance(distribution, CategoricalDistribution):
                found[name] = self.one(distribution.choices)
                if found[name] != distribution.choices[0]:
                    break
            elif isinstance(distribution, FloatDistribution | IntDistribution):
                share = float(self.rng.random())
                low, high, step = distribution.low, distribution.high, distribution.step
                linear = low + share * (high - low)
                value = low * (high / low) ** share if distribution.log else linear
                if step:
                    value = low + step * round((value - low) / step)
                whole = isinstance(distribution, IntDistribution)
                found[name] = int(value) if whole else float(value)
        return found

    def value(self, effect: float, scale: float, offset: float, odd: float, digits: int) -> float:
        if self.chance(odd):
            return float(self.one((np.inf, -np.inf)))
        return round(effect + 0.1 * float(self.rng.normal()), digits) * scale + offset

    def reports(self, value: float, steps: tuple[int, int] | None) -> dict[int, float]:
        if steps is None or self.chance(0.1):
            return {}
        first, distance = steps
        n = int(self.rng.integers(1, 30))
        kept = [i for i in range(n) if self.chance(0.95)]
        curve = {first + distance * i: value * (1 + 1 / (i + 1)) for i in kept}
        return {s: float("nan") if self.chance(0.02) else v for s, v in curve.items()}
