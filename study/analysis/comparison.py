"""Several studies side by side, and which of them finds the better value for an equal budget."""

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState

from storage.attrs import DATA_FINGERPRINT, MEASURED_ON, REUSED_FROM, SETTINGS, WARM_START
from storage.records import StudyRecord, TrialRecord
from storage.values import Settings
from study.analysis import (
    data_of,
    is_ours,
    is_own,
    is_search,
    kind_of,
    parameter_names,
    ranked,
    sampler_of,
    word_for,
)
from study.analysis.correlation import NON_ADAPTIVE_SAMPLERS
from study.analysis.estimates import Interval
from study.analysis.expected_best import MIN_TRIALS
from study.analysis.history import SummaryInfo, get_summary
from study.analysis.spent import spent_by, steps_reported, training_seconds
from study.formats import (
    MISSING,
    format_count,
    format_duration,
    format_sampler,
    format_value,
    plural,
)
from study.metrics import Metric
from study.sampling.names import ADAPTIVE_SAMPLERS
from study.settings import IMPORTED
from study.wording import Wording

Unit = Literal["trials", "epochs", "seconds"]

UNITS: tuple[Unit, ...] = ("trials", "epochs", "seconds")
"""What a budget is counted in: finished trials, steps trained (``epochs``), seconds trained."""

PARTS = ((0.1, 0.95), (1 / 3, 0.95), (1.0, 0.99))
"""At which parts of the common budget pairs are compared, and with which nominal level.

Of 400 simulated pairs of equal studies of 20 to 200 trials, intervals of 95 % left one half out in
5 to 10 of 100 up to a third of the trials, but in 13 to 16 at all of them, where the outcome
hangs on a few trials; intervals of 99 % did so there in 5 to 7.
"""

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Shares at which the values of a study are listed, from the best to the worst."""

MAX_DRAWS = 300
"""Draws per search up to which searches of trials of unequal cost are drawn one by one.

