"""Kinds of faults that users and attackers have found: further inputs that no other test has.

``kinds_of_faults.txt`` names the tests that hold each kind; they are looked up, not run.
"""

import io
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from optuna.trial import TrialState, create_trial
from PIL import Image

from emoji_ae.errors import DataError
from emoji_ae.images import decode_image
from emoji_ae.labels import exclusion
from emoji_ae.rows import read_rows
from storage.errors import StorageLostError, StorageUrlError
from storage.file_names import file_name
from storage.rdb import open_storage
from storage.urls import parse_url
from study.errors import StudyError
from study.exchange.read_results import read_results
from study.exchange.write_table import write_table
from study.terminal.screen import printable
from tests.conftest import Cli
from tests.servers import close_storage
from tests.study_tests.synthetic import planted

HELD = Path(__file__).with_name("kinds_of_faults.txt")

GRID = (
    "epoch,auto_encoder,batch_size,learning_rate,weight_decay,batch_normalization,bottleneck_dim"
)
ROWS = ("200,linear,16,0.0001,1e-05,,16,0.0113", "100,CNN,32,0.001,1e-05,True,,0.0184")
TABLE = "\n".join([f"{GRID},error_rate", *ROWS])


def names_in(path: Path) -> set[str]:
    """Return the names of the tests of a file."""
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE))


def test_all_kinds_are_held() -> None:
    """Each test that holds a kind is there, and each of this file holds one."""
    held = re.findall(
        r"\s(?=test_|::)(test_\w+)?(?:::(\w+))?", HELD.read_text().partition("\n\n")[2]
    )
    for file, name in held:
        (path,) = Path(__file__).parent.rglob(f"{file}.py") if file else [Path(__file__)]
        found = names_in(path)
        assert name in found if name else found, (file, name)
    here = {name for file, name in held if not file}
    assert here == names_in(Path(__file__)) - {"test_all_kinds_are_held"}


def read(folder: Path, text: str, *directions: str) -> Any:
    """Return the study of a CSV table."""
    (folder / "t.csv").write_text(text)
    return read_results(folder / "t.csv", name="t", directions=directions)


@pytest.mark.parametrize(
    ("text", "times"),
    [
        (TABLE, (None, None)),
        ("number,state,value,x\n0,COMPLETE,1,2\n", (None, None)),
        ("number,state,value,started\n0,PRUNED,,2026-01-01\n", ("2026-01-01", None)),
        ("value,state,datetime_complete\n1,FAIL,2026-01-01T00:00Z\n", (None, "2026-01-01")),
    ],
)
def test_times_that_no_table_tells(tmp_path: Path, text: str, times: tuple) -> None:
    """What a table leaves out of a trial's times is not known, and neither is how long it took."""
    first = read(tmp_path, text, *(() if text == TABLE else ["minimize"])).trials[0]
    assert first.duration_s is None
    assert tuple(t and t.date().isoformat() for t in (first.started, first.completed)) == times


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns"])
@pytest.mark.parametrize(
    ("started", "completed"),
    [
        ("2026-04-04 14:59:00", "2026-04-04 15:01:00"),
        ("2026-03-22T02:59:00+01:00", "2026-03-22T02:01:00+00:00"),
        ("2026-11-01 04:29:00Z", "2026-11-01T01:01:00-03:30"),
    ],
)
def test_times_across_a_change_of_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, started: str, completed: str
) -> None:
    """A trial takes two minutes wherever its table is read."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    text = f"number,state,value,started,completed\n0,COMPLETE,1,{started},{completed}\n"
    try:
        assert read(tmp_path, text, "minimize").trials[0].duration_s == 120
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "values", [[-1.7e308, 1.7e308], [5e-324, 1e-310], [float("inf")], [float("-inf"), 0.0, -0.0]]
)
def test_extreme_numbers(cli: Cli, url: str, values: list[float]) -> None:
    """A page is made of any numbers that Optuna stores, without a word on the screen."""
    study = optuna.create_study(storage=url, study_name="s")
    study.add_trials([create_trial(value=v, state=TrialState.COMPLETE) for v in values * 4])
    code, out, err = cli("report", "--storage", url, "--out", "r.html")
    assert (code, out, err) == (0, "Report written to r.html; open it in a browser.\n", "")


@pytest.mark.parametrize(
    "text", ["cat/face", ":cat_face:", "cat\N{NO-BREAK SPACE}face", "ｃａｔ　ｆａｃｅ", "😀face😀"]
)
def test_words_between_other_signs(text: str) -> None:
    """A face is one however its words are parted."""
    assert exclusion(text) is None


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """Return the file of an image."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def test_images_that_say_something_of_themselves() -> None:
    """An AVIF is turned as its tag says, inverted inks are inverted back, odd tags do nothing."""
    upright = Image.fromarray(np.tile(np.arange(0, 252, 3, np.uint8)[:, None, None], (1, 84, 3)))
    plain = decode_image(encoded(upright, "PNG")).pixels.astype(int)
    for orientation, turn in ((6, Image.Transpose.ROTATE_90), (0, None), (9, None), (65535, None)):
        exif = Image.Exif()
        exif[274] = orientation
        stored = upright if turn is None else upright.transpose(turn)
        pixels = decode_image(encoded(stored, "AVIF", exif=exif, quality=95)).pixels
        assert abs(pixels - plain).mean() < 3
    inks = decode_image(encoded(upright.convert("CMYK"), "JPEG", quality=95)).pixels
    assert abs(inks - plain).mean() < 3


