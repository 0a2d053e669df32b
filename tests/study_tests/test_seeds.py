"""Seeds: what they depend on, and what they must not depend on."""

from dataclasses import replace

from emoji_ae.config import AutoencoderConfig, multitask_config
from study.seeds import pair_seed, sampler_seed, trial_seed
from tests.emoji_ae_tests.reference import with_fields

BASE = AutoencoderConfig(epoch=100)
CLASSIFIER = multitask_config(epoch=100, classification_layer_num=2)
LINEAR = replace(BASE, auto_encoder="linear")


def test_what_is_trained_matters() -> None:
    """Study seed, replicate and parameters that have an effect give other seeds: the identity."""
    one_layer = with_fields(CLASSIFIER, classification_layer_num=1)
    configs = [
        *(BASE, replace(BASE, learning_rate=0.02), LINEAR, replace(LINEAR, bottleneck_dim=16)),
        *(CLASSIFIER, with_fields(CLASSIFIER, dropout=0.5), one_layer),
        with_fields(CLASSIFIER, strategy="sequential"),
    ]
    others = [(1, 0), (0, 1), (1, 1)]
    seeds = [trial_seed(0, config, 0) for config in configs]
    seeds += [trial_seed(study, BASE, replicate) for study, replicate in others]
    assert len(set(seeds)) == len(seeds)
    assert trial_seed(0, BASE, 0) == trial_seed(0, replace(BASE, bottleneck_dim=16), 0)
    assert trial_seed(0, one_layer, 0) == trial_seed(0, with_fields(one_layer, dropout=0.5), 0)


def test_seeds_stay_the_same() -> None:
    """Seeds are part of what a study means: another formula would change every result."""
    assert trial_seed(0, AutoencoderConfig(), 0) == 540017481682125119
    assert trial_seed(0, multitask_config(), 0) == 4453005525659884291
    assert pair_seed(0, 0) == 540591849300245522
    assert sampler_seed(0, 0) == 1807118605


def test_pairs_and_trials_have_seeds_of_their_own() -> None:
    """No two pairs and no two samplers share a seed, within a study and between studies."""
    for seed in (pair_seed, sampler_seed):
        assert len({seed(study, i) for study in range(3) for i in range(1000)}) == 3000
