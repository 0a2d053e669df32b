"""Whether different methods call the same parameters important, branch by branch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from storage.records import StudyRecord
from study.analysis import family_of, kind_of, ranked
from study.analysis.importance import ImportanceInfo, ParameterImportance, get_importances
from study.analysis.surrogate import (
    FanovaInfo,
    InteractionsInfo,
    SurrogateInfo,
    get_branch,
    get_fanova,
    get_interactions,
    get_surrogate,
)
from study.formats import format_list
from study.metrics import Metric

PED_ANOVA, FANOVA, PERMUTATION = "PED-ANOVA", "fANOVA", "permutation"

MIN_PARAMETERS = 3
"""Rankings of fewer parameters agree or disagree by the toss of a coin."""

N_RESAMPLES = 20
"""Of PED-ANOVA in each branch."""

GOOD_TAU, POOR_TAU = 0.7, 0.3
"""Kendall's tau from which on rankings agree well, and below which they hardly do."""

_Ranking = Mapping[str, ParameterImportance]
"""Parameters by falling share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterAgreement:
    """What the methods say of one parameter, each None where it says nothing."""

    name: str
    ped_anova: ParameterImportance | None
    fanova: ParameterImportance | None
    permutation: ParameterImportance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementInfo:
    """All methods for one branch.

    Args:
        surrogate: Forest and permutation importance.
        importances: PED-ANOVA of the trials that the forest was grown on.
        fanova: None where the forest refuses.
        interactions: None where the forest refuses, and for any metric but the objective.
        parameters: By falling permutation importance, else share of PED-ANOVA.
        taus: Kendall's tau-b of the importances by every two methods that say something, None
            where there is none.
        sentence: What that comes to, in words.
    """

    family: str
    surrogate: SurrogateInfo
    importances: ImportanceInfo
    fanova: FanovaInfo | None
    interactions: InteractionsInfo | None
    parameters: tuple[ParameterAgreement, ...]
    taus: Mapping[tuple[str, str], float | None]
    sentence: str


def branches(record: StudyRecord, *, metric: Metric | None = None) -> list[str]:
    """Return the families that have a complete trial with a finite value, sorted by name."""
    parameter = kind_of(record).family
    return sorted({family_of(trial, parameter) for _, trial in ranked(record, metric=metric)})


def get_agreement(
    record: StudyRecord, *, family: str, metric: Metric | None = None, seed: int = 0
) -> AgreementInfo:
    """Compare PED-ANOVA, fANOVA and permutation importance in one branch.

    They answer different questions: what leads to the best tenth of the trials, what explains
    the metric over the whole space, and what a prediction needs. So they may rightly disagree
    on a parameter that only tells bad trials from very bad ones. PED-ANOVA needs no forest; the
    others are not asked where the forest predicts too little.

    Source: Kendall's tau-b by ``scipy.stats.kendalltau``.
    """
    metric = metric or kind_of(record).objective
    surrogate = get_surrogate(record, metric=metric, family=family, seed=seed)
    branch = get_branch(record, metric=metric, family=family, seed=seed)
    importances = get_importances(
        replace(record, trials=branch.trials), metric=metric, n_resamples=N_RESAMPLES, seed=seed
    )
    fanova = interactions = None
    if surrogate.refusal is None:
        fanova = get_fanova(record, metric=metric, family=family, seed=seed)
        if metric.objective:  # the slowest part
            interactions = get_interactions(record, surrogate, seed=seed)
    by_method = {
        PED_ANOVA: importances.parameters,
        FANOVA: fanova.parameters if fanova is not None else (),
        PERMUTATION: surrogate.parameters,
    }
    found = {method: {p.name: p for p in said} for method, said in by_method.items()}
    rankings = {method: said for method, said in found.items() if said}
    taus = {(a, b): _tau(rankings[a], rankings[b]) for a, b in combinations(rankings, 2)}
    return AgreementInfo(
        family=family,
        surrogate=surrogate,
        importances=importances,
        fanova=fanova,
        interactions=interactions,
        parameters=tuple(
            ParameterAgreement(
                name=name,
                ped_anova=found[PED_ANOVA].get(name),
                fanova=found[FANOVA].get(name),
                permutation=found[PERMUTATION].get(name),
            )
            for name in {**found[PERMUTATION], **found[PED_ANOVA]}
        ),
        taus=taus,
        sentence=_sentence(rankings, taus.values(), surrogate, fanova),
    )


def _tau(first: _Ranking, second: _Ranking) -> float | None:
    common = [name for name in first if name in second]
    a, b = ([ranking[name].share for name in common] for ranking in (first, second))
    if len(common) < MIN_PARAMETERS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(stats.kendalltau(a, b).statistic)


def _sentence(
    rankings: Mapping[str, _Ranking],
    taus: Collection[float | None],
    surrogate: SurrogateInfo,
    fanova: FanovaInfo | None,
) -> str:
    if not taus:
        only = next(iter(rankings), None)
        return "No method has an answer." if only is None else f"{only} stands alone."
    parts = [_first_places(rankings)]
    known = [tau for tau in taus if tau is not None]
    if known:
        parts.append(f"Over all parameters, the rankings {_how_well(known)}.")
    else:
        parts.append(f"Too few parameters to compare rankings, fewer than {MIN_PARAMETERS}.")
    if fanova is not None and fanova.refusal is not None:
        parts.append(f"fANOVA says nothing: {fanova.refusal[0].lower()}{fanova.refusal[1:]}")
    unsure = [p.name for p in surrogate.parameters if not p.matters]
    if unsure:
        parts.append(
            f"By permutation, no effect can be told from zero for {', '.join(unsure)}: places "
            "among these are chance and lower the agreement."
        )
    return " ".join(parts)


def _first_places(rankings: Mapping[str, _Ranking]) -> str:
    """Say which parameter each method puts first."""
    by_parameter: dict[str, list[str]] = {}
    for method, ranking in rankings.items():
        by_parameter.setdefault(next(iter(ranking)), []).append(method)
    places = [
        f"{format_list(methods)} {'puts' if len(methods) == 1 else 'put'} {name} first"
        for name, methods in by_parameter.items()
    ]
    return f"{', '.join(places)}."


def _how_well(taus: Sequence[float]) -> str:
    low, high = min(taus), max(taus)
    words = "agree in part" if low >= POOR_TAU else "hardly agree"
    if low >= GOOD_TAU:
        words = "agree well"
    numbers = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
    return f"{words} (Kendall's tau {numbers})".replace("-", "\N{MINUS SIGN}")
