"""Numbers for a latent space: against slow definitions, and on spaces whose numbers are known."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import load_dataset
from emoji_ae.labels import CLASSES, plain_text
from emoji_ae.latent import LatentSpace
from emoji_ae.latent_quality import (
    ATTRIBUTES,
    Analogy,
    analogy_rank,
    area_of_pairs,
    attribute_auc,
    measure_latents,
    path_smoothness,
    probe_accuracy,
    read_analogies,
    variance_used,
)
from emoji_ae.models import Autoencoder
from emoji_ae.splits import split_dataset
from tests.emoji_ae_tests.reference import initial_model

DATASET = load_dataset(None)
SEEDS = st.integers(0, 2**31)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_area(having: Tensor, lacking: Tensor) -> float:
    """Return the share of pairs in order, pair by pair, as it is defined."""
    found = []
    for i, j in itertools.product(range(len(having)), range(len(lacking))):
        has = having[[k for k in range(len(having)) if k != i]].mean(dim=0)
        lacks = lacking[[k for k in range(len(lacking)) if k != j]].mean(dim=0)
        difference = ((having[i] - lacking[j]) @ (has - lacks)).item()
        found.append(0.5 if difference == 0 else float(difference > 0))
    return sum(found) / len(found)


@given(p=st.integers(2, 6), q=st.integers(2, 6), d=st.integers(1, 5), seed=SEEDS)
@settings(max_examples=30)
def test_area_is_its_definition(p: int, q: int, d: int, seed: int) -> None:
    """The products of matrices give what leaving out every pair by hand gives."""
    latents = normal(p + q, d, seed=seed).double()
    found = area_of_pairs(latents[:p], latents[p:])
    assert found == pytest.approx(slow_area(latents[:p], latents[p:]))
    # Far apart everything is in order; one and the same point says nothing, and gives a half.
    assert area_of_pairs(latents[:p] + 100, latents[p:]) == 1.0
    assert area_of_pairs(torch.ones(p, d), torch.ones(q, d)) == 0.5


def test_attributes_within_classes_and_once_an_emoji() -> None:
    """A direction that tells classes apart tells no attribute; variants count once."""
    texts = [f"smiling cat face {i}" for i in range(4)] + [f"cat face {i}" for i in range(4)]
    texts += [f"man {i}" for i in range(6)]
    labels = torch.tensor([CLASSES.index("animal")] * 8 + [CLASSES.index("person")] * 6)
    latents = normal(14, 3).double()
    latents[:8, 0] += 50
    groups = range(14)
    alone = attribute_auc(latents[:8], texts[:8], labels[:8], groups[:8])
    assert attribute_auc(latents, texts, labels, groups) == alone is not None
    doubled = [*range(14), 0]
    of_doubled = (latents[doubled], [texts[i] for i in doubled], labels[doubled], doubled)
    assert attribute_auc(*of_doubled) == alone
    latents[:4, 1] += 50
    assert attribute_auc(latents, texts, labels, groups) == 1.0
    assert attribute_auc(latents, texts, labels, [0, 0, 0, 0, *groups[4:]]) is None


def test_analogy_ranks() -> None:
    """The rank counts what is nearer, apart from the three that were given."""
    latents = torch.tensor([[0.0], [1.0], [2.0], [5.0], [3.5], [2.5]])
    texts = ["a", "b", "c", "d", "x", "y"]  # b - a + c is 3
    asked = [Analogy("a", "b", "c", "d"), Analogy("a", "b", "c", "nowhere")]
    assert analogy_rank(latents, texts, asked) == pytest.approx(1 / 3)
    assert analogy_rank(latents[:5], texts[:5], asked) == pytest.approx(1 / 2)
    assert analogy_rank(latents[:3], texts[:3], asked) is None


def test_listed_analogies() -> None:
    """At least 20, no two alike, of default emoji; and two of these have each attribute."""
    analogies = read_analogies()
    assert len(analogies) >= 20
    assert len(set(analogies)) == len(analogies)
    texts = {" ".join(text.lower().replace("-", " ").split()) for text in DATASET.texts}
    for analogy in analogies:
        asked = {analogy.without, analogy.with_, analogy.base, analogy.target}
        assert len(asked) == 4
        assert asked <= texts
    for words in ATTRIBUTES:
        assert sum(f" {words} " in f" {plain_text(text)} " for text in texts) >= 2


class Switch(nn.Module):
    """Decodes a number to a picture that jumps from black to white at a half."""

    def forward(self, latents: Tensor) -> Tensor:
        """Return a pixel."""
        return (latents > 0.5).float()


def test_smoothness_of_what_is_known() -> None:
    """A fade is even, a jump is one step of eight, and a path that stays where it is is even."""
    for values, decoder, expected in (
        ([0.0] * 4 + [1.0] * 4, nn.Identity(), 1.0),
        ([0.0] * 4 + [1.0] * 4, Switch(), 1 / 8),
        ([0.0] * 4, nn.Identity(), 1.0),
        ([0.0], nn.Identity(), None),
    ):
        model = Autoencoder(encoder=nn.Identity(), decoder=decoder).eval()
        latents = torch.tensor(values)[:, None]
        space = LatentSpace(model=model, images=torch.zeros(0), texts=(), latents=latents)
        found = path_smoothness(space)
        assert found == (expected if expected is None else pytest.approx(expected))


def test_probe_of_what_is_known() -> None:
    """Classes that lie apart are told without a mistake; of noise nothing is learnt."""
    labels = torch.arange(40) % 4
    centres = 10 * normal(4, 6)
    assert probe_accuracy(centres[labels] + normal(40, 6), labels, n_train=24) == 1.0
    noise = probe_accuracy(normal(2000, 6), torch.arange(2000) % 4, n_train=1000)
    assert noise == pytest.approx(0.25, abs=0.06)
    assert probe_accuracy(centres[labels], labels, n_train=40) is None
    # Latents that are the same for all images change nothing.
    latents = normal(40, 5)
    dead = torch.cat([latents, torch.full((40, 7), 3.0)], dim=1)
    assert probe_accuracy(dead, labels, n_train=20) == probe_accuracy(latents, labels, n_train=20)


def test_variance_used_of_what_is_known() -> None:
    """All on a line use one direction; corners of a cross use all alike; one point uses none."""
    line = 7 + torch.arange(5.0)[:, None] * torch.ones(1, 4)
    assert variance_used(line) == variance_used(3 * line) == pytest.approx(1 / 4)
    cross = torch.cat([torch.eye(3), -torch.eye(3)])
    assert variance_used(cross) == pytest.approx(1.0)
    assert variance_used(torch.ones(5, 3)) == 0.0
    assert variance_used(torch.ones(1, 3)) is None


def test_all_numbers_of_a_model() -> None:
    """A model has all numbers of the default images, each within its range, always the same."""
    model = initial_model(AutoencoderConfig(width=4, latent_channels=8), seed=0)
    split = split_dataset(DATASET)
    found = measure_latents(model, DATASET, split.train, split.validation)
    assert [type(value) is float and 0 <= value <= 1 for value in found.values()] == [True] * 5
    assert found == measure_latents(model, DATASET, split.train, split.validation)
