"""What a random forest needs to predict a metric: the importances that lead, and interactions.

A forest learns to predict the metric of all trials, or of one branch (one family), from the
parameters. How well it predicts trials that it has not seen decides whether it is asked any
further.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from scipy import stats

from search_spaces import Scalar
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    by_configuration,
    family_of,
    is_independent,
    kind_of,
    parameter_names,
    ranked,
)
from study.analysis.estimates import Interval
from study.analysis.magnitude import tamed
from study.formats import format_number
from study.metrics import Metric

MIN_TRIALS, MAX_TRIALS = 30, 200
"""Trials of a branch that a forest needs, and is grown on; of more, so many are drawn."""

MIN_R2 = 0.2
"""Share of the metric's variance that the forest must predict to be asked any further."""

N_TREES, N_FOLDS, N_REPEATS, N_PERMUTATIONS = 20, 5, 2, 5
N_SPLITS, HALF_TREES, HALF_PERMUTATIONS = 8, 5, 3
"""Of splits into halves for the intervals, which the scatter of so few trees only widens."""

_MIN_ERROR = 1e-4
"""Unexplained share of the variance below which halves are not told apart."""

_MAX_GROWTH = 2.0
"""Ratio of importances in all trials and in half of them that is believed at most."""

MIN_INTERACTION = 0.05
"""Share of the variance below which an interaction is not called one: forests draw steps, whose
joints look like weak interactions where there is little noise."""

N_INTERACTING, N_POINTS = 4, 20
"""Parameters whose pairs are looked at; trials that partial dependences are averaged over."""

INTERACTION_TREES = 12

N_NULL_REFITS = 19
"""Forests without an interaction: more than the largest of 19 has a probability of 1 in 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterImportance:
    """How far a forest needs one parameter.

    Args:
        rise: Of the squared error on held-out trials when the parameter's values are permuted
            among them, in units of the metric's variance; may be negative.
        interval: In 95 % of studies those of all parameters hold at once.
    """

    name: str
    rise: float
    interval: Interval

    @property
    def needed(self) -> bool:
        """Whether the importance can be told from zero."""
        return self.interval.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateInfo:
    """A forest, how well it predicts, and what it needs for that.

    Args:
        log: Whether the forest predicts the decimal logarithm of the metric.
        n_trials, n_used: With a finite value, each configuration once, and drawn for the forest.
        independent: Whether a design chose the trials; else intervals do not hold what they say.
        r2: Share of the variance that is predicted on held-out trials, None without a forest.
        parameters: Most important first; empty after a refusal.
    """

    metric: Metric
    log: bool
    n_trials: int
    n_used: int
    independent: bool
    n_folds: ClassVar[int] = N_FOLDS
    n_repeats: ClassVar[int] = N_REPEATS
    n_splits: ClassVar[int] = N_SPLITS
    r2: float | None = None
    parameters: tuple[ParameterImportance, ...] = ()
    refusal: str | None

    @property
    def needed(self) -> tuple[str, ...]:
        """The parameters whose importance can be told from zero."""
        return tuple(p.name for p in self.parameters if p.needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """How far the effect of one parameter depends on another, the less important one.

    Args:
        share: Variance of the joint partial dependence that is not the sum of the single ones,
            in units of the metric's variance.
        real: Whether the share exceeds the null level and a hundredth.
    """

    first: str
    second: str
    share: float
    real: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionsInfo:
    """Pairwise interactions of the most important parameters that a forest needs.

    Args:
        pairs: Strongest first; empty after a refusal.
        null_level: Largest share of any pair in forests of data without interactions, which the
            largest share of such data exceeds in one of 20 studies. None after a refusal.
    """

    pairs: tuple[Interaction, ...] = ()
    null_level: float | None = None
    refusal: str | None = None


_Settings = tuple[Mapping[str, Scalar], Mapping[str, BaseDistribution]]
"""Parameters of a trial, or of none yet, and their ranges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """The trials of one branch as a regression problem.

    Args:
        trials: Those drawn, in the order of their numbers, of ``n_trials``.
        y: Loss of each, shape ``(n,)``, in some unit: low is good.
        names: Of the parameters.
        values: Theirs as numbers, shape ``(n, n_parameters)``; NaN where a trial lacks one.
        x: The same, filled.
    """

    trials: tuple[TrialRecord, ...]
    n_trials: int
    y: np.ndarray
    unit: float
    log: bool
    names: tuple[str, ...]
    values: np.ndarray
    x: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """Which parameters each trial has."""
        return np.asarray(~np.isnan(self.values))


