"""Pictures that a report shows: images and what the best model made of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image and what the best model made of it.

    Args:
        text: Description of the image.
        original: PNG file.
        reconstruction: PNG file.
        mse: Reconstruction error of this image.
    """

    text: str
    original: bytes
    reconstruction: bytes
    mse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Originals and reconstructions of the best trial.

    Args:
        caption: Which trial and which images these are, without a final stop.
        items: In the order of the page.
    """

    caption: str
    items: tuple[Picture, ...]
