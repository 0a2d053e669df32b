"""What the dashboard shows of a study is brought up to date while it runs, and at its end."""

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest

from storage.annotations import noted_trials
from storage.records import load_study_record
from study.running.job import WorkerJob
from study.running.refresher import EVERY_TRIALS, refreshing
from study.settings import StudySettings
from tests.conftest import Wait
from tests.servers import opened, served
from tests.study_tests.dashboards import add_trials, begin_study
from tests.study_tests.studies import job_of, watched


def begun(folder: Path, toys: StudySettings) -> tuple[optuna.Study, WorkerJob]:
    """Create a study with a trial that failed; return it with the job of its workers."""
    return begin_study(folder, toys), replace(job_of(folder, toys), study="faces")


def system_attrs(study: optuna.Study) -> dict[str, Any]:
    """Return what is stored with a study now."""
    return study._storage.get_study_system_attrs(study._study_id)


def test_notes_while_a_study_runs(tmp_path: Path, toys: StudySettings, wait_until: Wait) -> None:
    """After some trials another process writes notes and charts; the end writes the rest."""
    study, job = begun(tmp_path, toys)
    said: list[str] = []

    def ended() -> set[int]:
        record = load_study_record(study._storage, "faces")
        return {t.trial_id for t in record.trials if t.state.is_finished()}

    with refreshing(study, watched(job), job, say=said.append):
        add_trials(study, tmp_path, toys, EVERY_TRIALS + 2)
        first = ended()
        wait_until(lambda: set(noted_trials(study)) == first)
        wait_until(lambda: "dashboard:plot_data:learning-curves:0" in system_attrs(study))
        add_trials(study, tmp_path, toys, 1)
        assert set(noted_trials(study)) == first
    assert set(noted_trials(study)) == ended() > first
    assert said == []


def test_a_failed_run_is_noted(tmp_path: Path, toys: StudySettings) -> None:
    """What ended before an error has its notes; two that refresh at once write the same."""
    study, job = begun(tmp_path, toys)
    noting = partial(refreshing, study, watched(job), job, say=print)
    with pytest.raises(RuntimeError, match="broken"), noting():
        raise RuntimeError("broken")
    assert len(noted_trials(study)) == 1
    before = system_attrs(study)
    with noting(), noting():
        pass
    assert system_attrs(study) == before


def test_a_database_that_is_away(tmp_path: Path, toys: StudySettings) -> None:
    """A run whose database went away at the very end says what is missing, and is no failure."""
    _, job = begun(tmp_path, toys)
    said: list[str] = []
    with ExitStack() as stack:
        there = stack.enter_context(ExitStack())
        away = replace(job, url=there.enter_context(served(job.url)))
        client = stack.enter_context(opened(away.url))
        study = optuna.load_study(study_name="faces", storage=client)
        with refreshing(study, watched(away), away, say=said.append):
            there.close()
    (line,) = said
    assert line.startswith("Warning: notes and charts of the dashboard are not up to date (")
    assert "`emoji-study dashboard --refresh`" in line


def test_an_error_of_a_refresh_ends_no_run(tmp_path: Path, toys: StudySettings) -> None:
    """What is wrong with the notes of a study whose trials are done is said in one line."""
    study, job = begun(tmp_path, toys)
    study._storage.set_study_system_attr(study._study_id, "dashboard:note_ver", "half")
    said: list[str] = []
    with refreshing(study, watched(job), job, say=said.append):
        pass
    (line,) = said
    assert line.startswith("Warning: notes and charts of the dashboard are not up to date (Value")
    assert line.endswith("; `emoji-study dashboard --refresh` brings them up to date.")
