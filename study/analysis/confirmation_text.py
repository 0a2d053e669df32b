"""What a confirmation says, in sentences."""

from collections.abc import Iterator
from itertools import combinations

from study.analysis import word_for
from study.analysis.confirmation import DEFAULT, ConfirmationInfo, Confirmed
from study.analysis.estimates import MIN_SPLITS, Estimate
from study.analysis.paired import MANY, Difference
from study.analysis.rise import beside, describe_rise
from study.formats import (
    capitalised,
    counted,
    format_change,
    format_count,
    format_list,
    format_measured,
)
from study.metrics import Metric


def describe_confirmation(
    info: ConfirmationInfo, at_home: ConfirmationInfo | None = None
) -> Iterator[str]:
    """Say what a confirmation found, on other data beside that on the search's own."""
    word = word_for(info.objective)
    if info.other_data is not None:
        yield f"All trained on other {info.data} than the search's: {info.other_data}."
    if info.n_missing:
        yield f"{info.n_missing} trainings are missing; comparisons leave them out."
    if info.best is None:
        keeping = f" and with the {info.demanded} that was asked for" if info.demanded else ""
        yield (
            f"No configuration of study {info.follows} can be judged: none has finished without "
            f"a failed training{keeping}."
        )
        return
    best = info.get(info.best)
    assert best.validation is not None  # it finished
    yield (
        f"Over {describe_seeds(info)}, {best.name} has the {info.objective.best} mean "
        f"{info.objective.label}: {_estimate(best.validation, info.objective)}."
    )
    if not info.enough:
        yield f"{_seeds_are(info)} too few to tell it from the others."
    elif len(info.tied) > 1:
        yield from describe_tied(info)
        yield from _cheapest(info, best)
    elif others := [
        "the default" if c.role == DEFAULT else c.name
        for c in info.confirmed
        if not c.tied and c.validation and c.name not in info.excluded
    ]:
        worse = f"{capitalised(others[0])} is" if len(others) == 1 else "All others are"
        yield f"{worse} worse, beyond what chance explains."
    if info.excluded:
        failed = [name for name in info.excluded if info.get(name).n_failed]
        breaking = [name for name in info.excluded if name not in failed]
        worse = "lower" if info.second is None else info.second.worse
        reasons = [f"{format_list(failed)}, as a training failed"] if failed else []
        if breaking:
            mean = f"the mean {info.demanded} is {worse} than was asked for"
            reasons.append(f"{format_list(breaking)}, as {mean}")
        yield f"Not counted, whatever the {word}: {'; '.join(reasons)}."
    if best.role == DEFAULT:
        tried = [c.name for c in info.confirmed if c.role != DEFAULT] or ["nothing"]
        are = "is" if len(tried) == 1 else "are"
        yield f"So {format_list(tried)} {are} no better than the default."
    elif best.difference is not None and best.difference.mean is not None:
        yield _against_default(best, best.difference, info.objective)
        yield from describe_worse(info)
    if info.other_data is not None and at_home is not None:
        same, pairs = same_order(at_home, info)
        on = f"as on the search's own {info.data}, where {at_home.best} is the best"
        yield (
            f"They rank {on}."
            if same == pairs
            else f"{same} of {counted(pairs, 'pair')} of configurations rank {on}."
        )
    yield from describe_rise(info.rise, info.objective, word=word, data=info.data)
    if best.test is not None:
        yield from _tested(info, best)
    if not info.enough:
        yield (
            f"With fewer than {MIN_SPLITS} seeds, those on one split counted once, nothing is "
            "known of the scatter; take more --seeds."
        )


def describe_seeds(info: ConfirmationInfo) -> str:
    """Say how many seeds there are, and on which splits: 3 fresh seeds and splits."""
    n_fresh = info.n_seeds - info.n_own
    if not info.n_own:
        return f"{counted(n_fresh, 'fresh seed')} and splits"
    own = f"{counted(info.n_own, 'fresh seed')} on the search's own split"
    return own if not n_fresh else f"{own} and {n_fresh} on fresh splits"


