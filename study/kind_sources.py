"""Finds kinds by what a user typed, and loads a stored study's kind if its code is unchanged."""

import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import os
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import Any

from search_spaces import Parameter, SearchSpace
from study.errors import StudyError, line_of, user_message, wrong_choice
from study.formats import format_list
from study.kind_info import GROUP, KindInfo, KindSource, own_kind
from study.kinds import Kind, Trainer
from study.metrics import Metric

MAX_STORED_BYTES = 256 * 1024
"""A longer source is not stored with the study; its digest is."""
OWN_MODULES = ("study", "storage", "search_spaces", "emoji_ae")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKind:
    """A kind, and where its code is; None for a kind of this package."""

    kind: Kind
    source: KindSource | None

    @property
    def digest(self) -> str | None:
        return None if self.source is None else self.source.digest

    def info(self, space: SearchSpace) -> KindInfo:
        """Return what a study of it that searches a space keeps of it."""
        return KindInfo.of_kind(self.kind, space, self.source)


def find_kind(reference: str) -> FoundKind:
    """Find a kind: an installed one's name, ``path/to/file.py:NAME`` or ``package.module:NAME``.

    Raise a StudyError if there is none, or if it breaks the protocol.
    """
    own = own_kind(reference)
    if own is not None:
        return FoundKind(kind=own, source=None)
    return _load(reference, _read_source(reference))


def find_stored(
    info: KindInfo, *, study: str, where: str | None = None, accept_change: bool = False
) -> FoundKind:
    """Load the kind of a stored study, and import it only if its code is what it was.

    Args:
        where: Where the code lies here; None for where it lay when the study was made.
        accept_change: Whether other code is taken as well.
    """
    if info.source is None:
        own = own_kind(info.name)
        if own is None:
            raise StudyError(
                f"Study {study!r} was not made by emoji-study, or its kind {info.name!r} is "
                "unknown here; it can be read, but not continued."
            )
        if where is not None:
            raise StudyError(
                f"--kind names the code of a kind of one's own, but study {study!r} is of "
                f"emoji-study's kind {info.name!r}; leave it out."
            )
        return FoundKind(kind=own, source=None)
    reference = where or info.source.reference
    try:
        source = _read_source(reference)
    except StudyError as error:
        if where is not None:
            raise
        raise StudyError(
            f"The code of study {study!r} is not where it lay when the study was made: {error} "
            "Say where it lies now: --kind FILE.py:NAME."
        ) from None
    _require_same_digest(info.source, source, study=study, accept_change=accept_change)
    found = _load(reference, source)
    require_same_code(info, found, study=study, accept_change=accept_change)
    return found


def require_same_code(
    info: KindInfo, found: FoundKind, *, study: str, accept_change: bool = False
) -> None:
    """Raise a StudyError unless a kind is that of a study, and its code what it was."""
    if found.kind.name != info.name or (found.source is None) != (info.source is None):
        raise StudyError(
            f"Study {study!r} is of the kind {info.name!r}, not of {found.kind.name!r}; take "
            "another --study name to start afresh."
        )
    if found.source is not None and info.source is not None:
        _require_same_digest(info.source, found.source, study=study, accept_change=accept_change)


def _require_same_digest(
    stored: KindSource, here: KindSource, *, study: str, accept_change: bool
) -> None:
    if stored.digest != here.digest and not accept_change:
        raise StudyError(
            f"{here.reference} has changed since study {study!r} was made: "
            f"{_first_difference(stored, here)}. With --accept-change, `run` and `worker` go on "
            "with the new code and mark the trials that are trained by it."
        )


