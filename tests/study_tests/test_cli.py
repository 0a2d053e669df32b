"""The command line as users meet it: real processes, exit codes, and what they print."""

import importlib.metadata
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from emoji_ae.dataset import load_dataset
from emoji_ae.splits import Split
from storage.queue import DEFAULT_RETRIES
from storage.rdb import open_storage
from storage.records import load_study_record
from study.analysis import metrics_of
from study.cli import app, main
from study.emoji import LATENT_METRICS
from study.errors import StudyError
from study.formats import format_number
from study.report import read_report_data
from study.settings import StudySettings
from tests.assets.commands import meaning
from tests.conftest import Cli, Wait
from tests.emoji_ae_tests.reference import leaking_groups
from tests.study_tests.studies import ask, claim_point, merge_log, open_study, space_of

COMMAND = Path(sys.executable).with_name("emoji-study")
COMMANDS = [
    *("run", "worker", "serve-storage", "experiment", "confirm", "ablate", "list", "status"),
    *("export", "train", "import-csv", "report", "demo", "data build", "data describe"),
    *("dashboard", "clean", "compose", "copy", "rename", "delete"),
]

Kill = Callable[[int, int], None]


def process(folder: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command in ``folder``."""
    return subprocess.run([COMMAND, *args], cwd=folder, capture_output=True, text=True)


def commands(group: object, prefix: str = "") -> list[str]:
    """Return the names of all commands of a group and of its groups."""
    names: list[str] = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            names += commands(command, f"{prefix}{name} ")
        else:
            names.append(prefix + name)
    return names


@pytest.mark.parametrize("command", COMMANDS)
def test_help(cli: Cli, command: str) -> None:
    """The help of every command says what it does, and its examples can be pasted."""
    code, out, err = cli(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert f"Usage: emoji-study {command}" in out
    assert cli(*command.split(), "-h") == (code, out, err)
    assert re.search(rf"Examples?:\s+emoji-study\s+{command}", out)
    examples = out.partition("\n  Example")[2].split(":\n", 1)[1].splitlines()
    assert meaning(examples[0])["command"] == command
    assert all(meaning(line)["command"] in COMMANDS for line in examples)


def test_main_help(cli: Cli) -> None:
    """The program's help lists all commands, which are known here, and says where to start."""
    assert sorted(commands(app)) == sorted(COMMANDS)
    code, out, _ = cli("--help")
    assert code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command.split()[0]} ", out, re.MULTILINE)
    assert "Start with: emoji-study demo" in out
    version = importlib.metadata.version("emoji-study")
    assert cli("--version") == (0, f"emoji-study {version}\n", "")
    assert f"error.  [default: {DEFAULT_RETRIES}; x>=0]" in cli("run", "--help")[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("statsu", "No such command 'statsu'. Did you mean 'status'? See emoji-study --help."),
        ("data buil", "Did you mean 'build'? See emoji-study data --help."),
        ("run", "Missing argument 'KIND'. See emoji-study run --help."),
        ("run autoencoder --devic cpu", "No such option '--devic'. Did you mean '--device'?"),
        ("status faces", "comes after --study: --study faces. See emoji-study status --help."),
        ("run autoencoder --sampler tp", "one of grid, random, qmc, tpe, gp, but got 'tp'; did"),
        ("run autoencoder --pruner asha", "`--pruner` must be one of median, halving, hyperb"),
        ("run autoencoder --device foo", "one of auto, cpu, cuda, mps, but got 'foo'. See emoji-"),
        ("run autoencoder --backend cloud", "`--backend` must be one of local, dask, but got 'cl"),
        ("run autoencoder --scheduler tcp://host:1", "--scheduler belongs to --backend dask."),
        ("run autoencoder --vendors google,appel", "but got 'appel'; did you mean apple?"),
        ("run multitask --at-least validation_accuracy", "`--at-least` must be METRIC=NUMBER, bu"),
        ("data build --out d.parquet --vendor nokia", "`--vendor` must be one of apple, google, "),
        ("clean", "Missing option '--pictures'. It is one of all, best, none."),
        ("run autoencoder --trials 0", "'--trials'"),
        ("run autoencoder --seed -1", "'--seed'"),
        ("run multitask --min-accuracy 1.5", "'--min-accuracy'"),
        ("run multitask --min-accuracy nan", "'--min-accuracy'"),
        ("worker", "Missing option '--study'"),
        ("serve-storage --port 0", "'--port'"),
        ("experiment auxiliary-task --lambda x", "'--lambda'"),
        ("run autoencoder --set epoch", "`--set` must be PARAM=VALUE, but got 'epoch'."),
        ("train --set width=8 --set width=16", "`--set` must give a parameter one value, but"),
        ("export", "'--out'"),
    ],
)
def test_usage_errors(cli: Cli, tmp_path: Path, line: str, message: str) -> None:
    """What the command line does not allow ends with code 2 and one line, and does nothing."""
    code, out, err = cli(*line.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("Error: ")
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("run autoencoder --trials 3 --total 6", "--trials --total"),
        ("run multitask --min-accuracy 0.9 --at-most a=1", "--at-most --min-accuracy"),
        ("confirm --trial 3 --top 5", "--top --trial"),
        ("confirm --scheduler tcp://host:1", "--scheduler --backend"),
        ("status --every 1", "--every --watch"),
        ("train --trial best", "--trial --study"),
        ("train --storage sqlite:///study.db", "--storage --study"),
        ("compose a --study s --average b", "--average --gallery"),
        ("compose a --study s --way slerp", "--way several"),
        ("compose --gallery --study s --way lerp", "--way --gallery"),
        ("compose a --checkpoint c.pt --trial best", "--trial --study"),
        ("compose a --checkpoint c.pt --storage sqlite:///study.db", "--storage --study"),
        ("compose a --checkpoint c.pt --device cpu", "--device --checkpoint"),
        ("report --from r.html --storage sqlite:///study.db", "--storage --from"),
        ("report --from r.html --artifacts a", "--artifacts --from"),
        ("report --study s --study t --artifacts a", "--artifacts --study"),
        ("dashboard --refresh --port 8080", "--port --refresh"),
        ("dashboard --refresh --allow-edit", "--allow-edit --refresh"),
        ("dashboard --study s", "--study --refresh"),
    ],
)
def test_options_without_effect(cli: Cli, tmp_path: Path, line: str, options: str) -> None:
    """What would do nothing beside the other options is refused in a line that names both."""
    code, out, err = cli(*line.split())
    assert (code, out) == (2, "")
    assert (err.startswith("Error: --"), err.count("\n")) == (True, 1)
    assert [option for option in options.split() if option not in err] == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, settings: StudySettings, other_data: Path
) -> Path:
    """A folder with a study of one trial, and with files that are no use; only to be read."""
    folder = tmp_path_factory.mktemp("studies")
    tpe = replace(settings, sampler="tpe")
    study = open_study(open_storage(f"sqlite:///{folder / 'study.db'}", create=True), "s", tpe)
    trial = claim_point(study, {})
    space_of(tpe).suggest(trial, tpe.fixed)
    trial.report(0.5, step=0)
    study.tell(trial, 0.5)
    (folder / "file").touch()
    (folder / "not.parquet").write_text("not a parquet file")
    shutil.copy(other_data, folder / "others.parquet")
    with closing(sqlite3.connect(folder / "other.db")) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    merge_log(folder)
    content = (folder / "study.db").read_bytes()
    (folder / "damaged.db").write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    return folder


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Return all files and folders, without what SQLite keeps beside an open file."""
    merge_log(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if not path.name.endswith(("-wal", "-shm"))
    }


RUN = "run autoencoder --epochs 1"
STUDY = "--storage sqlite:///study.db"
OTHER = "--storage sqlite:///other.db"
OTHERS = "Study 's' was made with other data"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{RUN} --pareto", "--pareto needs a kind with a second metric; autoencoder has only"),
        ("run multitask --pareto --min-accuracy 0.5", "--pareto already optimises validation"),
        ("run multitask --pareto --pruner median", "With --pareto nothing is pruned, "),
        ("run multitask --set bottleneck_dim=8", "The notebook space has no parameter 'bottlen"),
        ("experiment leak", "`experiment` must be one of latent-space, auxiliary-task, leakage"),
        (f"experiment leakage {STUDY} --study s", "Study 's' is of the kind 'autoencoder', not "),
        (f"{RUN} --set epoch=2", "--epochs is --set epoch=E; give one of both."),
        (f"{RUN} --space large", "`space` must be one of notebook, extended, but got 'large'"),
        (f"{RUN} --split half", "`split` must be one of group, random, but got 'half'"),
        (f"{RUN} --set width=8", "The notebook space has no parameter 'width'; it has: epoch"),
        (f"{RUN} --space extended --sampler grid", "The extended space has no grid"),
        (f"{RUN} --data not.parquet", "`not.parquet` must be a readable parquet file, but got"),
        (f"{RUN} --at-least validation_accuracy=1", "--at-least needs a kind with a second"),
        ("run multitask --at-least acc=1", "`--at-least` must be one of validation_accuracy, but"),
        ("run multitask --at-most validation_accuracy=1", "maximized: give --at-least in place"),
        (f"{RUN} --storage redis://host/0", "Redis is not read"),
        (f"{RUN} {OTHER}", "other.db is a database of another program"),
        (f"{RUN} --storage sqlite:///not.parquet", "not.parquet is a text, and no database.\n"),
        (f"{RUN} --storage sqlite:///file/x.db", "file/x.db cannot be opened: "),
        (f"{RUN} {STUDY} --study s", "Study 's' has fixed {"),
        (f"run autoencoder {STUDY} --study s --data others.parquet", f"{OTHERS} (fingerprint "),
        (f"worker {STUDY} --study s --data others.parquet", f"{OTHERS} (fingerprint "),
        (f"train {STUDY} --study s --data others.parquet --out new", f"{OTHERS} (fingerprint "),
        (f"run multitask {STUDY} --study s", "Study 's' is of the kind 'autoencoder', not of "),
        (f"run autoencoder {STUDY} --study s --warm-start s", "but 's' has trials; take another"),
        (
            f"{RUN} {STUDY} --warm-start s --set auto_encoder=CNN --set batch_size=8 --set "
            "learning_rate=0.1 --set weight_decay=0.1 --set batch_normalization=true",
            "--warm-start has no effect: no complete trial of study 's' has a parameter that this",
        ),
        (f"worker {STUDY} --study x", "There is no study named 'x' in this storage; it holds: s."),
        ("serve-storage --storage grpc://h:1", "`storage` must be a database to be served, but"),
        ("list", "Storage file runs/study.db does not exist, nor does the folder runs: --sto"),
        ("list --storage sqlite:///damage.db", "damage.db does not exist; there is damaged.db."),
        ("list --storage other.db", "URL, for that file --storage sqlite:///other.db, but got"),
        (f"run autoencoder --study {'x' * 513}", "must have at most 512 characters, but got 513"),
        ("list --storage sqlite:///damaged.db", "damaged.db"),
        (f"{RUN} --storage sqlite:///damaged.db", "damaged.db"),
        (f"status {STUDY} --study x", "There is no study named 'x' in this storage; it holds: s."),
        (f"export {STUDY} --out t.xlsx", "`out` must end in .csv or .parquet, but got 't.xlsx'"),
        (f"export {STUDY} --out file/t.csv", "file: "),
        (f"report {STUDY} --out file/r.html", "file"),
        (f"report {STUDY} --out r.pdf", "`out` must end in .html or .md, but got 'r.pdf'.\n"),
        (f"train {STUDY} --study s --trial 99", "Study 's' has no trial '99'; it has 1, counted"),
        (f"train {STUDY} --study s --epochs 3", "give --study, or --set and --epochs, not both"),
        (f"train {STUDY} --study s --kind autoencoder", "of emoji-study's kind 'autoencoder'; le"),
        ("train --out file/x --epochs 1", "file"),
        ("train --set size=1", "There is no parameter 'size'; there are: activation,"),
        (f"{RUN} --vendors meta,google,meta", "but got 'meta' twice."),
        (f"run autoencoder {STUDY} --study s --vendors apple", "Study 's' has vendors (), but g"),
        (f"train {STUDY} --study s --vendors apple", "Study 's' has vendors (), but got ('apple"),
        ("data build --out file/d.parquet", "file: "),
    ],
)
def test_user_errors(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    """Each is one line with code 1, of a name that there is not with 2, and changes nothing."""
    monkeypatch.chdir(folder)
    before = snapshot(folder)
    code, out, err = cli(*line.split())
    assert (code, out) == (2 if "must be one of" in err else 1, "")
    assert err.startswith("Error: ")
    assert message in err
    assert err.count("\n") == 1
    assert snapshot(folder) == before


def test_user_errors_of_the_installed_command(tmp_path: Path) -> None:
    """The same holds for the program itself."""
    ended = process(tmp_path, "list")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"Error: [^\n]*study\.db[^\n]*\n", ended.stderr)
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_error_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --debug, wherever it stands, an error keeps its traceback."""
    for argv in (["--debug", "run", "x"], ["run", "x", "--debug"]):
        monkeypatch.setattr(sys, "argv", ["emoji-study", *argv])
        with pytest.raises(StudyError, match="`kind` must be one of"):
            main()
    assert capsys.readouterr().err == ""


