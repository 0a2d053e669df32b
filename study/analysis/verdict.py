"""What to make of a study: checks that a careful reader would do, each with a next step.

Every check is a function of what is known of the study that returns a ``Check``, or None where it
does not apply. What it needs from another analysis is handed in.

Source: the checks are those of the "Deep Learning Tuning Playbook" (Godbole, Dahl, Gilmer,
    Shallue, Nado, 2023), sections on exploration and on the analysis of training curves, and of
    what went wrong in the notebook that this package replaces.
"""

import enum
import itertools
import math
import shlex
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState
from scipy import stats

from search_spaces import Scalar, SearchSpace
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis import (
    NEAR,
    begun_again,
    is_near,
    is_own,
    kind_of,
    metric_named,
    ranked,
    reference_of,
    settings_of,
    word_for,
)
from study.formats import format_count, format_label, format_percent, format_value, plural

MIN_NEAR, MIN_COMPLETE = 5, 20
MAX_FAILED, MAX_FAILED_BADLY = 0.05, 0.25
STUCK = 0.97  # a training whose lowest value is not below this share of its first learned nothing
LATE, STILL_FALLING = 0.05, 0.01  # the last part of a training, and a gain in it that counts
OVERFITTING, NOISY = 1.1, 0.1
MIN_AGREEMENT, MAX_DUPLICATES, MIN_BUSY, MAX_IMBALANCE = 0.5, 0.2, 0.6, 0.1
ZOMBIE_FACTOR, ZOMBIE_MIN_S = 10.0, 600.0
LOWER, UPPER = "the lower end", "the upper end"


class Level(enum.IntEnum):
    """How bad it is."""

    PASS = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding, and the command that does something about it, if there is one."""

    name: str
    level: Level
    sentence: str
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictInfo:
    """All checks that apply to a study, worst first."""

    checks: tuple[Check, ...]

    @property
    def level(self) -> Level:
        """The worst of them."""
        return max((check.level for check in self.checks), default=Level.PASS)


def get_verdict(
    record: StudyRecord,
    *,
    now: datetime,
    relative_noise: float | None = None,
    predictable: bool | None = None,
) -> VerdictInfo:
    """Check a study.

    Args:
        now: The time, with its zone, for trials that still run.
        relative_noise: Scatter between replicates, as ``noise.get_noise`` gives it.
        predictable: Whether a model of the parameters tells the error of unseen trials; None
            if that was not tried.

    Returns:
        At least one check.
    """
    study = _Study(record)
    found = [
        _enough_trials(study),
        _near_the_best(study),
        _boundary(study),
        _failures(study),
        _stuck(study),
        _last_steps(study),
        _overfitting(study),
        _noisy_tail(study),
        _default(study),
        _noise(study, relative_noise),
        _predictable(study, predictable),
        _pruner(study),
        _duplicates(study),
        _idle_workers(study),
        _zombies(study, now),
        _leakage(study),
        _balance(study),
    ]
    applying = [check for check in found if check is not None]
    return VerdictInfo(checks=tuple(sorted(applying, key=lambda check: -check.level)))


class _Study:
    """What several checks ask of a study."""

    def __init__(self, record: StudyRecord) -> None:
        self.record, self.trials = record, record.trials
        self.kind, self.own = kind_of(record), is_own(record)
        self.settings = settings_of(record)
        self.in_notebook = self.settings.get("space") == "notebook"
        self.by_design = self.settings.get("sampler") == "grid"
        self.ranked = ranked(record)
        feasible = [found for found in self.ranked if found[1].feasible]
        self.values = [value for value, _ in feasible]
        self.best = feasible[0][1] if feasible else None
        self.word = word_for(self.kind.objective)
        self.steps = plural(self.kind.step)

    def run(self, options: str) -> str | None:
        """Return a command that goes on with the study, None if it cannot be continued."""
        kind, imported = reference_of(self.record), attrs.IMPORTED in self.record.user_attrs
        if kind is None or imported or self.settings.get("sampler") == "paired":
            return None
        return f"emoji-study run {shlex.quote(kind)} --study {self.name} {options}"

    def new_study(self, options: str) -> str | None:
        """Return a command that begins another study where this one ends."""
        kind, new = reference_of(self.record), shlex.quote(f"{self.record.name}-2")
        if kind is None:
            return None
        run = f"emoji-study run {shlex.quote(kind)} --study {new}"
        return f"{run} --warm-start {self.name} {options}"

    def wider(self, options: str = "") -> str | None:
        """Return a command that searches the wider space of this package's kinds."""
        return self.new_study(f"--space extended{options}") if self.own else None

    @property
    def name(self) -> str:
        """The study's name, for a shell."""
        return shlex.quote(self.record.name)


