"""Which trials keep their pictures, and the removal of the others'.

A picture is not removed but replaced by a small one that says so: the dashboard offers the files
of the first trial for all of them, and an entry without a file would break its pages. Curves stay,
since they answer trials whose training was done before.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from optuna.storages import BaseStorage

from storage import attrs
from storage.artifacts import ArtifactFolder, clear_pictures
from storage.records import StudyRecord
from study.analysis import ranked_by_constraint
from study.errors import StudyError

Keep = Literal["all", "best", "none"]
"""Whose pictures are kept."""

N_BEST = 10
"""Trials that count as the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What a removal did.

    Args:
        n_trials: Trials whose pictures were removed.
        n_bytes: By how much the files became smaller.
    """

    n_trials: int
    n_bytes: int


def check_keep(keep: str) -> Keep:
    """Return a choice if it is one.

    Raises:
        StudyError: If it is not.
    """
    for choice in get_args(Keep):
        if keep == choice:
            return choice  # type: ignore[no-any-return]
    raise StudyError(f"`pictures` must be one of {', '.join(get_args(Keep))}, but got {keep!r}.")


def kept_pictures(record: StudyRecord) -> Keep:
    """Return whose pictures a study keeps."""
    return check_keep(str(record.user_attrs.get(attrs.KEPT_PICTURES, "all")))


def spared(record: StudyRecord, keep: Keep) -> set[int]:
    """Return the numbers of the trials whose pictures stay.

    With ``"best"`` these are the ten best trials, and the median and the worst one, which the
    report shows beside the best.
    """
    if keep == "all":
        return {trial.number for trial in record.trials}
    if keep == "none":
        return set()
    order = [trial.number for _, trial in ranked_by_constraint(record)]
    return {*order[:N_BEST], *order[(len(order) - 1) // 2 :][:1], *order[-1:]}


def clean(
    storage: BaseStorage, record: StudyRecord, store: ArtifactFolder, *, keep: Keep
) -> Cleaned:
    """Remove the pictures of ended trials, but for those that stay.

    Args:
        storage: Of the study.
        record: The study.
        store: Its files.
        keep: Whose pictures stay.
    """
    stay = spared(record, keep)
    freed = [
        clear_pictures(store, storage, trial.trial_id)
        for trial in record.trials
        if trial.state.is_finished() and trial.number not in stay
    ]
    return Cleaned(n_trials=sum(n > 0 for n in freed), n_bytes=sum(freed))
