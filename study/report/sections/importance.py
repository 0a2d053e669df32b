"""How much each parameter mattered, by several methods."""

from dataclasses import replace

from study.analysis.importance import get_importances
from study.analysis.surrogate import MAX_TRIALS, MIN_INTERACTION
from study.figures import plot_importances
from study.report.findings import Findings
from study.report.page import Graph, Missing, Section, chart_key

HEADING = "Importance"
GRAPHED = 10  # parameters, the most important ones


def section(found: Findings) -> Section | Missing | None:
    """Draw importances by metric, with what other methods say."""
    explained = found.explained  # last, as other processes may still be at it
    methods = [
        (info.evaluator, f"region {info.region}; {info.n_resamples} bootstrap resamples")
        for info in explained.importances[:1]
        if info.parameters
    ]
    forests = [branch.surrogate for found in explained.agreements.values() for branch in found]
    for forest in forests[:1]:
        folds = f"{forest.n_repeats} × {forest.n_folds} folds of at most {MAX_TRIALS} trials"
        splits = f"intervals from {forest.n_splits} splits into halves"
        methods.append(("random forest", f"{folds}; {splits}"))
    data = {
        "all_importances": explained.importances,
        "within_best": explained.within_best,
        "agreements": explained.agreements,
        "min_interaction": MIN_INTERACTION,
    }
    figures = {
        chart_key("importance", info.metric): plot_importances(info)
        for info in explained.importances
        if info.parameters
    }
    if not figures:
        refusal = next((i.refusal for i in explained.importances if i.refusal), None)
        return Missing(refusal or "no setting varies", found.more_trials)
    return Section(data, figures, methods, folded=found.counts("Which settings decided most?"))


def graph(found: Findings) -> Graph | None:
    """Draw the importances for the objective.

    The dashboard draws some as well, by the same method, but of complete trials alone.
    """
    info = get_importances(found.record) if found.search else None
    if info is None or not info.parameters:
        return None
    other = "“Hyperparameter Importance”"
    beside = f"The shares are those of {other}, with their uncertainty."
    if info.n_pruned:
        beside = f"{other} leaves pruned trials out; here they come last."
    figure = plot_importances(replace(info, parameters=info.parameters[:GRAPHED]))
    figure.update_yaxes(ticklabelstandoff=8)  # a phone has no room for it, the dashboard has
    title = "What mattered for reaching the best tenth (95 % interval)"
    return Graph(title, figure, [beside, *filter(None, [found.counts("")])])
