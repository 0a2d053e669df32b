"""What readers need to know of a study's kind, stored with it, so that they import none."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any, Self

from optuna.distributions import (
    CategoricalDistribution,
    distribution_to_json,
    json_to_distribution,
)

from search_spaces import Parameter, SearchSpace
from storage import attrs
from storage.records import StudySummary
from study.formats import in_line
from study.kinds import Described, File, Kind
from study.metrics import Metric, value_name
from study.wording import OURS, Wording

GROUP = "emoji_study.kinds"
"""Entry points of this group are kinds that can be named like those of this package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSource:
    """Where the code of a kind was found, when a study was made with it.

    Args:
        reference: ``/path/to/file.py:NAME``, ``package.module:NAME``, or an entry point's name.
        digest: Of its file, SHA-256 in hexadecimal digits.
        text: The file itself; empty if it is too long to be stored.
    """

    reference: str
    digest: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindInfo(Described):
    """What is known of a study's kind without its code.

    Args:
        name: Empty for a study that was made by other means.
        space: What was searched, without the way to configurations; None if that is not known.
        source: Where its code was found; None for the kinds of this package.
    """

    space: SearchSpace | None = None
    source: KindSource | None = None
    wording: Wording = field(default=OURS, compare=False)

    def choices(self, name: str | None) -> tuple[str, ...]:
        """Return the values of a parameter without an order, as texts; none of any other."""
        for parameter in () if self.space is None else self.space.parameters:
            choice = isinstance(parameter.distribution, CategoricalDistribution)
            if parameter.name == name and choice:
                return tuple(map(str, parameter.values()))
        return ()

    @property
    def first_step(self) -> int:
        """What people call the step that is stored as 0; steps of others are told as stored."""
        return 1 if self.name else 0

    @classmethod
    def of_kind(
        cls, kind: Kind, space: SearchSpace | None, source: KindSource | None = None
    ) -> Self:
        """Return what is known of a kind whose code is here, and which space a study searches."""
        known = {field.name: getattr(kind, field.name) for field in fields(Described)}
        return cls(space=space, source=source, **known)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, JSON-ready."""
        values = {name: getattr(self, name) for name in ("name", "fidelity", "family")}
        return values | {
            "metrics": [asdict(metric) for metric in self.metrics],
            "space": None if self.space is None else _space_to_dict(self.space),
            "default": None if self.default is None else dict(self.default),
            "files": [asdict(file) for file in self.files],
            "costs": [asdict(cost) for cost in self.costs],
            "model_file": self.model_file,
            "source": None if self.source is None else asdict(self.source),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` gave; raise a ValueError, TypeError or KeyError otherwise."""
        space, source = values["space"], values["source"]
        return cls(
            name=str(values["name"]),
            metrics=tuple(map(_metric_from_dict, values["metrics"])),
            space=None if space is None else _space_from_dict(space),
            files=tuple(File(**file) for file in values["files"]),
            costs=tuple(map(_metric_from_dict, values["costs"])),
            source=None if source is None else KindSource(**source),
            **{name: values[name] for name in ("fidelity", "family", "default", "model_file")},
        )


FOREIGN = KindInfo(name="", metrics=())
"""What is known of the kind of a study that was made by other means, but for its objectives."""


def stored_kind(user_attrs: Mapping[str, Any]) -> KindInfo | None:
    """Return what is known of a stored study's kind, None if it was made by other means."""
    settings, stored = attrs.SETTINGS.among(user_attrs), attrs.KIND.among(user_attrs)
    if settings is not None and (stored is None or stored.get("source") is None):
        own = own_kind(settings.kind)  # else the name is another's
        if own is not None:
            # The space itself, which knows the way from parameters to configurations.
            return KindInfo.of_kind(own, own.spaces.get(settings.space))
    with suppress(ValueError, TypeError, KeyError):  # what is not as ``to_dict`` gave it
        return None if stored is None else KindInfo.from_dict(stored)
    return None


def foreign_objectives(directions: Sequence[str], names: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Describe objectives of which nothing but directions, and maybe names, are known."""
    several = len(directions) > 1
    unnamed = [f"objective {i}" if several else "objective value" for i in range(len(directions))]
    # A name stands in sentences; two may have one.
    pairs = [(in_line(name) or other, other) for name, other in zip(names, unnamed, strict=False)]
    plain = [name for name, _ in pairs]
    told = [f"{name} ({other})" if plain.count(name) > 1 else name for name, other in pairs]
    return tuple(
        Metric(
            name=value_name(i),
            label=name,
            direction="maximize" if direction == "maximize" else "minimize",
            place=i,
        )
        for i, (name, direction) in enumerate(zip(told or unnamed, directions, strict=True))
    )


def objective_of(summary: StudySummary) -> Metric:
    """Return the (first) objective of a study of which no trial was read."""
    kind = stored_kind(summary.user_attrs)
    if kind is not None:
        return kind.objective
    return foreign_objectives(summary.directions, summary.metric_names)[0]


@cache
def own_kind(name: str) -> Kind | None:
    """Return this package's own kind of a name, None if there is none."""
    for distribution in importlib.metadata.distributions(name="emoji-study"):
        for entry in distribution.entry_points.select(group=GROUP, name=name):
            kind = entry.load()
            assert isinstance(kind, Kind)
            return kind
    return None


def _metric_from_dict(values: Mapping[str, Any]) -> Metric:
    """Read a metric; earlier versions stored whether it is the objective, the only one."""
    found = dict(values)
    if found.pop("objective", False):
        found["place"] = 0
    return Metric(**found)


def _space_to_dict(space: SearchSpace) -> dict[str, Any]:
    return {
        "name": space.name,
        "parameters": [
            {
                "name": parameter.name,
                "distribution": distribution_to_json(parameter.distribution),
                "when": {name: list(values) for name, values in parameter.when.items()},
            }
            for parameter in space.parameters
        ],
    }


def _space_from_dict(values: Mapping[str, Any]) -> SearchSpace:
    return SearchSpace(
        name=str(values["name"]),
        parameters=tuple(
            Parameter(
                name=str(parameter["name"]),
                distribution=json_to_distribution(parameter["distribution"]),  # type: ignore[arg-type]
                when={name: tuple(choices) for name, choices in parameter["when"].items()},
            )
            for parameter in values["parameters"]
        ),
    )
