"""Pictures that a report shows: images and what trials made of them, all of them PNG files."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image and what a trial's model made of it.

    Args:
        role: Why it is shown: ``sample``, ``lowest``, ``median`` or ``highest``.
        error_map: White where the two are equal.
        mse: Reconstruction error of this image.
    """

    text: str
    role: str
    original: bytes
    reconstruction: bytes
    error_map: bytes
    mse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnImages:
    """The fixed images as one trial draws them.

    Args:
        caption: Which trial this is, and its error.
        drawn_by: Number of the trial whose model drew them.
        errors: MSE of each image.
    """

    caption: str
    drawn_by: int
    reconstructions: tuple[bytes, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFile:
    """A picture that a trial attached, and which trial this is."""

    caption: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFiles:
    """The same picture of the best, the median and the worst trial, of those there are."""

    label: str
    trials: tuple[TrialFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentGallery:
    """Sums of emoji, by the notebook's recipes and by others, and whose model drew them."""

    caption: str
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Images that the best trial draws well, middling and badly, and fixed ones by several.

    Args:
        caption: Which trial drew the ranked pictures, and its error.
        drawn_by: Number of the trial whose model drew them.
        ranked: From the lowest error to the highest.
        full_difference: Mean absolute difference of a pixel from which on an error map has its
            full colour.
        texts: What each fixed image shows.
        originals: The fixed images.
        trials: What the best, the median and the worst trial made of these, of those there are.
        n_trials: How many trials these three were chosen from.
    """

    caption: str
    drawn_by: int
    ranked: tuple[Picture, ...]
    full_difference: float
    texts: tuple[str, ...]
    originals: tuple[bytes, ...]
    trials: tuple[DrawnImages, ...]
    n_trials: int