def get_branch(
    record: StudyRecord,
    *,
    metric: Metric | None = None,
    family: str | None = None,
) -> Branch:
    """Encode the trials of one branch, each configuration once, at most ``MAX_TRIALS`` of them.

    Trials with equal settings are one, with their mean value: apart, a forest would know those
    that it is asked to predict.

    Each parameter is one column. What was searched on a logarithmic scale enters as its
    logarithm. Categories are numbered, in their own order if they are numbers, else by name: a
    tree singles out any category by two splits, so the order matters little, and a parameter
    stays one column. Trials without a conditional parameter get the value of some trial that has
    it: it means nothing there, and that it is not there is told by the condition alone, so a
    forest needs the condition for that and not what it switches on.

    Args:
        record: Its complete trials with a finite value count.
        metric: None for the objective. A positive loss that spans more than a decade enters as
            its logarithm, lest a few bad trials make up all of its variance.
        family: The branch, or None for all trials.

    Source: Wright, König, "Splitting on categorical predictors in random forests", PeerJ 7, 2019.
    """
    kind = kind_of(record)
    metric = metric or kind.objective
    members = [
        (metric.sign * value, trial)
        for value, trial in by_configuration(ranked(record, metric=metric))
        if family is None or family_of(trial, kind.family) == family
    ]
    members.sort(key=lambda item: item[1].number)
    n_trials = len(members)
    rng = np.random.default_rng(0)
    losses, unit = tamed(np.asarray([loss for loss, _ in members]))
    log = bool(n_trials and losses.min() > 0 and losses.max() > 10 * losses.min())
    if n_trials > MAX_TRIALS:
        drawn = np.sort(rng.choice(n_trials, size=MAX_TRIALS, replace=False))
        members, losses = [members[i] for i in drawn], losses[drawn]
    trials = [trial for _, trial in members]
    settings = [(trial.params, trial.distributions) for trial in trials]
    encoded = {
        name: _encode(name, settings)
        for name in parameter_names(record)
        if any(name in trial.params for trial in trials)
    }
    names = tuple(name for name, own in encoded.items() if np.nanmin(own) < np.nanmax(own))
    values = np.reshape([encoded[name] for name in names], (len(names), len(trials))).T
    return Branch(
        trials=tuple(trials),
        n_trials=n_trials,
        y=np.log10(losses) if log else losses,
        unit=unit,
        log=log,
        names=names,
        values=values,
        x=_filled(values, rng),
    )


