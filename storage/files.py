"""Files that are whole or not there at all, written to where their paths lead."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path whose content is put at ``path`` when the block succeeds.

    A reader finds the old file or the whole new one, with the permissions that the old one had.
    The folder of ``path`` is created. A symbolic link stays, and what it leads to is replaced or
    created. What is no file, such as a pipe, a device or ``/dev/stdout``, stays too: the content
    is written into it, at once and after the block.

    Raises:
        OSError: If the folder or the file cannot be written, or ``path`` is a folder.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):  # making its folder tells which it is
        mode = None
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    descriptor = _descriptor(path)
    if descriptor is not None or (mode is not None and not stat.S_ISREG(mode)):
        with TemporaryDirectory() as folder:
            content = Path(folder) / "content"
            yield content
            _pour(content, path, descriptor)
        return
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, name=path) as partial:
        yield partial
        if mode is not None:
            with suppress(OSError):  # not every file system has permissions
                partial.chmod(stat.S_IMODE(mode))


@contextmanager
def replacing(path: Path, *, name: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block succeeds.

    Whoever looks at it meanwhile sees the old file, and if it cannot be written nothing is left.
    A link is replaced itself, and no folder is created: in short, nothing outside is touched.

    Args:
        name: What errors call the file, where that is another path.
    """
    partial = path.with_name(f".{secrets.token_hex(16)}.tmp")  # its own, on whatever host
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        if str(error.filename) == str(partial):  # a name that says nothing to anybody
            error.filename = str(name or path)
            del error.filename2
        raise
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_paths(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield temporary paths that take the places of files which belong together.

    The last of the files vouches for the others: it is removed before the first of them changes,
    and comes back when all are there. Where it is, all are of one writing, whatever was killed.
    """
    with ExitStack() as stack:
        # The one that is entered first takes its place last.
        partials = [stack.enter_context(atomic_path(path)) for path in reversed(paths)]
        yield partials[::-1]
        if paths[-1].is_file():
            Path(os.path.realpath(paths[-1])).unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all; see ``atomic_path``."""
    with atomic_path(path) as partial:
        partial.write_bytes(content)


def require_writable(path: Path) -> None:
    """Try ``atomic_path`` before the work whose result it is to hold; a file stays as it is."""

    class _TriedError(Exception):
        """Ends the block, so that nothing takes the place of the file."""

    with suppress(_TriedError), atomic_path(path) as partial:
        partial.touch()
        raise _TriedError


def _descriptor(path: Path) -> int | None:
    """Return the open file of this process that a path like ``/dev/stdout`` means, if any.

    Also where that is a regular file: the shell has opened it, to be written to its end.
    """
    own = os.path.realpath("/proc/self/fd")
    while path.is_symlink() and path.exists():  # a link without end leads to nothing
        if os.path.realpath(path.parent) == own:
            return int(path.name)
        path = path.parent / path.readlink()
    return None


def _pour(content: Path, path: Path, descriptor: int | None) -> None:
    """Write a file's content into what is no file, or into an open one; errors name ``path``."""
    try:
        sink = os.open(path, os.O_WRONLY) if descriptor is None else os.dup(descriptor)
        with content.open("rb") as source, open(sink, "wb") as out:
            shutil.copyfileobj(source, out)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from None