@pytest.mark.parametrize("column", ["learning_rate", "weight_decay", "batch_size"])
def test_values_beyond_the_grid_take_little(tmp_path: Path, column: str) -> None:
    """Many values of a choice become a range, which takes the same room in each trial."""
    place = [*GRID.split(","), "error_rate"].index(column)
    cells = [ROWS[0].split(",") for _ in range(300)]
    for i, row in enumerate(cells):
        row[place] = str(i + 2) if column == "batch_size" else str((i + 1) / 7000)
    trials = read(tmp_path, "\n".join([TABLE, *map(",".join, cells)])).trials
    assert {len(repr(trial.distributions[column])) < 100 for trial in trials} == {True}


@pytest.mark.parametrize("accuracy", ["1.0", "0.91", "0.005"])
def test_shares_that_are_no_per_cents(tmp_path: Path, accuracy: str) -> None:
    """An accuracy of at most 1 is no per cent, and is not taken for one."""
    head = "epoch,batch_size,learning_rate,dropout,classification_lambda,classification_layer_num"
    head += ",batch_normalization,weight_decay,reconstruction_error_rate,classification_accuracy"
    with pytest.raises(StudyError, match="`classification_accuracy` must be 0 to 100, but its la"):
        read(tmp_path, f"{head}\n100,16,0.001,0.3,0.5,2,True,0.0001,0.01,{accuracy}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace(",", "|"), "first line has bars: save it as CSV with commas"),
        (TABLE.replace(",", "\t").replace(".", ","), "first line has tabs"),
        (TABLE.replace(",", ";").replace(".", ","), "first line has semicolons"),
        (f"My results\n\n{TABLE}", "as many cells in every row as in its first"),
        (TABLE.encode("utf-16"), "must be CSV in UTF-8"),
    ],
)
def test_other_dialects(tmp_path: Path, text: str | bytes, message: str) -> None:
    """What a file is like is told, not what followed from it."""
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StudyError, match=message):
        read_results(path, name="t")


