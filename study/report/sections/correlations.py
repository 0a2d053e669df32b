"""How parameters and values go together."""

from study.analysis.correlation import get_correlations
from study.figures.parameters import plot_correlations
from study.report.findings import Findings
from study.report.page import Missing, Section, chart_key

HEADING = "Correlations"


def section(found: Findings) -> Section | Missing | None:
    """Draw rank correlations, by metric and family."""
    infos = [
        get_correlations(found.record, metric=m, trials=found.data.correlated)
        for m in found.explained_metrics
    ]
    figures = {
        chart_key("correlations", info.metric): plot_correlations(info, found.kind)
        for info in infos
        if any(p.spearman.value is not None for f in info.families for p in f.parameters)
    }
    if not figures and not any(f.categorical for info in infos for f in info.families):
        alike = " of one family" if found.kind.family else ""
        why = f"fewer than three complete trials{alike} differ in a setting"
        return Missing(why, found.more_trials)
    return Section(
        {"all_correlations": infos},
        figures,
        methods=[("correlations", f"{i.n_resamples} bootstrap resamples") for i in infos[:1]],
        folded=found.counts("Do larger values go with better ones?"),
    )
