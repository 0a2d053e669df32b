"""One image file to pixels and back."""

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from emoji_ae.config import IMAGE_SIZE
from emoji_ae.errors import DataError

CAPTION_ENTRY = "caption"
"""Text entry of a PNG that says whose it is."""


def decode_image(data: bytes) -> npt.NDArray[np.uint8]:
    """Decode an image file of any format, mode and size on white: ``(3, 64, 64)`` uint8 in RGB.

    One that is not square gets white borders, so that nothing is distorted. A DataError says why
    it cannot be decoded, but not where it was.
    """
    try:
        with warnings.catch_warnings():
            # Pillow's other warnings are about metadata; a picture of extreme size is refused.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = _to_rgb(Image.open(io.BytesIO(data)))
        square = ImageOps.pad(picture, (IMAGE_SIZE, IMAGE_SIZE), color="white")
    except UnidentifiedImageError:
        reason = "no known image format" if data else "no data"
        raise DataError(f"`image` must be decodable, but got {reason}.") from None
    except Exception as error:  # A damaged file makes Pillow's decoders raise almost anything.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"`image` must be decodable, but got: {reason.rstrip('.')}.") from error
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


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


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in 8-bit colour, what is transparent in it white."""
    if image.mode.startswith("I"):
        # Grey of 16 bits, which Pillow would cut off at 255.
        grey = np.asarray(image).clip(0, 65535) / 257
        image = Image.fromarray(grey.round().astype(np.uint8))
    image = image.convert("RGBA")
    canvas = Image.new("RGBA", image.size, "white")
    canvas.alpha_composite(image)
    return canvas.convert("RGB")