In studies half of whose trials were pruned early, probabilities by the average number of draws
were off by up to 0.02 at 10 draws, and by less than 0.007 from 30 on.
"""

N_RESAMPLES, N_BOOTSTRAP, N_INNER = 1000, 300, 50
"""Searches per study; resamples of its trials behind an interval; searches in each of them."""

N_POINTS, N_DISTRIBUTION = 40, 300
"""Budgets of a curve, and points of a distribution, at most."""

WIDE = 0.5  # width of an interval around one half from which on it says nothing
_NEVER = 1e-9  # probability below which a trial is left out as the best of a search
_ROUNDING = 1e-9  # relative difference of two sums of the same costs
_DESCRIBED_ELSEWHERE = ("sides", "data", "data_fingerprint")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySide:
    """What one of the studies is and found.

    Args:
        settings: As stored, None if they are not.
        n_candidates: Complete trials with a finite error that keep the study's constraint.
        measured_on: ``validation``, ``test``, ``test and validation`` or ``unknown``.
        fingerprint: Digest of its data and their split, None if unknown.
        quantiles: Values of the candidates at ``QUANTILES``; empty without candidates.
        distribution: Value, and share of the candidates with at most that value, ascending;
            thinned to ``N_DISTRIBUTION``, the best ones all kept.
    """

    name: str
    ours: bool
    settings: Settings | None
    objective: Metric
    summary: SummaryInfo
    n_objectives: int
    n_candidates: int
    measured_on: str
    fingerprint: str | None
    quantiles: tuple[float, ...]
    distribution: tuple[tuple[float, float], ...]

    @property
    def sampler(self) -> str | None:
        """The name of its sampler, None if not stored."""
        return None if self.settings is None else self.settings.sampler

    @property
    def judged_on(self) -> str | None:
        """What the fingerprint says of the own data, without extra training images."""
        return None if self.fingerprint is None else "-".join(self.fingerprint.split("-")[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPoint:
    """What searches of one budget find.

    Args:
        median: Median over searches of the best value, None where half of them find none.
        low, high: The middle 90 % of the searches. A search that finds none is the worst, so the
            worse end is None where more than 5 % find none, the better one where more than 95 %
            do.
        expected: Mean best value of the searches that find one, None where more than 1 % find
            none.
        share_found: Share of the searches with a complete trial that can be the best.
    """

    budget: float
    median: float | None
    low: float | None
    high: float | None
    expected: float | None
    share_found: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCurve:
    """Searches with trials of one study.

    Args:
        total: What all of its trials take, those that share a training each for itself.
        drawn: Whether searches were drawn one by one; else their distribution is exact for the
            number of trials that the budget buys on average.
        points: By ascending budget.
    """

    study: str
    total: float
    drawn: bool
    points: tuple[BudgetPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairComparison:
    """Two studies at one budget.

    Args:
        probability: That a search with trials of the first finds the better value, ties counted
            half; two searches that find nothing are a tie.
        interval: Over resampled trials, of a nominal level.
        better: The study whose searches are better, if the interval leaves one half out that is
            adjusted for the number of pairs of studies.
    """

    first: str
    second: str
    budget: float
    probability: float
    interval: Interval
    level: float
    better: str | None
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualBudget:
    """The comparison in one unit.

    Args:
        refusal: Why there is none of the following, or None.
        limiting: The study that spent no more than that.
        pairs: Each pair of studies at each part of the budget.
    """

    words: str
    refusal: str | None = None
    limiting: str | None = None
    curves: tuple[BudgetCurve, ...] = ()
    pairs: tuple[PairComparison, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonInfo:
    """Several studies side by side.

    Args:
        budgets: By unit; empty where fewer than two studies can be compared.
        parameters: Those whose ranges or fixed values differ: of each study's as a text, or a
            dash.
        settings: Those that differ, likewise; data and split are told by the fingerprints.
        comparable: Whether errors were measured on the same data and in the same way, as far
            as is known.
        refusals: Which studies are left out of the equal budgets, and why.
        n_resamples: Searches per study, where they were drawn.
    """

    studies: tuple[StudySide, ...]
    budgets: Mapping[Unit, EqualBudget]
    parameters: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, tuple[str, ...]]
    comparable: bool
    refusals: tuple[str, ...]
    cautions: tuple[str, ...]
    n_resamples: int
    n_bootstrap: int

    @property
    def names(self) -> tuple[str, ...]:
        """The studies' names."""
        return tuple(side.name for side in self.studies)

    @property
    def objective(self) -> Metric:
        """What all studies search for; a value without a name where that differs."""
        found = [side.objective for side in self.studies]
        alike = {(m.name, m.label, m.unit, m.low, m.high) for m in found}
        first = found[0]
        if len(alike) > 1:
            first = Metric(name="value", label="objective value", direction=first.direction)
        return replace(first, wide=any(m.wide for m in found), digits=max(m.digits for m in found))

    @property
    def one_direction(self) -> bool:
        """Whether low values are better in all of the studies, or high ones are."""
        return len({side.objective.direction for side in self.studies}) == 1

    @property
    def primary(self) -> EqualBudget | None:
        """The fairest unit that there is: steps, which no machine decides, before trials."""
        found = (self.budgets.get(unit) for unit in ("epochs", "trials"))
        return next((budget for budget in found if budget and budget.refusal is None), None)


