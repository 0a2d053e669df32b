"""Results from CSV files as studies: the notebook's layout, our own tables, and wrong files."""

import csv
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from storage import attrs
from storage.errors import StorageAccessError
from storage.rdb import close_all
from storage.records import StudyRecord, load_study_record
from study.analysis.correlation import get_correlations
from study.analysis.tables import get_best_trials, get_families, to_frame
from study.commands.import_csv import import_csv
from study.commands.run import run
from study.errors import StudyError
from study.exchange.read_csv import read_results
from study.exchange.write_table import write_table
from study.requests import ImportRequest, Place, RunRequest
from tests.servers import opened

AUTOENCODER = (
    *("epoch", "batch_size", "learning_rate", "bottleneck_dim", "weight_decay", "auto_encoder"),
    *("batch_normalization", "error_rate"),
)
MULTITASK = (
    *("epoch", "batch_size", "learning_rate", "dropout", "classification_lambda"),
    *("classification_layer_num", "batch_normalization", "weight_decay"),
    *("reconstruction_error_rate", "classification_accuracy"),
)

Import = Callable[..., StudyRecord]


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write rows below an unnamed column that counts them, as pandas does."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", *columns])
        writer.writerows([i, *row] for i, row in enumerate(rows))
    return path


def autoencoder_rows() -> list[list[Any]]:
    """Return a grid of 20 runs, whose error follows from their parameters."""
    rows: list[list[Any]] = []
    for epoch, batch_size, rate in itertools.product((100, 200), (16, 64), (0.001, 0.01)):
        error = 1 / epoch + batch_size / 1000 + rate
        rows.append([epoch, batch_size, rate, "", 1e-05, "CNN", batch_size == 16, error])
        rows.append([epoch, batch_size, rate, "32.0", 1e-05, "linear", "", error + 1])
    return [*rows, *([100, 32, 0.0001, size, 0.01, "linear", "", 2] for size in (16, 64))]


def multitask_rows() -> list[list[Any]]:
    """Return 12 runs."""
    return [
        [200, 16, 0.01, dropout, 0.5, layers, flag, 0.001, 0.02 + dropout / 100, 91.42857]
        for dropout, layers, flag in itertools.product((0.0, 0.5), (1, 2, 3), (True, False))
    ]


@pytest.fixture
def imported(url: str) -> Import:
    """Return a function that imports a file and reads the study."""

    def do(path: Path, name: str | None = None) -> StudyRecord:
        import_csv(ImportRequest(file=path, url=url, study=name), say=lambda _: None)
        with opened(url) as storage:
            return load_study_record(storage, name or path.stem)

    return do


def test_autoencoder(tmp_path: Path, imported: Import) -> None:
    """Each row is a complete trial with its parameters, those that apply, and its error."""
    rows = autoencoder_rows()
    record = imported(write_csv(tmp_path / "results.csv", AUTOENCODER, rows))
    assert record.name == "results"
    assert record.user_attrs[attrs.SETTINGS]["kind"] == "autoencoder"
    assert record.user_attrs[attrs.IMPORTED] == {"file": "results.csv", "rows": len(rows)}
    assert [trial.state for trial in record.trials] == [TrialState.COMPLETE] * len(rows)
    assert [trial.value for trial in record.trials] == [row[-1] for row in rows]
    assert {trial.user_attrs[attrs.MEASURED_ON] for trial in record.trials} == {"test"}
    assert record.trials[0].params == {
        "epoch": 100,
        "auto_encoder": "CNN",
        "batch_size": 16,
        "learning_rate": 0.001,
        "weight_decay": 1e-05,
        "batch_normalization": True,
    }
    assert record.trials[1].params["bottleneck_dim"] == 32
    assert "batch_normalization" not in record.trials[1].params


def test_any_database(tmp_path: Path, place: str) -> None:
    """A file becomes a study wherever the database is, once under each name."""
    rows = autoencoder_rows()
    path = write_csv(tmp_path / "results.csv", AUTOENCODER, rows)
    said: list[str] = []
    request = ImportRequest(file=path, url=place, study="old")
    import_csv(request, say=said.append)
    assert said[0].startswith(f"{len(rows)} trials of kind autoencoder imported as study old; ")
    with opened(place) as storage:
        values = [trial.value for trial in load_study_record(storage, "old").complete]
    assert values == [row[-1] for row in rows]
    with pytest.raises(StorageAccessError, match=r"^There is a study named 'old' already\.$"):
        import_csv(request, say=said.append)
    close_all()


def test_multitask(tmp_path: Path, imported: Import) -> None:
    """Per cents of accuracy become shares."""
    record = imported(write_csv(tmp_path / "results.csv", MULTITASK, multitask_rows()))
    assert record.user_attrs[attrs.SETTINGS]["kind"] == "multitask"
    assert len(record.trials) == 12
    assert record.trials[0].user_attrs[attrs.VALIDATION_ACCURACY] == pytest.approx(0.9142857)
    assert record.trials[-1].params["classification_layer_num"] == 3


def test_tables_are_those_of_pandas(tmp_path: Path, imported: Import) -> None:
    """Means, medians, counts and correlations within a family are exactly pandas' own."""
    path = write_csv(tmp_path / "results.csv", AUTOENCODER, autoencoder_rows())
    frame = pd.read_csv(path)
    record = imported(path)
    groups = frame.groupby("auto_encoder")["error_rate"]
    for family in get_families(record).families:
        assert family.n_complete == groups.count()[family.name]
        assert family.mean == pytest.approx(groups.mean()[family.name], rel=1e-12)
        assert family.median == pytest.approx(groups.median()[family.name], rel=1e-12)
        assert family.best == groups.min()[family.name]
    (cnn, _) = get_correlations(record).families
    members = frame[frame["auto_encoder"] == "CNN"]
    expected = members["batch_size"].corr(members["error_rate"])
    found = {p.name: p.pearson.value for p in cnn.parameters}
    assert found["batch_size"] == pytest.approx(expected, rel=1e-12)
    assert found["weight_decay"] is None, "it does not vary"


