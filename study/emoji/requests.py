"""What can be asked of the emoji's own commands, and of others about emoji; light to import."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from emoji_ae.choices import SplitMethod, Vendor, Way
from study.requests import (
    DEFAULT_DATA_SEED,
    EMOJI,
    OF_A_STUDY,
    REQUIRED,
    Request,
    Stored,
    WithData,
    WithDevice,
    option,
)


class EmojiOptions(Request):
    """What only the emoji's kinds are asked, see ``Kind.options``."""

    group: ClassVar[str] = EMOJI

    vendors: tuple[Vendor, ...] = option(
        "Installed images to use. Without --data the first one's are split as usual; all others "
        "only give extra training images, never of an emoji in validation or test.",
        (),
        shown="google",
    )


class ComposeRequest(WithDevice, WithData, Stored):
    """Add and subtract emoji in a model's latent space, and draw what comes out.

    The picture shows the emoji over their reconstructions, the composite, and the real emoji
    that are nearest to it; of several expressions the path from one to the next; of --gallery
    what each way of adding up makes of the same faces. A trial's model is trained once and kept
    in runs/models.
    """

    expressions: tuple[str, ...] = option(
        "Emoji by their texts with + and -, NUMBER * ..., (...), mean(a, b), attr(words): what "
        "images with these words share, upper(a) and lower(a): halves, of a convolutional model. "
        "Quote texts with signs or numbers. Several expressions are the stops of a path.",
        (),
        positional=True,
    )
    gallery: bool = option("Draw the notebook's sums beside better ones instead.", False)
    average: str = option(
        "Average face of the gallery, or: face without mouth.",
        "slightly smiling face",
        metavar="TEXT",
    )
    study: str | None = option("Take the model of a trial of this study.", of_storage=True)
    trial: str = option("Which trial.", "best", metavar="NUMBER|best")
    checkpoint: Path | None = option("Take this model, as `train` wrote it.")
    way: Way = option("Of a path: slerp goes along great circles, lerp straight.", "slerp")
    steps: int = option("Pictures from one stop of a path to the next.", 9, low=2)
    through_mean: bool = option("Lead a path through the mean of all images.", False)
    out: Path | None = option(
        "PNG file to write, of a path also a GIF, animated.",
        shown="runs/composition.png or runs/gallery.png",
    )

    def unused(self) -> Mapping[str, str]:
        unused = {} if self.gallery else {"--average": "belongs to --gallery."}
        if self.gallery or len(self.expressions) < 2:
            own = "--gallery has none" if self.gallery else "give several expressions"
            path = ("--way", "--steps", "--through-mean")
            unused |= dict.fromkeys(path, f"belongs to a path: {own}.")
        if self.study is None:
            unused |= OF_A_STUDY
        if self.checkpoint is not None:
            unused["--device"] = "is where --study trains; --checkpoint is trained already."
        return unused


class BuildRequest(Request):
    """Write the installed emoji images of one vendor as a data set file."""

    out: Path = option("Parquet file to write.", REQUIRED)
    vendor: Vendor = option("Whose drawings.", "google")


class DescribeRequest(WithData):
    """Describe a data set and its split as one HTML file that needs no network.

    Words, classes, sides of the split, what leaks across it, and near-duplicates.
    """

    split: SplitMethod = option(
        "group keeps variants of an emoji on one side; random leaks.", "group"
    )
    data_seed: int = option("Seed of the split.", DEFAULT_DATA_SEED, low=0)
    out: Path = option("HTML file to write.", Path("runs/data.html"))
