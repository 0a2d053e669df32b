"""Pictures that a report shows: images and what trials made of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image and what a trial's model made of it.

    Args:
        text: Description of the image.
        role: Why it is shown: ``sample``, ``lowest``, ``median`` or ``highest``.
        original: PNG file.
        reconstruction: PNG file.
        error_map: PNG file, white where the two are equal.
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
        reconstructions: PNG files, in the order of the images.
        errors: MSE of each.
    """

    caption: str
    drawn_by: int
    reconstructions: tuple[bytes, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFile:
    """A picture that a trial attached.

    Args:
        caption: Which trial this is, and its value.
        content: The file.
    """

    caption: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFiles:
    """The same picture of several trials.

    Args:
        label: What it shows.
        trials: The best, the median and the worst one, of those there are.
    """

    label: str
    trials: tuple[TrialFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentGallery:
    """Sums of emoji, by the notebook's recipes and by others.

    Args:
        caption: Whose model drew them.
        png: The picture, a PNG file.
    """

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
        originals: PNG files of the fixed images.
        trials: What trials made of these: the best, the median and the worst, of those there
            are.
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
