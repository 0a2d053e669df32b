"""Checks of learning curves: trainings that learned nothing, were cut, overfit or scatter.

Epochs scatter, so the lowest of many is lower than the training is good, and the last one may lie
anywhere: what a curve does is asked of means and trends, and of these beyond their own scatter.
"""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy import stats

from storage import attrs
from study.analysis import each_training_once
from study.analysis.checks import (
    Check,
    Checked,
    check,
    more_than_accidents,
    of_all,
    passed,
    unknown,
)
from study.formats import format_count, format_list, format_number, format_percent

STUCK, LITTLE = 0.03, 0.1  # of the first error, and of what others gained
STILL_GAINING, STILL_GAINING_WAY = 0.15, 0.3  # of a value, and of the way to the middle trial
GAIN_LEVEL, NO_GAIN_LEVEL = 0.01, 0.05
OVERFITTING, RISE_SIGMAS = 1.1, 3.1
NOISY, NOISY_WAY = 0.1, 0.5  # of a value, and of the way from the best to the middle trial
MIN_REPORTS = 20
MAX_NAMED = 10  # trials
LENGTH = {True: "length of the training", False: "length of the trials"}  # of ours, of others


def check_collapsed(study: Checked) -> Check | None:
    """Ask whether more trainings learned nothing than accidents explain."""
    objective = study.kind.objective
    reports = {
        trial.number: [objective.sign * value for value in trial.intermediate_values.values()]
        for trial in each_training_once(study.record.complete)
    }
    finite = {number: [*filter(math.isfinite, own)] for number, own in reports.items()}
    numbers = [number for number, losses in finite.items() if len(losses) >= 10]
    curves = [finite[number] for number in numbers]
    if not curves:
        return None
    ends = [statistics.median(c[-(len(c) // 3) :]) for c in curves]
    gains = [c[0] - end for c, end in zip(curves, ends, strict=True)]
    usual = statistics.median(gains)
    if usual <= 0 and not objective.is_error:  # reports need not get better
        return None
    least = [max(LITTLE * usual, STUCK * c[0] if objective.is_error else 0.0) for c in curves]
    learned = [end for end, gain, little in zip(ends, gains, least, strict=True) if gain >= little]
    # What gained little and is good began so.
    bad = statistics.median(learned) if learned else -math.inf
    stuck = [
        number
        for number, end, gain, little in zip(numbers, ends, gains, least, strict=True)
        if gain < little and end > bad
    ]
    n, names = len(stuck), [*map(str, stuck[:MAX_NAMED])]
    names += [f"{format_count(n - MAX_NAMED)} more"] if n > MAX_NAMED else []
    which = f" These are trials {format_list(names)}." if names else ""
    told = f"{of_all(n, len(curves))} {study.training}s"
    nothing = f"{'learned' if study.ours else 'gained'} nothing."
    return check(
        "collapsed trainings" if study.ours else "trials that gained nothing",
        more_than_accidents(n, len(curves)),
        f"{told} {nothing}",
        f"{told} gained less than {format_percent(LITTLE)} of what others gained from their "
        f"first {study.word} to the last third of all (medians): they {nothing}{which}",
    )


def _next_gain(losses: Sequence[float], *, is_error: bool) -> tuple[float, float]:
    """Return by how much a loss would fall in as many steps again, and the error of that.

    The gains of the last two doublings of the steps are extrapolated by their ratio. That is
    exact for a power law above a floor, and too much for what falls exponentially. Of what cannot
    be below 0, the next doubling gains no larger share than the last one.

    Source: Aitken, "On Bernoulli's Numerical Solution of Algebraic Equations", 1926; learning
        curves as power laws: Hestness et al., "Deep Learning Scaling is Predictable,
        Empirically", 2017, arXiv:1712.00409.
    """
    n = len(losses)
    width = max(2, n // 10)
    starts = (n // 4 - width // 2, n // 2 - width // 2, n - width)
    early, middle, late = (statistics.fmean(losses[i : i + width]) for i in starts)
    before, last = early - middle, middle - late
    ratio = 0.0 if last <= 0 else min(1.0, last / before) if before > 0 else 1.0
    parts = (ratio**2, 2 * ratio + ratio**2, 2 * ratio)
    error = _scatter(losses) * math.sqrt(sum(part**2 for part in parts) / width)
    most = late / middle if is_error and last > 0 else 1.0
    return min(ratio, most) * max(last, 0.0), error


def check_length(study: Checked) -> Check | None:
    """Ask whether the best training would have gained by more steps."""
    kind, best = study.kind, study.best
    if best is None or len(best.intermediate_values) < 10:
        return None
    name, sign = LENGTH[study.ours], kind.objective.sign
    losses = [sign * value for value in best.intermediate_values.values()]
    if not all(map(math.isfinite, losses)):
        return unknown(name, f"The best {study.training} has values that are no number.")
    if not study.ours and best.value not in (sign * losses[-1], sign * min(losses)):
        return None  # its reports are of something else
    if best.params.get("schedule", "constant") != "constant":
        return unknown(
            name,
            f"The best {study.training} has a schedule, at whose end the {study.word} falls "
            "however long it is.",
        )
    gain, error = _next_gain(losses, is_error=kind.objective.is_error)
    size = study.margin(1.0)
    reach = size * (STILL_GAINING if kind.objective.has_zero else STILL_GAINING_WAY)
    if size <= 0:
        return None
    of = "" if kind.objective.has_zero else " of the way from the best trial to the median"
    told = f"By its curve the best {study.training} would gain about "
    told += f"{format_percent(gain / size)}{of} in twice as many {study.steps}"
    if gain - stats.norm.isf(GAIN_LEVEL) * error > reach:
        length = None if kind.fidelity is None else best.params.get(kind.fidelity)
        option = f"--{kind.step}s " if study.own else f"--set {kind.fidelity}="
        options = f"{option}{2 * int(length or len(losses))}"
        command = study.new_study("longer", options) if kind.fidelity else None
        return check(name, True, "", f"{told}: longer may be better.", command)
    if gain + stats.norm.isf(NO_GAIN_LEVEL) * error > reach:
        return unknown(name, f"{told}, or nothing: its curve does not tell.")
    return passed(name, f"{told}.")


def check_overfitting(study: Checked) -> Check | None:
    """Ask whether the end of the best curve lies above its lowest part beyond its scatter."""
    best = study.best
    if best is None or study.kind.objective.maximise:
        return None
    last = attrs.LAST_VALIDATION_MSE.of(best)
    train = attrs.LAST_TRAIN_MSE.of(best)
    losses = list(best.intermediate_values.values())
    if last is None or train is None or min(losses, default=0) <= 0:
        return None
    if len(losses) < MIN_REPORTS or not all(map(math.isfinite, losses)):
        return unknown("overfitting", f"Too few {study.steps} to tell a rise from scatter.")
    n = max(3, len(losses) // 10)
    means = np.convolve(losses, np.full(n, 1 / n), mode="valid")
    ratio = float(means[-1] / means.min())
    error = _scatter(np.log(losses)) * math.sqrt(2 / n)
    return check(
        "overfitting",
        ratio > OVERFITTING and math.log(ratio) > RISE_SIGMAS * error and train < last,
        "The best training's error did not rise again towards its end.",
        f"The best training's validation error, smoothed, rose to {format_number(ratio, 3)} times "
        "its lowest while the training error stayed below it: it overfits, and its best "
        f"{study.kind.step} was chosen.",
    )


def _scatter(values: Sequence[float] | np.ndarray) -> float:
    """Return the standard deviation of the last fifth of a curve around its trend."""
    tail = np.asarray(values)[-max(3, round(0.2 * len(values))) :]
    return float(np.diff(tail).std() / math.sqrt(2))


def check_noise(study: Checked) -> Check | None:
    """Ask whether the best curve's end scatters so much that its best value is luck."""
    kind, best = study.kind, study.best
    if best is None or len(best.intermediate_values) < MIN_REPORTS:
        return None
    values = list(best.intermediate_values.values())
    tail = values[-round(0.2 * len(values)) :]
    has_zero = kind.objective.has_zero
    size = abs(statistics.fmean(tail)) if has_zero else study.margin(1.0)
    if not math.isfinite(sum(tail)) or not 0 < size < math.inf:
        return None
    scatter = _scatter(values) / size
    constant = best.params.get("schedule", "constant") == "constant"
    scheduled = kind.default is not None and "schedule" in kind.default
    other = "A schedule (one_cycle, cosine)" if constant and scheduled else "Larger batches"
    told = f"The best {study.training}'s last {study.steps} scatter by {format_percent(scatter)}"
    told += "" if has_zero else " of the way from the best trial to the median"
    hint = f" {other} or a smaller learning rate may calm them." if study.ours else ""
    return check(
        f"noise of the last {study.steps}",
        scatter > (NOISY if has_zero else NOISY_WAY),
        f"{told}.",
        f"{told}: its {kind.objective.best} one is partly luck.{hint}",
    )
