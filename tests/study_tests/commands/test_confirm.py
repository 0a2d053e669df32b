"""Searches that are confirmed and taken apart with real trainings."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emoji_ae.dataset import load_dataset
from emoji_ae.splits import Split, redraw_validation, split_dataset
from storage import attrs
from storage.rdb import open_storage
from storage.records import StudyRecord, followups, load_study_record
from storage.values import Arm
from study.analysis import data_of, kind_of, metrics_of
from study.analysis.ablation import get_ablation
from study.analysis.confirmation import get_confirmation
from study.analysis.confirmation_text import same_order
from study.analysis.to_confirm import confirmation_arms
from study.commands.show import stored_record
from study.emoji import LATENT_METRICS, MULTITASK
from study.errors import StudyError
from study.followups.setup import Prepared, find_search, own_pairs, run_experiment, set_up
from study.followups.testing import measure_models
from study.formats import MISSING
from study.report.trials import get_columns
from study.requests import FollowupRequest, Place
from study.seeds import pair_seed
from study.settings import StudySettings
from tests.conftest import Wait
from tests.emoji_ae_tests.reference import leaking_groups
from tests.study_tests.asking import command, url_of
from tests.study_tests.studies import ask, merge_log
from tests.study_tests.toy import TOY

Capture = pytest.CaptureFixture[str]

CONFIRM = "confirm --study search --top 2"
ABLATE = "ablate --study search --seeds 1 --param start"
SMALL = (
    *("epoch=2", "width=8", "latent_channels=16", "depth=3", "auto_encoder=CNN"),
    *("auxiliary_task=true", "strategy=joint", "classification_layer_num=1", "patience=0"),
)
PULL = '        Parameter("pull", CategoricalDistribution((None, "hard", 2))),'
PARTED = (
    TOY.replace("FloatDistribution(0.01, 4.0)", "FloatDistribution(0.01, 1.5)")
    .replace("import Data,", "import Data, Rows,")
    .replace("return Folder(source.path)", "return Rows(NUMBERS, sides=sides, seed=source.seed)")
    .replace("SPACE = ", "import numpy as np\n\nNUMBERS = np.arange(20.0)\nSPACE = ", 1)
    .replace("if data.slow is not None and data.slow.exists()", 'if os.environ.get("SLOW")')
    .replace('name="line",\n    parameters=(', f'name="line",\n    parameters=(\n{PULL}', 1)
    .replace('"start": 0.0,', '"start": 0.0, "pull": None,')
)
"""A kind without torch, whose data are parted and whose trainings never diverge."""


def read(folder: Path, name: str = "search-confirmation") -> StudyRecord:
    """Read a study."""
    return load_study_record(open_storage(url_of(folder)), name)


def arms_of(record: StudyRecord) -> dict[str, Arm]:
    """Return the stored arms of an experiment by name."""
    found = attrs.EXPERIMENT.of(record)
    return {arm.name: arm for arm in found.arms}


def models_of(folder: Path) -> list[Path]:
    """Return the trained models that are kept."""
    return list((folder / "artifacts" / "models").iterdir())


def search_and_confirm(folder: Path, kind: str, more: str = "") -> Path:
    """Run a search of eight trials and confirm it; return the folder."""
    search = f"run {kind} --study search --sampler random --pruner none --trials 8{more}"
    assert command(folder, search) == 0
    assert command(folder, f"{CONFIRM} --seeds 2") == 0
    assert len(read(folder, "search").complete) == len(read(folder).complete) == 8
    merge_log(folder)
    return folder


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """A folder with a search of small models that was confirmed; only to be read."""
    small = "".join(f" --set {one}" for one in SMALL)
    more = f" --space extended --data {tiny_data}{small}"
    return search_and_confirm(tmp_path_factory.mktemp("followups"), "multitask", more)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a search of a kind without torch that was confirmed; only to be read."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toy_kind.py").write_text(PARTED)
    return search_and_confirm(folder, f"{folder / 'toy_kind.py'}:TOY")


@pytest.fixture
def copy(confirmed: Path, tmp_path: Path) -> Path:
    """A copy of the folder with small models, to go on with."""
    return shutil.copytree(confirmed, tmp_path / "copy")


@pytest.fixture
def toy_copy(toys: Path, tmp_path: Path) -> Path:
    """A copy of the other folder, to go on with."""
    return shutil.copytree(toys, tmp_path / "copy")


def test_what_is_chosen_is_trained(confirmed: Path) -> None:
    """Each arm is trained with its parameters; latents and accuracies are measured."""
    search, record = read(confirmed, "search"), read(confirmed)
    settings = StudySettings.from_attrs(search.user_attrs, study="search")
    space = settings.space_in(MULTITASK)
    chosen = confirmation_arms(search, space, MULTITASK, settings.fixed, top=2, seed=0)
    arms = arms_of(record)
    assert [arm.role for arm in chosen] == ["default", "top", "top", "middle"]
    assert list(arms.values()) == [replace(arm, split="group") for arm in chosen]
    for trial in record.complete:
        assert trial.params == arms[trial.user_attrs[attrs.ARM]].params
        # Their latents are measured, as those of the search were not.
        assert {metric.name for metric in LATENT_METRICS if metric.of(trial) is not None} >= {
            *(attrs.LATENT_PATH_SMOOTHNESS, attrs.LATENT_PROBE_ACCURACY),
            attrs.LATENT_VARIANCE_USED,
        }
    assert all(metric.always for metric in metrics_of(search))
    for c in get_confirmation(record).confirmed:
        assert c.accuracy is not None
        assert 0 <= c.test_accuracy.mean <= 1
        assert c.test.mean > 0
    # The only search of a storage needs no name, whatever follows it.
    assert stored_record(url_of(confirmed), None)[1].name == "search"
    assert followups(open_storage(url_of(confirmed))) == {"search-confirmation": "search"}


def test_splits_share_the_test_set(confirmed: Path, tiny_data: Path) -> None:
    """Half of the seeds have the search's split, the others fresh ones with its test images."""
    dataset = load_dataset(tiny_data)
    searched, record = split_dataset(dataset), read(confirmed)
    splits = {t.user_attrs[attrs.PAIR]: t.user_attrs[attrs.SIDES] for t in record.complete}
    assert len(set(splits.values())) == 2
    fresh, own = (Split.from_sides(splits[pair]) for pair in range(2))
    assert own == searched
    assert fresh == redraw_validation(dataset, searched, seed=42 + 1)
    assert fresh.test == searched.test
    assert fresh.validation != searched.validation
    assert leaking_groups(dataset, fresh) == 0
    search_seeds = {t.user_attrs[attrs.SEED] for t in read(confirmed, "search").complete}
    seeds = {trial.user_attrs[attrs.SEED] for trial in record.complete}
    assert seeds == {pair_seed(0, pair) for pair in range(2)}
    assert not seeds & search_seeds