def describe_tied(info: ConfirmationInfo) -> Iterator[str]:
    """Say which configurations may be as good as the best, or are shown to be."""
    others = [info.get(name) for name in info.tied if name != info.best]
    equal = [c.name for c in others if c.from_best is not None and c.from_best.equal]
    told = [c for c in others if c.name not in equal]
    if equal:
        margin = next(c.from_best.within for c in others if c.from_best is not None)
        yield f"As good as {info.best}, {margin}: {format_list(equal)}."
    asking = {c.name: c.from_best.needed for c in told if c.from_best and c.from_best.needed}
    never = [name for name, n in asking.items() if n > MANY]
    some = [c.name for c in told if c.name not in never]
    if some:
        text = f"{_seeds_are(info)} too few to tell {format_list(some)} from {info.best}"
        enough = [f"{format_count(round(asking[n]))} ({n})" for n in some if n in asking]
        if enough:
            text += f"; differences as large as these take so many splits: {format_list(enough)}"
        yield f"{text}."
    if never:
        beaten = _beaten(info.get(never[0]), info) if len(never) == 1 else ""
        yield (
            f"{capitalised(format_list(never))} may be as good as {info.best}{beaten}: telling "
            f"them apart takes more than {format_count(MANY)} splits of these {info.data}."
        )


def _beaten(other: Confirmed, info: ConfirmationInfo) -> str:
    """Say with how many seeds the best one is better than another."""
    found = other.from_best
    if found is None:
        return ""
    n = found.n_below if info.objective.maximise else found.n_above
    return f", though {info.objective.worse} with {n} of {counted(found.n_pairs, 'seed')}"


def describe_worse(info: ConfirmationInfo) -> Iterator[str]:
    """Say in which other metrics the best one is worse than the default, if that is told."""
    if info.worse_in:
        each = [f"{m.label} ({d.written(d.mean)})" for m, d in info.worse_in.items()]
        yield f"{capitalised(str(info.best))} is worse than the default in {format_list(each)}."


def _seeds_are(info: ConfirmationInfo) -> str:
    of = "" if info.n_splits == info.n_seeds else f" on {counted(info.n_splits, 'split')}"
    return f"{counted(info.n_seeds, 'seed')}{of} {'is' if info.n_seeds == 1 else 'are'}"


def _cheapest(info: ConfirmationInfo, best: Confirmed) -> Iterator[str]:
    """Say which of those that may be as good takes the least work, if it is not the best."""
    known = [c for c in map(info.get, info.tied) if c.work is not None]
    least = min(known, key=lambda c: c.work or 0.0, default=best)
    if least.work and best.work and least.work < best.work:
        change = format_change(least.work / best.work - 1)
        yield (
            f"Of these {least.name} takes the least work to train: {change} beside {best.name} "
            f"({info.work_label})."
        )


def _tested(info: ConfirmationInfo, best: Confirmed) -> Iterator[str]:
    """Say what the best one's models reach on the test data."""
    assert best.test is not None
    metric, whose = info.objective, "the default’s" if best.role == DEFAULT else "its"
    text = (
        f"On the test {info.data}, which nothing was chosen by, {whose} {metric.short_label} is "
        f"{_estimate(best.test, metric)}; the interval is that of seeds and splits"
    )
    if best.test_rows is None:
        yield f"{text}, not of other test {info.data}."
        return
    low, high = (format_measured(end, metric) for end in best.test_rows)
    yield f"{text}. With other test {info.data} of this kind as well it is {low} to {high}."
    if best.test_against is not None and best.difference is not None:
        low, high = map(format_change, best.test_against)
        yield f"On such {info.data} it differs from the default's by {low} to {high}."


def same_order(first: ConfirmationInfo, second: ConfirmationInfo) -> tuple[int, int]:
    """Count the pairs of configurations whose means are in one order in both, and all pairs."""
    theirs = [c.name for c in second.confirmed if c.validation is not None]
    shared = [c.name for c in first.confirmed if c.validation is not None and c.name in theirs]
    pairs = list(combinations(shared, 2))  # best mean first in both
    return sum(theirs.index(a) < theirs.index(b) for a, b in pairs), len(pairs)


def _against_default(best: Confirmed, found: Difference, objective: Metric) -> str:
    assert found.mean is not None
    text = f"The {word_for(objective)} of {best.name} is {beside(found.mean)} the default's"
    if found.interval is not None:
        chance = "" if found.told else ", which may be chance"
        text += f" (95 % interval {found.interval.written(format_change)}{chance})"
    n = found.n_pairs
    wins = f"all {n}" if best.n_wins == n else f"{best.n_wins} of {n}"
    return f"{text}, {objective.better} with {wins} seeds."


def _estimate(found: Estimate, metric: Metric) -> str:
    mean = format_measured(found.mean, metric)
    if found.interval is None:
        return mean
    ends = found.interval.written(lambda end: format_measured(end, metric))
    return f"{mean} (95 % interval {ends})"