def make_trainer(kind: Kind) -> Trainer:
    """Return the trainer of a kind; raise a StudyError if what it gives is none."""
    lacking = sorted(getattr(kind.trainer, "__abstractmethods__", ()))
    if lacking:
        raise StudyError(
            f"The trainer of the kind {kind.name!r}, {_called(kind.trainer)}, lacks "
            f"{format_list([f'`{name}`' for name in lacking])}."
        )
    trainer = kind.trainer()
    if not isinstance(trainer, Trainer):
        raise StudyError(
            f"`trainer` of the kind {kind.name!r} must return a study.kinds.Trainer, but "
            f"returned {_called(trainer)}."
        )
    return trainer


def installed_kinds() -> list[str]:
    """Return the names of all kinds that need no path."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)})


def _read_source(reference: str) -> KindSource:
    """Read, and do not run, the file that a reference names."""
    place, name = _target(reference)
    if _is_path(place):
        path = Path(place).absolute()
        reference = f"{path}:{name}"
    else:
        path = _module_path(place, reference)
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StudyError(f"{path} is no Python file: it is not UTF-8.") from None
    return KindSource(
        reference=reference,
        digest=hashlib.sha256(content).hexdigest(),
        text=text if len(content) <= MAX_STORED_BYTES else "",
    )


def _load(reference: str, source: KindSource) -> FoundKind:
    """Run the code of a kind, and check what it gives."""
    place, name = _target(source.reference)
    shown = place if ":" in reference else reference
    try:
        is_file = _is_path(place)
        module = _run_file(Path(place), source) if is_file else importlib.import_module(place)
    except StudyError:
        raise
    except Exception as error:
        reason = user_message(error) or f"{type(error).__name__}: {error}"
        raise StudyError(
            f"{shown} cannot be imported{line_of(error, place)}: {' '.join(reason.split())}"
        ) from error
    kind = getattr(module, name, None)
    if not isinstance(kind, Kind):
        there = [key for key, value in vars(module).items() if isinstance(value, Kind)]
        known = f"it has: {', '.join(there)}" if there else "it has none"
        found = "there is none of that name" if kind is None else f"it is {_called(kind)}"
        raise StudyError(f"`{name}` of {shown} must be a study.kinds.Kind, but {found}; {known}.")
    for complaint in _complaints(kind):
        raise StudyError(f"The kind {reference} breaks the protocol: {complaint}")
    return FoundKind(kind=kind, source=source)


def _run_file(path: Path, source: KindSource) -> types.ModuleType:
    """Run a file as a module; what it imports from its own folder is found behind all else."""
    folder = path.parent
    for own in OWN_MODULES:
        for rival in (folder / f"{own}.py", folder / own / "__init__.py"):
            ours = Path(sys.modules["study"].__file__ or "").parent.parent / own
            if rival.exists() and rival.parent not in (ours, ours.parent):
                raise StudyError(
                    f"{rival} bears the name of {ours}, a part of emoji-study: rename it, for "
                    "Python can import only one of the two."
                )
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    name = path.stem
    if not name.isidentifier() or name in sys.stdlib_module_names or name in sys.modules:
        name = f"kind_{source.digest[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != source.digest:
        raise StudyError(f"{path} is being changed at this moment; try again.")
    module = types.ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(content, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _target(reference: str) -> tuple[str, str]:
    """Return the file or module that a reference names, and the kind's name in it."""
    place, colon, name = reference.rpartition(":")
    if colon:
        return place, name
    if _is_path(reference):
        raise StudyError(f"Name the kind in {reference} as well: {reference}:NAME.")
    for entry in importlib.metadata.entry_points(group=GROUP, name=reference):
        return entry.module, entry.attr
    more = ", or name your own as path/to/file.py:NAME or package.module:NAME"
    raise wrong_choice("kind", reference, installed_kinds(), more=more)


def _module_path(module: str, reference: str) -> Path:
    """Return the file of a module, found as an import would, but not imported."""
    found, where = None, None
    for name in accumulate(module.split("."), "{}.{}".format):
        try:
            found = importlib.machinery.PathFinder.find_spec(name, where)
        except (ImportError, ValueError):
            found = None
        if found is None:
            break
        where = found.submodule_search_locations
    if found is None or found.origin is None or not os.path.exists(found.origin):
        raise StudyError(f"There is no module {module!r}, which `{reference}` names.")
    return Path(found.origin)


