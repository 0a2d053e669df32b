"""What to make of a study: checks that a careful reader would do, each with a next step.

Every check is a function of what is known of the study that returns a ``Check``, or None where it
does not apply. What it needs from another analysis is handed in. How often each one warns of a
healthy study, and which fault it finds, is measured: ``docs/checks.md``.

Source: the checks are those of the "Deep Learning Tuning Playbook" (Godbole, Dahl, Gilmer,
    Shallue, Nado, 2023), sections on exploration and on the analysis of training curves, and of
    what went wrong in the notebook that this package replaces.
"""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from optuna.trial import TrialState
from scipy import stats

from search_spaces import Scalar, SearchSpace
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis import is_default, n_telling, ranked_once
from study.analysis.boundary import EndInfo, get_ends
from study.analysis.checks import (
    Check,
    Checked,
    check,
    more_than_accidents,
    of_all,
    passed,
    unknown,
)
from study.analysis.confirmation import DEFAULT, ConfirmationInfo
from study.analysis.curve_checks import (
    check_collapsed,
    check_length,
    check_noise,
    check_overfitting,
)
from study.analysis.failures import describe_failures, get_failures
from study.analysis.spent import get_spent, timed
from study.formats import (
    counted,
    format_change,
    format_coefficient,
    format_list,
    format_measured,
    format_percent,
    format_value,
)
from study.wording import Wording

ENOUGH_TRIALS = 40
"""Trials that tell of settings (``n_telling``), from which on the strongest of several that add
up is named, as the first one, in nine of ten studies, which is measured by
``tests/study_tests/analysis/test_naming.py``.
With fewer, analyses of settings are folded."""
HARDLY_ANY = 5
MAX_FAILED_BADLY = 0.25
ENDS_LEVEL, MAYBE_LEVEL = 0.002, 0.05
"""The first of the tests of all ends of ranges together, if trials are independent. Those of a
sampler that learns are not, so ends are named more often (``docs/checks.md``). The second of each
end alone: below it a trend is not ruled out, but a turn before the end rules it out."""
MIN_AGREEMENT, MAX_DUPLICATES, MIN_BUSY = 0.5, 0.2, 0.6
AGREEMENT_LEVEL = 0.01
MIN_ORDERED = 20  # trials that tell whether an end of a range is open
MIN_SPANS = 20  # trials of which the busy time of workers is told
MIN_RECALL, RECALL_LEVEL, MIN_IMAGES = 0.6, 0.01, 10  # of a class
ZOMBIE_FACTOR, ZOMBIE_MIN_S = 10.0, 600.0