def get_comparison(
    records: Sequence[StudyRecord],
    *,
    n_resamples: int = N_RESAMPLES,
    n_bootstrap: int = N_BOOTSTRAP,
) -> ComparisonInfo:
    """Set studies of different names side by side, and compare what they find for equal budgets.

    A search of budget B with trials of a study draws them at random, with replacement, as long as
    they fit into B, and finds the best value among those drawn. Complete trials with a finite
    error that keep the constraint can be the best; pruned, failed and infeasible ones only spend
    what they ran, and a trial that was answered from a stored curve spends what training it
    would have taken. In trials, each one costs 1, but failed ones of a study of ours, which are
    tried again, nothing. Running and waiting trials are left out, and no budget is larger than
    what the smallest study spent: nothing is extrapolated.

    Drawing with replacement, the best of a whole study is missing from about a third of the
    searches as long as the study itself, so medians are somewhat pessimistic near the end
    (Tang and others); drawing without, all such searches would be the same one.

    Where all trials cost the same, the best of n draws has a known distribution, which is
    used. Where they do not, searches are drawn, and above ``MAX_DRAWS`` draws a budget is
    taken for the number of trials that it buys on average (Dodge and others).

    How sure a probability is, the bootstrap says: each study's trials are resampled and the
    searches repeated with what was drawn. Studies resample by seeds of their own names, so their
    order makes no difference. Verdicts are adjusted for the number of pairs of studies
    (Bonferroni), but not for the budgets of a pair, which mostly agree.

    Args:
        n_resamples: Searches per study and unit, where they are drawn.

    Source: Dodge, Gururangan, Card, Schwartz, Smith, "Show Your Work", EMNLP 2019,
        arXiv:1909.03004; Tang, Lee, Xin, Liu, Yu, Lin, "Showing Your Work Doesn't Always Work",
        ACL 2020, arXiv:2004.13705; equal budgets simulated from the trials of a search: Godbole,
        Dahl, Gilmer, Shallue, Nado, "Deep Learning Tuning Playbook", 2023,
        https://github.com/google-research/tuning_playbook.
    """
    sides = tuple(map(_side, records))
    refusals = tuple(_refusal(side) for side in sides if side.n_candidates < MIN_TRIALS)
    compared = [
        record
        for record, side in zip(records, sides, strict=True)
        if side.n_candidates >= MIN_TRIALS
    ]
    if len({side.objective.direction for side in sides}) > 1:
        compared = []
        refusals = (
            *refusals,
            "Low values are better in one study, high ones in another: nothing is compared.",
        )
    names_of_data = {data_of(record) for record in records}
    data = names_of_data.pop() if len(names_of_data) == 1 else "data"
    incomparable = tuple(_incomparable(sides, data))
    return ComparisonInfo(
        studies=sides,
        budgets={
            unit: _equal_budget(compared, unit, n_resamples, n_bootstrap)
            for unit in UNITS
            if len(compared) > 1
        },
        parameters=_differences([_ranges(record) for record in records]),
        settings=_differences([_settings(record) for record in records]),
        comparable=not incomparable,
        refusals=refusals,
        cautions=(*incomparable, *_cautions(records, sides)),
        n_resamples=n_resamples,
        n_bootstrap=n_bootstrap,
    )


def describe_budget(words: str, amount: float) -> str:
    """Write a budget with what it is counted in, see ``EqualBudget``."""
    if words in ("seconds", "time"):
        return f"{format_duration(amount)}{' of training' if words == 'seconds' else ''}"
    return f"{format_count(round(amount))} {words if round(amount) != 1 else words[:-1]}"


def _side(record: StudyRecord) -> StudySide:
    objective = kind_of(record).objective
    _, errors = _candidates(record)
    quantiles = objective.sign * np.quantile(errors, QUANTILES) if len(errors) else ()
    return StudySide(
        name=record.name,
        ours=is_ours(record),
        settings=SETTINGS.of(record),
        objective=objective,
        summary=get_summary(record),
        n_objectives=len(record.directions),
        n_candidates=len(errors),
        measured_on=_measured_on(record),
        fingerprint=_fingerprint(record),
        quantiles=tuple(map(float, quantiles)),
        distribution=_distribution(errors, objective),
    )


