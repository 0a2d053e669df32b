"""Whether methods agree, and what is said where some of them have no answer."""

from dataclasses import replace

import pytest
from scipy import stats

from study.analysis.agreement import (
    FANOVA,
    PED_ANOVA,
    PERMUTATION,
    AgreementInfo,
    branches,
    get_agreement,
)
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


@pytest.fixture(scope="module")
def infos() -> list[AgreementInfo]:
    """What the methods say of either family of 120 trials with a planted answer."""
    return [get_agreement(RECORD, family=family) for family in ("CNN", "linear")]


def test_methods_agree_on_what_matters(infos: list[AgreementInfo]) -> None:
    """The one parameter that matters is first by all methods; tau is that of SciPy."""
    cnn, _ = infos
    first = cnn.parameters[0]
    assert first.name == "learning_rate"
    assert first.ped_anova.share > 0.5
    assert first.fanova.share > 0.9
    assert first.permutation.matters
    assert (first.fanova.best_rank, first.fanova.worst_rank) == (1, 1)
    for p in cnn.parameters:
        for found in (p.ped_anova, p.fanova, p.permutation):
            assert 1 <= found.best_rank <= found.worst_rank <= len(cnn.parameters) == 4
    assert cnn.sentence.startswith("PED-ANOVA, fANOVA and permutation put learning_rate first. ")
    assert "no effect can be told from zero for " in cnn.sentence
    assert "weight_decay" in cnn.sentence
    assert not any(pair.real for pair in cnn.interactions.pairs)
    pairs = [(PED_ANOVA, FANOVA), (PED_ANOVA, PERMUTATION), (FANOVA, PERMUTATION)]
    assert list(cnn.taus) == pairs
    shares, losses = zip(
        *((p.fanova.share, p.permutation.share) for p in cnn.parameters), strict=True
    )
    expected = stats.kendalltau(shares, losses).statistic
    assert cnn.taus[FANOVA, PERMUTATION] == pytest.approx(expected)
    taus = [tau for tau in cnn.taus.values() if tau is not None]
    assert f"(Kendall's tau {min(taus):.2f} to {max(taus):.2f})" in cnn.sentence


def test_all_methods_see_the_same_branch(infos: list[AgreementInfo]) -> None:
    """PED-ANOVA, too, is computed from the trials of the branch alone."""
    assert branches(RECORD) == [info.family for info in infos] == ["CNN", "linear"]
    for info in infos:
        names = {p.name for p in info.parameters}
        assert {p.name for p in info.importances.parameters} == names
        assert {p.name for p in info.surrogate.parameters} == names
        assert info.importances.n_trials == info.surrogate.n_trials
    assert sum(info.importances.n_trials for info in infos) == len(RECORD.complete)


def test_methods_that_refuse_are_named() -> None:
    """The methods that have an answer are compared, and the reason of the others is said."""
    info = get_agreement(replace(RECORD, trials=RECORD.trials[:50]), family="CNN")
    assert 10 <= info.surrogate.n_trials < 30
    assert info.sentence == "PED-ANOVA stands alone."
    assert info.surrogate.refusal is not None
    assert (info.fanova, info.interactions, info.taus) == (None, None, {})
    assert all(p.permutation is None and p.fanova is None for p in info.parameters)
    assert all(p.ped_anova is not None for p in info.parameters)
    params = {"auto_encoder": "CNN", "learning_rate": 0.01}
    two = study(*(trial(i, value=0.1 + i, params=params) for i in range(2)), settings=SETTINGS)
    assert branches(two) == ["CNN"]
    info = get_agreement(two, family="CNN")
    assert info.sentence == "No method has an answer."
    assert info.surrogate.refusal == "Too few trials: 2 of at least 30."
    assert info.parameters == ()
    assert branches(study()) == []
    record, by = planted_multitask(), {"metric": VALIDATION_ACCURACY}
    by["family"] = branches(record, **by)[0]
    info = get_agreement(record, **by)
    assert info.fanova is not None
    whole = get_branch(record, complete_only=True, **by)
    assert list(info.taus) == [(PED_ANOVA, PERMUTATION)]
    assert info.sentence.startswith("PED-ANOVA and permutation put classification_lambda first. ")
    assert (
        "fANOVA says nothing: too few trials that have all varying parameters: "
        f"{whole.n_trials} of at least 30." in info.sentence
    )