def test_each_model_is_tested_once(confirmed: Path, tmp_path: Path, capsys: Capture) -> None:
    """Test errors are those of the trained models, as training them again for good shows."""
    record = read(confirmed)
    results = record.user_attrs[attrs.TEST_RESULTS]
    assert set(results) == {str(trial.number) for trial in record.complete}
    assert models_of(confirmed) == []
    for trial in record.complete[:2]:
        out = tmp_path / str(trial.number)
        again = f"train --study {record.name} --trial {trial.number} --out {out}"
        assert command(confirmed, again) == 0
        assert "repeats the trial's validation MSE exactly." in capsys.readouterr().out
        metrics = json.loads((out / "metrics.json").read_text())
        tested = {name: metrics[f"test_{name}"] for name in ("mse", "accuracy")}
        assert results[str(trial.number)] == tested


def test_what_is_said(toy_copy: Path, capsys: Capture) -> None:
    """Asked again, nothing is trained, tested or chosen; lost models are named."""
    before = read(toy_copy)
    assert command(toy_copy, f"{CONFIRM} --seeds 2") == 0
    assert read(toy_copy) == before
    info, said = get_confirmation(before), capsys.readouterr().out
    rows = re.findall(r"^[ =] (default|(?:middle, )?trial \d+) ", said, re.MULTILINE)
    assert rows == [c.name for c in info.confirmed]
    assert len(rows) == 4
    assert said.startswith("Which of the best of study search stay good? 2 seeds of 4 ")
    assert "2 seeds: too few to tell any difference from chance; 3 are needed." in said
    assert f"{info.best} has the lowest mean distance" in said
    assert "others would be chosen" not in said
    assert command(toy_copy, f"{CONFIRM} --seeds 2 --json") == 0
    document, said = capsys.readouterr()
    assert [found["name"] for found in json.loads(document)["configurations"]] == rows
    assert "Which of the best of study search stay good?" in said

    shutil.rmtree(toy_copy / "artifacts" / "models")
    storage = open_storage(url_of(toy_copy), write=True)
    study_id = storage.get_study_id_from_name(before.name)
    kept = dict(list(before.user_attrs[attrs.TEST_RESULTS].items())[:3])
    storage.set_study_user_attr(study_id, attrs.TEST_RESULTS, kept)
    assert command(toy_copy, "confirm --study search --top 3 --seeds 2") == 0
    out, err = capsys.readouterr()
    assert "goes on with the 4 configurations that were chosen first" in out
    assert read(toy_copy).user_attrs[attrs.TEST_RESULTS] == kept
    assert "Warning: the trained models of 5 trials" in err