def get_surrogate(
    record: StudyRecord, *, metric: Metric | None = None, family: str | None = None
) -> SurrogateInfo:
    """Ask a random forest how well parameters predict the metric, and which it needs for that.

    A parameter's values are permuted among the held-out trials that have it. For a parameter
    without effect, the expected increase of the error is zero where trials are independent, and
    next to it on a grid. Permuting what explains a share of the variance S adds about 2 S, so
    importances are no shares: those of parameters that act together may sum to more. Parameters
    that depend on each other share their importance.

    The intervals are for the mean over many studies of the same size, not for what a forest would
    learn from endless trials, which of a weak effect is more. They come from random halves of the
    trials, each of which goes through all of it anew, and hold all parameters at once, more often
    than in 95 of 100 studies. What they hold is measured in
    ``tests/study_tests/analysis/test_naming.py``, of random searches of 30 to 200 trials; where a
    sampler learned from results they hold all parameters in 83 to 93 of 100 studies, so they are
    not shown there, and a lower end above zero is but a rule, whose mistakes are measured as well.

    Source: Breiman, "Random Forests", Machine Learning 45, 2001, for forest and permutation, here
        on the held-out folds of a repeated cross-validation. Variance by what disjoint halves
        differ: Wang, Lindsay, "Variance estimation of a general U-statistic with application to
        cross-validation", 2014; by subsets of importances: Ishwaran, Lu, "Standard errors and
        confidence intervals for variable importance in random forest", 2019. The rules of how
        scatter grows with the estimate are this module's own and rest on the simulations.
    """
    metric = metric or kind_of(record).objective
    branch = get_branch(record, metric=metric, family=family)
    info = SurrogateInfo(
        metric=metric,
        log=branch.log,
        n_trials=branch.n_trials,
        n_used=len(branch.trials),
        independent=is_independent(record),
        refusal=_refusal(branch, metric),
    )
    if info.refusal is not None:
        return info
    rng = np.random.default_rng(0)
    everything = np.arange(len(branch.y))
    estimates = _cross_validate(
        branch, everything, rng, N_TREES, N_PERMUTATIONS, n_repeats=N_REPEATS, told=True
    )
    halves = [
        [_cross_validate(branch, half, rng, HALF_TREES, HALF_PERMUTATIONS) for half in split]
        for split in _splits(len(branch.y), rng)
    ]
    deviations = _deviations(estimates, np.asarray(halves))
    error, rises = float(estimates[0]), estimates[1:]
    r2 = 1 - error
    if r2 < MIN_R2 or error * math.exp(float(_half_width(deviations[:, 0]))) >= 1:
        return replace(info, r2=r2, refusal=_too_weak(metric, r2))
    low, high = _ends(rises, _half_width(deviations[:, 1:], n_at_once=len(rises)))
    parameters = tuple(
        ParameterImportance(
            name=branch.names[i],
            rise=float(rises[i]),
            interval=Interval(float(low[i]), float(high[i])),
        )
        for i in np.argsort(-rises, kind="stable")
    )
    return replace(info, r2=r2, parameters=parameters)


def get_forest(record: StudyRecord) -> tuple[SurrogateInfo, InteractionsInfo]:
    """Return what a forest of all trials needs for the objective, and what of it acts together."""
    surrogate = get_surrogate(record)
    return surrogate, get_interactions(record, surrogate)


def get_interactions(record: StudyRecord, surrogate: SurrogateInfo) -> InteractionsInfo:
    """Find out which of the parameters that a forest of all trials needs act together, of four.

    The joint effect of two parameters, averaged over all others, is compared with the sum of
    their single effects. Forests see interactions even where there are none, so the same is
    done with data of which the additive part is kept and the rest shuffled.

    Source: the numerator of the H statistic and its null distribution: Friedman, Popescu,
        "Predictive learning via rule ensembles", 2008, sections 8.1 and 8.3; without its
        denominator, which makes large what is small in both: Inglis, Parnell, Hurley, JCGS 31,
        2022; level by the maximum: Westfall, Young, "Resampling-Based Multiple Testing", 1993.
    """
    branch = get_branch(record, metric=surrogate.metric)
    names, present = branch.names, branch.present
    top = [names.index(name) for name in surrogate.needed[:N_INTERACTING]]
    rng = np.random.default_rng(0)
    points = {}
    for first, second in combinations(top, 2):
        rows = np.flatnonzero(present[:, first] & present[:, second])
        drawn = rng.choice(rows, size=min(N_POINTS, len(rows)), replace=False)
        if len(drawn) == N_POINTS:
            points[first, second] = drawn
    refusal = surrogate.refusal
    if refusal is None and not points:
        refusal = (
            f"No two parameters that the forest needs vary together in at least {N_POINTS} trials."
        )
    if refusal is not None:
        return InteractionsInfo(refusal=refusal)
    x, y = branch.x, (branch.y - branch.y.mean()) / branch.y.std()
    shares = _interaction_shares(x, y, points, rng)
    null_level = max(
        float(_interaction_shares(x, shuffled, points, rng).max())
        for shuffled in _without_interactions(x, y, rng)
    )
    pairs = [(names[first], names[second]) for first, second in points]
    return InteractionsInfo(
        pairs=tuple(
            Interaction(
                first=pairs[i][0],
                second=pairs[i][1],
                share=float(shares[i]),
                real=bool(shares[i] > max(null_level, MIN_INTERACTION)),
            )
            for i in np.argsort(-shares, kind="stable")
        ),
        null_level=null_level,
    )


