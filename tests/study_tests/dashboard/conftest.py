"""A study whose trials ended in every way, and its dashboard: one for all tests of a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from study.settings import StudySettings
from tests.study_tests.dashboards import Served, make_study, serving, url_of

N_TRIALS = 12


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, settings: StudySettings) -> Path:
    """A folder with a study, its files and what the dashboard shows of it."""
    made = tmp_path_factory.mktemp("dashboard")
    make_study(made, settings, N_TRIALS)
    return made


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Served]:
    """The dashboard of that folder."""
    with serving(url_of(folder)) as dashboard:
        yield dashboard
