"""What optuna-dashboard shows of a study beside Optuna's own data: notes, and charts of our own.

It keeps them in pieces among the study's system attributes. Its own functions write each piece in
a transaction of its own, so that a page may get half a chart, and two writers mix theirs. Here it
only cuts the pieces, and one transaction writes all of them.

Source: optuna_dashboard/_note.py and _custom_plot_data.py of optuna-dashboard 0.21.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import optuna

from storage import operations
from storage.internals import (
    graph_pieces,
    graph_prefix,
    key_of,
    note_keys,
    note_pieces,
    storage_of,
    study_note,
)
from storage.served import perform

NOTE_DIGEST = "emoji_study:note_digest"
"""System attribute of a study: of the note that was written here, which somebody may edit."""

MAX_WRITTEN = 500
"""Notes of trials that one transaction writes, so that workers need not wait for long."""


def noted_trials(study: optuna.Study) -> dict[int, bool]:
    """Return the database's keys of the trials that have a note, and whether it was edited."""
    stored = storage_of(study).get_study_system_attrs(key_of(study))
    prefix, suffix = note_keys(0)[0].split("0")
    noted = {}
    for name, version in stored.items():
        key = name.removeprefix(prefix).removesuffix(suffix)
        if key.isdigit():
            noted[int(key)] = version > 1
    return noted


def write_trial_notes(
    study: optuna.Study, notes: Mapping[int, str], *, without: Collection[int] = ()
) -> None:
    """Give notes to trials that have none, and remove others.

    Args:
        study: Of the trials, opened for writing.
        notes: Markdown by the database's key of the trial.
        without: Keys of trials whose notes are removed.
    """
    waiting = list(notes.items())
    for start in range(0, len(waiting), MAX_WRITTEN):
        values: dict[str, Any] = {}
        for trial_id, text in waiting[start : start + MAX_WRITTEN]:
            values |= {note_keys(trial_id)[0]: 1, **note_pieces(text, trial_id)}
        _write(study, values)
    gone = [key for trial_id in without for key in note_keys(trial_id)]
    for start in range(0, len(gone), MAX_WRITTEN):
        _write(study, {}, prefixes=gone[start : start + MAX_WRITTEN])


def write_study_note(study: optuna.Study, text: str) -> bool:
    """Give a note to a study, unless somebody has written another one or edited ours.

    Args:
        study: Opened for writing.
        text: Markdown.

    Returns:
        Whether the study has this note now.
    """
    stored = storage_of(study).get_study_system_attrs(key_of(study))
    version, found = study_note(stored)
    if found == text:
        return True
    if found and _digest(found) != stored.get(NOTE_DIGEST):
        return False
    version_key, prefix = note_keys(None)
    values = {version_key: version + 1, NOTE_DIGEST: _digest(text), **note_pieces(text, None)}
    _write(study, values, prefixes=[prefix])
    return True


def write_graphs(study: optuna.Study, graphs: Mapping[str, str | None]) -> None:
    """Replace charts of a study; those of other ids stay.

    Args:
        study: Opened for writing.
        graphs: Plotly's JSON by id, of letters, digits and ``-_.``; None for no chart.
    """
    values: dict[str, Any] = {}
    for graph_id, figure in graphs.items():
        values |= graph_pieces(figure or "", graph_id)
    _write(study, values, prefixes=[graph_prefix(graph_id) for graph_id in graphs])


def _write(study: optuna.Study, values: Mapping[str, Any], prefixes: Sequence[str] = ()) -> None:
    """Store system attributes in one transaction, and remove others with the prefixes."""
    perform(
        storage_of(study),
        operations.set_study_system_attrs,
        study_id=key_of(study),
        values=dict(values),
        prefixes=list(prefixes),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
