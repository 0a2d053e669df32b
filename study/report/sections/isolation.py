"""The best value and the median that each value of a setting came to."""

from study.analysis.effects import EffectsInfo, describe_effects
from study.analysis.isolation import IsolationInfo, get_isolation
from study.figures.parameters import plot_isolation
from study.report.findings import Findings
from study.report.page import Figure, Missing, Section, chart_key

HEADING = "Each setting by itself"


def section(found: Findings) -> Section | Missing | None:
    """Draw the metrics over each setting, those first that made out most."""
    infos = {
        metric: get_isolation(found.record, metric=metric) for metric in found.explained_metrics
    }
    figures: dict[str, Figure] = {}
    told = []
    for metric, info in infos.items():
        effects = found.all_effects[metric]
        drawn = plot_isolation(info, found.kind)
        places = {name: i for i, name in enumerate(_order(info, effects))}
        keys = {name: f"{chart_key('isolation', metric)}-{i}" for name, i in places.items()}
        figures |= {key: drawn[name] for name, key in keys.items()}
        told.append((info, keys, describe_effects(effects)))
    if not figures:
        kept = " that keep the constraint" if found.summary.n_infeasible else ""
        why = f"no two complete trials{kept} differ in a setting"
        return Missing(why, found.more_trials)
    return Section({"told": told}, figures)


def _order(info: IsolationInfo, effects: EffectsInfo) -> list[str]:
    """Return the settings by the sizes of their effects, the clear ones first."""
    names = [effect.name for effect in effects.effects]
    drawn = [parameter.name for parameter in info.parameters]
    return [n for n in names if n in drawn] + [n for n in drawn if n not in names]
