"""How each two metrics of a study go together."""

from study.analysis.metric_pairs import MetricPair, Tie, get_metric_pairs
from study.figures.comparisons import plot_metric_pair
from study.formats import format_coefficient, format_list
from study.report.findings import Findings
from study.report.page import Section
from study.wording import OURS, Wording

HEADING = "Metrics against each other"
DRAWN = 3  # pairs that have a chart; the table has all


def section(found: Findings) -> Section | None:
    """Draw pairs of metrics, and say whether what remains of each is a trade-off."""
    pairs = get_metric_pairs(found.record)
    if not pairs:
        return None
    wording = found.kind.wording
    drawn = sorted(pairs, key=lambda pair: not (pair.first.always and pair.second.always))[:DRAWN]
    figures = {f"metrics-{i}": plot_metric_pair(pair, wording) for i, pair in enumerate(drawn)}
    told = {(pair.first, pair.second): sentence(pair, wording) for pair in pairs}
    return Section(
        {"pairs": pairs, "drawn": drawn, "told": told},
        figures,
        folded=found.counts(""),
    )


def sentence(pair: MetricPair, wording: Wording = OURS) -> str:
    """Say what a pair comes to, the coefficient over all trials first."""
    first, second = pair.first.short_label, pair.second.short_label
    whole = format_coefficient(pair.spearman.value)
    if pair.spearman.value is None:
        return f"One of {first} and {second} does not vary."
    begin = f"The rank correlation of {first} and {second} is {whole} over all trials"
    if pair.parameter is None:
        return f"{begin}: {_without(pair)}"
    label = wording.label(pair.parameter)
    inside = format_coefficient(pair.within_spearman.value)
    said = f"{begin} and {inside} among trials of equal {label}: {_with(pair, label)}"
    if not pair.uneven:
        return said
    levels = (
        f"{format_coefficient(level.spearman.value)} at {level.words}"
        for level in pair.levels
        if level.spearman.value is not None
    )
    return f"{said} It is not the same everywhere: {format_list(list(levels))}."


def _without(pair: MetricPair) -> str:
    if pair.tie is Tie.UNCERTAIN:
        return "whether they go together cannot be told."
    return f"{pair.tie}; no setting explains both."


def _with(pair: MetricPair, label: str) -> str:
    if pair.tie in (Tie.TOGETHER, Tie.TRADE_OFF):
        if pair.uneven:
            return f"{pair.tie}, also among trials of equal {label} taken together."
        return f"{pair.tie}, also where {label} is equal."
    inside = Tie.TRADE_OFF if pair.trade_off_within else Tie.TOGETHER
    return {
        Tie.COMMON_CAUSE: f"{label} makes both, and nothing is left that can be told without it.",
        Tie.REVERSED: f"where {label} is equal it is the other way round: {inside}.",
    }.get(pair.tie, f"what is left where {label} is equal cannot be told.")
