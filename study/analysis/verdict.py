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
from collections.abc import Iterable, Sequence
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
    is_default,
    is_ours,
    is_own,
    is_search,
    kind_of,
    margin,
    near_words,
    ranked,
    reference_of,
    settings_of,
    word_for,
)
from study.analysis.confirmation import ConfirmationInfo
from study.analysis.failures import describe_failures, get_failures
from study.analysis.spent import get_spent, timed
from study.formats import (
    counted,
    format_change,
    format_count,
    format_label,
    format_measured,
    format_percent,
    format_value,
    plural,
)

MIN_NEAR = 5
ENOUGH_TRIALS = 40
"""Complete trials from which on the strongest of several settings that add up is named, as the
first one, in nine of ten studies; ``tests/study_tests/analysis/test_naming.py`` measures that.
With fewer, analyses of settings are folded."""
MAX_FAILED, MAX_FAILED_BADLY = 0.05, 0.25
STUCK = 0.97  # a training whose lowest value is not below this share of its first learned nothing
LATE, STILL_GAINING = 0.1, 0.01  # the last part of a training, and a gain between its thirds
OVERFITTING, NOISY = 1.1, 0.1
MIN_AGREEMENT, MAX_DUPLICATES, MIN_BUSY = 0.5, 0.2, 0.6
MIN_SPANS = 20  # trials of which the busy time of workers is told
MIN_RECALL, MIN_IMAGES = 0.6, 10  # of a class, and of its images that its recall says anything of
ZOMBIE_FACTOR, ZOMBIE_MIN_S = 10.0, 600.0
LENGTH = {True: "length of the training", False: "length of the trials"}  # of ours, of others
LOWER, UPPER = "the lower end", "the upper end"


class Level(enum.IntEnum):
    """How bad it is; what cannot be told is neither good nor bad."""

    PASS = 0
    UNKNOWN = 1
    WARN = 2
    FAIL = 3


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
    noise: float | None = None,
    predictable: bool | None = None,
    confirmation: ConfirmationInfo | None = None,
) -> VerdictInfo:
    """Check a study: a search for all that may be wrong with one, an experiment for its pairs.

    Args:
        now: The time, with its zone, for trials that still run.
        noise: Scatter between replicates, as ``noise.get_noise`` gives it.
        predictable: Whether a model of the parameters tells the error of unseen trials; None
            if that was not tried.
        confirmation: Of the study, on its own data; None if there is none.

    Returns:
        At least one check.
    """
    study = _Study(record, confirmation)
    if not is_search(record):
        some = (_failures(study), _zombies(study, now))
        return VerdictInfo(checks=_worst_first(some))
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
        _noise(study, noise),
        _predictable(study, predictable),
        _pruner(study),
        _duplicates(study),
        _idle_workers(study),
        _zombies(study, now),
        _leakage(study),
        _balance(study),
    ]
    return VerdictInfo(checks=_worst_first(found))


def _worst_first(found: Iterable[Check | None]) -> tuple[Check, ...]:
    applying = [check for check in found if check is not None]
    return tuple(sorted(applying, key=lambda check: -check.level))


