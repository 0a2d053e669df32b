"""The text of the kind of ``toy_kind.py``, for tests to write, and a file with it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOY_FILE = Path(__file__).with_name("toy_kind.py")

TOY = TOY_FILE.read_text()

PATIENT = (
    TOY.replace("from pathlib", "import os\nimport time\nfrom pathlib", 1)
    .replace("IntDistribution(3, 5)", "IntDistribution(3, 100)")
    .replace(
        "            xs.append(",
        '            time.sleep(float(os.environ.get("STEP_S", "0")))\n            xs.append(',
    )
)
"""The same with up to 100 steps, each of which takes ``STEP_S`` seconds if that is set."""


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
