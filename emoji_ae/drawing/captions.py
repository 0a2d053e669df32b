"""Pictures that say in their file whose they are."""

import io

from PIL import Image, PngImagePlugin

CAPTION_ENTRY = "caption"
"""Text entry of the PNG."""


def captioned_png(drawn: Image.Image, caption: str) -> bytes:
    """Return a picture as a PNG file of 256 colours that holds its caption."""
    metadata = PngImagePlugin.PngInfo()
    metadata.add_itxt(CAPTION_ENTRY, caption)
    buffer = io.BytesIO()
    few = drawn.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", pnginfo=metadata, optimize=True)
    return buffer.getvalue()
