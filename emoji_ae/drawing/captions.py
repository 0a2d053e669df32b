"""Pictures that say in their file whose they are."""

from PIL import Image, PngImagePlugin

from emoji_ae.images import picture_png

CAPTION_ENTRY = "caption"
"""Text entry of the PNG."""


def captioned_png(drawn: Image.Image, caption: str) -> bytes:
    """Return a picture as a PNG file of 256 colours that holds its caption."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(CAPTION_ENTRY, caption)
    few = drawn.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return picture_png(few, info, optimize=True)
