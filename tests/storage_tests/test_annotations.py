"""Notes and charts of the dashboard: written whole, and what others wrote stays."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import plotly.graph_objects as go
from optuna.storages import BaseStorage
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
from tests.servers import opened

LONG = "Ein längerer Text mit Umlauten. " * 300
"""It fills several of the dashboard's pieces."""


def graphs(storage: BaseStorage, study: optuna.Study) -> dict[str, str]:
    """Return the charts as the dashboard reads them."""
    return get_plotly_graph_objects(storage.get_study_system_attrs(study._study_id))


def chart(n_points: int) -> str:
    """Return a chart's JSON, the longer the more points it has."""
    return str(go.Figure(go.Scatter(y=[float(n_points)] * n_points)).to_json())


def test_trial_notes_round_trip(study: optuna.Study) -> None:
    """The dashboard's own function reads each note, long ones and more than one transaction."""
    new = study._storage.create_new_trial
    trials = [optuna.Trial(study, new(study._study_id)) for _ in range(3)]
    notes = {trials[0]._trial_id: "*short*", trials[2]._trial_id: LONG}
    assert noted_trials(study) == {}
    write_trial_notes(study, notes)
    assert [get_note(trial) for trial in trials] == ["*short*", "", LONG]
    assert noted_trials(study) == dict.fromkeys(notes, False)
    many = {10_000 + i: str(i) for i in range(MAX_WRITTEN + 1)}
    write_trial_notes(study, many)
    assert set(noted_trials(study)) == {*notes, *many}
    save_note(trials[0], "edited")
    assert noted_trials(study)[trials[0]._trial_id]


def test_trial_notes_can_be_removed(study: optuna.Study) -> None:
    """Of a removed note nothing is left, and none of another trial goes with it."""
    write_trial_notes(study, dict.fromkeys((1, 11, 111), LONG))
    write_trial_notes(study, {5: "new"}, without={1, 111, 7})
    assert set(noted_trials(study)) == {5, 11}
    stored = study._storage.get_study_system_attrs(study._study_id)
    assert {name.split(":")[1] for name in stored if "note" in name} == {"5", "11"}
    assert get_note_from_system_attrs(stored, 11)["body"] == LONG


def test_study_note(study: optuna.Study) -> None:
    """A note grows and shrinks; what another program wrote, or somebody edited, stays."""
    save_note(study, "theirs")
    assert not write_study_note(study, "ours")
    assert get_note(study) == "theirs"
    save_note(study, "")
    for text in ("short", LONG, "short again", "short again"):
        assert write_study_note(study, text)
        assert get_note(study) == text
    for edited in ("mine", LONG):
        save_note(study, edited)
        for ours in ("short again", "newer"):
            assert not write_study_note(study, ours)
            assert get_note(study) == edited
        save_note(study, "")
        assert write_study_note(study, "short again")


def test_graphs_are_replaced(study: optuna.Study) -> None:
    """A chart may become shorter, or go; charts of other programs and the notes stay."""
    theirs = save_plotly_graph_object(study, go.Figure(), graph_object_id="theirs")
    write_study_note(study, LONG)
    write_graphs(study, {"a": chart(5000), "b": chart(3), "a-b": chart(2)})
    assert len(graphs(study._storage, study)["a"]) > 10_000
    write_graphs(study, {"a": chart(1), "b": None})
    found = graphs(study._storage, study)
    assert set(found) == {theirs, "a", "a-b"}
    assert (found["a"], found["a-b"]) == (chart(1), chart(2))
    assert get_note(study) == LONG


def test_readers_get_whole_charts(study: optuna.Study, shared_place: str) -> None:
    """While two writers replace a chart, every look finds one of theirs, never a mixture."""
    lengths = (2000, 4000)
    write_graphs(study, {"chart": chart(lengths[0])})
    stop = threading.Event()

    def write(n_points: int) -> None:
        with opened(shared_place, write=True) as storage:
            own = optuna.load_study(study_name=study.study_name, storage=storage)
            for _ in range(15):
                write_graphs(own, {"chart": chart(n_points)})

    def read() -> set[int]:
        seen = set()
        with opened(shared_place) as storage:
            while not stop.is_set():
                seen.add(len(json.loads(graphs(storage, study)["chart"])["data"][0]["y"]))
        return seen

    with ThreadPoolExecutor(3) as pool:
        reader = pool.submit(read)
        for writer in [pool.submit(write, n) for n in lengths]:
            writer.result()
        stop.set()
        assert reader.result() <= set(lengths)
