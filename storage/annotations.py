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
from optuna_dashboard._custom_plot_data import (
    SYSTEM_ATTR_PLOT_DATA,
    is_valid_graph_object_id,
    split_plot_data,
)
from optuna_dashboard._note import (
    get_note_from_system_attrs,
    note_str_key_prefix,
    note_ver_key,
    split_body,
)

from storage import operations
from storage.served import perform

NOTE_DIGEST = "emoji_study:note_digest"
"""System attribute of a study: of the note that was written here, which somebody may edit."""

MAX_WRITTEN = 500
"""Notes of trials that one transaction writes, so that workers need not wait for long."""


def noted_trials(study: optuna.Study) -> dict[int, bool]:
    """Return the database's keys of the trials that have a note, and whether it was edited."""
    stored = study._storage.get_study_system_attrs(study._study_id)
    prefix, suffix = note_ver_key(0).split("0")
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
            values |= {note_ver_key(trial_id): 1, **split_body(text, trial_id)}
        _write(study, values)
    gone = [key(trial_id) for trial_id in without for key in (note_ver_key, note_str_key_prefix)]
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
    stored = study._storage.get_study_system_attrs(study._study_id)
    found = get_note_from_system_attrs(stored, None)
    if found["body"] == text:
        return True
    if found["body"] and _digest(found["body"]) != stored.get(NOTE_DIGEST):
        return False
    version = {note_ver_key(None): found["version"] + 1, NOTE_DIGEST: _digest(text)}
    _write(study, {**version, **split_body(text, None)}, prefixes=[note_str_key_prefix(None)])
    return True


def write_graphs(study: optuna.Study, graphs: Mapping[str, str | None]) -> None:
    """Replace charts of a study; those of other ids stay.

    Args:
        study: Opened for writing.
        graphs: Plotly's JSON by id, of letters, digits and ``-_.``; None for no chart.
    """
    values: dict[str, Any] = {}
    prefixes = {graph_id: f"{SYSTEM_ATTR_PLOT_DATA}{graph_id}:" for graph_id in graphs}
    for graph_id, figure in graphs.items():
        assert is_valid_graph_object_id(graph_id), graph_id
        values |= split_plot_data(figure or "", prefixes[graph_id])
    _write(study, values, prefixes=list(prefixes.values()))


def _write(study: optuna.Study, values: Mapping[str, Any], prefixes: Sequence[str] = ()) -> None:
    """Store system attributes in one transaction, and remove others with the prefixes."""
    perform(
        study._storage,
        operations.set_study_system_attrs,
        study_id=study._study_id,
        values=dict(values),
        prefixes=list(prefixes),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
