"""Files that are whole or not there at all, and reading what torch saved without trusting it."""

import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose content takes the place of ``path`` when the block succeeds.

    The folder of ``path`` is created, and where it is a link, what that leads to is replaced.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def load_content(path: Path) -> Any:
    """Read what ``torch.save`` wrote, if it is whole; no code from the file is run.

    torch itself does not compare its checksums. A damaged file raises almost any exception.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile(f"a checksum of {path} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)
