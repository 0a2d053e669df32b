"""How much each parameter mattered: by what a forest needs, with a second opinion."""

from dataclasses import replace

from study.analysis.agreement import describe_agreement
from study.analysis.effects import describe_effects
from study.analysis.surrogate import MAX_TRIALS, get_surrogate
from study.figures.parameters import plot_importances
from study.report.findings import Findings
from study.report.page import Graph, Missing, Section, chart_key

HEADING = "Importance"
GRAPHED = 10  # parameters, the most important ones


def section(found: Findings) -> Section | Missing | None:
    """Draw importances by metric; say whether a test agrees, and what Optuna's method tells."""
    explained = found.explained  # last, as other processes may still be at it
    told = [forest for forest in explained.forests.values() if forest.parameters]
    if not told and not any(info.parameters for info in explained.shares.values()):
        refusal = next((i.refusal for i in explained.forests.values() if i.refusal), None)
        return Missing(refusal or "no setting varies", found.more_trials)
    methods = [
        (
            "random forest",
            f"{forest.n_repeats} × {forest.n_folds} folds of at most {MAX_TRIALS} trials; "
            f"intervals from {forest.n_splits} splits into halves",
        )
        for forest in told[:1]
    ]
    wording = found.kind.wording
    refusals = [forest.refusal for forest in explained.forests.values() if forest.refusal]
    folded = found.counts("Which settings decided most?") if told else refusals[0]
    data = {
        "explained": explained,
        "said": folded,
        "agreement": {
            forest.metric: describe_agreement(forest, found.all_effects[forest.metric], wording)
            for forest in told
        },
        "directions": {
            metric: describe_effects(info) for metric, info in found.all_effects.items()
        },
    }
    figures = {
        chart_key("importance", forest.metric): plot_importances(forest, wording)
        for forest in told
    }
    return Section(data, figures, methods, folded=folded)


def graph(found: Findings) -> Graph | None:
    """Draw the importances for the objective; the dashboard's own are by another method."""
    info = get_surrogate(found.record) if found.search else None
    if info is None or not info.parameters:
        return None
    beside = "“Hyperparameter Importance” is by another method, which is blind to interactions."
    figure = plot_importances(
        replace(info, parameters=info.parameters[:GRAPHED]), found.kind.wording
    )
    figure.update_yaxes(ticklabelstandoff=8)  # a phone has no room for it, the dashboard has
    title = "What predicting the objective needs (pale: may be nothing)"
    return Graph(title, figure, [beside, *filter(None, [found.counts("")])])
