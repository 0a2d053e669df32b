"""What may vary in a study: every ``suggest_*`` call, and the way from there to configurations."""

from collections.abc import Mapping

from search_spaces import autoencoder, multitask
from search_spaces.base import Config, Parameter, Scalar, SearchSpace, is_number
from search_spaces.errors import SearchSpaceError

SPACES: dict[str, dict[str, SearchSpace]] = {
    "autoencoder": {"notebook": autoencoder.NOTEBOOK, "extended": autoencoder.EXTENDED},
    "multitask": {"notebook": multitask.NOTEBOOK, "extended": multitask.EXTENDED},
}
"""Spaces by kind of study and by name."""


def parse_params(
    spaces: Mapping[str, SearchSpace], assignments: Mapping[str, str]
) -> dict[str, Scalar]:
    """Read values that a user wrote for parameters of any space of a kind, as ``parse_fixed``."""
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
    "SPACES",
    "Config",
    "Parameter",
    "Scalar",
    "SearchSpace",
    "SearchSpaceError",
    "is_number",
    "parse_params",
]