def test_storage_named_once(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage need not be named in every command, nor does it stand in another one's way."""
    monkeypatch.setenv("EMOJI_STUDY_STORAGE", f"sqlite:///{folder / 'study.db'}")
    code, out, _ = cli("list")
    assert (code, "0.5000" in out) == (0, True)
    for line in ("train --set size=1", "report --from no.html"):
        code, _, err = cli(*line.split())
        assert (code, err.count("\n"), "--storage" in err) == (1, 1, False)


def test_from_run_to_report(cli: Cli, tmp_path: Path) -> None:
    """With extra images and latents, a study goes through all that reads it, named but once."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    shared = ("--storage", url, "--study", "faces")
    small = ("auto_encoder=CNN", "width=8", "latent_channels=16", "depth=3", "batch_size=16")
    run = ("run", "autoencoder", *shared, "--space", "extended", "--sampler", "random")
    code, out, err = cli(
        *(*run, "--vendors", "google, meta", "--latents", "--trials", "3"),
        *(f"--set={one}" for one in small),
        *("--epochs", "1", "--threads", "1"),
    )
    assert (code, "Traceback" in err) == (0, False), err
    assert re.search(
        r"; (\d{3}) training images, (\d{3}) of them extra ones, and 34 validation images; 1 work",
        out,
    )
    assert "faces: 3/3 " in err
    assert "3 of 3 trials finished: 3 complete" in out
    record = load_study_record(open_storage(url), "faces")
    best = record.best
    assert f"Best validation MSE {format_number(best.value)} (trial {best.number})." in out
    settings = record.user_attrs["settings"]
    assert settings["vendors"] == ["google", "meta"]
    n_own = load_dataset(None).n_own
    assert set(settings["sides"][:n_own]) == {"t", "v", "x"}
    assert set(settings["sides"][n_own:]) == {"t", "-"}
    assert metrics_of(record)[1:] == LATENT_METRICS
    assert all(m.of(t) is not None for t in record.complete for m in LATENT_METRICS)

    said = "3 trials written to trials.parquet\n"
    assert cli("export", *shared, "--out", "trials.parquet")[:2] == (0, said)
    assert pd.read_parquet(tmp_path / "trials.parquet")["value"][best.number] == best.value

    code, out, _ = cli("train", *shared, "--trial", "best", "--out", "best")
    assert code == 0
    assert "This repeats the trial's validation MSE exactly." in out
    metrics = json.loads((tmp_path / "best" / "metrics.json").read_text())
    assert metrics["validation_mse"] == best.value
    assert metrics["seed"] == best.user_attrs["seed"]
    assert f"test MSE {format_number(metrics['test_mse'])}" in out
    assert (tmp_path / "best" / "checkpoint.pt").stat().st_size > 10_000
    assert cli("compose", "nerd face", *shared, "--out", "sum.png")[0] == 0

    code, out, err = cli("confirm", *shared, "--top", "1", "--seeds", "1", "--threads", "1")
    assert (code, "Traceback" in err) == (0, False)
    assert " of them extra ones, and 34 validation images; " in out
    data = load_dataset(None, ("google", "meta"))
    confirmed = load_study_record(open_storage(url), "faces-confirmation")
    assert confirmed.user_attrs["settings"]["vendors"] == ["google", "meta"]
    for trial in confirmed.trials:
        split = Split.from_sides(trial.user_attrs["sides"])
        assert leaking_groups(data, split) == 0
        assert any(row >= data.n_own for row in split.train)

    code, out, _ = cli("report", *shared, "--out", "new/report.html")
    assert (code, out) == (0, "Report written to new/report.html; open it in a browser.\n")
    page = (tmp_path / "new" / "report.html").read_text()
    assert "with extra training images of meta." in page
    assert "--vendors google,meta" in page
    # Three ranked images, each with reconstruction and error map; three fixed ones by all trials;
    # the gallery.
    n_images = 3 * 3 + 3 * (1 + 3) + 1
    assert len(re.findall(r'<img[^>]+src="data:image/png;base64,', page)) == n_images
    gallery = read_report_data(tmp_path / "new" / "report.html").gallery
    assert "seed and split 1 of faces-confirmation" in gallery.caption
    with Image.open(io.BytesIO(gallery.png)) as image:
        assert (image.width > 1000, len(image.getcolors() or []) > 100) == (True, True)
    again = ("report", "--from", "new/report.html", "--out")
    assert cli(*again, "text/report.md")[:2] == (0, "Report written to text/report.md\n")
    named = re.findall(r"\]\((report-\d+\.png)\)", (tmp_path / "text/report.md").read_text())
    assert {*named, "report.md"} == set(os.listdir(tmp_path / "text"))
    assert len(named) == n_images
    assert gallery.png in [(tmp_path / "text" / name).read_bytes() for name in named]


RUN_TOYS = (
    *("run", "toy_kind.py:TOY", "--study", "toys", "--trials", "3", "--workers", "2"),
    *("--sampler", "random", "--pruner", "none", "--storage", "sqlite:///study.db"),
    *("--set", "rate=0.5", "--set", "rounds=100", "--data", "data"),
)


def states(folder: Path) -> list[str]:
    """Return the states of all trials."""
    return [str(state) for (state,) in ask(folder, "SELECT state FROM trials ORDER BY number")]


def test_interrupted_and_continued(cli: Cli, toy: Path, wait_until: Wait) -> None:
    """A run that a signal ends gives all trials back; the same command does what was asked."""
    folder, out, err = toy.parent, toy.with_name("out"), toy.with_name("err")
    slow = folder / "data" / "slow"
    slow.parent.mkdir()
    slow.touch()

    def announced() -> bool:
        return "workers with" in out.read_text()

    def training() -> bool:
        query = "SELECT 1 FROM trials JOIN trial_intermediate_values USING (trial_id)"
        return bool(ask(folder, f"{query} WHERE state = 'RUNNING'"))

    def interrupt(is_time: Callable[[], bool], number: signal.Signals, kill: Kill) -> int:
        with out.open("w") as said, err.open("w") as complaints:
            running = subprocess.Popen(
                [COMMAND, *RUN_TOYS],
                cwd=folder,
                stdout=said,
                stderr=complaints,
                start_new_session=True,
            )
        try:
            wait_until(lambda: is_time() or running.poll() is not None)
            assert running.poll() is None, "it ended before it could be interrupted"
            kill(running.pid, number)
            return running.wait(timeout=300)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)

    assert interrupt(announced, signal.SIGINT, os.killpg) == 130
    # On a busy machine a trial may have begun.
    assert {"RUNNING", "COMPLETE"}.isdisjoint(states(folder))
    assert "Traceback" not in err.read_text()
    for number, kill in ((signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)):
        assert interrupt(training, number, kill) == 130
        assert "Interrupted; everything is kept. The same command continues." in out.read_text()
        assert "Traceback" not in err.read_text()
        counts = Counter(states(folder))
        assert counts["RUNNING"] == 0 < counts["FAIL"]
        assert 0 < counts["WAITING"] <= 3 - counts["COMPLETE"]
        said = cli("status", "--study", "toys", "--storage", "sqlite:///study.db")[1]
        assert "Next: emoji-study worker --storage sqlite:///study.db --study toys" in said
    assert interrupt(training, signal.SIGKILL, os.killpg) == -signal.SIGKILL
    assert "RUNNING" in states(folder)

    slow.unlink()
    curves = []
    for url in ("sqlite:///study.db", "sqlite:///whole.db"):
        code, said, complaints = cli(*RUN_TOYS, "--storage", url)
        assert (code, "Traceback" in complaints) == (0, False), complaints
        assert "3 of 3 trials finished: 3 complete" in said
        record = load_study_record(open_storage(url), "toys")
        assert {trial.state.name for trial in record.trials} <= {"COMPLETE", "FAIL"}
        index = {trial.user_attrs["design_index"]: trial for trial in record.complete}
        assert sorted(index) == [0, 1, 2]
        curves.append([index[i].intermediate_values for i in range(3)])
    assert curves[0] == curves[1]
    assert [len(curve) for curve in curves[0]] == [100] * 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_training(toy: Path, number: signal.Signals) -> None:
    """A signal ends a training, which says what it kept; a kill leaves what was there."""
    out, slow = toy.with_name("best"), toy.with_name("data") / "slow"
    out.mkdir()
    slow.parent.mkdir()
    slow.touch()
    (out / "metrics.json").write_text("earlier")
    train = ("train", "--kind", "toy_kind.py:TOY")
    main, terminal = os.openpty()
    running = subprocess.Popen(
        [COMMAND, *train, "--set", "rounds=10000", "--data", "data", "--out", "best"],
        cwd=toy.parent,
        env=os.environ | {"COLUMNS": "200", "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
    )
    os.close(terminal)
    shown, sent = b"", False
    while True:
        try:
            shown += os.read(main, 1000)
        except OSError:  # the terminal's other end is closed: it has ended
            break
        if not sent and re.search(rb"[2-9]/10000", shown):
            running.send_signal(number)
            sent = True
    os.close(main)
    said = running.communicate()[0]
    assert b"Traceback" not in shown

    if number == signal.SIGKILL:
        assert running.returncode == -number
        assert [path.name for path in out.iterdir()] == ["metrics.json"]
        assert (out / "metrics.json").read_text() == "earlier"
        return
    metrics = json.loads((out / "metrics.json").read_text())
    assert running.returncode == 130
    assert said == (
        f"{said.split(':')[0]}: interrupted after rounds {metrics['rounds']} of 10000. The best "
        f"so far, distance {format_number(metrics['loss'])} (rounds {metrics['best_rounds']}), "
        "is in best, without a look at the test data; the same command trains anew.\n"
    )
    assert metrics["rounds"] >= 2
    assert (metrics["interrupted"], metrics["test_loss"]) == (True, None)
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "model"]