def test_more_seeds_keep_those_that_are_there(toy_copy: Path) -> None:
    """Further seeds are trained behind the first ones, which keep values, splits and tests."""
    before = read(toy_copy)
    for own, message in ((0, "must be 1 to 2 with --seeds 3: 1 of 2 stored"), (3, "Got 3")):
        with pytest.raises(StudyError, match=message):
            command(toy_copy, f"{CONFIRM} --seeds 3 --own-split {own}")
    assert read(toy_copy) == before
    assert command(toy_copy, f"{CONFIRM} --seeds 3") == 0
    after = read(toy_copy)
    assert len(after.complete) == len(after.trials) == 12
    assert after.trials[:8] == before.trials
    tests = after.user_attrs[attrs.TEST_RESULTS]
    assert before.user_attrs[attrs.TEST_RESULTS].items() <= tests.items()
    assert len(tests) == 12
    kept, sides = (r.user_attrs[attrs.EXPERIMENT]["sides"]["drawn"] for r in (before, after))
    assert sides[:2] == kept
    own = after.user_attrs[attrs.SETTINGS]["sides"]
    assert [one == own for one in sides] == [False, True, True]


@pytest.mark.parametrize(
    ("kept", "n", "n_own", "expected"),
    [
        ("", 6, None, {1, 3, 5}),
        ("", 5, None, {1, 3, 4}),
        ("", 4, 0, set()),
        ("fff", 6, None, set()),  # of an earlier version
        ("fff", 6, 2, {4, 5}),
        ("of", 6, None, {3, 5}),
        ("oo", 2, None, set()),
    ],
)
def test_which_seeds_have_the_own_split(kept: str, n: int, n_own: Any, expected: set[int]) -> None:
    """Half of them, evenly; stored ones keep theirs, and all fresh ones go on as such."""
    assert own_pairs(tuple(kept), "o", n, n_own) == expected
    assert own_pairs(("",), "", n, 0) == set()  # data that are parted in one way only


def test_chosen_configurations(toy_copy: Path, capsys: Capture) -> None:
    """Trials can be named, an experiment is no search, and a taken name is not taken over."""
    named = "confirm --study search --trial 5 --trial 3 --seeds 1 --name named"
    assert command(toy_copy, named) == 0
    record = read(toy_copy, "named")
    assert [arm.trial for arm in arms_of(record).values()] == [None, 5, 3]
    assert len(record.complete) == len(record.trials) == 3
    assert "With fewer than 3 seeds" in capsys.readouterr().out
    for line, message in (
        ("confirm --study search-confirmation", "is an experiment and no search"),
        (f"{CONFIRM} --name search", "is not the confirmation of study 'search'"),
        (f"{ABLATE} --name search-confirmation", "is not the ablation of study 'search'"),
    ):
        with pytest.raises(StudyError, match=message):
            command(toy_copy, line)
    assert len(read(toy_copy, "search").trials) == 8


def test_none_is_a_value(toy_copy: Path, capsys: Capture) -> None:
    """What a trial had is trained again where None is a choice, and is read from a table."""
    arms, record = arms_of(read(toy_copy)), read(toy_copy)
    none = [arm for arm in arms.values() if arm.trial is not None and arm.params["pull"] is None]
    assert none
    for trial in record.trials:
        assert trial.params == arms[trial.user_attrs["arm"]].params
    out, number, kind = toy_copy / "out", none[0].trial, f"{toy_copy}/toy_kind.py:TOY"
    assert command(toy_copy, f"train --study search --trial {number} --out {out}") == 0
    kept = json.loads((out / "metrics.json").read_text())
    assert kept["config"] == none[0].params
    assert command(toy_copy, f"export --study search --out {out}/trials.csv") == 0
    table = f"import-csv {out}/trials.csv --study again --kind {kind}"
    assert command(toy_copy, table) == 0
    again, search = read(toy_copy, "again"), read(toy_copy, "search")
    assert [trial.params for trial in again.trials] == [trial.params for trial in search.trials]
    assert command(toy_copy, f"run {kind} --study none --set pull=None --trials 1") == 0
    assert [trial.params["pull"] for trial in read(toy_copy, "none").trials] == [None]
    wording = kind_of(search).wording
    assert (wording.value(None, "pull"), wording.value(None, "rate")) == ("None", MISSING)
    assert data_of(search) == "rows"
    hostile = {**search.user_attrs, attrs.NOUN: "<b>"}
    assert data_of(replace(search, user_attrs=hostile)) == "data"
    choices = {column.key: column.choices for column in get_columns(search)}["pull"]
    assert choices == ({"$none": True}, 2, "hard")


