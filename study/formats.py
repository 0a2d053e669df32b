"""Numbers and names as people read them."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from optuna.trial import TrialState

    from storage.values import Settings

MISSING, MINUS = "–", "\N{MINUS SIGN}"
_SPELLED = re.compile(r"(?i)([a-z]|[^aeiouy\W\d_]+|r?mse|ma[ep]|mape|rmsle)(?![a-z])")
"""What is read letter by letter: one letter alone, or no vowel, as in f1, R2, lr, NLL; errors."""


def format_number(value: float | None, digits: int = 4, *, chosen: bool = False) -> str:
    """Write a number with so many significant digits.

    One that was chosen, as a setting is, has no zeros behind, and is 1e-3 rather than 0.001.
    """
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return {"inf": "infinity", "-inf": "minus infinity"}.get(str(value), "not a number")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    value = float(f"{mantissa}e{exponent}") + 0.0  # there is no minus 0
    least, beyond = (1e-2, 1e4) if chosen else (1e-4, 10**digits)
    plain = value == 0 or least <= abs(value) < beyond
    if not chosen:
        return f"{value:#.{digits}g}".rstrip(".") if plain else f"{mantissa}e{int(exponent)}"
    return f"{value:.5g}" if plain else f"{float(mantissa):g}e{int(exponent)}"


def format_accuracy(value: float | None) -> str:
    """Write an accuracy in per cent with one decimal."""
    return MISSING if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


class Unit(Protocol):
    """What a number is of, as ``study.metrics.Metric``."""

    @property
    def is_share(self) -> bool:
        """Whether it is told in per cent."""

    @property
    def digits(self) -> int:
        """Significant digits with which it is told."""


def format_measured(value: float | None, metric: Unit) -> str:
    """Write a value of a metric: a share in per cent, others with its significant digits."""
    return format_accuracy(value) if metric.is_share else format_number(value, metric.digits)


def format_coefficient(value: float | None, *, signed: bool = True) -> str:
    """Write a correlation, or a share of a variance, with two decimals."""
    if value is None:
        return MISSING
    return f"{round(value, 2) + 0.0:{'+' if signed else ''}.2f}".replace("-", MINUS)


def format_p_value(value: float | None) -> str:
    """Write a p-value, very small ones as a bound."""
    if value is None:
        return MISSING
    return "<\N{NO-BREAK SPACE}0.001" if value < 0.001 else f"{value:.3f}"


def format_value(value: object) -> str:
    """Write a parameter or a setting: 1e-3 rather than 0.001, on rather than True."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return format_number(value, 3, chosen=True)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {format_value(item)}" for key, item in value.items()) or MISSING
    if isinstance(value, list | tuple):
        return ", ".join(map(format_value, value)) or MISSING
    return str(value)


def format_data(data: object, vendors: Sequence[object]) -> str:
    """Name the data of a study, a path or None for the embedded images, and its vendors."""
    own = "the embedded images" if data is None else str(data)
    extra = list(map(str, vendors))
    if data is None and extra:
        own += f" of {extra.pop(0)}"
    return f"{own}, with extra training images of {format_list(extra)}" if extra else own


def format_settings(settings: "Settings | None") -> str:
    """Say what a study searches and how, by its stored settings."""
    if settings is None:
        return "not made by emoji-study"
    pruner = "no pruner" if settings.pruner == "none" else f"{settings.pruner} pruner"
    sampler = format_sampler(settings.sampler)
    return f"{settings.kind}, {settings.space} space, {sampler} sampler, {pruner}"


def with_article(noun: str) -> str:
    """Write a noun with its article, as it is spoken: a value, an error, an MSE, an f1."""
    spelled = noun.split()[0].isupper() or _SPELLED.match(noun)
    vowels = "aefhilmnorsx" if spelled else "aeiou"
    return f"{'an' if noun[0].lower() in vowels else 'a'} {noun}"


def format_list(names: Sequence[str]) -> str:
    """Write at least one name: a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def format_count(value: float | None) -> str:
    """Write what is counted, with a comma between thousands; what is no whole number to 0.001."""
    return MISSING if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")


def format_duration(seconds: float | None) -> str:
    """Write seconds in the two largest units that say something."""
    if seconds is None:
        return MISSING
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{format_count(hours)} h {minutes} min"


def format_percent(share: float) -> str:
    """Write a share in whole per cent."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def format_change(share: float | None) -> str:
    """Write a relative difference in per cent with its sign and one decimal."""
    if share is None:
        return MISSING
    return f"{100 * share:+.1f}\N{NO-BREAK SPACE}%".replace("-", MINUS)


def format_points(share: float) -> str:
    """Write a difference of shares in points with its sign and one decimal."""
    size = f"{100 * abs(share):.1f}"
    sign = "" if size == "0.0" else "+" if share > 0 else MINUS
    return f"{sign}{size}\N{NO-BREAK SPACE}points"


def format_sampler(name: str) -> str:
    """Write a sampler's name, acronyms in capitals."""
    return name.upper() if name in ("tpe", "gp", "qmc") else name


def format_label(name: str) -> str:
    """Write a parameter's name as words."""
    return name.replace("_", " ")


def plural(name: str) -> str:
    """Write the plural of a name as words; what ends in s is one already: passes."""
    label = format_label(name)
    if label.endswith("s"):
        return label
    return f"{label[:-1]}ies" if label.endswith("y") else f"{label}s"


def in_line(text: str) -> str:
    """Write a text of somebody else in one line."""
    return " ".join(text.split())


def capitalised(text: str) -> str:
    """Begin with a capital; the rest, acronyms included, stays as it is."""
    return text[:1].upper() + text[1:]


def counted(n: int, name: str) -> str:
    """Write a number of things: 1 worker, 2 workers."""
    return f"{n:,} {name if n == 1 else plural(name)}"


def format_state(state: "TrialState") -> str:
    """Write the state of a trial as an adjective."""
    return "failed" if state.name == "FAIL" else state.name.lower()
