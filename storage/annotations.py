"""What optuna-dashboard shows of a study beside Optuna's own data: notes, and charts of our own.

It keeps them in pieces among the study's system attributes. Its own functions (``_note.py`` and
``_custom_plot_data.py``) write each piece in a transaction of its own, so that a page may get half
a chart, and two writers mix theirs. Here it only cuts the pieces, and one transaction writes all.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import optuna

from storage import operations
from storage.internals import cut_graph, cut_note, key_of, storage_of, study_note
from storage.served import perform_for

NOTE_DIGEST = "emoji_study:note_digest"
"""System attribute of a study: of the note that was written here, which somebody may edit."""
MAX_WRITTEN = 500  # notes of trials in one transaction, so that workers need not wait for long


def noted_trials(study: optuna.Study) -> dict[int, bool]:
    """Return the database's keys of the trials that have a note, and whether it was edited."""
    stored = storage_of(study).get_study_system_attrs(key_of(study))
    prefix, suffix = cut_note(0)[0].split("0")
    noted = {}
    for name, version in stored.items():
        key = name.removeprefix(prefix).removesuffix(suffix)
        if key.isdigit():
            noted[int(key)] = version > 1
    return noted


def write_trial_notes(
    study: optuna.Study, notes: Mapping[int, str], *, without: Collection[int] = ()
) -> None:
    """Give notes, Markdown by trials' keys, to trials that have none; remove those ``without``."""
    waiting = list(notes.items())
    for start in range(0, len(waiting), MAX_WRITTEN):
        values: dict[str, Any] = {}
        for trial_id, text in waiting[start : start + MAX_WRITTEN]:
            version_key, _, pieces = cut_note(trial_id, text)
            values |= {version_key: 1, **pieces}
        _write(study, values)
    gone = [key for trial_id in without for key in cut_note(trial_id)[:2]]
    for start in range(0, len(gone), MAX_WRITTEN):
        _write(study, {}, prefixes=gone[start : start + MAX_WRITTEN])


def write_study_note(study: optuna.Study, text: str) -> bool:
    """Give a note to a study unless somebody wrote another or edited ours; say if it has it."""
    stored = storage_of(study).get_study_system_attrs(key_of(study))
    version, found = study_note(stored)
    if found == text:
        return True
    if found and _digest(found) != stored.get(NOTE_DIGEST):
        return False
    version_key, prefix, pieces = cut_note(None, text)
    values = {version_key: version + 1, NOTE_DIGEST: _digest(text), **pieces}
    _write(study, values, prefixes=[prefix])
    return True


def write_graphs(study: optuna.Study, graphs: Mapping[str, str | None]) -> None:
    """Replace charts of a study: Plotly's JSON by id, None for no chart; other ids' stay."""
    cut = [cut_graph(graph_id, figure or "") for graph_id, figure in graphs.items()]
    values = {name: piece for _, pieces in cut for name, piece in pieces.items()}
    _write(study, values, prefixes=[prefix for prefix, _ in cut])


def _write(study: optuna.Study, values: Mapping[str, Any], prefixes: Sequence[str] = ()) -> None:
    """Store system attributes in one transaction, and remove others with the prefixes."""
    perform_for(
        study, operations.set_study_system_attrs, values=dict(values), prefixes=list(prefixes)
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