def predict(
    record: StudyRecord, points: Sequence[Mapping[str, Scalar]], *, metric: Metric | None = None
) -> np.ndarray:
    """Predict the metric of configurations that were not tried, by a forest of all branches.

    There is at least one complete trial. A forest never predicts more or less than it has seen:
    read the numbers with the R2 of ``get_surrogate``.
    """
    metric = metric or kind_of(record).objective
    branch = get_branch(record, metric=metric)
    ranges = {name: d for trial in branch.trials for name, d in trial.distributions.items()}
    known = [(trial.params, trial.distributions) for trial in branch.trials]
    settings = [*known, *((point, ranges) for point in points)]
    rng = np.random.default_rng(0)
    if not branch.names:
        predicted = np.full(len(points), branch.y.mean())
    else:
        from sklearn.ensemble import RandomForestRegressor

        n = len(branch.trials)
        values = np.column_stack([_encode(name, settings) for name in branch.names])
        x, lacking = _filled(values, rng), np.isnan(values)
        lacking[:n] = False
        x = np.where(lacking, np.nanmedian(values[:n], axis=0), x)
        state = int(rng.integers(2**31))
        forest = RandomForestRegressor(n_estimators=N_TREES, random_state=state)
        predicted = forest.fit(x[:n], branch.y).predict(x[n:])
    losses = 10**predicted if branch.log else predicted
    return np.asarray(metric.sign * losses * branch.unit)


def _filled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return columns of numbers, one of another row's where there is none."""
    filled = np.empty(values.shape)
    for i, column in enumerate(values.T):
        drawn = rng.choice(column[~np.isnan(column)], size=len(column))
        filled[:, i] = np.where(np.isnan(column), drawn, column)
    return filled


def _encode(name: str, settings: Sequence[_Settings]) -> np.ndarray:
    """Return the values of a parameter as numbers, NaN where there is none."""
    having = [params[name] for params, _ in settings if name in params]
    distributions = [ranges.get(name) for params, ranges in settings if name in params]
    numeric = [d for d in distributions if isinstance(d, FloatDistribution | IntDistribution)]
    if not having or len(numeric) < len(having):
        numbers = all(isinstance(value, int | float) for value in having)
        order = sorted(set(having), key=lambda v: (float(v or 0) if numbers else 0.0, str(v)))
        codes = {value: float(code) for code, value in enumerate(order)}
        coded = [codes[params[name]] if name in params else np.nan for params, _ in settings]
        return np.asarray(coded)
    values = np.asarray([float(params.get(name, np.nan) or 0.0) for params, _ in settings])
    on_a_log_scale = all(d.log for d in numeric) and np.nanmin(values) > 0
    return np.asarray(np.log10(values)) if on_a_log_scale else values


def _refusal(branch: Branch, metric: Metric) -> str | None:
    if branch.n_trials < MIN_TRIALS:
        n = branch.n_trials
        which = f"{MIN_TRIALS} complete trials with different settings"
        return f"Importances need at least {which}, but there are {n}."
    if not branch.names:
        return "No parameter varies among these trials."
    if np.ptp(branch.y) == 0:
        return f"All of these trials have the same {metric.label}."
    return None


def _too_weak(metric: Metric, r2: float) -> str:
    why = f"at least {MIN_R2} is needed"
    if r2 >= MIN_R2:
        why = "so few trials cannot tell that from chance"
    return (
        f"That the {metric.label} is predictable from these parameters is not shown: "
        f"R2 = {format_number(r2, 2)} on trials that the forest had not seen; {why}."
    ).replace("-", "\N{MINUS SIGN}")


