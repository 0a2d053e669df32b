"""Whether methods agree, and what is said where some of them have no answer."""

from dataclasses import replace

import pytest
from scipy import stats

from study.analysis.agreement import FANOVA, PED_ANOVA, PERMUTATION, branches, get_agreement
from study.analysis.surrogate import get_branch
from tests.study_tests.synthetic import (
    SETTINGS,
    VALIDATION_ACCURACY,
    planted,
    planted_multitask,
    study,
    trial,
)

RECORD = planted()


def test_methods_agree_on_what_matters() -> None:
    """The one parameter that matters is first by all methods; tau is that of SciPy."""
    assert branches(RECORD) == ["CNN", "linear"]
    info = get_agreement(RECORD, family="CNN")
    n_trials = sum(t.params["auto_encoder"] == "CNN" for t in RECORD.complete)
    assert info.importances.n_trials == info.surrogate.n_trials == n_trials
    for method in (info.importances, info.surrogate):
        assert {p.name for p in method.parameters} == {p.name for p in info.parameters}
    first = info.parameters[0]
    assert (first.name, first.permutation.matters) == ("learning_rate", True)
    assert first.fanova.share > 0.9
    for p in info.parameters:
        for found in (p.ped_anova, p.fanova, p.permutation):
            assert 1 <= found.best_rank <= found.worst_rank <= len(info.parameters) == 4
    assert not any(pair.real for pair in info.interactions.pairs)
    assert list(info.taus) == [
        (PED_ANOVA, FANOVA),
        (PED_ANOVA, PERMUTATION),
        (FANOVA, PERMUTATION),
    ]
    shares, losses = zip(
        *((p.fanova.share, p.permutation.share) for p in info.parameters), strict=True
    )
    tau = stats.kendalltau(shares, losses).statistic
    assert info.taus[FANOVA, PERMUTATION] == pytest.approx(tau)
    for words in (
        "PED-ANOVA, fANOVA and permutation put learning_rate first. ",
        f"(Kendall's tau {min(info.taus.values()):.2f} to {max(info.taus.values()):.2f})",
        "no effect can be told from zero for ",
    ):
        assert words in info.sentence


def test_methods_that_refuse_are_named() -> None:
    """The methods that have an answer are compared, and the reason of the others is said."""
    info = get_agreement(replace(RECORD, trials=RECORD.trials[:50]), family="CNN")
    assert info.sentence == "PED-ANOVA stands alone."
    assert info.surrogate.refusal is not None
    assert (info.fanova, info.interactions, info.taus) == (None, None, {})
    assert {(p.permutation, p.fanova) for p in info.parameters} == {(None, None)}
    assert None not in [p.ped_anova for p in info.parameters]
    two = ("auto_encoder", "learning_rate", "weight_decay")
    trials = tuple(replace(t, params={n: t.params[n] for n in two}) for t in RECORD.trials)
    info = get_agreement(replace(RECORD, trials=trials), family="CNN")
    assert "Too few parameters to compare rankings, fewer than 3." in info.sentence
    params = {"auto_encoder": "CNN", "learning_rate": 0.01}
    two = study(*(trial(i, value=0.1 + i, params=params) for i in range(2)), settings=SETTINGS)
    info = get_agreement(two, family="CNN")
    assert (info.sentence, info.parameters) == ("No method has an answer.", ())
    record, by = planted_multitask(), {"metric": VALIDATION_ACCURACY}
    by["family"] = branches(record, **by)[0]
    info = get_agreement(record, **by)
    assert list(info.taus) == [(PED_ANOVA, PERMUTATION)]
    assert info.sentence.startswith("PED-ANOVA and permutation put classification_lambda first. ")
    n_trials = get_branch(record, complete_only=True, **by).n_trials
    assert "fANOVA says nothing: too few trials that have all varying" in info.sentence
    assert f"parameters: {n_trials} of at least 30." in info.sentence