@pytest.mark.parametrize("kind", ["autoencoder", "multitask"])
def test_round_trip(tmp_path: Path, imported: Import, kind: str) -> None:
    """What is exported and imported again gives the same tables."""
    columns, rows = (
        (AUTOENCODER, autoencoder_rows())
        if kind == "autoencoder"
        else (MULTITASK, multitask_rows())
    )
    first = imported(write_csv(tmp_path / "results.csv", columns, rows))
    write_table(first, tmp_path / "again.csv")
    again = imported(tmp_path / "again.csv")
    assert get_best_trials(again, k=100) == get_best_trials(first, k=100)
    assert get_families(again) == get_families(first)
    assert get_correlations(again) == get_correlations(first)
    times = ["started", "completed", "duration_s"]
    pd.testing.assert_frame_equal(
        to_frame(again).drop(columns=times), to_frame(first).drop(columns=times)
    )


def test_other_values_than_the_grids(tmp_path: Path, imported: Import) -> None:
    """Values that the notebook's grid lacks widen the range of their parameter."""
    row = [7, 16, 0.5, "", 1e-05, "CNN", False, 0.1]
    record = imported(write_csv(tmp_path / "results.csv", AUTOENCODER, [row]))
    assert record.trials[0].params["epoch"] == 7
    assert record.trials[0].params["learning_rate"] == 0.5


GOOD = [100, 16, 0.001, "", 1e-05, "CNN", True, 0.1]


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("batch_size", "x", "row 3: `batch_size` must be a whole number, but got 'x'"),
        ("batch_size", "1", "row 3: `batch_size` must be"),
        ("epoch", "", "row 3: `epoch` is missing"),
        ("auto_encoder", "RNN", "row 3: `auto_encoder` must be"),
        ("batch_normalization", "", "row 3: `batch_normalization` is missing"),
        ("error_rate", "", "row 3: `error_rate` must be a finite number, but is ''"),
        ("error_rate", "nan", "row 3: `error_rate` must be a finite number, but is 'nan'"),
        ("error_rate", "-0.1", "row 3: `error_rate` must not be negative, but is -0.1"),
    ],
)
def test_wrong_row(
    tmp_path: Path, url: str, imported: Import, column: str, text: str, message: str
) -> None:
    """A wrong value is named with its row and its column, and nothing is stored."""
    bad = [*GOOD]
    bad[AUTOENCODER.index(column)] = text
    path = write_csv(tmp_path / "results.csv", AUTOENCODER, [GOOD, bad])
    with pytest.raises(StudyError, match=r"results\.csv") as caught:
        imported(path)
    assert message in str(caught.value)
    assert not (tmp_path / "study.db").exists()


def test_accuracy_out_of_range(tmp_path: Path, imported: Import) -> None:
    """An accuracy is per cent."""
    row = [*multitask_rows()[0][:-1], 101]
    path = write_csv(tmp_path / "results.csv", MULTITASK, [row])
    with pytest.raises(StudyError, match="row 2: `classification_accuracy` must be 0 to 100"):
        imported(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "is no table of results"),
        ("", "is no CSV file"),
        ("epoch,error_rate\n", "has no rows"),
        ("epoch,error_rate\n1,2\n", "has other columns than autoencoder results, namely: auto"),
        (
            "number,state,value,epoch\n0,DONE,1,100\n",
            "row 2: `state` is 'DONE', which is no state of a trial",
        ),
        ("number,state,value,colour\n0,COMPLETE,1,red\n", "has no parameters"),
        (
            "number,state,value,units,learning_rate\n0,COMPLETE,1,3,0.1\n",
            "of another kind can be imported where that kind is installed",
        ),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    """A file of something else is named, with what is wrong about it."""
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(StudyError, match=r"wrong\.csv") as caught:
        read_results(path)
    assert message in str(caught.value)


def test_name_is_taken(tmp_path: Path, imported: Import) -> None:
    """A study that exists is not touched."""
    path = write_csv(tmp_path / "results.csv", AUTOENCODER, autoencoder_rows())
    before = imported(path)
    with pytest.raises(StorageAccessError, match="There is a study named 'results' already"):
        imported(path)
    place = Place(url=f"sqlite:///{tmp_path / 'study.db'}")
    with pytest.raises(StudyError, match="was imported and cannot be continued"):
        run(RunRequest(kind="autoencoder", place=place, study="results"), say=lambda _: None)
    assert imported(path, "other").trials[0].params == before.trials[0].params


def test_optuna_reads_it(tmp_path: Path, url: str, imported: Import) -> None:
    """Optuna's own API sees an ordinary study, to which it could add trials."""
    imported(write_csv(tmp_path / "results.csv", AUTOENCODER, autoencoder_rows()))
    with opened(url, create=True, write=True) as storage:
        study = optuna.load_study(study_name="results", storage=storage)
        assert study.best_value == min(row[-1] for row in autoencoder_rows())
        assert study.metric_names == [attrs.VALIDATION_MSE]
        study.add_trial(study.trials[0])
        assert study.trials[-1].number == len(autoencoder_rows())
        assert math.isclose(study.trials[-1].value or 0, study.trials[0].value or 1)