def _settings(record: StudyRecord) -> dict[str, str]:
    """Write the settings of a study that are not told otherwise."""
    settings, second = SETTINGS.of(record), kind_of(record).second
    told = {} if settings is None else settings.to_dict()
    if second is not None and not is_own(record) and "min_accuracy" in told:
        bound = "at least" if second.maximise else "at most"
        told[f"{second.label} {bound}"] = told.pop("min_accuracy")
    return {name: format_value(v) for name, v in told.items() if name not in _DESCRIBED_ELSEWHERE}


def _candidates(record: StudyRecord) -> tuple[list[TrialRecord], np.ndarray]:
    """Return the trials that can be the best, and their values as what is to be low, ascending."""
    found = [(value, trial) for value, trial in ranked(record) if trial.feasible]
    sign = kind_of(record).objective.sign
    return [trial for _, trial in found], sign * np.asarray([value for value, _ in found])


def _distribution(errors: np.ndarray, objective: Metric) -> tuple[tuple[float, float], ...]:
    """Return ascending values with the share of all that is no larger, dense at the best end."""
    n = len(errors)
    if not n:
        return ()
    ranks = np.arange(1, n + 1)
    if n > N_DISTRIBUTION:
        ranks = np.unique(np.geomspace(1, n, N_DISTRIBUTION).round().astype(int))
    if objective.maximise:
        shares = (n - np.searchsorted(errors, errors, side="left")) / n
        return tuple((float(-errors[i - 1]), float(shares[i - 1])) for i in ranks[::-1])
    shares = np.searchsorted(errors, errors, side="right") / n
    return tuple((float(errors[i - 1]), float(shares[i - 1])) for i in ranks)


def _measured_on(record: StudyRecord) -> str:
    own = sampler_of(record) not in (None, IMPORTED)
    default = "validation" if own else "unknown"
    found = sorted({MEASURED_ON.of(t) or default for t in record.complete})
    return " and ".join(found) if found else default


def _fingerprint(record: StudyRecord) -> str | None:
    """Return the digest that the study stores, or the one that all its trials do."""
    settings = SETTINGS.of(record)
    if settings is not None and settings.data_fingerprint != IMPORTED:
        return settings.data_fingerprint
    found = set(map(DATA_FINGERPRINT.of, record.complete))
    return found.pop() if len(found) == 1 else None


