"""Files that are whole or not there at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose content takes the place of ``path`` when the block succeeds.

    The folder of ``path`` is created, and where it is a link, what that leads to is replaced.

    Raises:
        OSError: If the folder or the file cannot be written, or ``path`` is a folder.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
