"""Seeds: what they depend on, and what they must not depend on."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.config import AutoencoderConfig, multitask_config
from study.seeds import pair_seed, sampler_seed, trial_seed
from tests.emoji_ae_tests.reference import with_fields

BASE = AutoencoderConfig(epoch=100)

TRIAL_SEED = 540017481682125119
MULTITASK_SEED = 4453005525659884291
PAIR_SEED = 540591849300245522
SAMPLER_SEED = 1807118605


def test_length_does_not_matter_without_a_schedule() -> None:
    """A training of 100 epochs is the beginning of one of 200, so it has the same seed."""
    assert trial_seed(0, BASE, 0) == trial_seed(0, replace(BASE, epoch=200), 0)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_length_matters_with_a_schedule(schedule: str) -> None:
    """Where the length changes every step, it changes the seed."""
    config = replace(BASE, schedule=schedule)  # type: ignore[arg-type]
    assert trial_seed(0, config, 0) != trial_seed(0, replace(config, epoch=200), 0)


def test_what_is_trained_matters() -> None:
    """Study seed, replicate and every parameter that has an effect give other seeds."""
    seeds = [
        trial_seed(0, BASE, 0),
        trial_seed(1, BASE, 0),
        trial_seed(0, BASE, 1),
        trial_seed(1, BASE, 1),
        trial_seed(0, replace(BASE, learning_rate=0.02), 0),
        trial_seed(0, replace(BASE, batch_size=32), 0),
        trial_seed(0, replace(BASE, weight_decay=0.0), 0),
        trial_seed(0, replace(BASE, normalization="batch"), 0),
        trial_seed(0, replace(BASE, auto_encoder="linear"), 0),
        trial_seed(0, replace(BASE, auto_encoder="linear", bottleneck_dim=16), 0),
    ]
    assert len(set(seeds)) == len(seeds)


def test_unused_parameters_do_not_matter() -> None:
    """A parameter of the other architecture changes nothing."""
    assert trial_seed(0, BASE, 0) == trial_seed(0, replace(BASE, bottleneck_dim=16), 0)


def test_seeds_stay_the_same() -> None:
    """Seeds are part of what a study means: another formula would change every result."""
    assert trial_seed(0, AutoencoderConfig(), 0) == TRIAL_SEED
    assert trial_seed(0, multitask_config(), 0) == MULTITASK_SEED
    assert pair_seed(0, 0) == PAIR_SEED
    assert sampler_seed(0, 0) == SAMPLER_SEED


@given(study_seed=st.integers(0, 2**64), replicate=st.integers(0, 10), number=st.integers(0))
def test_range(study_seed: int, replicate: int, number: int) -> None:
    """Seeds fit the generators that take them."""
    assert 0 <= trial_seed(study_seed, BASE, replicate) < 2**63
    assert 0 <= sampler_seed(study_seed, number) < 2**32
    assert 0 <= pair_seed(study_seed, number) < 2**63


def test_pairs_have_seeds_of_their_own() -> None:
    """No two pairs share a seed, nor two experiments."""
    seeds = [pair_seed(study, pair) for study in range(3) for pair in range(1000)]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("strategy", ["joint", "branched"])
def test_length_of_a_multitask_training_does_not_matter(strategy: str) -> None:
    """A joint or branched training of 100 epochs is the beginning of one of 200."""
    config = multitask_config(epoch=100, strategy=strategy)  # type: ignore[arg-type]
    assert trial_seed(0, config, 0) == trial_seed(0, replace(config, epoch=200), 0)


def test_length_of_a_sequential_training_matters() -> None:
    """Its classifier starts where the autoencoder ended, so another length is another training."""
    config = multitask_config(epoch=100, strategy="sequential")
    assert trial_seed(0, config, 0) != trial_seed(0, replace(config, epoch=200), 0)


def test_what_a_classifier_is_matters() -> None:
    """All that has an effect on the classifier gives other seeds, dropout at one layer not."""
    base = multitask_config(classification_layer_num=2)
    seeds = [
        trial_seed(0, config, 0)
        for config in (
            base,
            with_fields(base, dropout=0.5),
            with_fields(base, classification_layer_num=1),
            with_fields(base, classification_layer_num=3),
            with_fields(base, classification_width=64),
            with_fields(base, classification_lambda=0.5),
            with_fields(base, classification_lambda=0.0),
            with_fields(base, strategy="sequential"),
            with_fields(base, strategy="branched"),
            with_fields(base, strategy="branched", branch_point=2),
            with_fields(base, class_weights=True),
            with_fields(base, patience=20),
        )
    ]
    assert len(set(seeds)) == len(seeds)
    one = with_fields(base, classification_layer_num=1)
    assert trial_seed(0, one, 0) == trial_seed(0, with_fields(one, dropout=0.5), 0)


def test_sampler_seeds_differ() -> None:
    """No two trials of a study, and no two studies, share a sampler seed."""
    seeds = [sampler_seed(study, number) for study in range(3) for number in range(1000)]
    assert len(set(seeds)) == len(seeds)