class _Study:
    """What several checks ask of a study."""

    def __init__(self, record: StudyRecord, confirmation: ConfirmationInfo | None) -> None:
        self.record, self.trials, self.confirmation = record, record.trials, confirmation
        self.imported = attrs.IMPORTED in record.user_attrs
        self.kind, self.own = kind_of(record), is_own(record)
        self.settings = settings_of(record)
        self.in_notebook = self.settings.get("space") == "notebook"
        self.by_design = self.settings.get("sampler") == "grid"
        self.ranked = ranked(record)
        # With several objectives, no trial need be the best.
        single = len(record.directions) == 1
        self.values = [value for value, trial in self.ranked if trial.feasible and single]
        self.best = record.best if single else None
        self.word = word_for(self.kind.objective)
        self.steps = plural(self.kind.step)
        self.ours = is_ours(record)
        self.training = "training" if self.ours else "trial"

    def run(self, options: str) -> str | None:
        """Return a command that goes on with the study, None if it cannot be continued."""
        kind = reference_of(self.record)
        if kind is None or self.imported:
            return None
        return f"emoji-study run {shlex.quote(kind)} --study {self.name} {options}"

    def new_study(self, suffix: str, options: str) -> str | None:
        """Return a command that begins another study where this one ends."""
        kind, new = reference_of(self.record), shlex.quote(f"{self.record.name}-{suffix}")
        if kind is None:
            return None
        run = f"emoji-study run {shlex.quote(kind)} --study {new}"
        return f"{run} --warm-start {self.name} {options}"

    def wider(self, options: str = "") -> str | None:
        """Return a command that searches the wider space of this package's kinds."""
        return self.new_study("wider", f"--space extended{options}") if self.own else None

    @property
    def confirm(self) -> str | None:
        """The command that trains the best again, None where that is done or cannot be."""
        if self.confirmation or not self.ours:
            return None
        return f"emoji-study confirm --study {self.name}"

    @property
    def confirmed(self) -> bool:
        """Whether the best trial was trained again with fresh seeds, and is not beaten."""
        info, best = self.confirmation, self.best
        if info is None or best is None or not info.enough:
            return False
        return any(c.trial == best.number and c.tied for c in info.confirmed)

    def margin(self, share: float) -> float:
        """Return by how much a value may be worse than the best for a share of ``margin``."""
        objective = self.kind.objective
        return margin(objective, [objective.sign * value for value in self.values], share)

    @property
    def name(self) -> str:
        """The study's name, for a shell."""
        return shlex.quote(self.record.name)


def _check(
    name: str, bad: bool, good: str, wrong: str, command: str | None = None, severe: bool = False
) -> Check:
    if not bad:
        return _passed(name, good)
    level = Level.FAIL if severe else Level.WARN
    return Check(name=name, level=level, sentence=wrong, command=command)


def _passed(name: str, sentence: str) -> Check:
    return Check(name=name, level=Level.PASS, sentence=sentence)


def _unknown(name: str, sentence: str, command: str | None = None) -> Check:
    return Check(name=name, level=Level.UNKNOWN, sentence=sentence, command=command)


def _enough_trials(study: _Study) -> Check:
    n = len(study.ranked)
    finished = sum(trial.finished for trial in study.trials)
    pruning = study.settings.get("pruner", "none") != "none" or finished > len(
        study.record.complete
    )
    # Of further trials as many will be pruned or fail as of those that there are.
    missing = math.ceil((ENOUGH_TRIALS - n) * max(1, finished) / max(1, n))
    return _check(
        "number of trials",
        n < ENOUGH_TRIALS,
        f"{format_count(n)} complete trials.",
        f"{counted(n, 'complete trial')}: which settings mattered shows from about "
        f"{ENOUGH_TRIALS} on.{' Of new trials some will be pruned, too.' * pruning}",
        study.run(f"--trials {max(1, missing)}"),
        severe=n < 5,
    )


