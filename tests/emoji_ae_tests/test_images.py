"""Decoding of image files in every mode, and encoding."""

import contextlib
import io
import struct
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


def pixels(data: bytes) -> np.ndarray:
    """Return a file's image as a model sees it."""
    return decode_image(data).pixels


def pixel(image: np.ndarray, row: int, column: int) -> tuple[int, ...]:
    """Return the colour at one place of a decoded image."""
    return tuple(image[:, row, column].tolist())


def test_every_mode() -> None:
    """A black image is black whatever its mode, format and size."""
    for kind in ("1 PNG", "P GIF", "RGB BMP", "RGBA WEBP", "CMYK TIFF", "YCbCr JPEG", "F TIFF"):
        mode, file_format = kind.split()
        image = pixels(encode(Image.new("RGB", (100, 100)).convert(mode), file_format))
        assert (image.shape, image.dtype) == ((3, 64, 64), np.uint8), kind
        assert image.max() <= 2, kind


def test_other_sizes() -> None:
    """An oblong image is half of the square, between white; stripes too fine become grey."""
    wide = pixels(encode(Image.new("RGB", (128, 64), RED)))
    high = pixels(encode(Image.new("RGB", (64, 128), RED)))
    assert (wide == high.transpose(0, 2, 1)).all()
    assert all(pixel(wide, row, 32) == WHITE for row in (0, 15, 48, 63))
    assert all(pixel(wide, row, column) == RED for row in (16, 47) for column in (0, 63))
    stripes = np.tile(np.array([0, 255], np.uint8), (640, 320))
    image = pixels(encode(Image.fromarray(stripes)))
    assert abs(image[:, :, 2:-2].astype(int) - 127).max() <= 3


def test_lines_do_not_vanish() -> None:
    """Of a line a thousand times as long as wide, one row or column of pixels is left."""
    for size, shape in (((1, 1000), (64, 1)), ((20_000, 2), (1, 64)), ((3, 500), (64, 1))):
        dark = pixels(encode(Image.new("RGB", size, RED)))[1] < 128
        assert (dark.any(axis=1).sum(), dark.any(axis=0).sum()) == shape


def tiff(values: np.ndarray, *, white_is_zero: bool = False) -> bytes:
    """Return numbers as a TIFF file that says of which type they are."""
    (height, width), content = values.shape, values.tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    long = {256: width, 257: height, 273: 8, 278: height, 279: len(content)}
    short = {258: values.itemsize * 8, 259: 1, 262: int(not white_is_zero), 277: 1, 339: kind}
    tags = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in long.items()]
    tags += [struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in short.items()]
    head = b"II*\0" + struct.pack("<I", 8 + len(content)) + content + struct.pack("<H", len(tags))
    return head + b"".join(sorted(tags)) + bytes(4)


def gradient(kind: str, low: float, high: float) -> np.ndarray:
    """Return numbers of a type that grow from left to right."""
    return np.tile(np.linspace(low, high, 64).astype(kind), (64, 1))


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        *(("<u2", 0, 65_535), ("<i2", -32_768, 32_767), ("<i4", 0, 65_535), ("<i4", 0, 255)),
        *(("<i4", 0, 1_023), ("<i4", -500, 10**6), ("<u4", 0, 2**32 - 1), ("<u4", 10, 3 * 10**9)),
        *(("<f4", 0, 1), ("<f4", -1, 1), ("<f4", 0, 255), ("<f4", 0, 65_535), ("<f4", 0, 4_095)),
        *(("<f4", -0.02, 1.03), ("<f4", 0, 8), ("<f4", 2**20, 2**21), ("<f4", -7e30, 3e30)),
    ],
)
def test_ranges_of_numbers(kind: str, low: float, high: float) -> None:
    """A grey gradient of any numbers goes from black to white, or where its file says so, back."""
    numbers = gradient(kind, low, high)
    grey = pixels(tiff(numbers)).astype(int)
    assert abs(grey - np.linspace(0, 255, 64)).max() <= 1
    if kind in ("<u2", "<f4"):
        assert abs(pixels(tiff(numbers, white_is_zero=True)) + grey - 255).max() <= 1


def test_other_deep_grey() -> None:
    """16 bits of PNG and of PGM keep their range, however dark; what is no number is white."""
    dark = gradient("<u2", 0, 20_000)
    pgm = b"P5\n64 64\n65535\n" + dark.astype(">u2").tobytes()
    for data in (encode(Image.fromarray(dark)), pgm, encode(Image.fromarray(dark), "TIFF")):
        assert abs(pixels(data).astype(int) - np.linspace(0, 77.8, 64)).max() <= 1
    holes = gradient("<f4", 0, 0.5)
    holes[:32] = np.nan
    holes[40, 0] = np.inf
    image = decode_image(tiff(holes))
    assert (image.pixels[:, :32] == 255).all()
    assert image.pixels[:, 50].max() == 128
    assert decode_image(tiff(holes[:8])).blank


