"""Makes commands of requests, and options of their fields."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeGuard, TypeVar, get_args, get_origin

import click
from click.core import ParameterSource

from study.requests import REQUIRED, Request

R = TypeVar("R", bound=Request)
Code = int | None
"""Of the process, None for 0."""


class Commands(click.Group):
    """Commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(self.commands)

    def add(self, *examples: str) -> Callable[[Callable[[R], Code]], Callable[[R], Code]]:
        """Make a command of a function; options and help are those of the request that it takes.

        The examples are lines that can be pasted.
        """

        def add(call: Callable[[R], Code]) -> Callable[[R], Code]:
            self.add_command(_Command(call, examples))
            return call

        return add


class _Command(click.Command):
    """A command that makes its options when they are needed."""

    def __init__(self, call: Callable[[R], Code], examples: tuple[str, ...]) -> None:
        kind: type[R] = call.__annotations__["request"]

        def run(**values: object) -> Code:
            try:
                request = _make(kind, values)
                _refuse(request.unused())
                return call(request)
            except KeyboardInterrupt:
                return 130

        self._kind = kind
        title = "Examples:" if len(examples) > 1 else "Example:"
        super().__init__(
            call.__name__.strip("_").replace("_", "-"),
            help=inspect.cleandoc(kind.__doc__ or ""),
            epilog="\n".join(["\b", title, *(f"  {example}" for example in examples)]),
            callback=run,
        )

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence whole, as the list of commands wraps it."""
        return super().get_short_help_str(limit=1000)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.params:
            self.params = list(_params(self._kind))
        return super().get_params(ctx)


class _Range(click.FloatRange):
    """A range that NaN is not in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def _fields(kind: type[Request]) -> Iterator[tuple[Field[Any], Any]]:
    """Yield the fields of a request with their types, without None."""
    for field in fields(kind):
        hint = field.type
        yield field, get_args(hint)[0] if isinstance(hint, UnionType) else hint


def _is_request(hint: Any) -> TypeGuard[type[Request]]:
    return isinstance(hint, type) and issubclass(hint, Request)


def _dest(field: Field[Any]) -> str:
    return (field.metadata["name"] or field.name).strip("-").replace("-", "_")


def _params(kind: type[Request], without: tuple[str, ...] = ()) -> Iterator[click.Parameter]:
    for field, hint in _fields(kind):
        if _is_request(hint):
            yield from _params(hint, field.metadata["without"])
        elif field.name not in without:
            yield _param(field, hint)


def _param(field: Field[Any], hint: Any) -> click.Parameter:
    dest, said = _dest(field), field.metadata
    many = said["many"] or get_origin(hint) is tuple
    hint = str if said["read"] else get_args(hint)[0] if many else hint
    if said["low"] is not None:
        limits: Any = click.IntRange if hint is int else _Range
        hint = limits(said["low"], said["high"])
    elif hint is Path:
        hint = click.Path(path_type=Path)
    if said["positional"]:
        nargs = -1 if many else 1
        return click.Argument([dest], type=hint, nargs=nargs, required=not many, help=said["help"])
    required = said["default"] is REQUIRED
    known = {} if required or said["read"] or many else {"default": said["default"]}
    return click.Option(
        [f"--{dest.replace('_', '-')}", dest],
        type=hint,
        is_flag=True if hint is bool else None,
        multiple=many,
        required=required,
        show_default=hint is not bool,
        envvar=said["env"],
        show_envvar=True,
        metavar=said["metavar"],
        help=said["help"],
        **known,
    )


def _make(kind: type[R], values: Mapping[str, Any], without: tuple[str, ...] = ()) -> R:
    """Make a request of the values of its options."""
    given: dict[str, object] = {}
    for field, hint in _fields(kind):
        if _is_request(hint):
            given[field.name] = _make(hint, values, field.metadata["without"])
        elif field.name not in without:
            value, read = values[_dest(field)], field.metadata["read"]
            try:
                given[field.name] = read(value) if read else value
            except ValueError as error:
                raise click.BadParameter(str(error)) from error
    return kind(**given)


def _refuse(unused: Mapping[str, str]) -> None:
    """Raise a BadParameter if one of the options is on the command line, with the reason.

    What is not there, as a storage in the environment, was not meant for this command.
    """
    context = click.get_current_context()
    for option, why in unused.items():
        source = context.get_parameter_source(option.strip("-").replace("-", "_"))
        if source is ParameterSource.COMMANDLINE:
            raise click.BadParameter(f"{option} {why}")