def get_verdict(
    record: StudyRecord,
    *,
    now: datetime,
    noise: float | None = None,
    predictable: bool | None = None,
    confirmation: ConfirmationInfo | None = None,
) -> tuple[Check, ...]:
    """Check a study: a search for all that may be wrong with one, an experiment for its pairs.

    Args:
        now: The time, with its zone, for trials that still run.
        noise: Scatter between replicates, as ``noise.get_noise`` gives it.
        predictable: Whether a model of the parameters tells the error of unseen trials; None
            if that was not tried.
        confirmation: Of the study, on its own data; None if there is none.

    Returns:
        At least one check; the worst first.
    """
    study = Checked(record, confirmation)
    if study.search:
        found = [
            _enough_trials(study),
            _boundary(study),
            _failures(study),
            check_collapsed(study),
            check_length(study),
            check_overfitting(study),
            check_noise(study),
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
    else:
        found = [_failures(study), check_collapsed(study), check_length(study)]
        found.append(_zombies(study, now))
    applying = [one for one in found if one is not None]
    return tuple(sorted(applying, key=lambda one: -one.level))


def _enough_trials(study: Checked) -> Check:
    """Count the trials that tell of settings: complete ones, each training once.

    Pruned ones tell the sampler of settings, so a pruner that leaves few is no fault of a search;
    but with none complete there is nothing to compare.
    """
    n, name = n_telling(study.record), "number of trials"
    told = counted(n, "complete trial")
    if n < len(study.record.complete):
        told += ", each training once"
    # Some of those that are asked for will be pruned, or repeat a training, as until now.
    n_finished = sum(trial.finished for trial in study.trials)
    n_more = math.ceil((ENOUGH_TRIALS - n) * max(1.0, n_finished / max(1, n)))
    command = study.run(f"--trials {n_more}")
    if n >= ENOUGH_TRIALS:
        return passed(name, f"{told}.")
    if n_finished < HARDLY_ANY or not n:
        return check(name, True, "", f"{told}: nothing can be told yet.", command, severe=True)
    return unknown(
        name, f"{told}: which settings mattered shows from about {ENOUGH_TRIALS} on.", command
    )


def _boundary(study: Checked) -> Check | None:
    best, space, name = study.best, study.kind.space, "boundary of the space"
    if best is None or best not in study.leaders[:1]:  # infinite values have no order
        return None
    if len({trial.values for trial in study.leaders}) < 2:
        return None
    members = ranked_once(item for item in study.ranked if item[1].feasible)
    found, n_ends = get_ends([t for _, t in members], [value for value, _ in members])
    ends = [
        end
        for end in found
        if (end.p_turn is None or end.p_turn >= MAYBE_LEVEL)
        and (space is None or _goes_on(space, space.given(best.params), end))
    ]
    beyond = [end for end in ends if end.p is not None and end.p < ENDS_LEVEL / n_ends]
    if beyond:
        said = f"Towards {_ends_told(beyond, study.kind.wording)} trials get better"
        command = study.wider() if study.in_notebook else None
        return check(name, True, "", f"{said}: still better ones may lie beyond.", command)
    untold = [end for end in ends if end.p is None or end.p < MAYBE_LEVEL]
    if untold:
        ends_told = _ends_told(untold, study.kind.wording)
        said = f"Whether trials get better towards {ends_told} cannot be told"
        return unknown(name, f"{said} from these trials.")
    if len(study.leaders) < MIN_ORDERED:
        return unknown(name, "Too few trials to tell whether better ones lie beyond a range.")
    return passed(name, "At no end of a range do trials get better and better.")


def _ends_told(ends: Sequence[EndInfo], wording: Wording) -> str:
    return format_list(
        [
            f"the {'upper' if end.upper else 'lower'} end of {wording.label(end.name)} "
            f"(the best has {format_value(end.value)})"
            for end in ends
        ]
    )


def _goes_on(space: SearchSpace, params: Mapping[str, Scalar], end: EndInfo) -> bool:
    """Say whether there is another training beyond an end: dropout 0 is no end of a choice."""
    beyond: Scalar = end.end * (1.1 if end.upper else 0.9) or -0.1
    if isinstance(end.end, int):
        beyond = end.end + 1 if end.upper else end.end - 1
    try:
        config = space.to_config({**params, end.name: beyond})
    except ValueError:  # no configuration has such a value
        return False
    return config.effective() != space.to_config({**params, end.name: end.end}).effective()


def _failures(study: Checked) -> Check:
    info = get_failures(study.record)
    failed = info.lost
    ended = [*(trial for trial in study.trials if trial.finished), *failed]
    diverged = sum(attrs.has_diverged(trial.user_attrs) for trial in failed)
    told, others = describe_failures(info), "them" if info.trials == failed else "the others"
    why = f", {diverged} of {others} diverged" if study.ours else ""
    return check(
        "failed trials",
        more_than_accidents(len(failed), len(ended)),
        f"{told}.",
        f"{told}{why}{_where(failed, ended, study.kind.wording)}.",
        f"emoji-study status --study {study.name}" if study.ours else None,
        severe=len(failed) >= HARDLY_ANY and info.share_lost > MAX_FAILED_BADLY,
    )


def _where(failed: Sequence[TrialRecord], ended: Sequence[TrialRecord], wording: Wording) -> str:
    """Say which value of a parameter most of the failed trials share and few others have."""
    found: list[tuple[float, str]] = []
    counts = Counter(item for trial in failed for item in trial.params.items())
    for (name, value), n_failed in counts.items():
        if 2 * n_failed <= len(failed):
            continue
        n_having = sum(name in t.params and t.params[name] == value for t in ended)
        if n_having < len(ended):
            found.append((n_failed / n_having, wording.settings({name: value})))
    if not found:
        return ""
    share, words = max(found)
    return f"; {format_percent(share)} of those with {words} did"


def _default(study: Checked) -> Check | None:
    kind, best, word = study.kind, study.best, study.word
    name = "the notebook's best settings" if study.own else "the default settings"
    info = study.confirmation
    winner = None if info is None or info.best is None else info.get(info.best)
    found = None if winner is None else winner.difference
    if winner is not None and found is not None and found.interval is not None:
        sentence = (
            f"With {found.n_pairs} fresh seeds, the {word} of {winner.name} is "
            f"{format_change(found.mean)} against {name}"
        )
        if not found.told:
            return unknown("the default", f"{sentence}, which may be chance.")
        return passed("the default", f"{sentence}.")
    if winner is not None and winner.role == DEFAULT:
        said = f"With fresh seeds, nothing that was confirmed is better than {name} in the mean"
        return check("the default", True, "", f"{said}.", study.wider())
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
        return check("the default", True, "", f"{told}: no trial beats it.", study.confirm)
    return unknown(
        "the default", f"{told}. Whether that is chance is not tested yet.", study.confirm
    )


def _noise(study: Checked, noise: float | None) -> Check | None:
    values = study.values
    objective = study.kind.objective
    if noise is None or len(values) < 2 or (objective.has_zero and values[0] <= 0):
        return None
    told = format_percent(noise) if objective.has_zero else format_measured(noise, objective)
    place = math.log if objective.has_zero else float
    places = [place(value) for value in values if value > 0 or not objective.has_zero]
    ties = sum(abs(v - places[0]) <= 1.96 * math.sqrt(2) * noise for v in places) - 1
    name, told = "noise between replicates", f"Replicates of one configuration scatter by {told}"
    if not ties:
        return passed(name, f"{told}; no other trial is that close to the best.")
    said = f"{told}, so the best trial cannot be told from the next {ties}."
    return unknown(name, said, study.confirm)


def _predictable(study: Checked, predictable: bool | None) -> Check | None:
    if predictable is None:
        return None
    if predictable:
        return passed(
            "predictability", f"The parameters predict the {study.word} of unseen trials."
        )
    return unknown(
        "predictability",
        f"A forest does not predict the {study.word} of unseen trials from the parameters: it "
        "calls no setting important.",
    )


def _pruner(study: Checked) -> Check | None:
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
    n_steps, name = step + study.kind.first_step, "early values"
    early = f"{study.word.capitalize()}s after {n_steps} {study.steps}"
    if not study.ours:  # whose final values need not be the best ones
        up_to = f"up to {study.kind.step} {n_steps}"
        early = f"The {study.kind.objective.best} {study.word}s {up_to}"
    early += ", by when half of those that were pruned had ended,"
    rho = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
    low, high = _spearman_bounds(rho, len(pairs))
    command = study.new_study("unpruned", "--pruner none")
    among = (
        f"(rank correlation {format_coefficient(rho)} among the {len(pairs)} that were not pruned)"
    )
    if high < MIN_AGREEMENT:
        wrong = f"{early} say little of the final ones {among}: good trials may have been pruned."
        return check(name, True, "", wrong, command)
    # Had the pruned ones ended otherwise, the order would be another one.
    if low < MIN_AGREEMENT or len(pruned) >= len(pairs):
        return unknown(
            name,
            f"How far {early[0].lower()}{early[1:]} tell the final ones cannot be said {among}; "
            f"what the {len(pruned)} pruned ones would have reached nobody knows.",
            command,
        )
    return passed(name, f"{early} agree with the final ones {among}.")


def _spearman_bounds(rho: float, n: int) -> tuple[float, float]:
    """Return one-sided bounds of a rank correlation of n pairs, at ``AGREEMENT_LEVEL`` each.

    Source: Fieller, Hartley, Pearson, "Tests for Rank Correlation Coefficients I", Biometrika 44,
        1957.
    """
    reach = stats.norm.isf(AGREEMENT_LEVEL) * math.sqrt(1.06 / (n - 3))
    z = math.atanh(max(-0.999, min(0.999, rho)))
    return math.tanh(z - reach), math.tanh(z + reach)


def _duplicates(study: Checked) -> Check | None:
    finished = [trial for trial in study.trials if trial.finished]
    if not finished:
        return None
    if not study.ours or study.imported:
        return _repeated(finished)
    reused = sum(attrs.REUSED_FROM.of(trial) is not None for trial in finished)
    return check(
        "repeated trainings",
        reused / len(finished) > MAX_DUPLICATES and not study.by_design,
        f"{of_all(reused, len(finished))} trials were answered from an earlier one.",
        f"{of_all(reused, len(finished))} trials asked for a training that was done: the space is "
        "nearly searched through.",
        study.wider(),
    )


def _repeated(finished: Sequence[TrialRecord]) -> Check | None:
    """Count the trials of another program that have the parameters of an earlier one."""
    tried = {tuple((name, repr(t.params[name])) for name in sorted(t.params)) for t in finished}
    n = len(finished) - len(tried)
    told = f"{of_all(n, len(finished))} trials have the parameters of an earlier one"
    if tried == {()} or len(finished) < 2:
        return None
    return check(
        "repeated trials",
        n / len(finished) > MAX_DUPLICATES,
        f"{told}.",
        f"{told}: those with other values tell how much values scatter, and none tells of new "
        "settings.",
    )


def _idle_workers(study: Checked) -> Check | None:
    spent = get_spent(study.record)
    share, known = spent.utilisation, spent.n_workers > 0 and not study.imported
    if share is None or not known or len(timed(study.record)) < MIN_SPANS:
        return None
    return check(
        "idle workers",
        share < MIN_BUSY,
        f"Workers were at a trial {format_percent(share)} of their time.",
        f"Workers were at a trial only {format_percent(share)} of their time: the database or "
        "the disk holds them up, or trials are too short.",
    )


def _zombies(study: Checked, now: datetime) -> Check | None:
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
    return check(
        "zombie trials",
        n > 0,
        "No trial runs suspiciously long.",
        f"{counted(n, 'trial')} {'has' if n == 1 else 'have'} been running for more than ten "
        f"times the longest one: what ran {'it' if n == 1 else 'them'} is probably dead.",
        study.run("--trials 1"),
    )


def _leakage(study: Checked) -> Check | None:
    split = study.settings and study.settings.split
    if split is None or not study.own:
        return None
    if not split:
        return unknown("leakage", "How the images were parted is not known.")
    return check(
        "leakage",
        split == "random",
        "Variants of one emoji are on one side of the split.",
        "The random split has variants of one emoji on both sides: errors look lower, and "
        "accuracies higher, than they are for new emoji.",
        study.new_study("grouped", "--split group", warm=False),
        severe=True,
    )


def _balance(study: Checked) -> Check | None:
    best = study.best
    confusion = None if best is None else attrs.CONFUSION.of(best)
    if confusion is None:
        return None
    name = "balance of the classes"
    classes = [(sum(row), row[i]) for i, row in enumerate(confusion) if sum(row)]
    told = ", ".join(f"{format_percent(right / n)} of {n}" for n, right in classes)
    told = f"The best trial is right for {told} validation images of the classes"
    level = RECALL_LEVEL / max(1, len(classes))
    if any(stats.binom.cdf(right, n, MIN_RECALL) < level for n, right in classes):
        command = study.wider(" --set class_weights=true")
        return check(name, True, "", f"{told}: it neglects some.", command)
    if any(n < MIN_IMAGES or right < MIN_RECALL * n for n, right in classes):
        return unknown(name, f"{told}; these are too few to tell whether it neglects one.")
    return passed(name, f"{told}.")
