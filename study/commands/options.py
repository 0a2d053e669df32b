"""Makes commands of requests, and options of their fields."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import partial
from itertools import chain
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click
from click.core import ParameterSource
from click.types import OptionHelpExtra

from study.errors import wrong_choice
from study.requests import GROUPS, OWN, REQUIRED, OptionSpec, Request
from study.shell import quote

R = TypeVar("R", bound=Request)
Code = int | None
"""Of the process, None for 0."""
HELP = "Help"
HELP_NAMES = {"help_option_names": ["-h", "--help"]}
"""Of each command, as click keeps the option of whoever asks for it first."""
_METAVARS: Mapping[Any, str] = {int: "N", float: "X", str: "NAME", Path: "PATH"}


class Commands(click.Group):
    """Commands in the order in which they were added.

    Args:
        of_kinds: What only some kinds are asked, for requests with a field ``of_kinds``.
    """

    def __init__(
        self, name: str, *, of_kinds: Sequence[type[Request]] = (), **settings: Any
    ) -> None:
        super().__init__(name, **settings)
        self._of_kinds = of_kinds

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(self.commands)

    def add(self, *examples: str) -> Callable[[Callable[[R], Code]], Callable[[R], Code]]:
        """Make a command of a function; options and help are those of the request that it takes.

        The examples are lines that can be pasted.
        """

        def add(call: Callable[[R], Code]) -> Callable[[R], Code]:
            self.add_command(Command(call, examples, self._of_kinds))
            return call

        return add


class Command(click.Command):
    """A command that makes its options when they are needed; the examples stand in its help."""

    def __init__(
        self,
        call: Callable[[R], Code],
        examples: Sequence[str],
        of_kinds: Sequence[type[Request]],
    ) -> None:
        kind: type[R] = call.__annotations__["request"]

        def run(**values: object) -> Code:
            try:
                request = _make(kind, values, of_kinds)
                _refuse(request.unused())
                return call(request)
            except KeyboardInterrupt:
                return 130

        self.examples = examples
        self._make_params = partial(_params, kind, of_kinds)
        title = "Examples:" if len(examples) > 1 else "Example:"
        super().__init__(
            call.__name__.strip("_").replace("_", "-"),
            help=inspect.cleandoc(kind.__doc__ or ""),
            epilog="\n".join(["\b", title, *(f"  {example}" for example in examples)]),
            callback=run,
            context_settings=HELP_NAMES,
        )

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence whole, as the list of commands wraps it."""
        return super().get_short_help_str(limit=1000)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options; what belongs to none is refused, as the name that it may be."""
        ctx.allow_extra_args = True
        super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            extra = ctx.args[0]
            named = any("--study" in param.opts for param in self.get_params(ctx))
            meant = (
                f"; a study's name comes after --study: --study {quote(extra)}" if named else ""
            )
            raise click.UsageError(f"{extra!r} belongs to no option{meant}.", ctx)
        return ctx.args

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if not self.params:
            self.params = list(self._make_params())
        return super().get_params(ctx)

    def groups(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """Return the options under their headings, in the order of both."""
        found: dict[str, list[click.Option]] = {group: [] for group in (*GROUPS, HELP)}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option):
                found[param.asked.group if isinstance(param, _Option) else HELP].append(param)
        return {group: options for group, options in found.items() if options}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        for group, params in self.groups(ctx).items():
            with formatter.section(group):
                formatter.write_dl([r for p in params if (r := p.get_help_record(ctx))])


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class _RequestField:
    """A field that is asked for: its type without None, and the heading under which it stands."""

    field: Field[Any]
    spec: OptionSpec
    hint: Any
    group: str

    @property
    def option(self) -> str:
        return self.spec.name or f"--{self.field.name.replace('_', '-')}"

    @property
    def dest(self) -> str:
        """What click calls its value."""
        return _dest(self.option)

    @property
    def many(self) -> bool:
        """Whether all texts that were given are read, and not the last one alone."""
        return self.spec.read is not None or get_origin(self.hint) is tuple

    @property
    def item(self) -> Any:
        """The type of what one text gives."""
        if self.spec.read is not None:
            return str
        return get_args(self.hint)[0] if self.many else self.hint


def _dest(option: str) -> str:
    return option.strip("-").replace("-", "_")


def _asked(
    kind: type[Request], without: tuple[str, ...] = ()
) -> Iterator[tuple[_RequestField, type[Request] | None]]:
    """Yield the fields of a request, and the request that one of them is."""
    for field in fields(kind):
        if field.name in without:
            continue
        hint = field.type
        if get_origin(hint) in (Union, UnionType):
            hint = get_args(hint)[0]
        owner = next(c for c in kind.__mro__ if field.name in inspect.get_annotations(c))
        spec: OptionSpec = field.metadata["spec"]
        group = spec.group or vars(owner).get("group", OWN)
        asked = _RequestField(field=field, spec=spec, hint=hint, group=group)
        yield asked, hint if isinstance(hint, type) and issubclass(hint, Request) else None


def _params(
    kind: type[Request], of_kinds: Sequence[type[Request]], without: tuple[str, ...] = ()
) -> Iterator[click.Parameter]:
    for asked, part in _asked(kind, without):
        if asked.spec.of_kinds:
            yield from chain.from_iterable(_params(kind, ()) for kind in of_kinds)
        elif part is not None:
            yield from _params(part, of_kinds, asked.spec.without)
        elif asked.spec.positional:
            known = {"type": _type(asked), "help": asked.spec.help, "required": not asked.many}
            yield click.Argument([asked.dest], nargs=-1 if asked.many else 1, **known)
        else:
            yield _Option(asked)


def _make(
    kind: type[R],
    values: Mapping[str, Any],
    of_kinds: Sequence[type[Request]],
    without: tuple[str, ...] = (),
) -> R:
    given: dict[str, object] = {}
    for asked, part in _asked(kind, without):
        name, spec = asked.field.name, asked.spec
        if spec.of_kinds:
            of_them = [vars(_make(one, values, ())) for one in of_kinds]
            given[name] = {key: x for one in of_them for key, x in one.items() if x}
        elif part is not None:
            given[name] = _make(part, values, of_kinds, spec.without)
        elif spec.read is not None:
            try:
                given[name] = spec.read(values[asked.dest])
            except ValueError as error:
                raise click.UsageError(f"`{asked.option}` {error}") from error
        else:
            given[name] = values[asked.dest]
    return kind(**given)


class _Option(click.Option):
    """The option of a field."""

    def __init__(self, asked: _RequestField) -> None:
        spec = asked.spec
        self.asked = asked
        known: dict[str, Any] = {"required": True}
        if spec.default is not REQUIRED:
            known = {} if asked.many else {"default": spec.default}
        super().__init__(
            [asked.option, asked.dest],
            type=_type(asked),
            is_flag=True if asked.hint is bool else None,
            multiple=asked.many,
            show_default=asked.hint is not bool,
            envvar=spec.env,
            show_envvar=True,
            metavar=spec.metavar or _METAVARS.get(asked.item),
            help=spec.help,
            shell_complete=_stored_studies if spec.of_storage else None,
            **known,
        )

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return range, environment and default, also one that None stands for."""
        extra = super().get_help_extra(ctx)
        if self.asked.spec.shown is not None:
            extra["default"] = str(self.asked.spec.shown)
        return extra

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the value; several choices may have been given in one text, which has some."""
        if value == "" or (self.multiple and "" in (value or ())):
            raise click.UsageError(f"{self.opts[0]} must not be empty.", ctx)
        found = super().type_cast_value(ctx, value)
        choices = isinstance(self.type, _Choice) and self.type.several
        return tuple(chain.from_iterable(found)) if choices else found


class _Choice(click.Choice[str]):
    """Names; ``several`` ones may be given at once, with commas between them."""

    def __init__(self, names: Sequence[str], *, several: bool) -> None:
        super().__init__(names)
        self.several = several

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"{super().get_metavar(param, ctx)}{',...' if self.several else ''}"

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        return f"It is one of {', '.join(self.choices)}."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or a tuple of them."""
        names = tuple(part.strip() for part in value.split(",")) if self.several else (value,)
        for name in names:
            if name not in self.choices:
                option = param.opts[0] if param is not None else "value"
                raise click.UsageError(str(wrong_choice(option, name, self.choices)), ctx)
        return names if self.several else value


class _Range(click.FloatRange):
    """A range that NaN is not in."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def _type(asked: _RequestField) -> Any:
    """Return what reads a text."""
    if get_origin(asked.item) is Literal:
        return _Choice(get_args(asked.item), several=asked.many)
    if asked.spec.low is not None:
        limits: Any = click.IntRange if asked.item is int else _Range
        return limits(asked.spec.low, asked.spec.high)
    return click.Path(path_type=Path) if asked.item is Path else asked.item


def _stored_studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from study.commands.completion import stored_studies  # only when a shell completes

    return stored_studies(ctx, incomplete)


def _refuse(unused: Mapping[str, str]) -> None:
    """Raise a UsageError if one of the options is on the command line, with the reason.

    What is not there, as a storage in the environment, was not meant for this command.
    """
    context = click.get_current_context()
    for option, why in unused.items():
        source = context.get_parameter_source(_dest(option))
        if source is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} {why}")