def _cross_validate(
    branch: Branch,
    members: np.ndarray,
    rng: np.random.Generator,
    n_trees: int,
    n_permutations: int,
    *,
    n_repeats: int = 1,
    told: bool = False,
) -> np.ndarray:
    """Return the error on held-out trials and how far each parameter's permutation raises it.

    A permutation shifts the values along a random circle of the held-out trials, so that no
    trial keeps its own. Where some trials lack a parameter, the error is that of a forest which
    is told so, if asked for; the increases are those of one which is not: else a parameter that
    comes with a condition would tell of the condition. The result has shape
    ``(1 + n_parameters,)``, in units of the members' variance; it is an error of 1 and no
    increases where they do not differ.
    """
    x, y = branch.x[members].astype(np.float32), branch.y[members]
    present = branch.present[members]
    n_parameters = x.shape[1]
    if y.std() == 0:
        return np.asarray([1.0] + [0.0] * n_parameters)
    y = (y - y.mean()) / y.std()  # trees take differences below 1e-8 for none
    told, known = told and not present.all(), x
    if told:
        none = np.nanmin(branch.values, axis=0) - 1  # below all that there are
        known = np.where(present, branch.values[members], none).astype(np.float32)
    found = []
    for _ in range(n_repeats):
        shuffled = rng.permutation(len(y))
        for held_out in np.array_split(shuffled, N_FOLDS):
            learned = np.setdiff1d(shuffled, held_out)
            # The trials as they are, then each parameter permuted.
            tables = np.tile(x[held_out], (1 + n_parameters * n_permutations, 1, 1))
            for i in range(n_parameters):
                circle = rng.permutation(np.flatnonzero(present[held_out, i]))
                n, values = len(circle), np.tile(x[held_out[circle], i], 2)
                for k in range(n_permutations if n > 1 else 0):
                    shift = 1 + k % (n - 1)
                    table = tables[1 + i * n_permutations + k]
                    table[circle, i] = values[n - shift : 2 * n - shift]
            predicted = _bagged(x[learned], y[learned], tables, n_trees, rng)
            errors = ((predicted - y[held_out]) ** 2).mean(axis=1)
            permuted = errors[1:].reshape(n_parameters, -1).mean(axis=1)
            error = errors[0]
            if told:
                (better,) = _bagged(
                    known[learned], y[learned], known[None, held_out], n_trees, rng
                )
                error = ((better - y[held_out]) ** 2).mean()
            found.append([error, *(permuted - errors[0])])
    return np.asarray(np.mean(found, axis=0))


def _bagged(
    x: np.ndarray, y: np.ndarray, tables: np.ndarray, n_trees: int, rng: np.random.Generator
) -> np.ndarray:
    """Return what a random forest predicts, like sklearn's in half of the time for few trees.

    ``x`` and ``tables``, of shape ``(n_tables, n_rows, n_parameters)``, are in single precision.
    """
    from sklearn import config_context
    from sklearn.tree import DecisionTreeRegressor

    n, rows = len(y), tables.reshape(-1, tables.shape[-1])
    state = np.random.RandomState(int(rng.integers(2**31)))
    predicted = np.zeros(len(rows))
    with config_context(skip_parameter_validation=True, assume_finite=True):
        for _ in range(n_trees):
            counts = np.bincount(rng.integers(0, n, size=n), minlength=n).astype(float)
            tree = DecisionTreeRegressor(random_state=state)
            tree.fit(x, y, sample_weight=counts, check_input=False)
            predicted += tree.predict(rows, check_input=False)
    return np.asarray(predicted.reshape(tables.shape[:2]) / n_trees)


def _splits(n_trials: int, rng: np.random.Generator) -> list[list[np.ndarray]]:
    """Return the places of the trials in random splits into halves."""
    return [np.array_split(rng.permutation(n_trials), 2) for _ in range(N_SPLITS)]