def test_nothing_is_tested_before_all_is_trained(toy_copy: Path, wait_until: Wait) -> None:
    """Ctrl-C keeps the trained models, the test split stays shut, and the command says so."""
    args = [sys.executable, "-m", "study", *CONFIRM.split(), "--storage", url_of(toy_copy)]
    args += ["--seeds", "30", "--name", "cut", "--threads", "1"]
    states = (
        "SELECT state FROM trials JOIN studies USING (study_id) "
        "WHERE study_name = 'cut' AND state = 'COMPLETE'"
    )
    slow = os.environ | {"SLOW": "1"}
    with subprocess.Popen(args, env=slow, stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(ask(toy_copy, states)) > 1)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
    assert process.returncode == 130
    assert "Interrupted; everything is kept." in said
    record = read(toy_copy, "cut")
    assert 1 < len(record.complete) < 120
    assert attrs.TEST_RESULTS not in record.user_attrs
    assert len(models_of(toy_copy)) == len(record.complete)


def test_other_images(copy: Path, other_data: Path, tiny_data: Path, capsys: Capture) -> None:
    """The same configurations and seeds on other images, stored beside the confirmation."""
    name, line = f"search-on-{other_data.stem}", f"{CONFIRM} --other-data {other_data}"
    assert command(copy, f"{line} --seeds 1") == 0
    here, there = read(copy), read(copy, name)
    assert len(there.complete) == len(there.trials) == 4
    first, second = arms_of(here), arms_of(there)
    assert second == {arm: replace(values, expected=None) for arm, values in first.items()}
    dataset = load_dataset(other_data)
    own = split_dataset(dataset)
    for trial in there.complete:
        pair = trial.user_attrs[attrs.PAIR]
        split = Split.from_sides(trial.user_attrs[attrs.SIDES])
        assert split == redraw_validation(dataset, own, seed=42 + 1 + pair)
        assert split.test == own.test
        assert trial.user_attrs[attrs.SEED] == pair_seed(0, pair)
    assert set(there.user_attrs[attrs.TEST_RESULTS]) == {str(t.number) for t in there.complete}
    assert models_of(copy) == []
    mine, theirs = get_confirmation(here), get_confirmation(there)
    assert theirs.other_data == str(other_data)
    n_same, n_pairs = same_order(mine, theirs)
    assert n_pairs == 6
    said = capsys.readouterr().out.splitlines()
    ranked = "They rank as on" if n_same == 6 else f"{n_same} of 6 pairs of configurations rank as"
    assert any(text.startswith(ranked) for text in said)
    time = "4 trainings in all; at the times that the search took, about "
    assert any(text.startswith(time) for text in said)
    assert command(copy, f"{line} --seeds 1") == 0
    assert read(copy, name) == there

    for refused, message in (
        (f"{CONFIRM} --name {name}", f"{name!r} is not the confirmation"),
        (f"{CONFIRM} --other-data {tiny_data}", "holds the very images of study 'search'"),
        (f"{line} --data {tiny_data}", "give one of them"),
    ):
        with pytest.raises(StudyError, match=message):
            command(copy, refused)


