"""The text of the kind of ``toy_kind.py``, for tests to write."""

from pathlib import Path

TOY_FILE = Path(__file__).with_name("toy_kind.py")

TOY = TOY_FILE.read_text()