def _near_the_best(study: _Study) -> Check | None:
    values = study.values
    if len(values) < ENOUGH_TRIALS:
        return None
    reach = study.margin(NEAR)
    near = sum(abs(value - values[0]) <= reach for value in values)
    within = near_words(study.kind.objective)
    of_all = f"{near} of {format_count(len(values))} trials"
    if near < MIN_NEAR and study.confirmed:
        return _passed(
            "trials near the best",
            f"Only {of_all} lie within {within}, but fresh seeds confirm it.",
        )
    return _check(
        "trials near the best",
        near < MIN_NEAR,
        f"{of_all} lie within {within}.",
        f"Only {of_all} lie within {within}: it may be luck, and the region around it is hardly "
        "known.",
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
    info = get_failures(study.record)
    failed = info.lost
    ended = [*(trial for trial in study.trials if trial.finished), *failed]
    diverged = sum(
        str(trial.user_attrs.get(attrs.FAILURE, "")).startswith(attrs.DIVERGED) for trial in failed
    )
    told, others = describe_failures(info), "them" if info.trials == failed else "the others"
    why = f", {diverged} of {others} diverged" if study.ours else ""
    return _check(
        "failed trials",
        info.share_lost > MAX_FAILED,
        f"{told}.",
        f"{told}{why}{_where(failed, ended)}.",
        f"emoji-study status --study {study.name}" if study.ours else None,
        severe=info.share_lost > MAX_FAILED_BADLY,
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
    objective = study.kind.objective
    curves = [
        [objective.sign * value for value in trial.intermediate_values.values()]
        for trial in study.record.complete
    ]
    curves = [losses for c in curves if len(losses := [*filter(math.isfinite, c)]) >= 10]
    if not curves:
        return None
    gains = [losses[0] - min(losses) for losses in curves]
    usual = statistics.median(gains)
    told = f"{format_percent(1 - STUCK)} below their first {study.word}"
    if objective.is_error:
        n = sum(min(losses) > STUCK * losses[0] for losses in curves)
    elif usual > 0:
        n = sum(gain < (1 - STUCK) * usual for gain in gains)
        told = f"{format_percent(1 - STUCK)} of what others gained after their first value"
    else:  # reports need not get better
        return None
    how = " to a constant image" if study.own else ""
    return _check(
        "collapsed trainings" if study.ours else "trials that gained nothing",
        n > MAX_FAILED * len(curves),
        f"{_of(n, len(curves))} {study.training}s learned nothing.",
        f"{_of(n, len(curves))} {study.training}s got less than {told}"
        f"{f': they collapsed{how}' if study.ours else ''}.",
    )


def _last_steps(study: _Study) -> Check | None:
    kind, best = study.kind, study.best
    if best is None or len(best.intermediate_values) < 10:
        return None
    sign, values = kind.objective.sign, list(best.intermediate_values.values())
    losses = [sign * value for value in values if math.isfinite(value)]
    if len(losses) < len(values):
        return _unknown(
            LENGTH[study.ours], f"The best {study.training} has values that are no number."
        )
    if not study.ours and best.value not in (values[-1], sign * min(losses)):
        return None  # its reports are of something else
    place = losses.index(min(losses)) + 1
    thirds = [statistics.median(losses[-n:]) for n in (2 * len(losses) // 3, len(losses) // 3)]
    size = abs(thirds[0]) if kind.objective.has_zero else losses[0] - min(losses)
    gain = (thirds[0] - thirds[1]) / size if size else 0.0
    late = place > (1 - LATE) * len(losses)
    length = None if kind.fidelity is None else best.params.get(kind.fidelity)
    n_steps = int(length or len(values))
    option = f"--{kind.step}s " if study.own else f"--set {kind.fidelity}="
    told = f"The best {kind.step} of the best {study.training} is {place} of {len(losses)}"
    if not study.ours:
        told = f"The best of the {len(losses)} reports of the best trial is number {place}"
    return _check(
        LENGTH[study.ours],
        late or gain > STILL_GAINING,
        f"{told}, and it gains no more towards its end.",
        f"{told}: a longer {study.training} may be better.",
        study.new_study("longer", f"{option}{2 * n_steps}") if kind.fidelity else None,
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
    size = abs(statistics.fmean(tail)) if kind.objective.has_zero else study.margin(1.0)
    if not math.isfinite(sum(tail)) or not 0 < size < math.inf:
        return None
    scatter = statistics.pstdev(steps) / math.sqrt(2) / size
    constant = best.params.get("schedule", "constant") == "constant"
    scheduled = kind.default is not None and "schedule" in kind.default
    other = "A schedule (one_cycle, cosine)" if constant and scheduled else "Larger batches"
    told = f"The best {study.training}'s last {study.steps} scatter by {format_percent(scatter)}"
    told += "" if kind.objective.has_zero else " of the way from the best trial to the median"
    hint = f" {other} or a smaller learning rate may calm them." if study.ours else ""
    return _check(
        f"noise of the last {study.steps}",
        scatter > NOISY,
        f"{told}.",
        f"{told}: its {kind.objective.best} one is partly luck.{hint}",
    )


def _default(study: _Study) -> Check | None:
    kind, best, word = study.kind, study.best, study.word
    name = "the notebook's best settings" if study.own else "the default settings"
    info = study.confirmation
    winner = None if info is None or info.best is None else info.get(info.best)
    found = None if winner is None else winner.difference
    if winner is not None and found is not None and found.low is not None:
        sentence = (
            f"With {found.n_pairs} fresh seeds, the {word} of {winner.name} is "
            f"{format_change(found.mean)} against {name}"
        )
        if not found.told:
            return _unknown("the default", f"{sentence}, which may be chance.")
        return _passed("the default", f"{sentence}.")
    if best is None or best.value is None:
        return None
    alike = [
        value
        for value, trial in study.ranked
        if is_default(kind, trial)
        and trial.params.get(kind.fidelity or "") == best.params.get(kind.fidelity or "")
    ]
    if not alike or (study.own and (kind.second is not None or not study.in_notebook)):
        return None
    length = (
        "" if kind.fidelity is None else f"At {best.params.get(kind.fidelity)} {study.steps}, "
    )
    told = (
        f"{length}one training each: {format_measured(best.value, kind.objective)} against "
        f"{format_measured(alike[0], kind.objective)} of {name}"
    )
    if not kind.objective.is_better(best.value, alike[0]):
        return _check(
            "the default", True, "", f"{told}: no trial beats it.", study.run("--trials 20")
        )
    return _unknown(
        "the default", f"{told}. Whether that is chance is not tested yet.", study.confirm
    )


def _noise(study: _Study, noise: float | None) -> Check | None:
    values = study.values
    objective = study.kind.objective
    if noise is None or len(values) < 2 or (objective.has_zero and values[0] <= 0):
        return None
    if objective.has_zero:
        told = format_percent(noise)
        reach = math.exp(1.96 * math.sqrt(2) * noise)
        within = values[0] * reach
        ties = sum(within / reach**2 <= value <= within for value in values) - 1
    else:
        told = format_measured(noise, objective)
        ties = sum(abs(v - values[0]) <= 1.96 * math.sqrt(2) * noise for v in values) - 1
    return _check(
        "noise between replicates",
        ties > 0,
        f"Replicates scatter by {told}; no other trial is that close to the best.",
        f"Replicates of one configuration scatter by {told}, so the best trial cannot be told "
        f"from the next {ties}.",
        study.confirm,
    )


def _predictable(study: _Study, predictable: bool | None) -> Check | None:
    if predictable is None:
        return None
    return _check(
        "predictability",
        not predictable,
        f"The parameters predict the {study.word} of unseen trials.",
        f"The parameters do not predict the {study.word} of unseen trials: no "
        "setting can be called important.",
    )


def _pruner(study: _Study) -> Check | None:
    pruned = [t for t in study.trials if t.state == TrialState.PRUNED and t.intermediate_values]
    if not pruned:
        return None
    best_of = max if study.kind.objective.maximise else min
    step = round(statistics.median(max(trial.intermediate_values) for trial in pruned))
    pairs = [
        (best_of(reports), value)
        for value, trial in study.ranked
        if max(trial.intermediate_values, default=-1) > step
        and (reports := [v for s, v in trial.intermediate_values.items() if s <= step])
        and all(map(math.isfinite, reports))
    ]
    if len(pairs) < 10 or any(len(set(side)) < 3 for side in zip(*pairs, strict=True)):
        return None
    word = study.word.capitalize()
    n_steps = step + study.kind.first_step
    at = f"after {n_steps} {study.steps}" if study.ours else f"at {study.kind.step} {n_steps}"
    early = f"{word}s {at}, when most were pruned,"
    rho = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
    command = study.new_study("unpruned", "--pruner none")
    among = f"(rank correlation {rho:.2f} among the {len(pairs)} that were not pruned)"
    if rho < MIN_AGREEMENT:
        wrong = f"{early} say little of the final ones {among}: good trials may have been pruned."
        return _check("pruner", True, "", wrong, command)
    if len(pruned) >= len(pairs):  # had they ended otherwise, the order would be another one
        return _unknown(
            "pruner",
            f"{early} agree with the final ones {among}; what the {len(pruned)} pruned ones would "
            "have reached nobody knows.",
            command,
        )
    return _passed("pruner", f"{early} agree with the final ones {among}.")


def _of(n: int, total: int) -> str:
    return f"{format_count(n)} of {format_count(total)}"


def _duplicates(study: _Study) -> Check | None:
    finished = [trial for trial in study.trials if trial.finished]
    if not finished:
        return None
    if not study.ours:
        return _repeated(finished)
    reused = sum(attrs.REUSED_FROM in trial.user_attrs for trial in finished)
    return _check(
        "repeated trainings",
        reused / len(finished) > MAX_DUPLICATES and not study.by_design,
        f"{_of(reused, len(finished))} trials were answered from an earlier one.",
        f"{_of(reused, len(finished))} trials asked for a training that was done: the space is "
        "nearly searched through.",
        study.wider(),
    )


def _repeated(finished: Sequence[TrialRecord]) -> Check | None:
    """Count the trials of another program that have the parameters of an earlier one."""
    tried = {tuple((name, repr(t.params[name])) for name in sorted(t.params)) for t in finished}
    n = len(finished) - len(tried)
    told = f"{_of(n, len(finished))} trials have the parameters of an earlier one"
    if tried == {()}:
        return None
    return _check(
        "repeated trials",
        n / len(finished) > MAX_DUPLICATES,
        f"{told}.",
        f"{told}: they tell how much values scatter, and nothing of new settings.",
    )


def _idle_workers(study: _Study) -> Check | None:
    spent = get_spent(study.record)
    share, known = spent.utilisation, spent.n_workers > 0 and not study.imported
    if share is None or not known or len(timed(study.record)) < MIN_SPANS:
        return None
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
        f"{n} trials have been running for more than ten times the longest one: their "
        f"{'workers' if study.ours else 'processes'} are probably dead.",
        study.run("--trials 1"),
    )


def _leakage(study: _Study) -> Check | None:
    split = study.settings.get("split")
    if split is None or not study.own:
        return None
    if not split:
        return _unknown("leakage", "How the images were parted is not known.")
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
    best = study.best
    confusion = None if best is None else best.user_attrs.get(attrs.CONFUSION)
    if not isinstance(confusion, list):
        return None
    classes = [(sum(row), row[i] / sum(row)) for i, row in enumerate(confusion) if sum(row)]
    told = ", ".join(f"{format_percent(recall)} of {n}" for n, recall in classes)
    n_weak = sum(recall < MIN_RECALL and n >= MIN_IMAGES for n, recall in classes)
    n_small = sum(n < MIN_IMAGES for n, _ in classes)
    if not n_weak and n_small:
        return _unknown(
            "balance of the classes",
            f"The best trial is right for {told} validation images of the classes; "
            f"{n_small} of these classes are too small to tell.",
        )
    return _check(
        "balance of the classes",
        n_weak > 0,
        f"The best trial is right for {told} validation images of the classes.",
        f"The best trial is right for {told} validation images of the classes: it neglects some.",
        study.wider(" --set class_weights=true"),
    )
