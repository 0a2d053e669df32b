"""The error of this package, and every error in words; each message is one line for a person."""

from collections.abc import Iterable
from pathlib import Path


class StudyError(Exception):
    """Something that a user asked of a study cannot be done."""


def require_ending(out: Path, *endings: str) -> None:
    """Raise a StudyError unless a file to write is called like one of some format.

    What exists and is no file, such as a pipe, takes the first format.
    """
    special = out.exists() and not out.is_file() and not out.is_dir()
    if out.suffix.lower() not in endings and not special:
        raise StudyError(f"`out` must end in {' or '.join(endings)}, but got {str(out)!r}.")


class ChoiceError(StudyError):
    """A name was given that is none of those that there are."""


def wrong_choice(name: str, got: str, choices: Iterable[str], *, more: str = "") -> ChoiceError:
    """Return the error that names the choices, what ``more`` there may be, and the nearest one."""
    from difflib import get_close_matches

    known = list(choices)
    nearest = get_close_matches(got, known, n=1)
    meant = f"; did you mean {nearest[0]}?" if nearest else "."
    return ChoiceError(f"`{name}` must be one of {', '.join(known)}{more}, but got {got!r}{meant}")


def line_of(error: BaseException, file: str | None, *, named: bool = False) -> str:
    """Say in which line of a user's file an error arose, where that is known; empty if not.

    Args:
        named: Whether its name is told, too.
    """
    from traceback import walk_tb

    trace = walk_tb(error.__traceback__)
    lines = [line for frame, line in trace if frame.f_code.co_filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno or 0)
    name = f"{Path(file).name}, " if file is not None and named else ""
    return f" ({name}line {lines[-1]})" if lines else ""


def user_message(error: Exception) -> str | None:
    """Return one line for an error that a user can do something about, None for a bug.

    An error of a kind of model is one where its class has a true ``for_users``.
    """
    from search_spaces.errors import SearchSpaceError
    from storage.errors import to_install
    from storage.outages import failure

    if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "torchvision"):
        return f"This needs {error.name}, which is not installed: {to_install('train')}"
    if isinstance(error, StudyError | SearchSpaceError) or getattr(error, "for_users", False):
        return str(error)
    reason = failure(error)
    if reason is not None:
        return reason
    if isinstance(error, OSError) and error.strerror:
        reason = "It is no folder" if isinstance(error, FileExistsError) else error.strerror
        return f"{error.filename or 'File'}: {reason}."
    return None
