"""Makes commands of requests: an option of each field, and the help of the docstring."""

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from study.requests import Option, Request

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
            kind: type[R] = get_type_hints(call)["request"]

            def run(**values: object) -> Code:
                try:
                    request = _make(kind, values)
                    _refuse(request.unused())
                    return call(request)
                except KeyboardInterrupt:
                    return 130

            title = "Examples:" if len(examples) > 1 else "Example:"
            made = click.Command(
                call.__name__.strip("_").replace("_", "-"),
                params=list({param.name: param for param in _params(kind)}.values()),
                help=inspect.cleandoc(kind.__doc__ or "").partition("\n\nArgs:")[0],
                epilog="\n".join(["\b", title, *(f"  {example}" for example in examples)]),
                callback=run,
            )
            self.add_command(made)
            return call

        return add


class _Range(click.FloatRange):
    """A range that NaN is not in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def _fields(kind: type[Request]) -> Iterator[tuple[Field[Any], Any, Option]]:
    """Yield the fields of a request with their types, which are requests as well or plain."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint, option = hints[field.name], Option()
        while get_origin(hint) in (Annotated, Union, UnionType):
            hint, other = get_args(hint)
            option = other if isinstance(other, Option) else option
        yield field, hint, option


def _is_request(hint: Any) -> TypeGuard[type[Request]]:
    return isinstance(hint, type) and issubclass(hint, Request)


def _dest(field: Field[Any], option: Option) -> str:
    return (option.name or field.name).strip("-").replace("-", "_")


def _params(kind: type[Request], without: tuple[str, ...] = ()) -> Iterator[click.Parameter]:
    """Yield options and arguments; the help of each is its entry in a docstring."""
    docs = "\n".join(inspect.cleandoc(owner.__doc__ or "") for owner in reversed(kind.__mro__))
    entries = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", docs, re.MULTILINE)
    helps = {name: " ".join(text.split()) for name, text in entries}
    for field, hint, option in _fields(kind):
        if _is_request(hint):
            yield from _params(hint, option.without)
        elif field.name not in without:
            yield _param(_dest(field, option), hint, option, field, helps[field.name])


def _param(dest: str, hint: Any, option: Option, field: Field[Any], text: str) -> click.Parameter:
    many = option.many or get_origin(hint) is tuple
    hint = str if option.read else get_args(hint)[0] if many else hint
    if option.low is not None:
        limits: Any = click.IntRange if hint is int else _Range
        hint = limits(option.low, option.high)
    elif hint is Path:
        hint = click.Path(path_type=Path)
    if option.positional:
        nargs = -1 if many else 1
        return click.Argument([dest], type=hint, nargs=nargs, required=not many, help=text)
    required = field.default is MISSING and field.default_factory is MISSING
    known: dict[str, Any] = {} if required or option.read or many else {"default": field.default}
    return click.Option(
        [f"--{dest.replace('_', '-')}", dest],
        type=hint,
        is_flag=True if hint is bool else None,
        multiple=many,
        required=required,
        show_default=hint is not bool,
        envvar=option.env,
        show_envvar=True,
        metavar=option.metavar,
        help=text,
        **known,
    )


def _make(kind: type[R], values: Mapping[str, Any], without: tuple[str, ...] = ()) -> R:
    """Make a request of the values of its options."""
    given: dict[str, object] = {}
    for field, hint, option in _fields(kind):
        if _is_request(hint):
            given[field.name] = _make(hint, values, option.without)
        elif field.name not in without:
            value = values[_dest(field, option)]
            try:
                given[field.name] = option.read(value) if option.read else value
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
