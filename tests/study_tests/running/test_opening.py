"""What a command that continues or creates a study finds in a database, leaves and decides."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from storage.errors import UnknownStudyError
from storage.rdb import close_all
from storage.urls import sqlite_path
from study.commands.run import run
from study.emoji import AUTOENCODER, MULTITASK
from study.emoji.trainer import EmojiTrainer
from study.errors import StudyError
from study.experiment import PAIRED
from study.kinds import Source
from study.metrics import Metric
from study.requests import Given, Place, RunRequest
from study.running.deciding import decide, decide_search
from study.running.opening import Database, load_data
from study.settings import StudySettings, default_settings


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close the databases of a test at its end."""
    yield
    close_all()


def tables(url: str) -> list[str]:
    """Return the tables of a database; none where there is no file."""
    path = sqlite_path(url)
    if path is not None and not path.exists():
        return []
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    return sqlalchemy.inspect(engine).get_table_names()


def test_a_database_is_created_when_something_is_stored(database: str) -> None:
    """Looking for a study creates no table, nor does a run whose data are missing."""
    given = Given(data=Path("no such file"))
    request = RunRequest(kind="autoencoder", place=Place(url=database), given=given, n_trials=1)
    with pytest.raises(ValueError, match="no such file"):
        run(request, say=print)
    opened = Database(database)
    assert opened.find("study") is None
    assert tables(database) == []
    opened.create()
    assert "studies" in tables(database)
    with pytest.raises(UnknownStudyError, match="no study named 'study' in this storage"):
        opened.require("study")


class Careless(EmojiTrainer):
    """Loads what is no data."""

    def load(self, source: Source, sides: str | None) -> Any:
        """Return a pair."""
        return [], []


@pytest.mark.parametrize("stored", [True, False])
def test_load_must_return_data(settings: StudySettings, stored: bool) -> None:
    """A kind whose data are none is told so in a line."""
    with pytest.raises(StudyError, match=r"`load` of the kind 'autoencoder' must return .* tuple"):
        load_data(Careless(), settings, study="s", stored=stored)
    if stored:
        with pytest.raises(StudyError, match="'s' are not at /gone any more: say where"):
            load_data(Careless(), replace(settings, data="/gone"), study="s", stored=True)


COSTLY = replace(MULTITASK, metrics=(MULTITASK.objective, Metric(name="cost", label="cost")))


def test_a_demand_is_of_the_second_metric_in_its_direction() -> None:
    """What is maximised is demanded at least, what is minimised at most, other metrics never."""
    for kind, given, needed in (
        (COSTLY, Given(at_most=("cost", 30.0)), 30.0),
        (MULTITASK, Given(at_least=("validation_accuracy", 0.9)), 0.9),
        (MULTITASK, Given(min_accuracy=0.8), 0.8),
    ):
        assert decide(given, None, kind, study="s").min_accuracy == needed
    with pytest.raises(StudyError, match="cost is minimized: give --at-most in place of --at-le"):
        decide(Given(at_least=("cost", 1.0)), None, COSTLY, study="s")


def test_an_experiment_is_no_search() -> None:
    """Its study is not continued as one."""
    stored = replace(default_settings(AUTOENCODER), sampler=PAIRED)
    with pytest.raises(StudyError, match=r"^Study 's' has the sampler 'paired' and is no search;"):
        decide_search(Given(), stored, AUTOENCODER, study="s", n_trials=1)
