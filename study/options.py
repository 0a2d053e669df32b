"""Makes options of the parameters of a command, and of the fields of the requests among them."""

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from study.requests import Option

T = TypeVar("T")
Code = int | None
"""Of the process, None for 0."""


class Commands(click.Group):
    """Commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(self.commands)

    def add(
        self, *examples: str, name: str | None = None
    ) -> Callable[[Callable[..., Code]], Callable[..., Code]]:
        """Make a command of a function, whose docstring is the help.

        Args:
            examples: Lines that can be pasted.
            name: Of the command; None for that of the function.
        """

        def add(call: Callable[..., Code]) -> Callable[..., Code]:
            def run(**values: object) -> Code:
                try:
                    return _make(call, values)
                except KeyboardInterrupt:
                    return 130

            title = "Examples:" if len(examples) > 1 else "Example:"
            made = click.Command(
                name or call.__name__.replace("_", "-"),
                params=list({param.name: param for param in _params(call)}.values()),
                help=inspect.cleandoc(call.__doc__ or "").partition("\n\nArgs:")[0],
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


def _inputs(call: Callable[..., object]) -> Iterator[tuple[str, Any, Option, Any]]:
    """Yield name, type, option and default of all that a command or a request takes."""
    hints = get_type_hints(call, include_extras=True)
    for name, parameter in inspect.signature(call).parameters.items():
        kind, option = hints[name], Option()
        while get_origin(kind) in (Annotated, Union, UnionType):
            kind, other = get_args(kind)
            option = other if isinstance(other, Option) else option
        yield name, kind, option, parameter.default


def _dest(name: str, option: Option) -> str:
    return (option.name or name).strip("-").replace("-", "_")


def _params(
    call: Callable[..., object], without: tuple[str, ...] = ()
) -> Iterator[click.Parameter]:
    """Yield options and arguments; the help of each is its entry in the docstring."""
    owners = reversed(getattr(call, "__mro__", (call,)))
    docs = "\n".join(inspect.cleandoc(owner.__doc__ or "") for owner in owners)
    entries = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", docs, re.MULTILINE)
    helps = {name: " ".join(text.split()) for name, text in entries}
    for name, kind, option, default in _inputs(call):
        if isinstance(kind, type) and is_dataclass(kind):
            yield from _params(kind, option.without)
        elif name not in without:
            yield _param(_dest(name, option), kind, option, default, helps[name])


def _param(dest: str, kind: Any, option: Option, default: Any, text: str) -> click.Parameter:
    many = option.many or get_origin(kind) is tuple
    kind = str if option.read else get_args(kind)[0] if many else kind
    if option.low is not None:
        limits: Any = click.IntRange if kind is int else _Range
        kind = limits(option.low, option.high)
    elif kind is Path:
        kind = click.Path(path_type=Path)
    if option.positional:
        nargs = -1 if many else 1
        return click.Argument([dest], type=kind, nargs=nargs, required=not many, help=text)
    required = default is inspect.Parameter.empty
    known: dict[str, Any] = {} if required or option.read or many else {"default": default}
    return click.Option(
        [f"--{dest.replace('_', '-')}", dest],
        type=kind,
        is_flag=True if kind is bool else None,
        multiple=many,
        required=required,
        show_default=kind is not bool,
        envvar=option.env,
        show_envvar=True,
        metavar=option.metavar,
        help=text,
        **known,
    )


def _make(call: Callable[..., T], values: Mapping[str, Any], without: tuple[str, ...] = ()) -> T:
    """Call a command, or make a request, with the values of its options."""
    given: dict[str, object] = {}
    for name, kind, option, _ in _inputs(call):
        if isinstance(kind, type) and is_dataclass(kind):
            given[name] = _make(kind, values, option.without)
        elif name not in without:
            value = values[_dest(name, option)]
            try:
                given[name] = option.read(value) if option.read else value
            except ValueError as error:
                raise click.BadParameter(str(error)) from error
    return call(**given)
