"""The trials that are kept as evidence in ``docs/results``, and how tables of them are written."""

from collections.abc import Sequence
from pathlib import Path

import optuna
import pandas as pd

from storage import attrs
from storage.records import StudyRecord, to_record
from study.analysis.estimates import Estimate, Interval
from study.analysis.paired import Difference, Pairs, compare
from study.emoji import AUTOENCODER, MULTITASK
from study.settings import default_settings

ERROR, ACCURACY, *_ = MULTITASK.metrics
RESULTS = Path(__file__).parent.parent / "docs" / "results"


def read(path: Path) -> pd.DataFrame:
    """Read the complete trials of a study, as ``emoji-study export`` writes them."""
    frame = pd.read_parquet(path)
    return frame[frame["state"] == "COMPLETE"]


def to_study_record(study: optuna.Study) -> StudyRecord:
    """Return a study in memory, of autoencoders, as the analysis sees it."""
    return StudyRecord(
        name=study.study_name,
        directions=("minimize",),
        user_attrs={attrs.SETTINGS: default_settings(AUTOENCODER).to_dict()},
        trials=tuple(map(to_record, study.get_trials(deepcopy=False))),
    )


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def mean_cell(found: Estimate | None, digits: int) -> str:
    """Write a mean with its interval, so many digits behind the point; a dash without one."""
    if found is None or found.interval is None:
        return "\N{EN DASH}"
    ends = found.interval.written(lambda end: f"{end:.{digits}f}")
    return f"{found.mean:.{digits}f} ({ends})"


def error_difference(pairs: Pairs) -> Difference:
    """Return by which share the second error of each pair exceeds the first, with its interval."""
    return compare(pairs, ERROR, "ratio")


def interval_cell(ends: Interval | None) -> str:
    """Write the ends of the interval of a change; a dash without them."""
    return "\N{EN DASH}" if ends is None else ends.written(percent)


def percent(share: float) -> str:
    """Write by how much something changes, in whole percents with their sign."""
    return f"{100 * share:+.0f} %".replace("-", "\N{MINUS SIGN}")


def points(found: tuple[float, float, float]) -> str:
    """Write a difference of accuracies between the ends of its interval, with their signs."""
    low, mean, high = found
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})".replace("-", "\N{MINUS SIGN}")


def share(part: float) -> str:
    """Write a share in whole percents."""
    return f"{100 * part:.0f} %"
