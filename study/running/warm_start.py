"""Beginning a search with the best points of an older study."""

from collections.abc import Mapping
from typing import Any

from search_spaces import Scalar, SearchSpace
from storage import attrs
from storage.records import StudyRecord
from study.analysis import ranked_by_constraint

MAX_SHARE = 30
"""One trial of so many may be an older point. With a tenth of the trials, a misleading study made
searches a third longer; with this, a tenth (measured as in ``test_warm_start.py``)."""


def best_points(
    source: StudyRecord, space: SearchSpace, fixed: Mapping[str, Scalar], *, n_trials: int
) -> list[tuple[dict[str, Scalar], dict[str, Any]]]:
    """Return the best points of an older study, as the first trials of a new one of ``n_trials``.

    The sampler learns from them as from its own. Points are taken and not values, for those may
    have been measured on other data, on another split, or with another seed. What is fixed in the
    new study wins. Each point has parameters and user attributes.
    """
    points: dict[tuple[tuple[str, Scalar], ...], int] = {}
    for _, trial in ranked_by_constraint(source):
        if len(points) == max(1, n_trials // MAX_SHARE):
            break
        params = fitting(trial.params, space, fixed)
        if params:
            points.setdefault(tuple(params.items()), trial.number)
    return [
        (dict(point), {attrs.WARM_START: f"{source.name}, trial {number}"})
        for point, number in points.items()
    ]


def began_with(study: StudyRecord, source: str) -> bool:
    """Say whether a study began with points of another one, by its name."""
    return any(
        str(attrs.WARM_START.of(trial)).startswith(f"{source}, trial ") for trial in study.trials
    )


def fitting(
    params: Mapping[str, Any], space: SearchSpace, fixed: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """Return the parameters that a space has too, with values that it allows.

    The sampler chooses the others; what is fixed, or lacks its condition, is left out.
    """
    kept: dict[str, Scalar] = {}
    active: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if not parameter.is_active(active):
            continue
        if parameter.name in fixed:
            active[parameter.name] = fixed[parameter.name]
        elif parameter.name in params and parameter.allows(params[parameter.name]):
            active[parameter.name] = kept[parameter.name] = params[parameter.name]
    return kept