def _check(
    name: str, bad: bool, good: str, wrong: str, command: str | None = None, severe: bool = False
) -> Check:
    if not bad:
        return Check(name=name, level=Level.PASS, sentence=good)
    level = Level.FAIL if severe else Level.WARN
    return Check(name=name, level=level, sentence=wrong, command=command)


def _enough_trials(study: _Study) -> Check:
    n = len(study.ranked)
    return _check(
        "number of trials",
        n < MIN_COMPLETE,
        f"{format_count(n)} complete trials.",
        f"Only {n} complete trials: fewer than {MIN_COMPLETE} say little.",
        study.run(f"--trials {max(1, MIN_COMPLETE - n)}"),
        severe=n < MIN_COMPLETE // 4,
    )


def _near_the_best(study: _Study) -> Check | None:
    values = study.values
    if len(values) < MIN_COMPLETE:
        return None
    near = sum(is_near(value, values[0]) for value in values)
    return _check(
        "trials near the best",
        near < MIN_NEAR,
        f"{format_count(near)} trials lie within {format_percent(NEAR)} of the best.",
        f"Only {near} of {format_count(len(values))} trials lie within {format_percent(NEAR)} of "
        "the best: it may be luck, and the region around it is hardly known.",
        # A grid has no point in between.
        study.wider() if study.by_design else study.run(f"--trials {len(values)}"),
    )


def _boundary(study: _Study) -> Check | None:
    best, space = study.best, study.kind.space
    if best is None:
        return None
    edges = [
        f"{format_label(name)} {format_value(value)} ({edge} of its range)"
        for name, value in best.params.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and (edge := _edge(value, best.distributions[name])) is not None
        and (space is None or _goes_on(space, best.given, name, upwards=edge == UPPER))
    ]
    return _check(
        "boundary of the space",
        bool(edges),
        "The best trial lies inside of all ranges.",
        f"The best trial has {', '.join(edges)}: better ones may lie beyond.",
        study.wider() if study.in_notebook else None,
    )


def _goes_on(space: SearchSpace, params: dict[str, Scalar], name: str, *, upwards: bool) -> bool:
    """Say whether there is another training beyond a value: dropout 0 is no end of a choice."""
    value = params[name]
    assert isinstance(value, int | float)
    beyond: Scalar = value * (1.1 if upwards else 0.9) or -0.1
    if isinstance(value, int):
        beyond = value + 1 if upwards else value - 1
    try:
        config = space.to_config({**params, name: beyond})
    except ValueError:  # no configuration has such a value
        return False
    return config.effective() != space.to_config(params).effective()


