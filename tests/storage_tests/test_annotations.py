"""Notes and charts of the dashboard: written whole, and what others wrote stays."""

import optuna
import plotly.graph_objects as go
from optuna_dashboard import get_note, save_note, save_plotly_graph_object
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs

from storage.annotations import (
    MAX_WRITTEN,
    noted_trials,
    write_graphs,
    write_study_note,
    write_trial_notes,
)

LONG = "Ein längerer Text mit Umlauten. " * 300
"""It fills several of the dashboard's pieces."""


def graphs(study: optuna.Study) -> dict[str, str]:
    """Return the charts as the dashboard reads them."""
    return get_plotly_graph_objects(study._storage.get_study_system_attrs(study._study_id))


def chart(n_points: int) -> str:
    """Return a chart's JSON, the longer the more points it has."""
    return str(go.Figure(go.Scatter(y=[float(n_points)] * n_points)).to_json())


def test_trial_notes(study: optuna.Study) -> None:
    """The dashboard reads each note, long and many ones; a removed one is gone, and no other's."""
    new = study._storage.create_new_trial
    trials = [optuna.Trial(study, new(study._study_id)) for _ in range(3)]
    notes = {trials[0]._trial_id: "*short*", trials[2]._trial_id: LONG}
    many = {10_000 + i: str(i) for i in range(MAX_WRITTEN + 1)} | {20_000: LONG, 200_000: LONG}
    assert noted_trials(study) == {}
    write_trial_notes(study, notes | many)
    assert [get_note(trial) for trial in trials] == ["*short*", "", LONG]
    assert noted_trials(study) == dict.fromkeys(notes | many, False)
    save_note(trials[0], "edited")
    assert noted_trials(study)[trials[0]._trial_id]
    write_trial_notes(study, {50_000: "new"}, without={*notes, 20_000, 7})
    left = {50_000, *many} - {20_000}
    assert set(noted_trials(study)) == left
    stored = study._storage.get_study_system_attrs(study._study_id)
    assert {int(name.split(":")[1]) for name in stored if "note" in name} == left
    assert get_note_from_system_attrs(stored, 200_000)["body"] == LONG


def test_study_note(study: optuna.Study) -> None:
    """A note grows and shrinks; what another program wrote, or somebody edited, stays."""
    for theirs in ("theirs", LONG):
        save_note(study, theirs)
        for ours in ("ours", "newer"):
            assert not write_study_note(study, ours)
            assert get_note(study) == theirs
        save_note(study, "")
        for text in ("short", LONG, "short again", "short again"):
            assert write_study_note(study, text)
            assert get_note(study) == text


def test_graphs_are_replaced(study: optuna.Study) -> None:
    """A chart may become shorter, or go; charts of other programs and the notes stay."""
    theirs = save_plotly_graph_object(study, go.Figure(), graph_object_id="theirs")
    write_study_note(study, LONG)
    write_graphs(study, {"a": chart(5000), "b": chart(3), "a-b": chart(2)})
    assert len(graphs(study)["a"]) > 10_000
    write_graphs(study, {"a": chart(1), "b": None})
    found = graphs(study)
    assert set(found) == {theirs, "a", "a-b"}
    assert (found["a"], found["a-b"]) == (chart(1), chart(2))
    assert get_note(study) == LONG
