"""What the dashboard shows of a study is brought up to date while it runs, and at its end."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from storage.annotations import noted_trials
from storage.rdb import open_storage
from storage.records import load_study_record
from study.dashboard.refresher import EVERY_TRIALS, refreshing
from study.settings import StudySettings
from tests.study_tests.dashboards import add_trials, begin_study
from tests.study_tests.studies import half_a_database, job_of

Wait = Callable[[Callable[[], bool]], None]


def system_attrs(study: optuna.Study) -> dict[str, Any]:
    """Return what is stored with a study now."""
    return study._storage.get_study_system_attrs(study._study_id)


def test_notes_come_while_a_study_runs(
    tmp_path: Path, settings: StudySettings, wait_until: Wait
) -> None:
    """After some trials another process writes notes and charts; the end writes the rest."""
    study = begin_study(tmp_path, settings)
    job = replace(job_of(tmp_path, settings), study="faces")
    said: list[str] = []

    def ended() -> set[int]:
        record = load_study_record(study._storage, "faces")
        return {t.trial_id for t in record.trials if t.state.is_finished()}

    with refreshing(job, say=said.append):
        add_trials(study, tmp_path, settings, EVERY_TRIALS + 2)
        first = ended()
        wait_until(lambda: set(noted_trials(study)) == first)
        wait_until(lambda: "dashboard:plot_data:families:0" in system_attrs(study))
        add_trials(study, tmp_path, settings, 1)
        assert set(noted_trials(study)) == first
    assert set(noted_trials(study)) == ended() > first
    assert said == []


def test_a_failed_run_is_noted(tmp_path: Path, settings: StudySettings) -> None:
    """What ended before an error stopped a run has its notes, and the error goes on."""
    study = begin_study(tmp_path, settings)
    job = replace(job_of(tmp_path, settings), study="faces")
    with pytest.raises(RuntimeError, match="broken"), refreshing(job, say=print):
        raise RuntimeError("broken")
    assert len(noted_trials(study)) == 1


def test_a_database_that_is_away(tmp_path: Path, settings: StudySettings) -> None:
    """A run whose database went away at the very end says what is missing, and is no failure."""
    begin_study(tmp_path, settings)
    job = replace(job_of(tmp_path, settings), study="faces")
    said: list[str] = []
    with refreshing(job, say=said.append):
        for file in tmp_path.glob("study.db*"):
            file.rename(file.with_name(f"{file.name}.away"))
        half_a_database(tmp_path / "study.db")
    (line,) = said
    assert line.startswith("Warning: notes and charts of the dashboard are not up to date (")
    assert "`emoji-study dashboard --refresh`" in line


def test_refreshes_of_two_coordinators(tmp_path: Path, settings: StudySettings) -> None:
    """Two runs of one study on two machines may both refresh it: the notes are the same."""
    study = begin_study(tmp_path, settings)
    job = replace(job_of(tmp_path, settings), study="faces")
    with refreshing(job, say=print), refreshing(job, say=print):
        add_trials(study, tmp_path, settings, 2)
    before = system_attrs(study)
    with refreshing(job, say=print):
        pass
    again = open_storage(job.url).get_study_system_attrs(study._study_id)
    assert again == before