def _edge(value: float, distribution: BaseDistribution) -> str | None:
    """Say at which end of a range a value lies, if at any."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            numbers = [
                c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)
            ]
            if len(numbers) < 3 or len(numbers) < len(choices):
                return None
            low, high, reach = min(numbers), max(numbers), 0.0
        case (
            FloatDistribution(low=low, high=high, log=log)
            | IntDistribution(low=low, high=high, log=log)
        ):
            if low == high:
                return None
            if log:
                low, high, value = math.log(low), math.log(high), math.log(value)
            reach = 0.01 * (high - low)
        case _:
            return None
    if value <= low + reach:
        return LOWER
    return UPPER if value >= high - reach else None


def _failures(study: _Study) -> Check:
    again = begun_again(study.record)
    ended = [t for t in study.trials if t.state.is_finished() and t.number not in again]
    failed = [trial for trial in ended if trial.state == TrialState.FAIL]
    share = len(failed) / len(ended) if ended else 0.0
    diverged = sum(
        str(trial.user_attrs.get(attrs.FAILURE, "")).startswith(attrs.DIVERGED) for trial in failed
    )
    ratio = _of(len(failed), len(ended))
    return _check(
        "failed trials",
        share > MAX_FAILED,
        f"{ratio} trials failed.",
        f"{ratio} trials failed, {diverged} of them diverged{_where(failed, ended)}.",
        f"emoji-study status --study {study.name}",
        severe=share > MAX_FAILED_BADLY,
    )


def _where(failed: Sequence[TrialRecord], ended: Sequence[TrialRecord]) -> str:
    """Say which value of a parameter most of the failed trials share and few others have."""
    found: list[tuple[float, str]] = []
    counts = Counter(item for trial in failed for item in trial.params.items())
    for (name, value), n_failed in counts.items():
        if 2 * n_failed <= len(failed):
            continue
        n_having = sum(name in t.params and t.params[name] == value for t in ended)
        if n_having < len(ended):
            words = f"{format_label(name)} {format_value(value)}"
            found.append((n_failed / n_having, words))
    if not found:
        return ""
    share, words = max(found)
    return f"; {format_percent(share)} of those with {words} did"


def _stuck(study: _Study) -> Check | None:
    curves = [
        [value for value in trial.intermediate_values.values() if math.isfinite(value)]
        for trial in study.record.complete
    ]
    curves = [values for values in curves if len(values) >= 10]
    if not curves or study.kind.objective.maximise:
        return None
    n = sum(min(values) > STUCK * values[0] for values in curves)
    how = " to a constant image" if study.own else ""
    return _check(
        "collapsed trainings",
        n > MAX_FAILED * len(curves),
        f"{_of(n, len(curves))} trainings learned nothing.",
        f"{_of(n, len(curves))} trainings never got below their first error: they collapsed{how}.",
    )


def _last_steps(study: _Study) -> Check | None:
    kind, best = study.kind, study.best
    if best is None or len(best.intermediate_values) < 10 or kind.objective.maximise:
        return None
    values = list(best.intermediate_values.values())
    before = min(values[: -max(1, round(LATE * len(values)))])
    gain = 1 - min(values) / before if before > 0 else 0.0
    length = None if kind.fidelity is None else best.params.get(kind.fidelity)
    n_steps = int(length or len(values))
    option = f"--{kind.step}s " if study.own else f"--set {kind.fidelity}="
    return _check(
        "length of the training",
        gain > STILL_FALLING,
        "The best training had stopped improving before its end.",
        f"The best training still improved, by {format_percent(gain)} in its last "
        f"{format_percent(LATE)} of {study.steps}: a longer one would be better.",
        study.new_study(f"{option}{2 * n_steps}") if kind.fidelity else None,
    )


def _overfitting(study: _Study) -> Check | None:
    best = study.best
    if best is None or best.value is None or study.kind.objective.maximise:
        return None
    last = best.user_attrs.get(attrs.LAST_VALIDATION_MSE)
    train = best.user_attrs.get(attrs.LAST_TRAIN_MSE)
    if not isinstance(last, float) or not isinstance(train, float) or best.value <= 0:
        return None
    ratio = last / best.value
    return _check(
        "overfitting",
        ratio > OVERFITTING and train < last,
        "The best training's error did not rise again towards its end.",
        f"The best training's validation error rose to {ratio:.2f} times its lowest while the "
        f"training error stayed below it: it overfits, and its best {study.kind.step} was chosen.",
    )


def _noisy_tail(study: _Study) -> Check | None:
    kind, best = study.kind, study.best
    if best is None or len(best.intermediate_values) < 20:
        return None
    values = list(best.intermediate_values.values())
    tail = values[-round(0.2 * len(values)) :]
    steps = [after - before for before, after in itertools.pairwise(tail)]
    size = abs(statistics.fmean(tail))
    if not math.isfinite(size) or size == 0:
        return None
    scatter = statistics.pstdev(steps) / math.sqrt(2) / size
    constant = best.params.get("schedule", "constant") == "constant"
    scheduled = kind.default is not None and "schedule" in kind.default
    other = "A schedule (one_cycle, cosine)" if constant and scheduled else "Larger batches"
    told = f"The best training's last {study.steps} scatter by {format_percent(scatter)}"
    return _check(
        f"noise of the last {study.steps}",
        scatter > NOISY,
        f"{told}.",
        f"{told}: its {kind.objective.best} one is partly luck. {other} or a smaller learning "
        "rate may calm them.",
    )


def _default(study: _Study) -> Check | None:
    kind, best, own = study.kind, study.best, study.own
    if kind.default is None or (own and (kind.second is not None or not study.in_notebook)):
        return None
    defaults = [
        value
        for value, trial in study.ranked
        if trial.params
        and all(kind.default.get(n) == x for n, x in trial.params.items() if n != kind.fidelity)
    ]
    if best is None or best.value is None or not defaults:
        return None
    name = "the notebook's best configuration" if own else "the default configuration"
    better = kind.objective.is_better(best.value, defaults[0])
    difference = abs(1 - best.value / defaults[0]) if defaults[0] else 0.0
    side = "above" if kind.objective.maximise else "below"
    return _check(
        "the default",
        not better,
        f"The best {study.word} is {format_percent(difference)} {side} that of {name}.",
        f"No trial beats {name}.",
        study.run("--trials 20"),
    )


def _noise(study: _Study, relative_noise: float | None) -> Check | None:
    values = study.values
    if relative_noise is None or len(values) < 2 or values[0] <= 0:
        return None
    reach = math.exp(1.96 * math.sqrt(2) * relative_noise)
    within = values[0] * reach
    ties = sum(within / reach**2 <= value <= within for value in values) - 1
    return _check(
        "noise between replicates",
        ties > 0,
        f"Replicates scatter by {format_percent(relative_noise)}; no other trial is that close "
        "to the best.",
        f"Replicates of one configuration scatter by {format_percent(relative_noise)}, so the "
        f"best trial cannot be told from the next {ties}.",
        f"emoji-study confirm --study {study.name}",
    )


def _predictable(study: _Study, predictable: bool | None) -> Check | None:
    if predictable is None:
        return None
    return _check(
        "predictability",
        not predictable,
        f"The parameters predict the {study.word} of unseen trials.",
        f"The parameters do not predict the {study.word} of unseen trials: importances mean "
        "little.",
    )


def _pruner(study: _Study) -> Check | None:
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED and t.intermediate_values]
    if not pruned:
        return None
    best_of = max if study.kind.objective.maximise else min
    step = round(statistics.median(max(trial.intermediate_values) for trial in pruned))
    pairs = [
        (best_of(v for s, v in trial.intermediate_values.items() if s <= step), value)
        for value, trial in study.ranked
        if max(trial.intermediate_values, default=-1) > step
    ]
    if len(pairs) < 10 or len(set(pairs)) < 3:
        return None
    word = study.word.capitalize()
    early = f"{word}s after {step + 1} {study.steps}, when most were pruned,"
    rho = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
    return _check(
        "pruner",
        rho < MIN_AGREEMENT,
        f"{early} agree with the final ones (rank correlation {rho:.2f}).",
        f"{early} say little about the final ones (rank correlation {rho:.2f}): good trials "
        "may have been pruned.",
        study.new_study("--pruner none"),
    )


def _of(n: int, total: int) -> str:
    return f"{format_count(n)} of {format_count(total)}"


def _duplicates(study: _Study) -> Check | None:
    finished = [trial for trial in study.trials if trial.finished]
    if not finished:
        return None
    reused = sum(attrs.REUSED_FROM in trial.user_attrs for trial in finished)
    return _check(
        "repeated trainings",
        reused / len(finished) > MAX_DUPLICATES and not study.by_design,
        f"{_of(reused, len(finished))} trials were answered from an earlier one.",
        f"{_of(reused, len(finished))} trials asked for a training that was done: the space is "
        "nearly searched through.",
        study.wider(),
    )


def _idle_workers(study: _Study) -> Check | None:
    spans = [
        (trial.user_attrs[attrs.WORKER], trial.started, trial.completed)
        for trial in study.trials
        if attrs.WORKER in trial.user_attrs and trial.started and trial.completed
    ]
    busy_s, present_s = 0.0, 0.0
    for worker in {worker for worker, _, _ in spans}:
        own = [(start, end) for name, start, end in spans if name == worker]
        busy_s += sum((end - start).total_seconds() for start, end in own)
        present_s += (max(e for _, e in own) - min(s for s, _ in own)).total_seconds()
    if len(spans) < MIN_COMPLETE or present_s <= 0:
        return None
    share = min(1.0, busy_s / present_s)
    return _check(
        "idle workers",
        share < MIN_BUSY,
        f"Workers were at a trial {format_percent(share)} of their time.",
        f"Workers were at a trial only {format_percent(share)} of their time: the database or "
        "the disk holds them up, or trials are too short.",
    )


def _zombies(study: _Study, now: datetime) -> Check | None:
    durations = [t.duration_s for t in study.trials if t.finished and t.duration_s is not None]
    if not durations:
        return None
    limit_s = max(ZOMBIE_MIN_S, ZOMBIE_FACTOR * max(durations))
    n = sum(
        trial.state == TrialState.RUNNING
        and trial.started is not None
        and (now - trial.started).total_seconds() > limit_s
        for trial in study.trials
    )
    return _check(
        "zombie trials",
        n > 0,
        "No trial runs suspiciously long.",
        f"{n} trials have been running for more than ten times the longest one: their workers "
        "are probably dead.",
        study.run("--trials 1"),
    )


def _leakage(study: _Study) -> Check | None:
    split = study.settings.get("split")
    if split is None or not study.own:
        return None
    return _check(
        "leakage",
        split == "random",
        "Variants of one emoji are on one side of the split.",
        "The random split has variants of one emoji on both sides: errors look lower, and "
        "accuracies higher, than they are for new emoji.",
        "emoji-study experiment leakage --pairs 10",
        severe=True,
    )


def _balance(study: _Study) -> Check | None:
    best, record = study.best, study.record
    accuracy, balanced = (
        None if best is None or (metric := metric_named(record, name)) is None else metric.of(best)
        for name in (attrs.VALIDATION_ACCURACY, attrs.VALIDATION_BALANCED_ACCURACY)
    )
    if accuracy is None or balanced is None:
        return None
    return _check(
        "balance of the classes",
        accuracy - balanced > MAX_IMBALANCE,
        "The best trial classifies all classes about equally well.",
        f"The best trial's accuracy is {format_percent(accuracy)}, but the mean over the classes "
        f"only {format_percent(balanced)}: it neglects the small ones.",
        study.wider(" --set class_weights=true"),
    )