def _is_path(place: str) -> bool:
    return place.endswith(".py") or os.sep in place or "/" in place


def _first_difference(stored: KindSource, here: KindSource) -> str:
    """Say in which line two sources first differ."""
    if not stored.text or not here.text:
        return f"its digest is {here.digest[:12]} and was {stored.digest[:12]}"
    before, now = (map(str.strip, source.text.splitlines()) for source in (stored, here))
    for i, lines in enumerate(zip_longest(before, now), 1):
        if lines[0] != lines[1]:
            old, new = ("missing" if line is None else f"`{line[:80]}`" for line in lines)
            return f"line {i} was {old} and is {new}"
    return "only blanks or line ends differ"


def _called(value: Any) -> str:
    """Say what something is, in place of what it should be."""
    return (
        f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
    )


def _complaints(kind: Kind) -> Iterator[str]:
    """Yield in what a kind breaks the protocol."""
    if not isinstance(kind.name, str) or not _NAME.fullmatch(kind.name):
        yield f"`name` must be letters, digits, - and _, but is {kind.name!r}."
    if own_kind(str(kind.name)) is not None:
        yield f"`name` must not be that of a kind of this package, {kind.name!r}."
    spaces = list(kind.spaces.items())
    if not spaces or not all(isinstance(space, SearchSpace) for _, space in spaces):
        yield "`spaces` must be search spaces by name, at least one."
    for name, space in spaces:
        if name != space.name:
            yield (
                f"`spaces` must have each space under its own name, but {space.name!r} is under "
                f"{name!r}."
            )
        yield from _complaints_of(space)
    for metric in kind.metrics:
        if not isinstance(metric, Metric):
            yield f"`metrics` must be of study.metrics.Metric, but one is {_called(metric)}."
        if metric.direction not in ("minimize", "maximize"):
            yield f"`direction` of a metric must be minimize or maximize: {metric.direction!r}."
    parameters = [parameter for _, space in spaces for parameter in space.parameters]
    names = [parameter.name for parameter in parameters]
    for member in ("fidelity", "family"):
        value = getattr(kind, member)
        if value is not None and value not in names:
            yield f"`{member}` must be the name of a parameter, but is {value!r}."
    if not callable(kind.trainer):
        yield f"`trainer` must be a function that returns one, but is {_called(kind.trainer)}."
    for parameter in parameters:
        if kind.default is None:
            break
        if parameter.name not in kind.default:
            yield f"`default` has no value of `{parameter.name}`."
        value = kind.default[parameter.name]
        if not any(p.allows(value) for p in parameters if p.name == parameter.name):
            yield (
                f"`default`: `{parameter.name}` must be {parameter.describe_range()}, but is "
                f"{value!r}."
            )


def _complaints_of(space: SearchSpace) -> Iterator[str]:
    """Yield what is wrong with the parameters of a search space."""
    earlier: dict[str, Parameter] = {}
    for parameter in space.parameters:
        name, choices = parameter.name, getattr(parameter.distribution, "choices", ())
        if name in earlier:
            yield f"The {space.name} space has two parameters named `{name}`."
        if len({str(choice) for choice in choices}) < len(choices):
            yield f"`{name}` has choices that are written alike: {', '.join(map(repr, choices))}."
        for other, values in parameter.when.items():
            if other not in earlier:
                yield (
                    f"`when` of `{name}` names {other!r}, which is no earlier parameter of the "
                    f"{space.name} space."
                )
            for value in values:
                if not earlier[other].allows(value):
                    yield (
                        f"`when` of `{name}` is for {other!r} of {value!r}, but `{other}` must "
                        f"be {earlier[other].describe_range()}."
                    )
        earlier[name] = parameter
