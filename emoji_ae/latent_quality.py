"""Numbers for a latent space: what its directions, differences and paths are good for."""

import json
from collections.abc import Sequence
from importlib.resources import files
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from emoji_ae.dataset import EmojiDataset
from emoji_ae.labels import CLASSES, has_words
from emoji_ae.latent import LatentSpace, encode, lerp
from emoji_ae.models import Autoencoder

ATTRIBUTES = (
    *("smiling", "smiling eyes", "open mouth", "closed eyes", "grinning", "kissing", "crying"),
    *("tears", "tongue", "cold sweat", "winking", "hand", "covering", "frowning", "pouting"),
    *("cat", "moon"),
)
"""Words that several emoji share; those of too few in the images at hand are left out."""

MIN_CARRIERS = 2
"""Emoji, variants counted once, of which as many must carry an attribute, and must not."""

N_PATHS, N_STEPS = 8, 9
"""Paths whose smoothness is measured, and pictures on each, both ends counted."""

PROBE_PENALTY = 1.0
"""Of the linear probe's weights, for latents of unit variance."""


class Analogy(NamedTuple):
    """``without`` is to ``with_`` as ``base`` is to ``target``, each an emoji's text."""

    without: str
    with_: str
    base: str
    target: str


def measure_latents(
    model: Autoencoder, dataset: EmojiDataset, train: Sequence[int], others: Sequence[int]
) -> dict[str, float]:
    """Measure the latent space of a model on the CPU, which is left in evaluation mode.

    Returns numbers from 0 to 1 by the names of the functions that say what they are, but for
    those of which the images have nothing to measure: own ones, ``train`` rows and ``others``.
    """
    rows = [*train, *others]
    texts, labels = [dataset.texts[row] for row in rows], dataset.labels[rows]
    space = encode(model, dataset.images[rows], texts)
    latents = space.latents.flatten(1)
    measured = {
        "attribute_auc": attribute_auc(
            latents, texts, labels, [dataset.groups[row] for row in rows]
        ),
        "analogy_rank": analogy_rank(latents, texts, read_analogies()),
        "path_smoothness": path_smoothness(space),
        "probe_accuracy": probe_accuracy(latents, labels, n_train=len(train)),
        "variance_used": variance_used(latents),
    }
    return {name: value for name, value in measured.items() if value is not None}


def read_analogies() -> tuple[Analogy, ...]:
    """Return the analogies that are asked."""
    rows = json.loads(files("emoji_ae").joinpath("analogies.json").read_text())
    return tuple(Analogy(*row) for row in rows)


def attribute_auc(
    latents: Tensor, texts: Sequence[str], labels: Tensor, groups: Sequence[int]
) -> float | None:
    """Return how well attribute vectors tell who carries the attribute; chance gives 0.5.

    It is the mean over attributes of the area under the ROC curve. An emoji with the attribute
    and one without are told apart by the vector from the mean of those without to the mean of
    those with it, which was made without either of the two. Those without are of the classes of
    those with it, so that telling a cat from a person is not enough to know a grin. The variants
    of an emoji count as one, their mean.

    Source: attribute vectors as classifiers: White, "Sampling Generative Networks", 2016,
        arXiv:1609.04468, section 4.2; leaving out pairs, which is not biased with few emoji as
        leaving out one is: Airola et al., "An experimental comparison of cross-validation
        techniques for estimating the area under the ROC curve", CSDA 55, 2011.
    """
    group = torch.tensor(groups)
    areas = []
    for words in ATTRIBUTES:
        carrying = torch.tensor([has_words(text, words) for text in texts])
        comparable = torch.isin(labels, labels[carrying])
        having = _group_means(latents, group, carrying)
        lacking = _group_means(latents, group, comparable & ~carrying)
        if min(len(having), len(lacking)) >= MIN_CARRIERS:
            areas.append(area_of_pairs(having, lacking))
    return fmean(areas) if areas else None


def area_of_pairs(having: Tensor, lacking: Tensor) -> float:
    """Return the share of pairs that a vector made without them puts in the right order.

    Pairs that it does not order count half; there are at least 2 latents, ``(p, d)``, of each.
    """
    has = (having.sum(dim=0) - having) / (len(having) - 1)  # (p, d), the means of all others
    lacks = (lacking.sum(dim=0) - lacking) / (len(lacking) - 1)
    projected = (having * has).sum(dim=1)[:, None] - having @ lacks.T
    other = has @ lacking.T - (lacking * lacks).sum(dim=1)[None, :]
    difference = projected - other  # (p, q)
    return ((difference > 0).double() + (difference == 0).double() / 2).mean().item()