def test_models_of_others(copy: Path, tmp_path: Path) -> None:
    """Two commands test once; under old names models are tested if they are the trial's."""
    place = Place(url=url_of(copy), threads=1)

    def follow() -> Prepared:
        """Set up or continue a confirmation of the best trial, with one seed."""
        search = find_search("search", place, say=print)
        kind, settings = search.found.kind, search.settings
        space, fixed = settings.space_in(kind), settings.fixed
        choose = partial(confirmation_arms, search.record, space, kind, fixed, top=1, seed=0)
        request = FollowupRequest(place=place, name="trained", n_seeds=1)
        return set_up(search, attrs.CONFIRMATION, choose, request, n_own=0, say=str)

    run_experiment(follow(), place, say=str)
    followup, before, models = follow(), read(copy, "trained"), copy / "artifacts" / "models"
    shutil.copytree(models, tmp_path / "kept")
    storage, said = open_storage(url_of(copy), write=True), list[str]()

    def tested() -> dict[str, Any]:
        after = measure_models(followup, storage, before, place, say=said.append)
        return after.user_attrs[attrs.TEST_RESULTS]

    expected = tested()
    assert len(expected) == 3
    assert tested() == expected
    assert (said, models_of(copy)) == ([], [])

    study_id = storage.get_study_id_from_name("trained")
    storage.set_study_user_attr(study_id, attrs.TEST_RESULTS, {})
    with closing(sqlite3.connect(copy / "study.db")) as connection, connection:
        connection.execute("DELETE FROM study_user_attributes WHERE key = ?", (attrs.UID,))
    kept = sorted((tmp_path / "kept").iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    wrong = (kept[1], *kept[1:])  # in place of the first lies that of another database's trial
    for trial, path in zip(before.complete, wrong, strict=True):
        shutil.copy(path, models / f"{study_id}-{trial.number}.pt")
    lost = str(before.complete[0].number)
    assert tested() == {number: result for number, result in expected.items() if number != lost}
    (line,) = said
    assert line.startswith("Warning: the trained models of 1 trial are not in ")
    assert len(models_of(copy)) == 3  # whoever else's they may be


def test_ablation_goes_from_the_default_to_the_winner(toy_copy: Path, capsys: Capture) -> None:
    """One parameter changes at a time, on fresh splits; the winner was confirmed, or is named."""
    with pytest.raises(StudyError, match="`size` cannot be swept"):
        command(toy_copy, "ablate --study search --param size")
    confirmed = arms_of(read(toy_copy))
    best = confirmed[get_confirmation(read(toy_copy)).best].params
    third = read(toy_copy, "search").trials[3].params
    both = ("search-ablation", "", best), ("third", " --trial 3 --name third", third)
    for name, more, winner in both:
        assert command(toy_copy, f"{ABLATE}{more}") == 0
        record, said = read(toy_copy, name), capsys.readouterr().out
        info, arms = get_ablation(record), arms_of(record)
        steps = [arm for arm in arms.values() if arm.role == "path"]
        assert steps[0].params == confirmed["default"].params
        assert steps[-1].params == winner
        assert len(record.complete) == len(record.trials) == len(arms)
        assert len(info.path) == len(steps)
        (sweep,) = info.sweeps
        assert sweep.parameter == "start"
        values = {other.changes["start"] for other in sweep.others}
        assert len(values) == len(sweep.others) >= 2
        assert winner["start"] not in values
        assert "over 1 seed and split." in said
        assert "fewer than 3 seeds" in said
        assert attrs.TEST_RESULTS not in record.user_attrs
        assert models_of(toy_copy) == []


@pytest.mark.slow
def test_imported_results_are_confirmed_on_images_of_today(
    tmp_path: Path, tiny_data: Path, capsys: Capture
) -> None:
    """What a file calls best is trained on new splits; where it diverges, the rest is tested."""
    rows = [
        "epoch,batch_size,learning_rate,bottleneck_dim,weight_decay,auto_encoder,"
        "batch_normalization,error_rate"
    ]
    rows += [
        f"1,16,{rate},,1e-05,CNN,True,{error}"
        for rate, error in ((1e30, 0.01), (0.01, 0.02), (0.001, 0.03), (0.0001, 0.04), (0.1, 0.05))
    ]
    path = tmp_path / "results.csv"
    path.write_text("\n".join(rows) + "\n")
    assert command(tmp_path, f"import-csv {path} --study search") == 0
    assert command(tmp_path, f"{CONFIRM} --seeds 1 --data {tiny_data}") == 0
    said, record = capsys.readouterr().out, read(tmp_path)
    info = get_confirmation(record)
    assert {c.trial for c in info.confirmed if c.role == "top"} == {0, 1}
    assert info.get("trial 1").search_value == 0.02
    assert info.excluded == ("trial 0",)
    assert "\nNot counted, whatever the error: trial 0" in said
    assert [c.name for c in info.confirmed if c.test is None] == ["trial 0"]
    assert record.user_attrs[attrs.SETTINGS]["split"] == "group"
    assert command(tmp_path, f"{CONFIRM} --seeds 1") == 0
    assert read(tmp_path) == record
