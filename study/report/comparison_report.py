"""The comparison of several studies on one page: its verdict, its charts and its tables."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from storage.records import StudyRecord
from study.analysis import (
    data_of,
    is_ours,
    is_own,
    is_search,
    kind_of,
    n_again,
    reference_of,
    word_for,
)
from study.analysis.comparison import (
    QUANTILES,
    ComparisonInfo,
    EqualBudget,
    PairComparison,
    describe_budget,
    get_comparison,
)
from study.analysis.estimates import Interval
from study.analysis.tables import get_families
from study.figures.comparisons import plot_best_distribution, plot_comparison
from study.formats import (
    counted,
    format_list,
    format_measured,
    format_number,
    format_percent,
    format_sampler,
    in_line,
    plural,
    with_article,
)
from study.report.embedded import ReportData, bounded, pack
from study.report.page import Section, flat, render_page
from study.report.sentences import STATES, Step, Verdict, describe_lacking
from study.settings import IMPORTED
from study.shell import at_storage, quote
from study.wording import OURS, Wording


def render_studies(data: ReportData) -> str:
    """Turn two or more studies of different names into a page that compares them."""
    records = data.studies
    info = get_comparison(records)
    objective, title = info.objective, format_list(list(map(in_line, info.names)))
    bests = [side.summary.best for side in info.studies]
    parameters = dict.fromkeys(name for best in bests if best is not None for name in best.params)
    sides = {"bests": bests, "best_parameters": list(parameters), "states": STATES}
    budgets = {
        f"budget-{unit}": plot_comparison(info, unit)
        for unit, found in info.budgets.items()
        if found.refusal is None
    }
    drawn = any(side.distribution for side in info.studies)
    errors = {"error-distribution": plot_best_distribution(info)} if drawn else {}
    shares = {"quantiles": QUANTILES}
    families = [(record.name, get_families(record)) for record in records]
    commands = {
        "report_command": _command(data, "report", *info.names),
        "single_commands": [_command(data, "report", name) for name in info.names],
    }
    parts = [
        ("verdict", "Verdict", Section()),
        ("studies", "The studies side by side", Section(sides)),
        ("equal-budget", "Equal budget", Section(figures=budgets)),
        ("distribution", f"Distribution of {word_for(objective)}s", Section(shares, errors)),
        ("differences", "What differs", Section()),
        ("families", "Families by study", Section({"families": families})),
        ("reproduce", "How to reproduce", Section(commands)),
    ]
    if not any(kind_of(record).family for record in records):
        parts = [part for part in parts if part[0] != "families"]
    if not info.one_direction:
        parts = [part for part in parts if part[0] != "distribution"]
    return render_page(
        "comparison",
        title=f"{title} – comparison of studies",
        groups=flat("comparison", *parts),
        report_data=partial(pack, bounded(data)),
        words={
            "name": title,
            "info": info,
            "objective": objective,
            "wording": _wording(records),
            "own": all(map(is_own, records)),
            "ours": any(map(is_ours, records)),
            "reused": any(side.summary.n_reused for side in info.studies),
            "images": _common(map(data_of, records), "data"),
            "steps": _common((plural(kind_of(record).step) for record in records), "steps"),
            "verdict": get_comparison_verdict(data, info),
            "describe_budget": describe_budget,
            "format_probability": format_probability,
        },
    )


def _wording(records: Sequence[StudyRecord]) -> Wording:
    """Return how the settings of several studies are written; as ours if one of them is."""
    if any(map(is_ours, records)):
        return OURS
    return Wording([trial for record in records for trial in record.trials])


def get_comparison_verdict(data: ReportData, info: ComparisonInfo) -> Verdict:
    """Say which study found the better value at equal budget, how sure that is, and what to do."""
    said = []
    for side in info.studies:
        facts = [counted(side.summary.n_trials, "trial")]
        facts += [format_sampler(side.sampler)] if side.sampler else []
        said.append(f"“{side.name}” ({', '.join(facts)})")
    studies = format_list(said)
    return Verdict(
        opening=f"What the studies {studies} found, and what they find for an equal budget.",
        found=tuple(_found(info)),
        sure=(*describe_lacking(data), *_sure(info)),
        next=tuple(_next(data, info)),
    )


def _common(words: Iterable[str], otherwise: str) -> str:
    """Return the word that all studies share, or another one."""
    first, *others = dict.fromkeys(words)
    return otherwise if others else first


def format_probability(value: float) -> str:
    """Write a probability in whole per cent, never as if it were certain."""
    if value < 0.005:
        return f"under {format_percent(0.01)}"
    return f"over {format_percent(0.99)}" if value > 0.995 else format_percent(value)


def _found(info: ComparisonInfo) -> Iterator[str]:
    yield from _best_of_all(info)
    primary = info.primary
    if primary is None:
        yield "Nothing can be said about an equal budget."
    else:
        for pair in _at_all(primary):
            yield (
                f"At equal budget, for {describe_budget(primary.words, pair.budget)}, what all "
                f"trials of “{primary.limiting}” take, {_describe_pair(info, pair)}."
            )
    for side in info.studies:
        metric = side.objective
        split = "an unknown" if side.measured_on == "unknown" else f"the {side.measured_on}"
        if side.n_objectives > 1:
            yield (
                f"“{side.name}” has {side.n_objectives} objectives, in which no trial need be the "
                f"best; what is compared is its {metric.label}."
            )
        elif (best := side.summary.best) is None:
            yield f"“{side.name}” has no complete trial that can be the best."
        else:
            on = f" on {split} split" if side.ours else ""
            yield (
                f"The {metric.best} {word_for(metric)} of “{side.name}” is "
                f"{with_article(metric.short_label)} of {format_measured(best.value, metric)}"
                f"{on}, of trial {best.number}."
            )


def _best_of_all(info: ComparisonInfo) -> Iterator[str]:
    """Say which of two studies found the better value, and how much more it trained for it."""
    bests = [(side.summary.best, side) for side in info.studies]
    found = [(trial.value, side) for trial, side in bests if trial and trial.value is not None]
    if len(found) != 2 or not info.comparable or not info.one_direction:
        return
    sign = info.objective.sign
    (highest, winner), (other, loser) = sorted(found, key=lambda item: sign * item[0])
    if highest == other:
        return
    spent, less = winner.summary.spent.steps, loser.summary.spent.steps
    times = ""
    if spent and less:
        factor = spent / less
        steps = info.budgets["epochs"].words if info.budgets else "steps"
        how = (
            f"{format_number(factor, 2)} times the"
            if factor >= 1
            else f"{format_percent(factor)} of the"
        )
        times = f", with {'about as many' if 0.9 < factor < 1.1 else how} {steps}"
    yield (
        f"“{winner.name}” found the {info.objective.better} {word_for(info.objective)}: "
        f"{format_measured(highest, info.objective)} against "
        f"{format_measured(other, info.objective)}{times}."
    )


def _sure(info: ComparisonInfo) -> Iterator[str]:
    primary = info.primary
    if primary is not None:
        if not info.comparable and any(pair.better for pair in primary.pairs):
            yield (
                f"Whether the {word_for(info.objective)}s compare at all is open, for the "
                "reasons below; so a study that is better here need not be the better search."
            )
        for pair in _at_all(primary):
            yield _describe_others(info, pair)
        yield (
            "Each of these searches draws trials of one study at random; the intervals are "
            "those of resampled trials, verdicts adjusted for the number of pairs of studies."
        )
        yield (
            f"It is the {info.objective.best} single value of each that is compared: where values "
            "scatter, more scatter alone makes it better, and its settings need not be."
        )
    yield from info.refusals
    yield from info.cautions


def _next(data: ReportData, info: ComparisonInfo) -> Iterator[Step]:
    pairs = () if info.primary is None else _at_all(info.primary)
    better = {pair.better for pair in pairs}
    kinds = {record.name: reference_of(record) for record in data.studies if is_search(record)}
    searches = [side for side in info.studies if side.name in kinds]
    for side in sorted(searches, key=lambda side: side.name not in better):
        if side.summary.best is not None and side.ours:
            yield Step(
                command=_command(data, "confirm", side.name),
                why="trains its best trials again with fresh seeds and splits, since the single "
                "best value of a search is optimistic",
            )
    if not pairs or None in better:
        for side in searches:
            if side.sampler != IMPORTED and (kind := kinds[side.name]) is not None:
                n = n_again(next(r for r in data.studies if r.name == side.name))
                yield Step(
                    command=f"{_command(data, f'run {quote(kind)}', side.name)} --trials {n}",
                    why=f"adds {n} trials, which make the comparison surer",
                )


def _at_all(found: EqualBudget) -> tuple[PairComparison, ...]:
    """Return the comparisons at the largest budget."""
    largest = max((pair.budget for pair in found.pairs), default=0.0)
    return tuple(pair for pair in found.pairs if pair.budget == largest)


def _describe_pair(info: ComparisonInfo, pair: PairComparison) -> str:
    """Say how likely the study that finds the better value more often does so."""
    better = f"{info.objective.better} {word_for(info.objective)}"
    first, second = pair.first, pair.second
    probability, interval = pair.probability, pair.interval
    if probability < 0.5:
        first, second = second, first
        probability, interval = 1 - probability, Interval(1 - interval.high, 1 - interval.low)
    return (
        f"a search with trials of “{first}” finds a {better} than one with trials of "
        f"“{second}” with a probability of {format_probability(probability)} "
        f"({format_percent(pair.level)} interval {interval.written(format_probability)}): "
        f"{pair.verdict}"
    )


def _describe_others(info: ComparisonInfo, pair: PairComparison) -> str:
    """Say what the other budgets and units have to say about the same studies."""
    same = [
        (found.words, other)
        for found in info.budgets.values()
        for other in found.pairs
        if (other.first, other.second) == (pair.first, pair.second) and other is not pair
    ]
    units = format_list(list(dict.fromkeys(unit for unit, _ in same)))
    verdicts = Counter(other.verdict for _, other in same)
    counts = ", ".join(f"in {n} {verdict}" for verdict, n in sorted(verdicts.items()))
    return (
        f"In {len(same)} other comparisons of “{pair.first}” with “{pair.second}”, at other "
        f"budgets and counted in {units}: {counts}."
    )


def _command(data: ReportData, verb: str, *studies: str) -> str:
    named = " ".join(f"--study {quote(study)}" for study in studies)
    return at_storage(f"emoji-study {verb} {named}", data.storage)
