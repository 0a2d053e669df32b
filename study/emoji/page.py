"""The description of a data set on one page: the same data always give the same bytes."""

from collections.abc import Iterable, Sequence

from emoji_ae.describe import ClassInfo, DatasetInfo, LeakageInfo, SplitInfo
from study.emoji.data import changed
from study.emoji.figures import plot_classes, plot_neighbours, plot_words
from study.formats import (
    capitalised,
    counted,
    format_count,
    format_list,
    format_number,
    format_percent,
)
from study.report.page import Section, flat, render_page

FEW_IMAGES = 10
"""Validation images of a class below which its recall is said to be known only roughly."""


def render_data_report(description: DatasetInfo) -> str:
    """Turn the description of a data set into a complete HTML document, free of the network."""
    names = tuple(found.name for found in description.classes)
    words = {"words": plot_words(description.words)}
    classes = {"classes": plot_classes(description.split, names)}
    neighbours = {"neighbours": plot_neighbours(description.neighbours)}
    n_listed = sum(found.listed for found in description.texts)
    return render_page(
        "data",
        title=f"Data set {description.source}",
        groups=flat(
            "data",
            ("words", "Words of all texts", Section(figures=words)),
            ("subset", "The subset that is used", Section()),
            ("classes", "Classes", Section({"n_listed": n_listed}, classes)),
            ("split", "The split", Section()),
            ("near-duplicates", "Near-duplicates across the split", Section(figures=neighbours)),
            ("reproduce", "How to reproduce", Section()),
        ),
        words={
            "info": description,
            "sentences": get_data_sentences(description),
            "cautions": get_data_cautions(description),
        },
    )


def get_data_sentences(description: DatasetInfo) -> list[str]:
    """Say in plain words what the data set holds, and what its split leaks."""
    words, subset = description.words, description.subset
    return [
        f"{description.source} holds {counted(words.n_images, 'image')} with "
        f"{counted(words.n_texts, 'different text')}; {format_count(subset.n_images)} of the "
        f"images ({format_percent(subset.n_images / words.n_images)}) "
        f"{'shows' if subset.n_images == 1 else 'show'} a face and "
        f"{'is' if subset.n_images == 1 else 'are'} used.",
        _classes_sentence(description.classes),
        _split_sentence(description.split, description.leakage[0]),
        _near_sentence(description.leakage, description.neighbours.threshold),
    ]


def get_data_cautions(description: DatasetInfo) -> list[str]:
    """Say what whoever uses the data must keep in mind."""
    cautions = []
    if description.leakage[0].n_shared_groups:
        cautions.append(
            f"The {description.split.method} split puts variants of one emoji on several sides, "
            "so errors look lower than they would be on new emoji. --split group avoids that."
        )
    validation = description.split.sides[1]
    few = [
        f"“{found.name}” ({format_count(n)})"
        for found, n in zip(description.classes, validation.images_by_class, strict=True)
        if n < FEW_IMAGES and found.n_images
    ]
    if few:
        cautions.append(
            f"Fewer than {FEW_IMAGES} validation images: {', '.join(few)}. How well these are "
            "classified is known only roughly."
        )
    if odd := changed(description.subset.intake):
        cautions.append(f"{capitalised(', '.join(odd))}.")
    n_ruled = sum(not found.listed for found in description.texts)
    if n_ruled:
        cautions.append(
            f"{format_count(n_ruled)} of {counted(len(description.texts), 'text')} got "
            f"{'its' if n_ruled == 1 else 'their'} class by rule, as the original study did not "
            "list them: see Classes."
        )
    return cautions


def _classes_sentence(classes: Iterable[ClassInfo]) -> str:
    """Name the classes by size, and say how uneven they are."""
    present = sorted((c for c in classes if c.n_images), key=lambda c: -c.n_images)
    largest, smallest = present[0], present[-1]
    if len(present) == 1:
        return f"All of these are of the class {largest.name}."
    shares = ", ".join(
        f"{found.name} {format_count(found.n_images)} ({format_percent(found.share)})"
        for found in present
    )
    return (
        f"These are of {len(present)} classes: {shares}. The largest has "
        f"{format_number(largest.n_images / smallest.n_images, 3)} times as many images as the "
        "smallest, and always guessing it would be right for "
        f"{format_percent(largest.share)} of the images."
    )


def _split_sentence(split: SplitInfo, leakage: LeakageInfo) -> str:
    """Say how large the sides are, and whether variants are on several."""
    sizes = [f"{format_count(side.n_images)} {side.name}" for side in split.sides]
    sides = f"The {split.method} split with seed {split.seed} gives {format_list(sizes)} images"
    if not leakage.n_shared_groups:
        return (
            f"{sides}; none of the {counted(split.n_groups, 'group')} of variants is on more than "
            "one side."
        )
    return (
        f"{sides}; {format_count(leakage.n_shared_groups)} of the "
        f"{counted(split.n_groups, 'group')} of variants "
        f"{'is' if leakage.n_shared_groups == 1 else 'are'} on more than one side, and "
        f"{format_count(leakage.n_leaking)} of {format_count(leakage.n_judged)} validation and "
        f"test images {'has' if leakage.n_leaking == 1 else 'have'} a variant in the training set."
    )


def _near_sentence(leakage: Sequence[LeakageInfo], threshold: float) -> str:
    """Say how many near-duplicates are left, and how many with the other way to split."""
    this, *others = leakage
    text = (
        f"{format_count(this.n_near)} of {format_count(this.n_judged)} validation and test images "
        f"{'has' if this.n_near == 1 else 'have'} a near-duplicate in the training set, an image "
        f"with an MSE below {threshold:g} to it"
    )
    for other in others:
        text += (
            f"; with the {other.method} split and the same seed "
            f"{format_count(other.n_near)} of {format_count(other.n_judged)} would"
        )
    return f"{text}."