@given(values=st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=64, max_size=64))
def test_darker_numbers_stay_darker(values: list[float]) -> None:
    """Whatever the range is, no number is shown lighter than a larger one."""
    row = pixels(tiff(np.tile(np.sort(np.array(values, "<f4")), (64, 1))))[0, 0]
    assert (np.diff(row.astype(int)) >= 0).all()


def test_orientation_in_every_format() -> None:
    """A turned or mirrored picture that says so comes out upright; odd tags do nothing."""
    upright = Image.new("RGB", (64, 64), WHITE)
    upright.paste(RED, (0, 0, 32, 16))
    expected = decode_image(encode(upright))
    assert not expected.turned
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # numbers of ``Image.Transpose``
    for file_format in ("PNG", "JPEG", "WEBP", "TIFF", "MPO"):
        for orientation, method in undo.items():
            exif = Image.Exif()
            exif[274] = orientation
            stored = upright.transpose(Image.Transpose(method))
            image = decode_image(encode(stored, file_format, exif=exif, quality=95))
            assert image.turned
            assert abs(image.pixels.astype(int) - expected.pixels).mean() < 3, file_format
        for odd in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense"):
            if file_format not in ("TIFF", "MPO"):
                assert not decode_image(encode(upright, file_format, exif=odd)).turned


def test_the_first_frame_that_shows_something() -> None:
    """Transparent, white and plain frames are passed over, unless there are no others."""
    empty, white = Image.new("RGBA", (64, 64)), Image.new("RGBA", (64, 64), WHITE)
    face = white.copy()
    face.paste(RED, (8, 8, 56, 56))
    red, black = (Image.new("RGBA", (64, 64), name) for name in ("red", "black"))
    for frames, number, middle in (
        ((empty, face, black), 1, RED),
        ((white, red, black), 1, RED),
        ((black, face, red), 1, RED),
        ((face, black, red), 0, RED),
        ((black, red), 0, (0, 0, 0)),
        ((empty, empty.copy()), 0, WHITE),
    ):
        for file_format in ("GIF", "PNG", "WEBP", "TIFF"):
            more = {"duration": 50} if file_format != "TIFF" else {}
            more |= {"disposal": 2} if file_format == "GIF" else {"lossless": True}
            first, *others = frames
            data = encode(first, file_format, save_all=True, append_images=others, **more)
            image = decode_image(data)
            assert (image.frame, pixel(image.pixels, 32, 32)) == (number, middle), file_format
            assert image.blank == (middle == WHITE)


def test_transparent_pixels_become_white() -> None:
    """What cannot be seen is white, whatever colour is stored there, in a palette too."""
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 32, 64))
    picture.paste((0, 0, 0, 128), (0, 32, 32, 64))
    for mode in ("RGBA", "LA"):
        image = pixels(encode(picture.convert(mode)))
        assert pixel(image, 10, 10) == (0, 0, 0)
        assert pixel(image, 50, 10) == (127, 127, 127)
        assert pixel(image, 10, 50) == WHITE
    picture = Image.new("P", (64, 64), 0)
    picture.putpalette([0, 0, 255, *RED])
    picture.paste(1, (0, 0, 32, 64))
    for transparency in (0, bytes([0, 255])):  # as an index or as a list
        image = pixels(encode(picture, transparency=transparency))
        assert pixel(image, 32, 10) == RED
        assert pixel(image, 32, 50) == WHITE


def test_what_is_no_image() -> None:
    """Encoded pixels come back; what is no image, cut, huge or of another format is refused."""
    for data, name in (
        *((b"\x89PNG\r\n\x1a\n", "PNG of a damaged or rare kind"), (b"hello", "no known .*")),
        *((b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS"), (b"%PDF-1.7\n", "PDF")),
        *((b"\xc5\xd0\xd3\xc6" + bytes(40), "EPS"), (b"\xd7\xcd\xc6\x9a" + bytes(40), "WMF")),
        *((b"<?xml version='1.0'?>\n<svg/>", "SVG"), (b"\0\0\0\x18ftypheic" + bytes(9), "HEIF")),
        *((b"8BPS\0\1" + bytes(30), "PSD"), (b"\x89HDF\r\n\x1a\n" + bytes(9), "HDF5")),
    ):
        with pytest.raises(DataError, match=rf"^`image` must be a PNG, .* but got {name}\.$"):
            pixels(data)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    small = noise.transpose(2, 0, 1)
    assert (pixels(encode_png(small)) == small).all()
    for file_format in FORMATS:
        data = encode(Image.fromarray(noise), file_format)
        for share in (0.1, 0.9):
            with pytest.raises(DataError, match=r"`image` must be .*, but got"):
                pixels(data[: int(len(data) * share)])
    for side, found in ((8_001, "8,001 x 8,001"), (20_000, "more")):  # which would fill the memory
        bomb = bytearray(encode(Image.new("1", (8, 8)), "BMP"))
        bomb[18:26] = side.to_bytes(4, "little") * 2
        with pytest.raises(DataError, match=f"at most 64,000,000 pixels, but got {found}"):
            pixels(bytes(bomb))


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
        assert pixels(bytes(content)).shape == (3, 64, 64)