def _refusal(side: StudySide) -> str:
    return (
        f"“{side.name}” is left out of the comparison at equal budget: it needs at least "
        f"{MIN_TRIALS} complete trials with a finite {word_for(side.objective)} that keep its "
        f"constraint, and has {side.n_candidates}."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """The trials that searches draw from.

    Args:
        errors: Of those that can be the best, ascending, shape ``(k,)``; of values that are to be
            high, their negatives.
        costs: Of these and then of all others, shape ``(n,)``, all positive.
    """

    study: str
    errors: np.ndarray
    objective: Metric
    costs: np.ndarray
    seed: tuple[int, ...]

    @property
    def total(self) -> float:
        return float(self.costs.sum())

    @property
    def full_cost(self) -> float:
        """What a trial that can be the best usually costs."""
        return float(np.median(self.costs[: len(self.errors)]))

    def is_drawn(self, budget: float) -> bool:
        """Whether searches of up to this budget are drawn rather than computed."""
        return bool(np.ptp(self.costs) > 0 and budget <= MAX_DRAWS * self.costs.mean())

    def survivals(
        self, budgets: np.ndarray, n_searches: int, *, n_resamples: int | None = None
    ) -> list[np.ndarray]:
        """Return the survival function of the best rank at each of ascending budgets.

        Each has a row of shape ``(m + 1,)`` for each resample of the trials, or one for the trials
        themselves.
        """
        n = len(self.costs)
        samples = np.arange(n)[np.newaxis]
        if n_resamples is not None:
            rng = np.random.default_rng((*self.seed, 1))
            samples = rng.integers(0, n, size=(n_resamples, n))
        if self.is_drawn(budgets[-1]):
            return _drawn(self, samples, budgets, n_searches)
        return _computed(self, samples, budgets)


_Searches = tuple[_Pool, list[np.ndarray], list[np.ndarray]]
"""Trials of a study, and the survival functions of searches and of those in resamples."""


def _pool(record: StudyRecord, unit: Unit) -> _Pool | None:
    """Return the trials of a study with their costs, None where finished ones lack theirs."""
    cost_of = _costs(record, unit)
    candidates, errors = _candidates(record)
    numbers = {trial.number for trial in candidates}
    others = [
        trial
        for trial in record.trials
        if trial.number not in numbers
        and (trial.finished or trial.state == TrialState.FAIL)
        and (trial.finished or cost_of(trial) > 0)
    ]
    costs = np.asarray([cost_of(trial) for trial in (*candidates, *others)])
    if not (np.isfinite(costs).all() and (costs > 0).all()):
        return None
    return _Pool(
        study=record.name,
        errors=errors,
        objective=kind_of(record).objective,
        costs=costs.astype(float),
        seed=(0, UNITS.index(unit), zlib.crc32(record.name.encode())),
    )


def _costs(record: StudyRecord, unit: Unit) -> Callable[[TrialRecord], float]:
    """Return what tells the cost of a trial, 0 where it is unknown."""
    if unit == "trials":
        again = is_ours(record)  # is tried what has failed
        return lambda trial: float(trial.finished or not again)
    spent, kind = spent_by(record), kind_of(record)

    def steps(trial: TrialRecord) -> float:
        # Where it was answered from a stored curve, what its training would have taken.
        ran = spent[trial.number].steps or steps_reported(trial)
        if ran == 0 and trial.state == TrialState.COMPLETE:
            ran = kind.n_steps(trial.params) or 0
        return float(ran)

    if unit == "epochs":
        return steps
    trained = [trial for trial in record.trials if REUSED_FROM.of(trial) is None]
    n_steps = sum(map(steps, trained))
    per_step = sum(spent[t.number].seconds for t in trained) / n_steps if n_steps else 0.0

    def seconds(trial: TrialRecord) -> float:
        reused = REUSED_FROM.of(trial) is not None
        own = spent[trial.number].seconds or training_seconds(trial)
        return per_step * steps(trial) if reused else own

    return seconds


def _equal_budget(
    records: Sequence[StudyRecord], unit: Unit, n_resamples: int, n_bootstrap: int
) -> EqualBudget:
    words: str = unit
    if unit == "epochs":  # what the studies call them, if they agree
        steps = {kind_of(record).step for record in records}
        words = plural(steps.pop()) if len(steps) == 1 else "steps"
    if unit == "seconds" and not any(map(is_ours, records)):
        words = "time"
    found = {record.name: _pool(record, unit) for record in records}
    pools = [pool for pool in found.values() if pool is not None]
    none = f"There is no common budget in {words}:"
    if unknown := [name for name, pool in found.items() if pool is None]:
        what = {"seconds": "training time", "time": "time"}.get(words, f"number of {words}")
        do = "do" if len(unknown) > 1 else "does"
        refusal = f"{none} {_names(unknown)} {do} not store the {what} of every trial."
        return EqualBudget(words=words, refusal=refusal)
    smallest = min(pools, key=lambda pool: pool.total)
    dearest = max(pools, key=lambda pool: pool.full_cost)
    if dearest.full_cost > smallest.total:
        refusal = (
            f"{none} all of “{smallest.study}” took {describe_budget(words, smallest.total)}, "
            f"less than a complete trial of “{dearest.study}” usually takes, "
            f"{describe_budget(words, dearest.full_cost)}."
        )
        return EqualBudget(words=words, refusal=refusal)
    total, least = smallest.total, dearest.full_cost
    grid = np.geomspace(least, total, N_POINTS) if total > least else np.asarray([total])
    parts = {max(least, part * total): level for part, level in PARTS}
    if unit != "seconds":
        grid = np.unique(grid.round())
        parts = {float(round(budget)): level for budget, level in parts.items()}
    budgets = np.unique([*grid, *parts])
    at_parts = np.asarray(list(parts))
    searches = [
        (
            pool,
            pool.survivals(at_parts, n_resamples),
            pool.survivals(at_parts, N_INNER, n_resamples=n_bootstrap),
        )
        for pool in pools
    ]
    return EqualBudget(
        words=words,
        limiting=smallest.study,
        curves=tuple(
            BudgetCurve(
                study=pool.study,
                total=pool.total,
                drawn=pool.is_drawn(budgets[-1]),
                points=tuple(
                    _point(pool, float(budget), survival[0])
                    for budget, survival in zip(
                        budgets, pool.survivals(budgets, n_resamples), strict=True
                    )
                ),
            )
            for pool in pools
        ),
        pairs=tuple(
            comparison
            for first, second in combinations(searches, 2)
            for comparison in _pairs(first, second, parts, math.comb(len(searches), 2))
        ),
    )


def _point(pool: _Pool, budget: float, survival: np.ndarray) -> BudgetPoint:
    """Summarise the distribution of the best rank.

    ``survival`` is the probability that the rank, from 0, is at least j, shape ``(m + 1,)``; the
    last one is that of finding nothing.
    """
    reached, sign = 1 - survival[1:], pool.objective.sign

    def quantile(share: float) -> float | None:
        rank = int(np.searchsorted(reached, share - _ROUNDING))
        return sign * float(pool.errors[rank]) if rank < len(reached) else None

    missed = float(survival[-1])
    expected = None
    if missed <= 0.01:
        mean = float((survival[:-1] - survival[1:]) @ pool.errors[: len(reached)])
        expected = sign * mean / (1 - missed)
    ends = quantile(0.05), quantile(0.95)
    low, high = ends[::-1] if pool.objective.maximise else ends
    return BudgetPoint(
        budget=budget,
        median=quantile(0.5),
        low=low,
        high=high,
        expected=expected,
        share_found=1 - missed,
    )


def _pairs(
    first: _Searches, second: _Searches, parts: Mapping[float, float], n_pairs: int
) -> Iterator[PairComparison]:
    """Compare two studies, one of so many pairs, at each of the budgets."""
    (mine, my_searches, my_samples), (theirs, their_searches, their_samples) = first, second
    for j, (budget, level) in enumerate(parts.items()):
        (probability,) = _is_lower(mine.errors, my_searches[j], theirs.errors, their_searches[j])
        scattered = _is_lower(mine.errors, my_samples[j], theirs.errors, their_samples[j])
        tail = (1 - level) / 2
        interval = Interval(*map(float, np.quantile(scattered, [tail, 1 - tail])))
        least, most = np.quantile(scattered, [tail / n_pairs, 1 - tail / n_pairs])
        better = mine.study if least > 0.5 else theirs.study if most < 0.5 else None
        if better is not None:
            verdict = f"“{better}” is better at equal budget"
        elif interval.high - interval.low > WIDE:
            verdict = "it cannot be told which is better"
        else:
            verdict = "there is no evidence of a difference"
        yield PairComparison(
            first=mine.study,
            second=theirs.study,
            budget=budget,
            probability=float(probability),
            interval=interval,
            level=level,
            better=better,
            verdict=verdict,
        )


def _is_lower(
    first: np.ndarray, first_survival: np.ndarray, second: np.ndarray, second_survival: np.ndarray
) -> np.ndarray:
    """Return the probability that the best of the first is lower, ties counted half.

    Errors are ascending, survival functions of shape ``(r, m + 1)``, the answer of ``(r,)``.
    """
    mine = first[: first_survival.shape[1] - 1]
    theirs = second[: second_survival.shape[1] - 1]
    at_least = second_survival[:, np.searchsorted(theirs, mine, side="left")]
    above = second_survival[:, np.searchsorted(theirs, mine, side="right")]
    hits = first_survival[:, :-1] - first_survival[:, 1:]
    wins = np.einsum("ij,ij->i", hits, at_least + above)
    lower: np.ndarray = (wins + first_survival[:, -1] * second_survival[:, -1]) / 2
    return lower.clip(0, 1)


def _drawn(
    pool: _Pool, samples: np.ndarray, budgets: np.ndarray, n_searches: int
) -> list[np.ndarray]:
    """Draw searches trial by trial until all have spent the largest budget."""
    rng = np.random.default_rng((*pool.seed, 0))
    n_resamples, n = samples.shape
    k = len(pool.errors)
    rows = np.repeat(np.arange(n_resamples), n_searches)
    limits = (budgets * (1 + _ROUNDING))[:, np.newaxis]
    spent = np.zeros(len(rows))
    best = np.full((len(budgets), len(rows)), k)
    while (spent <= limits[-1]).any():
        trials = samples[rows, rng.integers(0, n, size=len(rows))]
        spent += pool.costs[trials]
        np.minimum(best, np.where(spent <= limits, np.minimum(trials, k), k), out=best)
    survivals = []
    for ranks in best:
        counts = np.bincount(rows * (k + 1) + ranks, minlength=n_resamples * (k + 1))
        shares = counts.reshape(n_resamples, k + 1) / n_searches
        survivals.append(np.cumsum(shares[:, ::-1], axis=1)[:, ::-1])
    return survivals


def _computed(pool: _Pool, samples: np.ndarray, budgets: np.ndarray) -> list[np.ndarray]:
    """Compute the distribution of the best of as many draws as each budget buys on average.

    The best of n draws has a rank of at least j if none is among the j best.
    """
    n_resamples, n = samples.shape
    equal = np.ptp(pool.costs) == 0
    prices = pool.costs[samples].mean(axis=1, keepdims=True)
    survivals = []
    rows = np.arange(n_resamples)[:, np.newaxis]
    counts = np.bincount((rows * n + samples).ravel(), minlength=n_resamples * n)
    counts = counts.reshape(n_resamples, n)[:, : len(pool.errors)]
    share = np.cumsum(counts, axis=1) / n
    for budget in budgets:
        n_draws = budget / prices
        if equal:
            n_draws = np.floor(n_draws * (1 + _ROUNDING))
        likely = n * (1 - _NEVER ** (1 / max(1.0, float(n_draws.min()))))
        m = min(len(pool.errors), math.ceil(likely + 6 * math.sqrt(likely) + 10))
        survival = np.ones((n_resamples, m + 1))
        survival[:, 1:] = np.maximum(0, 1 - share[:, :m]) ** n_draws
        survivals.append(survival)
    return survivals


def _incomparable(sides: Sequence[StudySide], data: str) -> Iterator[str]:
    """Say why the studies' errors may not compare."""
    word = word_for(sides[0].objective)
    if len({side.objective.label for side in sides}) > 1:
        yield (
            "The studies search for different things: "
            f"{_each(sides, lambda side: side.objective.label)}."
        )
    if not any(side.ours for side in sides):
        yield (
            f"On which data {_names([side.name for side in sides])} measured their values is not "
            "stored, so whether they compare is for the reader to judge."
        )
        return
    known = {side.judged_on for side in sides if side.judged_on is not None}
    if len(known) > 1:
        yield (
            f"{word.capitalize()}s were measured on other {data}: the data fingerprints ({data} "
            f"and their split) differ, {_each(sides, lambda s: s.fingerprint or 'unknown')}. "
            f"A difference may be one of the {data}, not of the searches."
        )
    unknown = [side.name for side in sides if side.fingerprint is None]
    if unknown:
        yield (
            f"It is unknown on which {data} {_names(unknown)} measured "
            f"{'their' if len(unknown) > 1 else 'its'} {word}s, so they may not compare with "
            "others."
        )
    if len({side.measured_on for side in sides}) > 1 or sides[0].measured_on != "validation":
        yield (
            f"The split of the {word}s is {_each(sides, lambda side: side.measured_on)}. "
            f"{word.capitalize()}s of different splits may not compare, and a test split that "
            "chose the best trial is no test any more."
        )


def _cautions(records: Sequence[StudyRecord], sides: Sequence[StudySide]) -> Iterator[str]:
    """Say what else limits the meaning of the numbers."""
    arms = [record.name for record in records if not is_search(record)]
    searches = [side for side in sides if side.name not in arms]
    adaptive = [side for side in searches if side.sampler in ADAPTIVE_SAMPLERS]
    unknown = [
        side.name
        for side in searches
        if side.sampler not in (*ADAPTIVE_SAMPLERS, *NON_ADAPTIVE_SAMPLERS)
    ]
    if arms:
        yield (
            f"The trials of {_names(arms)} are chosen arms of an experiment, not a search of a "
            "space."
        )
    if adaptive:
        yield (
            "A sampler chose trials by earlier results, "
            f"{_each(adaptive, lambda side: format_sampler(side.sampler or ''))}, so they are no "
            "random sample: a resampled search draws early and late trials alike and is not what "
            "the sampler would have done with a smaller budget."
        )
    if unknown:
        yield (
            f"How the trials of {_names(unknown)} were chosen is unknown; resampling is fair if "
            "no result had a part in it."
        )
    for record, side in zip(records, sides, strict=True):
        warm = [*filter(None, map(WARM_START.of, record.trials))]
        if warm:
            origins = sorted({origin.rpartition(", trial ")[0] for origin in warm})
            yield (
                f"{format_count(len(warm))} trial{'s' * (len(warm) != 1)} of “{record.name}” "
                f"began with the best points of {_names(origins)}, whose search is a part of what "
                "found them."
            )
        if n := side.summary.n_infeasible:
            breaks, spends = ("breaks", "spends its") if n == 1 else ("break", "spend their")
            yield (
                f"{format_count(n)} complete trial{'s' * (n != 1)} of “{record.name}” {breaks} "
                f"the constraint and {spends} budget, but cannot be the best."
            )

    def kind(side: StudySide) -> str:
        return "unknown" if side.settings is None else side.settings.kind

    if len(set(map(kind, sides))) > 1:
        why = ": a model that also classifies may pay for it with a higher error"
        why = why if any(map(is_own, records)) else ""
        yield f"The studies are of different kinds, {_each(sides, kind)}{why}."


def _names(names: Sequence[str]) -> str:
    return " and ".join(f"“{name}”" for name in names)


def _each(sides: Sequence[StudySide], text: Callable[[StudySide], str]) -> str:
    return ", ".join(f"{text(side)} in “{side.name}”" for side in sides)


def _differences(studies: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return the texts of what differs between studies, by its name."""
    names = dict.fromkeys(name for texts in studies for name in texts)
    rows = [(name, tuple(own.get(name, MISSING) for own in studies)) for name in names]
    return {name: texts for name, texts in rows if len(set(texts)) > 1}


def _ranges(record: StudyRecord) -> dict[str, str]:
    """Write the range of each parameter of a study, as its trials store it."""
    wording = kind_of(record).wording
    found: dict[str, dict[str, None]] = {}
    for trial in record.trials:
        for name, distribution in trial.distributions.items():
            found.setdefault(name, {})[_range(name, distribution, wording)] = None
    return {name: "; ".join(found.get(name, [MISSING])) for name in parameter_names(record)}


def _range(name: str, distribution: BaseDistribution, wording: Wording) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return ", ".join(wording.value(choice, name) for choice in distribution.choices)
    low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
    if low == high:
        return format_value(low)
    scale = ", log" if getattr(distribution, "log", False) else ""
    return f"{format_value(low)} to {format_value(high)}{scale}"
