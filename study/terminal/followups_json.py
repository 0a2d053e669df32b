"""Confirmations and ablations as JSON; docs/tables.md says what stands under which key."""

from collections.abc import Iterable
from typing import Any

from study.analysis.ablation import Ablated, AblationInfo
from study.analysis.confirmation import ConfirmationInfo
from study.analysis.estimates import Estimate
from study.analysis.paired import Difference
from study.terminal.as_json import told

_CONFIRMED = (
    *("name", "role", "trial", "search_value", "validation", "accuracy", "test", "test_accuracy"),
    *("n_wins", "n_failed", "tied", "seconds", "work", "parameter_count"),
)
_ABLATED = ("name", "changes", "validation", "expected_difference", "n_failed")
_DIFFERENCE = {"difference": "mean", "n_pairs": "n_pairs", "p_value": "p_value", "told": "told"}


def confirmation_json(info: ConfirmationInfo) -> dict[str, Any]:
    """Return a confirmation, its configurations best first."""
    return {
        **{name: getattr(info, name) for name in ("study", "follows", "n_seeds", "n_missing")},
        "best": info.best,
        "configurations": [
            told(
                _fields(found, _CONFIRMED)
                | _difference(found.difference, low="difference_low", high="difference_high")
            )
            for found in info.confirmed
        ],
    }


def ablation_json(info: AblationInfo) -> dict[str, Any]:
    """Return an ablation: the path to the winner, and what else was tried for each parameter."""

    def rows(found: Iterable[Ablated]) -> list[dict[str, Any]]:
        return [told(_fields(one, _ABLATED) | _difference(one.difference)) for one in found]

    return {
        **{name: getattr(info, name) for name in ("study", "follows", "n_seeds", "n_missing")},
        "path": rows(info.path),
        "sweeps": [
            {"parameter": sweep.parameter, "value": sweep.value, "others": rows(sweep.others)}
            for sweep in info.sweeps
        ],
    }


def _difference(
    found: Difference | None, *, low: str = "low", high: str = "high"
) -> dict[str, Any]:
    """Return a difference by names of its own for the ends of its interval."""
    ends = (found and found.interval) or (None, None)
    told = {key: found and getattr(found, name) for key, name in _DIFFERENCE.items()}
    return told | dict(zip((low, high), ends, strict=True))


def _fields(found: Any, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(found, name) for name in names}
    return {k: _estimate(v) if isinstance(v, Estimate) else v for k, v in values.items()}


def _estimate(found: Estimate) -> dict[str, Any]:
    low, high = found.interval or (None, None)
    return {"mean": found.mean, "low": low, "high": high, "n": found.n}
