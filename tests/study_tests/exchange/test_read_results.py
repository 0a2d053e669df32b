"""Results from CSV files as studies: the notebook's layout, our own tables, and wrong files."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from optuna.trial import TrialState

from storage import attrs
from storage.errors import StorageAccessError
from storage.records import StudyRecord, load_study_record
from study.analysis.correlation import get_correlations
from study.commands.import_csv import import_csv
from study.commands.run import run
from study.errors import StudyError
from study.exchange.columns import columns_of, to_frame
from study.exchange.read_results import read_results
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


AUTOENCODER_ROWS = [
    *([100, 16, 0.001, "", 1e-05, "CNN", flag, 0.1] for flag in (True, False)),
    *([200, size, 0.01, "32.0", 1e-05, "linear", "", 1 / size] for size in (16, 32, 64)),
    [7, 32, 0.5, 64, 0.01, "linear", "", 2],
]
MULTITASK_ROWS = [
    [200, 16, 0.01, dropout, 0.5, layers, flag, 0.001, 0.02 + dropout / 100, 91.42857]
    for dropout, layers, flag in itertools.product((0.0, 0.5), (1, 2, 3), (True, False))
]


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write rows below an unnamed column that counts them."""
    pd.DataFrame(rows, columns=columns, dtype=object).to_csv(path)
    return path


def imported(path: Path, name: str | None = None) -> StudyRecord:
    """Import a file into the database beside it; return the study."""
    url, said = f"sqlite:///{path.with_name('study.db')}", []
    import_csv(ImportRequest(file=path, url=url, study=name), say=said.append)
    with opened(url) as storage:
        record = load_study_record(storage, name or path.stem)
    kind = record.user_attrs[attrs.SETTINGS]["kind"]
    begin = f"{len(record.trials)} trials of kind {kind} imported as study {record.name}; "
    assert said[0].startswith(begin)
    return record


def again(first: StudyRecord, folder: Path) -> None:
    """Export and import a study again, which must give the same tables."""
    flags = ({**t.user_attrs, "zebra": t.number % 2 == 0} for t in first.trials)
    flagged = [replace(t, user_attrs=own) for t, own in zip(first.trials, flags, strict=True)]
    first = replace(first, trials=tuple(flagged))
    running = replace(flagged[0], number=99, state=TrialState.RUNNING, values=())
    write_table(replace(first, trials=(running, *flagged)), folder / "again.csv")
    second = imported(folder / "again.csv")
    assert get_correlations(second) == get_correlations(first)
    pd.testing.assert_frame_equal(*(to_frame(columns_of(o)) for o in (first, second)))


def test_autoencoder(tmp_path: Path) -> None:
    """Each row is a complete trial with what applies; an export comes back the same."""
    record = imported(write_csv(tmp_path / "results.csv", AUTOENCODER, AUTOENCODER_ROWS))
    assert record.user_attrs[attrs.SETTINGS]["kind"] == "autoencoder"
    assert record.user_attrs[attrs.IMPORTED] == {"file": "results.csv", "rows": 6}
    first, *_, last = record.trials
    assert [trial.value for trial in record.complete] == [row[-1] for row in AUTOENCODER_ROWS]
    assert first.user_attrs == {attrs.EPOCHS_RUN: 100, attrs.MEASURED_ON: "test"}
    named = dict(zip(AUTOENCODER[:-1], AUTOENCODER_ROWS[0], strict=False))
    assert first.params == {name: value for name, value in named.items() if value != ""}
    assert (last.params["epoch"], last.params["learning_rate"]) == (7, 0.5)  # not of the grid
    assert (last.params["bottleneck_dim"], "batch_normalization" in last.params) == (64, False)
    again(record, tmp_path)


def test_multitask(tmp_path: Path) -> None:
    """Per cents of accuracy become shares; tables come back, those of two objectives too."""
    record = imported(write_csv(tmp_path / "results.csv", MULTITASK, MULTITASK_ROWS))
    assert (record.user_attrs[attrs.SETTINGS]["kind"], len(record.trials)) == ("multitask", 12)
    assert record.trials[0].user_attrs[attrs.VALIDATION_ACCURACY] == pytest.approx(0.9142857)
    both = (replace(t, values=(*t.values, 0.9 + 0.01 * t.number)) for t in record.trials)
    pareto = replace(record, directions=("minimize", "maximize"), trials=tuple(both))
    for found, folder in ((record, tmp_path), (pareto, tmp_path / "pareto")):
        folder.mkdir(exist_ok=True)
        again(found, folder)


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("error_rate", "x", "must be a finite number, but is 'x'"),
        ("batch_size", "x", "must be a whole number, but got 'x'"),
        ("epoch", "", "is missing"),
        ("error_rate", "nan", "must be a finite number, but is 'nan'"),
        ("error_rate", "-0.1", "must not be negative, but is -0.1"),
        ("classification_accuracy", "101", "must be 0 to 100"),
    ],
)
def test_wrong_row(tmp_path: Path, column: str, text: str, message: str) -> None:
    """A wrong value is named with its row and its column, and nothing is stored."""
    columns, (good, bad, *_) = (MULTITASK, MULTITASK_ROWS)
    if column in AUTOENCODER:
        columns, (good, bad, *_) = (AUTOENCODER, AUTOENCODER_ROWS)
    bad = [text if name == column else value for name, value in zip(columns, bad, strict=True)]
    with pytest.raises(StudyError, match=rf"results\.csv.*row 3: `{column}` {message}"):
        imported(write_csv(tmp_path / "results.csv", columns, [good, bad]))
    assert not (tmp_path / "study.db").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "is no table of trials: Optuna's `trials_dataframe()` has `value` or `val"),
        (",".join(map(str, range(30))) + "\n" + "1," * 29 + "1\n", "`8`, `9` and 20 more."),
        ("", "is no CSV file"),
        ("epoch,error_rate\n", "has no rows"),
        (
            "number,state,value,size,code_version,data_fingerprint\n0,FAIL,,3,1,x\n",
            "is of a kind that is not installed here. Say where its code lies",
        ),
        ("epoch,error_rate\n1,2\n", "has other columns than autoencoder results, namely: auto"),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    """A file of something else is named, with what is wrong about it."""
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(StudyError, match=rf"wrong\.csv.*{re.escape(message)}"):
        read_results(path, name="wrong")


def test_name_is_taken(tmp_path: Path) -> None:
    """A study that exists is not touched, nor continued; its file can become another one."""
    results = write_csv(tmp_path / "results.csv", AUTOENCODER, AUTOENCODER_ROWS)
    first = imported(results)
    with pytest.raises(StorageAccessError, match="There is a study named 'results' already"):
        imported(results)
    place = Place(url=f"sqlite:///{tmp_path / 'study.db'}")
    with pytest.raises(StudyError, match="was imported and cannot be continued"):
        run(RunRequest(kind="autoencoder", place=place, study="results"), say=lambda _: None)
    assert imported(results, "other").trials[0].params == first.trials[0].params
