"""The text of the kind of ``toy_kind.py``, for tests to write, and a file with it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOY_FILE = Path(__file__).with_name("toy_kind.py")

TOY = TOY_FILE.read_text()


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Path]:
    """A file with the kind; what is imported from its folder is forgotten afterwards."""
    path, before = tmp_path / "toy_kind.py", list(sys.path)
    path.write_text(TOY)
    yield path
    sys.path[:] = before
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