def _deviations(estimates: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """Return how far estimates may lie from their expectation, by what two halves differ.

    Two halves share no trial, so half of their difference varies like the mean of two estimates
    from half as many trials each, which is like one from all of them. Where errors and
    importances change with the number of trials, so does their scatter: that of an error like
    the error itself, so its logarithm is compared, and that of an importance like its root,
    between what noise does, which is the same for all, and what drawing trials does, which is in
    proportion.

    ``estimates`` are error and importances from all trials, shape ``(1 + n_parameters,)``, and
    ``halves`` those from halves, shape ``(n_splits, 2, 1 + n_parameters)``.
    """
    logs = np.log(np.maximum(halves[..., :1], _MIN_ERROR))
    differences = np.diff(np.concatenate([logs, halves[..., 1:]], axis=-1), axis=1)[:, 0] / 2
    means = halves[..., 1:].mean(axis=(0, 1))
    growth = np.divide(estimates[1:], means, out=np.ones_like(means), where=means > 0)
    differences[:, 1:] *= np.sqrt(np.clip(growth, 1, _MAX_GROWTH))
    return np.asarray(differences)


def _half_width(deviations: np.ndarray, *, n_at_once: int = 1) -> np.ndarray:
    """Return half of the 95 % interval from deviations with a mean of zero.

    So many intervals hold at once (Bonferroni). Each split counts as two observations: what its
    few trees add to the scatter makes up for the rest of Student's quantile.
    """
    t = float(stats.t.ppf(1 - 0.025 / n_at_once, 2 * len(deviations)))
    return np.asarray(t * np.sqrt((deviations**2).mean(axis=0)))


def _ends(importances: np.ndarray, half_widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of intervals of importances, whose variance grows with them.

    An end is the importance ``x`` that lies just so far from the estimate as its own scatter
    allows: ``(x - estimate)² = half_width² (1 + (x - estimate) / m)``, where ``m`` is the
    estimate, or the half-width if that is more, as noise does not shrink with the importance. A
    symmetric interval would hold zero for many weak effects, and miss more means above than below.

    Source: like the score interval of a proportion: Wilson, "Probable inference", 1927; variance
        in proportion to the mean: Bartlett, "The use of transformations", 1947.
    """
    at_least = np.maximum(importances, half_widths)
    skew = np.divide(half_widths, 2 * at_least, out=np.zeros_like(half_widths), where=at_least > 0)
    root = np.sqrt(1 + skew**2)
    return importances + half_widths * (skew - root), importances + half_widths * (skew + root)


def _interaction_shares(
    x: np.ndarray,
    y: np.ndarray,
    points: dict[tuple[int, int], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the interaction of each pair in a forest."""
    single = x.astype(np.float32)
    tables = []
    for pair, rows in points.items():
        for columns in (pair, pair[:1], pair[1:]):
            # Every row with the values of every other in some columns, by the latter.
            table = np.tile(single[rows], (N_POINTS, 1))
            table[:, columns] = np.repeat(single[rows][:, columns], N_POINTS, axis=0)
            tables.append(table)
    predicted = _bagged(single, y, np.asarray(tables), INTERACTION_TREES, rng)
    means = predicted.reshape(len(points), 3, N_POINTS, N_POINTS).mean(axis=-1)
    both, first, second = np.moveaxis(means - means.mean(axis=-1, keepdims=True), 1, 0)
    return np.asarray(((both - first - second) ** 2).mean(axis=-1) / y.var())


def _without_interactions(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return metrics that keep the additive part of the real one, with its residuals shuffled.

    Where the forest predicts unseen trials better than the additive part fits them, an interaction
    is in the residuals, which are then shrunk to the forest's, lest it count as noise.
    """
    from sklearn.ensemble import GradientBoostingRegressor

    # Trees of one split each add up to an additive function.
    model = GradientBoostingRegressor(max_depth=1, random_state=0)
    additive = model.fit(x, y).predict(x)
    residuals = y - additive
    unseen = np.empty_like(y)
    single = x.astype(np.float32)
    for held_out in np.array_split(rng.permutation(len(y)), N_FOLDS):
        learned = np.setdiff1d(np.arange(len(y)), held_out)
        (predicted,) = _bagged(single[learned], y[learned], single[None, held_out], N_TREES, rng)
        unseen[held_out] = y[held_out] - predicted
    shrinkage = min(1.0, unseen.std() / max(residuals.std(), np.finfo(float).tiny))
    return [additive + shrinkage * rng.permutation(residuals) for _ in range(N_NULL_REFITS)]
