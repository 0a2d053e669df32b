"""What the first screen says of an experiment: what its arms differ in, and what is open."""

from collections.abc import Iterator, Sequence

from study.analysis.checks import Level
from study.analysis.curve_checks import LENGTH
from study.analysis.experiment import Comparison, ExperimentInfo, sum_up
from study.analysis.paired import MANY
from study.analysis.provenance import again
from study.analysis.spent import training_seconds
from study.formats import capitalised, counted, format_list
from study.report.findings import Findings
from study.report.sentences import Answer, Step, lasting, parted


def answer_experiment(found: Findings, info: ExperimentInfo) -> Answer:
    """Lead with the first difference that is told, or say that none is."""
    always = [c for c in info.comparisons if c.metric not in info.on_request]
    told = next((c for c in always if c.found.told), None)
    others = [c for c in always if c is not told]
    summed = [info.of_metric(label) for label in info.on_request if info.of_metric(label)]
    sums = {sum_up(some): any(map(_settled, some)) for some in summed}
    settled = {c.verdict: _settled(c) for c in others} | sums
    unsettled = [_in_short(some) for some in summed if not any(map(_settled, some))]
    open_ = [text for text, sure in settled.items() if not sure and text not in sums]
    if unsettled:
        open_.append(f"Nor can anything be told in {format_list(unsettled)}.")
    headline, doubt = parted("Nothing has been found yet.")
    if told is not None:
        headline, doubt = parted(told.verdict)
    elif always:
        # What is nearest to being told says in which direction, and how much.
        least = min(always, key=lambda c: c.found.p_value if c.found.p_value is not None else 2.0)
        pairs, size = counted(least.found.n_pairs, "pair"), least.found.written(least.found.mean)
        verb = "does" if least.found.n_pairs == 1 else "do"
        headline = (
            f"{least.arm}: {least.metric} {size} against {least.baseline}, which {pairs} {verb} "
            "not tell from chance."
        )
    return Answer(
        headline=capitalised(headline),
        doubt=doubt,
        sure=tuple(capitalised(text) for text, sure in settled.items() if sure),
        open=tuple(map(capitalised, open_)),
        next=tuple(_next_steps(found, info, always)),
    )


def _in_short(some: Sequence[Comparison]) -> str:
    """Name a metric in which nothing is told, with its difference if there is but one."""
    (found, *others) = some
    if others:
        return found.metric
    told = found.found.written(found.found.mean)
    if found.found.needed is not None and found.found.needed <= MANY:
        told += found.found.asking("pair")
    return f"{found.metric} ({told})"


def _settled(found: Comparison) -> bool:
    alike = found.found.n_above == found.found.n_below == 0
    return found.found.told or found.found.equal or alike


def _next_steps(
    found: Findings, info: ExperimentInfo, comparisons: list[Comparison]
) -> Iterator[Step]:
    """Say what would settle more: what is missing, more pairs, or the same once more."""
    seconds = [s for t in found.record.complete if (s := training_seconds(t)) > 0]
    each_s = sum(seconds) / len(seconds) if seconds else None

    if info.n_missing and found.reference is not None:
        yield Step(
            why=f"Train what is missing{lasting(info.n_missing, each_s)}.",
            command=found.placed(
                f"emoji-study experiment {info.made.name} --study {found.record.name} "
                f"--pairs {info.made.n_pairs}"
            ),
        )
        return
    needed = [c for c in comparisons if c.found.needed is not None]
    least = min(needed, key=lambda c: c.found.needed or 0, default=None)
    length = next((c for c in found.checks if c.name in LENGTH.values()), None)
    name = found.kind.fidelity
    if length is not None and length.level != Level.PASS and name is not None:
        n_steps = max((int(t.params[name] or 0) for t in found.record.complete), default=0)
        command = again(found.record, n_pairs=info.made.n_pairs, changes={name: 2 * n_steps})
        if command is not None:
            time = lasting(2 * info.made.n_trials, each_s)
            yield Step(
                why=f"{length.sentence.rstrip('.')}; twice as long, with fresh pairs{time}:",
                command=found.placed(command),
            )
        return
    if least is not None and (least.found.needed or 0) > MANY:
        return  # more pairs of these data would hardly help
    n = info.made.n_pairs if least is None else round(least.found.needed or 0)
    command = again(found.record, n_pairs=n)
    if command is None:
        return
    fresh = f"Pairs of seeds and splits that are new{lasting(n * len(info.made.arms), each_s)}"
    why = f"{fresh} show whether it comes out once more."
    if least is not None:
        why = (
            f"{fresh}, about {n}, would tell such a difference of {least.arm} in {least.metric}; "
            "pairs that are added after a look at the first ones find too much."
        )
    yield Step(why=why, command=found.placed(command))
