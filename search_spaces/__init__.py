"""What may vary in a study: every ``suggest_*`` call, and the way from there to configurations.

Knows Optuna's distributions, and ``emoji_ae.config`` for the spaces of its models; knows nothing
of torch, storage or studies.
"""

from collections.abc import Mapping

from search_spaces import autoencoder, multitask
from search_spaces.base import Config, Parameter, Scalar, SearchSpace
from search_spaces.errors import SearchSpaceError

SPACES: dict[str, dict[str, SearchSpace]] = {
    "autoencoder": {"notebook": autoencoder.NOTEBOOK, "extended": autoencoder.EXTENDED},
    "multitask": {"notebook": multitask.NOTEBOOK, "extended": multitask.EXTENDED},
}
"""Spaces by kind of study and by name."""

KINDS = tuple(SPACES)


def get_space(kind: str, name: str, *, has_extra: bool = True) -> SearchSpace:
    """Look up a space.

    Args:
        kind: Kind of study.
        name: ``notebook`` or ``extended``.
        has_extra: Whether the data have extra images; without, there is no choice of using them.

    Raises:
        SearchSpaceError: If there is no such kind, or no such space for it.
    """
    if kind not in SPACES:
        raise SearchSpaceError(f"`kind` must be one of {', '.join(KINDS)}, but got {kind!r}.")
    if name not in SPACES[kind]:
        names = ", ".join(SPACES[kind])
        raise SearchSpaceError(f"`space` must be one of {names}, but got {name!r}.")
    space = SPACES[kind][name]
    return space if has_extra else space.without(autoencoder.EXTRA_IMAGES)


def parse_params(
    spaces: Mapping[str, SearchSpace], assignments: Mapping[str, str]
) -> dict[str, Scalar]:
    """Read values that a user wrote for parameters of any space of a kind.

    Args:
        spaces: Of the kind.
        assignments: Text of the value by name of the parameter.

    Raises:
        SearchSpaceError: If a name or a value is unknown.
    """
    owners = {p.name: space for space in spaces.values() for p in space.parameters}
    params: dict[str, Scalar] = {}
    for name, text in assignments.items():
        if name not in owners:
            raise SearchSpaceError(
                f"There is no parameter {name!r}; there are: {', '.join(sorted(owners))}."
            )
        params |= owners[name].parse_fixed({name: text})
    return params


__all__ = [
    "KINDS",
    "SPACES",
    "Config",
    "Parameter",
    "Scalar",
    "SearchSpace",
    "SearchSpaceError",
    "get_space",
    "parse_params",
]