@pytest.mark.parametrize("nothing", ["NA", "NULL", "#N/A", "-", "None"])
@pytest.mark.parametrize("epochs", ["2e2", "2.00E+02", "200.000"])
def test_cells_in_other_words(tmp_path: Path, nothing: str, epochs: str) -> None:
    """Cells of parameters that do not apply may say so; whole numbers may have any form."""
    text = TABLE.replace("05,,16", f"05,{nothing},16").replace("\n200,", f"\n{epochs},")
    first = read(tmp_path, text).trials[0]
    assert (first.params["epoch"], "batch_normalization" in first.params) == (200, False)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [True], "text": ["face"]}, "`image` of .* must be image files: .* got bool"),
        ({"image": [{"data": b"x"}], "text": ["face"]}, "must have a field `bytes`, but got data"),
        ({"image": [b"x"], "text": [{"en": "face"}]}, "`text` of .* must be text, but got struct"),
        ({" image": [b"x"], "Text": ["face"]}, "one column `image`, but got ` image`, `Text`"),
    ],
)
def test_columns_of_other_types(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    """The column, what it must hold and what it holds are told."""
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    with pytest.raises(DataError, match=message):
        read_rows(tmp_path / "d.parquet")


@pytest.mark.parametrize(
    "name",
    ["[red]x[/red]", "..", "../../up", "/abs", "\x1b]0;t\x07x", "名前" * 60, "-dash", "a\n"],
)
def test_names(cli: Cli, url: str, tmp_path: Path, name: str) -> None:
    """A name is shown as it is, but for what a terminal would obey, and leads nowhere."""
    (tmp_path / "t.csv").write_text(TABLE)
    assert cli("import-csv", "t.csv", "--storage", url, "--study", name)[0] == 0
    assert printable(name).strip() in cli("list", "--storage", url)[1]
    assert Path(file_name(name)).name == file_name(name)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///~/x.db", "must have its path written out"),
        ("sqlite:///${HOME}/x.db", "must have its path written out"),
        ("sqlite:///C:\\x.db", "must have its path written out"),
        ("sqlite:///x.db?mode=ro", "must have no option 'mode'"),
        ("sqlite:///file:x.db?uri=true", "must have no option 'uri'"),
        ("sqlite+aiosqlite:///x.db", "must have no driver but SQLite's own"),
    ],
)
def test_urls_that_would_not_do_what_they_say(url: str, message: str) -> None:
    """A path that a shell would have changed, and what SQLite would ignore, are refused."""
    with pytest.raises(StorageUrlError, match=f"`storage` {message}, but got '"):
        parse_url(url)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: folder.rename(folder.with_name("moved")),
        lambda folder: (folder.rename(folder.with_name("moved")), folder.mkdir()),
        lambda folder: shutil.rmtree(folder),
        lambda folder: (shutil.rmtree(folder), folder.symlink_to("nowhere")),
    ],
)
def test_folders_that_go_while_a_database_is_open(tmp_path: Path, harm: Any) -> None:
    """A database whose folder went is written to no more, and is not made anew."""
    storage = open_storage(f"sqlite:///{tmp_path}/in/study.db", create=True, write=True)
    harm(tmp_path / "in")
    with pytest.raises(StorageLostError, match="removed or moved away"):
        storage.get_all_studies()
    close_storage(storage)
    assert not (tmp_path / "in" / "study.db").exists()


@pytest.mark.parametrize("name", ["file:/t.csv", "~/t.csv", "http:/t.parquet", "memory:t.csv"])
def test_paths_that_look_like_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A table is written to the path that was given, nowhere else, and read from there."""
    monkeypatch.chdir(tmp_path)
    assert write_table(planted(5), Path(name)) == 5
    assert [path for path in Path().rglob("*") if path.is_file()] == [Path(name)]
    assert len(read_results(Path(name), name="t").trials) == 5


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("line", ["list", "list --json", "status --study s"])
def test_streams_that_take_nothing(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch, stream: str, line: str
) -> None:
    """A closed standard output or error, and a full standard error, change no exit code."""
    optuna.create_study(storage=url, study_name="s")
    with open(os.devnull) as full:  # which cannot be written
        monkeypatch.setattr("sys.stderr", full)
        assert cli(*line.split(), "--storage", url)[0] == 0
        monkeypatch.setattr(f"sys.{stream}", None)
        assert cli(*line.split(), "--storage", url)[0] == 0
        getattr(sys, stream).close()


@pytest.mark.parametrize("line", ["run autoencoder --study", "export --out", "train --set"])
def test_empty_options(cli: Cli, tmp_path: Path, line: str) -> None:
    """An empty text, as of a shell's variable that is not set, is no value of an option."""
    code, out, err = cli(*line.split(), "")
    assert (code, out, list(tmp_path.iterdir())) == (2, "", [])
    assert err.startswith(f"Error: {line.split()[-1]} must not be empty. See ")
