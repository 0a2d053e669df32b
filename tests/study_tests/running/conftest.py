"""What tests of runs share: a study whose workers load no torch."""

from pathlib import Path

import pytest

from study.settings import StudySettings
from tests.study_tests.studies import toy_settings


@pytest.fixture
def toys(tmp_path: Path) -> StudySettings:
    """Settings of a study of the toy, whose data are the folder ``data`` of the test."""
    return toy_settings(tmp_path)
