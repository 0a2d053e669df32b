"""Decoding of image files in every mode, and encoding."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emoji_ae.errors import DataError
from emoji_ae.images import decode_image, encode_png

RED = (255, 0, 0)
WHITE = (255, 255, 255)
FORMATS = ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]


def encode(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    """Return an image as the content of a file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def pixel(image: np.ndarray, row: int, column: int) -> tuple[int, ...]:
    """Return the colour at one place of a decoded image."""
    return tuple(image[:, row, column].tolist())


def test_every_mode() -> None:
    """A black image is black whatever its mode, format and size."""
    for kind in ("1 PNG", "P GIF", "RGB BMP", "RGBA WEBP", "CMYK TIFF", "YCbCr JPEG", "F TIFF"):
        mode, file_format = kind.split()
        image = decode_image(encode(Image.new("RGB", (100, 100)).convert(mode), file_format))
        assert (image.shape, image.dtype) == ((3, 64, 64), np.uint8), kind
        assert image.max() <= 2, kind


def test_other_sizes() -> None:
    """An oblong image is half of the square, between white; stripes too fine become grey."""
    wide = decode_image(encode(Image.new("RGB", (128, 64), RED)))
    high = decode_image(encode(Image.new("RGB", (64, 128), RED)))
    assert (wide == high.transpose(0, 2, 1)).all()
    assert all(pixel(wide, row, 32) == WHITE for row in (0, 15, 48, 63))
    assert all(pixel(wide, row, column) == RED for row in (16, 47) for column in (0, 63))
    stripes = np.tile(np.array([0, 255], np.uint8), (640, 320))
    image = decode_image(encode(Image.fromarray(stripes)))
    assert abs(image[:, :, 2:-2].astype(int) - 127).max() <= 3


def test_deep_grey_keeps_its_range() -> None:
    """A grey gradient of 16 bits becomes one of 8 bits, from black to white."""
    modes = (("I;16", "<u2", "PNG"), ("I;16B", ">u2", "TIFF"), ("I", "<i4", "TIFF"))
    for mode, kind, file_format in modes:
        gradient = np.tile(np.linspace(0, 65535, 64).astype(kind), (64, 1))
        data = encode(Image.fromarray(gradient), file_format)
        assert Image.open(io.BytesIO(data)).mode == mode
        assert abs(decode_image(data).astype(int) - np.linspace(0, 255, 64)).max() <= 1


def test_transparent_pixels_become_white() -> None:
    """What cannot be seen is white, whatever colour is stored there, in a palette too."""
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 32, 64))
    picture.paste((0, 0, 0, 128), (0, 32, 32, 64))
    for mode in ("RGBA", "LA"):
        image = decode_image(encode(picture.convert(mode)))
        assert pixel(image, 10, 10) == (0, 0, 0)
        assert pixel(image, 50, 10) == (127, 127, 127)
        assert pixel(image, 10, 50) == WHITE
    picture = Image.new("P", (64, 64), 0)
    picture.putpalette([0, 0, 255, *RED])
    picture.paste(1, (0, 0, 32, 64))
    for transparency in (0, bytes([0, 255])):  # as an index or as a list
        image = decode_image(encode(picture, transparency=transparency))
        assert pixel(image, 32, 10) == RED
        assert pixel(image, 32, 50) == WHITE


def test_what_is_no_image() -> None:
    """Encoded pixels come back; what is no image, ends too early or is huge is refused."""
    for data, reason in ((b"", "no data"), (b"\x89PNG\r\n\x1a\n", "no known image format")):
        with pytest.raises(DataError, match=rf"`image` must be decodable, but got {reason}\."):
            decode_image(data)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    small = pixels.transpose(2, 0, 1)
    assert (decode_image(encode_png(small)) == small).all()
    for file_format in FORMATS:
        data = encode(Image.fromarray(pixels), file_format)
        for share in (0.1, 0.9):
            with pytest.raises(DataError, match="`image` must be decodable, but got"):
                decode_image(data[: int(len(data) * share)])
    for side in (10_000, 20_000):  # which would fill the memory
        bomb = bytearray(encode(Image.new("1", (8, 8)), "BMP"))
        bomb[18:26] = side.to_bytes(4, "little") * 2
        with pytest.raises(DataError, match="decompression bomb"):
            decode_image(bytes(bomb))


@given(data=st.data())
@settings(max_examples=100)
def test_damaged_files_never_crash(data: st.DataObject) -> None:
    """A damaged file is either decoded or refused, and no other error or warning comes out."""
    file_format = data.draw(st.sampled_from(FORMATS))
    content = bytearray(encode(Image.linear_gradient("L").resize((40, 40)), file_format))
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        assert decode_image(bytes(content)).shape == (3, 64, 64)
