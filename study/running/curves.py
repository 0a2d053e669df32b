"""The table of a training's curves as a file: one row each step, numbers with nine digits."""

import csv
import hashlib
import io
from collections.abc import Sequence

from study.kinds import Step


def write_curves(rows: Sequence[Step]) -> bytes:
    """Write rows as CSV, under the names of all their numbers; cells without one are empty.

    Nine digits hold a number of single precision exactly.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow(f"{row[name]:.9g}" if name in row else "" for name in names)
    return buffer.getvalue().encode()


def read_curves(content: bytes) -> list[dict[str, float]]:
    """Read what ``write_curves`` gave.

    Raises:
        ValueError: If the content is something else.
    """
    reader = csv.DictReader(io.StringIO(content.decode()))
    return [{name: float(text) for name, text in row.items() if text} for row in reader]


def curves_digest(content: bytes) -> str:
    """Return a short digest, by which a damaged file is known."""
    return hashlib.sha256(content).hexdigest()[:16]
