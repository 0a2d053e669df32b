"""One image file to pixels and back."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from emoji_ae.config import IMAGE_SIZE
from emoji_ae.errors import DataError

FORMATS = (
    *("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "ICO", "JPEG2000", "QOI", "DIB", "CUR"),
    *("ICNS", "SGI", "PCX", "TGA", "AVIF"),
)
"""Pillow's names of the formats that are read; no reader of these starts another program.

The last one is not in every version of Pillow.
"""

MAX_PIXELS = 64_000_000
"""Of an image, or of the frames of an animation together, as far as they are looked at."""

MAX_FRAMES = 1_000
"""Frames of an animation that are looked at."""

CAPTION_ENTRY = "caption"
"""Text entry of a PNG that says whose it is."""

_OTHER_FORMATS = {
    "PDF": rb"%PDF",
    "SVG": rb"(?s)(\xef\xbb\xbf)?\s*<(\?xml|!DOCTYPE svg|svg)",
    "HEIF": rb"(?s)....ftyp(hei|hev|mif1|msf1)",
}
"""How files begin that Pillow does not know, but people take for images."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets an image upright, by its orientation in EXIF."""

_WHOLE_RANGES = (1, 255, 65_535)
"""Values that are white, where numbers do not say themselves what is."""


class ImageKind(NamedTuple):
    """What an image file is like: Pillow's names, such as PNG and RGBA, and its stored size."""

    format: str
    mode: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decoded:
    """An image as a study sees it.

    Args:
        pixels: ``(3, 64, 64)`` uint8 in red, green and blue.
        turned: Whether its file says that it is stored turned or mirrored.
        frame: Which frame of an animation it is, counted from 0.
        blank: Whether it is all white, and with it all frames.
    """

    pixels: npt.NDArray[np.uint8]
    kind: ImageKind
    turned: bool
    frame: int
    blank: bool


def decode_image(data: bytes) -> Decoded:
    """Decode an image file of any mode and size, in one of ``FORMATS``, on white.

    It is set upright, as its EXIF data say. One that is not square gets white borders, so that
    nothing is distorted; of the thinnest line a pixel's width is left. Of an animation counts
    the first frame of more than one colour, else the first that is not white. A DataError says
    why it cannot be decoded, but not where it was.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's other warnings are about metadata; a picture of extreme size is refused.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decode(image)
    except DataError:
        raise
    except (UnidentifiedImageError, KeyError):  # the latter where Pillow lacks a format
        raise DataError(
            "`image` must be a PNG, JPEG, GIF, WebP, BMP or TIFF file, or of another raster "
            f"format of docs/data.md, but got {_name_format(data)}."
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(
            f"`image` must have at most {MAX_PIXELS:,} pixels, but got more."
        ) from None
    except Exception as error:  # A damaged file makes Pillow's decoders raise almost anything.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"`image` must be decodable, but got: {reason.rstrip('.')}.") from error


def encode_png(image: npt.NDArray[np.uint8]) -> bytes:
    """Encode pixels, ``(3, height, width)`` uint8 in red, green and blue, as a PNG file."""
    return picture_png(Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))))


def picture_png(
    picture: Image.Image, info: PngImagePlugin.PngInfo | None = None, *, optimize: bool = False
) -> bytes:
    """Return a picture, and perhaps texts about it, as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info, optimize=optimize)
    return buffer.getvalue()