def _group_means(latents: Tensor, groups: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean latent of the chosen images of each group, ``(groups, d)``."""
    numbers = sorted(set(groups[chosen].tolist()))
    means = [latents[chosen & (groups == number)].mean(dim=0) for number in numbers]
    return torch.stack(means) if means else latents[:0]


def analogy_rank(
    latents: Tensor, texts: Sequence[str], analogies: Sequence[Analogy]
) -> float | None:
    """Return the mean of 1 / rank of the right emoji among those nearest to an analogy's sum.

    ``with_ - without + base`` should be nearest to ``target``, the three that were added up left
    out. Of equal texts the first counts; analogies of which an image is missing are not asked.

    Source: analogies by vector offsets: Mikolov, Yih, Zweig, "Linguistic Regularities in
        Continuous Space Word Representations", NAACL 2013.
    """
    rows: dict[str, int] = {}
    for row, text in enumerate(texts):
        rows.setdefault(" ".join(text.lower().replace("-", " ").split()), row)
    shares = []
    for analogy in analogies:
        if not all(text in rows for text in analogy):
            continue
        *given, target = (rows[text] for text in analogy)
        without, with_, base = latents[given]
        distances = (latents - (with_ - without + base)).norm(dim=1)
        distances[given] = torch.inf
        shares.append(1 / (1 + int((distances < distances[target]).sum())))
    return fmean(shares) if shares else None


def path_smoothness(space: LatentSpace) -> float | None:
    """Return how evenly pictures change on straight paths: mean step / longest step, in the mean.

    Source: pictures along latent paths as a measure of a latent space: Karras, Laine, Aila, "A
        Style-Based Generator Architecture", CVPR 2019, arXiv:1812.04948, section 4.1.
    """
    n = len(space.latents)
    n_paths = min(N_PATHS, n // 2)
    if not n_paths:
        return None
    shares = torch.linspace(0, 1, N_STEPS)
    starts = [i * (n // 2) // n_paths for i in range(n_paths)]
    ways = [lerp(space.latents[i], space.latents[i + n // 2], shares) for i in starts]
    pictures = space.decode(torch.cat(ways)).reshape(n_paths, N_STEPS, -1)
    steps = pictures.diff(dim=1).norm(dim=2)  # (n_paths, N_STEPS - 1)
    longest = steps.amax(dim=1)
    even = torch.where(longest > 0, steps.mean(dim=1) / longest, 1.0)
    return even.mean().item()


def probe_accuracy(latents: Tensor, labels: Tensor, *, n_train: int) -> float | None:
    """Return the share of the held-out images whose class a linear model tells.

    The model is a ridge regression of one indicator per class on standardised latents, fitted on
    the training images and judged on the others; in its dual form, as there are few images.

    Source: probes: Alain, Bengio, "Understanding intermediate layers using linear classifier
        probes", 2016, arXiv:1610.01644.
    """
    if not 0 < n_train < len(latents):
        return None
    fitted = latents[:n_train].double()
    centre = fitted.mean(dim=0)
    spread = fitted.std(dim=0, correction=0)
    scaled = (latents.double() - centre) / torch.where(spread > 0, spread, 1.0)
    train, others = scaled[:n_train], scaled[n_train:]
    targets = functional.one_hot(labels[:n_train], len(CLASSES)).double()
    offset = targets.mean(dim=0)
    kernel = train @ train.T + PROBE_PENALTY * torch.eye(n_train, dtype=torch.float64)
    weights = torch.linalg.solve(kernel, targets - offset)
    found = (others @ train.T @ weights + offset).argmax(dim=1)
    right: float = (found == labels[n_train:]).double().mean().item()
    return right


def variance_used(latents: Tensor) -> float | None:
    """Return the directions that variance fills, as a share of those that it could.

    The participation ratio of the variances along the principal directions, (sum)^2 / sum of
    squares, is the number of directions that would hold the variance if they shared it evenly.

    Source: Gao, Ganguli, "On simplicity and complexity in the brave new world of large-scale
        neuroscience", 2015, arXiv:1503.08779.
    """
    most = min(len(latents) - 1, latents.shape[1])
    if most < 1:
        return None
    centred = (latents - latents.mean(dim=0)).double()
    variances = torch.linalg.svdvals(centred).square()
    if variances.sum() == 0:
        return 0.0
    ratio: float = (variances.sum().square() / variances.square().sum()).item()
    return ratio / most
