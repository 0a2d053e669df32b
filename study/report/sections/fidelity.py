"""When early values tell the final ones, and what pruners would have done."""

from study.analysis.fidelity import (
    MAX_BEST_PRUNED,
    describe_no_advice,
    get_fidelity,
    replay_pruners,
    suggest_pruner,
)
from study.figures.search import plot_fidelity
from study.formats import plural
from study.report.findings import Findings
from study.report.page import Missing, Section

HEADING = "Fidelity and pruners"
CLOSE_ORDER = 0.9  # rank correlation of early errors that order trials like final ones


def section(found: Findings) -> Section | Missing | None:
    """Draw the agreement of early and final values; list pruners by what they would save."""
    if len(found.record.directions) > 1:
        return Missing("studies of several objectives are not pruned")
    fidelity = get_fidelity(found.record)
    if not fidelity.points:
        return Missing(f"{fidelity.refusal}", found.more_trials)
    pruners = replay_pruners(found.record)
    data = {
        "fidelity": fidelity,
        "close_order": CLOSE_ORDER,
        "pruners": pruners,
        "advice": suggest_pruner(pruners, offered=found.ours),
        "no_advice": describe_no_advice(
            pruners, offered=found.ours, steps=plural(found.kind.step)
        ),
        "max_best_pruned": MAX_BEST_PRUNED,
    }
    replayed = f"{pruners.n_studies} studies of {pruners.n_trials} trials"
    return Section(
        data,
        {"fidelity": plot_fidelity(fidelity, found.kind)},
        methods=[("replay of pruners", replayed)] if pruners.replays else [],
        folded=found.counts("Do a few steps tell the final values, and which pruner saves most?"),
    )