def captioned_png(picture: Image.Image, caption: str) -> bytes:
    """Return a picture as a PNG file of 256 colours that holds its caption."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(CAPTION_ENTRY, caption)
    few = picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return picture_png(few, info, optimize=True)


def _name_format(data: bytes) -> str:
    """Name the format of a file that cannot be opened, by how it begins."""
    Image.init()
    found = [name for name, pattern in _OTHER_FORMATS.items() if re.match(pattern, data)]
    for name, (_, accept) in Image.OPEN.items():
        with suppress(Exception):  # some want more bytes than there are
            if accept is not None and accept(data[:16]) is True:
                found.append(name)
    if not found:
        return "no known image format"
    return f"{found[0]} of a damaged or rare kind" if found[0] in FORMATS else found[0]


def _decode(image: Image.Image) -> Decoded:
    """Choose the frame that counts, and bring it to the size."""
    kind = ImageKind(str(image.format), image.mode, image.width, image.height)
    chosen, most = None, -1
    for number, (picture, turned) in enumerate(_frames(image)):
        colours = picture.getcolors(maxcolors=1)
        shows = 2 if colours is None else int(colours[0][1] != (255, 255, 255))
        if shows > most:
            chosen, most = (number, _square(picture), turned), shows
        if shows == 2:
            break
    assert chosen is not None  # there is a first frame
    number, square, turned = chosen
    pixels = np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))
    return Decoded(pixels=pixels, kind=kind, turned=turned, frame=number, blank=not most)


def _frames(image: Image.Image) -> Iterator[tuple[Image.Image, bool]]:
    """Yield frames in RGB on white and upright, and whether they had to be turned.

    Raises:
        DataError: If the first one has too many pixels.
    """
    n_pixels = 0
    for number in range(MAX_FRAMES):
        try:
            image.seek(number)
        except EOFError:
            return
        n_pixels += image.width * image.height
        if n_pixels > MAX_PIXELS:
            if number:
                return
            raise DataError(
                f"`image` must have at most {MAX_PIXELS:,} pixels, but got "
                f"{image.width:,} x {image.height:,}."
            )
        # The reader of TIFF turns the image when it is loaded, and forgets that it has.
        turned = image.format == "TIFF" and _orientation(image) in _TURNS
        image.load()
        picture, orientation = _on_white(image), _orientation(image)
        if orientation in _TURNS:
            picture, turned = picture.transpose(_TURNS[orientation]), True
        yield picture, turned


def _orientation(image: Image.Image) -> int:
    """Return the orientation that an image's metadata tell, 1 for upright or without any."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Damaged metadata keep no image from being seen.
        return 1


def _square(picture: Image.Image) -> Image.Image:
    """Fit a picture into the middle of a white square of the size of all images."""
    longest = max(picture.size)
    width, height = (max(1, round(side / longest * IMAGE_SIZE)) for side in picture.size)
    square = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), "white")
    corner = (round((IMAGE_SIZE - width) / 2), round((IMAGE_SIZE - height) / 2))
    square.paste(picture.resize((width, height), Image.Resampling.BICUBIC), corner)
    return square


def _on_white(image: Image.Image) -> Image.Image:
    """Return the image in 8-bit colour, what is transparent in it white."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _grey(image).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
    canvas = Image.new("RGBA", image.size, "white")
    canvas.alpha_composite(image)
    return canvas.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    """Return an image of other numbers than bytes in grey of 8 bits, white where none is known."""
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    stored = np.asarray(image)
    if image.mode == "I" and tags.get(TiffImagePlugin.SAMPLEFORMAT) == (1,):
        stored = stored.view(np.uint32)
    known = np.isfinite(stored) & (stored != image.info.get("transparency"))
    low, high = 0.0, 65_535.0
    if image.mode.startswith("I;16"):
        high = 2.0 ** tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0] - 1
    elif image.format not in ("PNG", "PPM") or image.mode == "F":
        low, high = _range(stored[known])
    grey = (np.where(known, stored, high).astype(np.float32) - low) / ((high - low) or 1) * 255
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:  # white is the least
        grey = np.where(known, 255 - grey, 255)
    return Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))


def _range(values: npt.NDArray[np.generic]) -> tuple[float, float]:
    """Return the numbers that stand for black and white.

    From 0 to the least of ``_WHOLE_RANGES`` that holds all, if they fill an eighth of it;
    otherwise from their least to their greatest.
    """
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    top = next((top for top in _WHOLE_RANGES if high <= top), None)
    if low < 0 or top is None or (top > 1 and high < top / 8):
        return low, high
    return 0.0, float(top)
