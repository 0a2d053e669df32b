"""Searches that are confirmed and taken apart with real trainings."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from emoji_ae.dataset import load_dataset
from emoji_ae.splits import Split, redraw_validation, split_dataset
from storage import attrs
from storage.rdb import open_storage
from storage.records import StudyRecord, followups, load_study_record
from study.analysis import metrics_of
from study.analysis.ablation import get_ablation
from study.analysis.confirmation import get_confirmation, same_order
from study.commands.ablate import ablate as take_apart
from study.commands.confirm import confirm as confirm_best
from study.commands.import_csv import import_csv
from study.commands.show import stored_record
from study.commands.train import train
from study.emoji import AUTOENCODER, LATENT_METRICS
from study.errors import StudyError
from study.followups.arms import confirmation_arms
from study.followups.setup import Followup, find_search, run_followup, set_up
from study.followups.testing import measure_models
from study.requests import (
    AblateRequest,
    ConfirmRequest,
    FollowupRequest,
    ImportRequest,
    Place,
    TrainRequest,
)
from study.running.coordinator import RunOutcome
from study.seeds import pair_seed
from tests.emoji_ae_tests.reference import leaking_groups
from tests.study_tests.asking import run_study
from tests.study_tests.studies import ask

Wait = Callable[[Callable[[], bool]], None]

SEARCH = "search"
CONFIRMATION = f"{SEARCH}-confirmation"
N_SEEDS = 2
SMALL = {"epoch": "2", "width": "8", "latent_channels": "16", "depth": "3", "auto_encoder": "CNN"}


def url_of(folder: Path) -> str:
    """Return the URL of the database in ``folder``."""
    return f"sqlite:///{folder / 'study.db'}"


def place_of(folder: Path, data: Path | None = None) -> Place:
    """Return where trainings of the studies in ``folder`` run."""
    return Place(url=url_of(folder), data=data, threads=1)


def read(folder: Path, name: str) -> StudyRecord:
    """Read a study."""
    return load_study_record(open_storage(url_of(folder)), name)


def confirm(folder: Path, **changes: Any) -> tuple[RunOutcome, list[str], list[Table]]:
    """Confirm the search in ``folder``; return what was said and shown, too."""
    said, shown = list[str](), list[Table]()
    asked = {"study": SEARCH, "top": 2, "n_seeds": N_SEEDS, **changes}
    request = ConfirmRequest(place=place_of(folder, asked.pop("data", None)), **asked)
    return confirm_best(request, say=said.append, show=shown.append), said, shown


def ablate(folder: Path, **changes: Any) -> tuple[RunOutcome, list[str], list[Table]]:
    """Take the search in ``folder`` apart; return what was said and shown, too."""
    said, shown = list[str](), list[Table]()
    asked: dict[str, Any] = {"params": ("learning_rate",), "n_seeds": 1, **changes}
    request = AblateRequest(study=SEARCH, place=place_of(folder), **asked)
    return take_apart(request, say=said.append, show=shown.append), said, shown


def run_search(folder: Path, data: Path, kind: str, **asked: Any) -> None:
    """Run a search of small models in ``folder``."""
    asked |= {"space": "extended", "study": SEARCH, "data": data, "sampler": "random"}
    outcome = run_study(url_of(folder), kind, **asked)
    assert outcome.progress.complete == asked["n_trials"]


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """A folder with a search of eight trials that was confirmed; only to be read."""
    folder = tmp_path_factory.mktemp("followups")
    run_search(folder, tiny_data, "autoencoder", n_trials=8, assignments=SMALL)
    outcome, _, _ = confirm(folder)
    assert outcome.progress.complete == outcome.target == 4 * N_SEEDS
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@pytest.fixture
def copy(confirmed: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to go on with."""
    shutil.copytree(confirmed, tmp_path / "copy")
    return tmp_path / "copy"


def arms_of(record: StudyRecord) -> dict[str, dict[str, Any]]:
    """Return the stored arms by name."""
    return {arm["name"]: arm for arm in record.user_attrs[attrs.EXPERIMENT]["arms"]}


def models_of(folder: Path) -> list[Path]:
    """Return the trained models that are kept."""
    return list((folder / "artifacts" / "models").iterdir())


def test_the_best_the_default_and_a_middle_one_are_confirmed(confirmed: Path) -> None:
    """Arms are the two best trials with their scores, the notebook's best, and one between."""
    search, record = read(confirmed, SEARCH), read(confirmed, CONFIRMATION)
    ranking = sorted(search.complete, key=lambda trial: trial.value or 0.0)
    arms = arms_of(record)
    default, first, second, middle = arms.values()
    assert [arm["role"] for arm in arms.values()] == ["default", "top", "top", "middle"]
    assert [first["trial"], second["trial"]] == [trial.number for trial in ranking[:2]]
    assert [first["expected"], second["expected"]] == [trial.value for trial in ranking[:2]]
    assert middle["trial"] in {trial.number for trial in ranking[2:6]}
    space = AUTOENCODER.spaces["extended"]
    notebook = space.to_config(space.point(AUTOENCODER.default)).to_dict()
    small = {"epoch": 2, "width": 8, "latent_channels": 16, "depth": 3}
    assert space.to_config(default["params"]).to_dict() == notebook | small
    for arm in (first, second, middle):
        assert arm["params"] == search.trials[arm["trial"]].params
    for trial in record.complete:
        assert trial.params == arms[trial.user_attrs[attrs.ARM]]["params"]
        # Their latents are measured, as those of the search were not.
        assert {metric.name for metric in LATENT_METRICS if metric.of(trial) is not None} >= {
            *(attrs.LATENT_PATH_SMOOTHNESS, attrs.LATENT_PROBE_ACCURACY),
            attrs.LATENT_VARIANCE_USED,
        }
    assert all(metric.always for metric in metrics_of(search))
    # The only search of a storage needs no name, whatever follows it.
    assert stored_record(url_of(confirmed), None)[1].name == SEARCH
    assert followups(open_storage(url_of(confirmed))) == {CONFIRMATION: SEARCH}


def test_splits_are_fresh_and_share_the_test_set(confirmed: Path, tiny_data: Path) -> None:
    """Each seed has other training and validation images; the test images are the search's."""
    dataset = load_dataset(tiny_data)
    searched = split_dataset(dataset)
    record = read(confirmed, CONFIRMATION)
    splits = {t.user_attrs[attrs.PAIR]: t.user_attrs[attrs.SIDES] for t in record.complete}
    assert len(set(splits.values())) == N_SEEDS
    for pair, sides in splits.items():
        split = Split.from_sides(sides)
        assert split == redraw_validation(dataset, searched, seed=42 + 1 + pair)
        assert split.test == searched.test
        assert split.validation != searched.validation
        assert leaking_groups(dataset, split) == 0
    search_seeds = {trial.user_attrs[attrs.SEED] for trial in read(confirmed, SEARCH).complete}
    seeds = {trial.user_attrs[attrs.SEED] for trial in record.complete}
    assert seeds == {pair_seed(0, pair) for pair in range(N_SEEDS)}
    assert not seeds & search_seeds


def test_each_model_is_tested_once_and_then_removed(confirmed: Path, tmp_path: Path) -> None:
    """Test errors are those of the trained models, as training them again for good shows."""
    record = read(confirmed, CONFIRMATION)
    results = record.user_attrs[attrs.TEST_RESULTS]
    assert set(results) == {str(trial.number) for trial in record.complete}
    assert models_of(confirmed) == []
    for trial in record.complete[:2]:
        final = train(
            TrainRequest(
                url=url_of(confirmed),
                study=CONFIRMATION,
                trial=str(trial.number),
                device="cpu",
                threads=1,
                out=tmp_path / str(trial.number),
            ),
            say=str,
        )
        assert final.best["validation_mse"] == trial.value
        assert results[str(trial.number)] == {"mse": final.test["mse"]}


def test_what_is_said(copy: Path) -> None:
    """Asked again, nothing is trained, tested or chosen; lost models are named."""
    before = read(copy, CONFIRMATION)
    outcome, said, (table,) = confirm(copy)
    assert outcome.progress.complete == 4 * N_SEEDS
    assert read(copy, CONFIRMATION) == before
    info = get_confirmation(before)
    assert table.row_count == 4
    assert list(table.columns[1].cells) == [c.name for c in info.confirmed]
    text = "\n".join(said)
    assert f"Which of the best of study {SEARCH} stay good?" in text
    assert f"{info.best} has the lowest mean validation MSE" in text
    assert "8 trainings in all" in text
    assert all("others would be chosen" not in line for line in said)

    shutil.rmtree(copy / "artifacts" / "models")
    storage = open_storage(url_of(copy), write=True)
    study_id = storage.get_study_id_from_name(CONFIRMATION)
    kept = dict(list(before.user_attrs[attrs.TEST_RESULTS].items())[:3])
    storage.set_study_user_attr(study_id, attrs.TEST_RESULTS, kept)
    outcome, said, _ = confirm(copy, top=3)
    assert outcome.target == 4 * N_SEEDS
    assert any("goes on with the 4 configurations that were chosen first" in s for s in said)
    assert read(copy, CONFIRMATION).user_attrs[attrs.TEST_RESULTS] == kept
    assert any(line.startswith("Warning: the trained models of 5 trials") for line in said)


def test_more_seeds_keep_those_that_are_there(copy: Path) -> None:
    """Further seeds are trained behind the first ones, which keep values, splits and tests."""
    before = read(copy, CONFIRMATION)
    outcome, _, _ = confirm(copy, n_seeds=N_SEEDS + 1)
    after = read(copy, CONFIRMATION)
    assert outcome.progress.complete == outcome.target == 4 * (N_SEEDS + 1)
    assert after.trials[: len(before.trials)] == before.trials
    tests = after.user_attrs[attrs.TEST_RESULTS]
    assert before.user_attrs[attrs.TEST_RESULTS].items() <= tests.items()
    assert len(tests) == 4 * (N_SEEDS + 1)
    kept = after.user_attrs[attrs.EXPERIMENT]["sides"]["group"]
    assert kept[:N_SEEDS] == before.user_attrs[attrs.EXPERIMENT]["sides"]["group"]


def test_chosen_configurations(copy: Path) -> None:
    """Trials can be named, an experiment is no search, and a taken name is not taken over."""
    outcome, said, _ = confirm(copy, trials=(5, 3), n_seeds=1, name="named")
    assert [arm["trial"] for arm in arms_of(read(copy, "named")).values()] == [None, 5, 3]
    assert outcome.progress.complete == outcome.target == 3
    assert any("fewer than 3 seeds" in line for line in said)
    with pytest.raises(StudyError, match="is an experiment and no search"):
        confirm(copy, study=CONFIRMATION)
    with pytest.raises(StudyError, match="is not the confirmation of study 'search'"):
        confirm(copy, name=SEARCH)
    with pytest.raises(StudyError, match="is not the ablation of study 'search'"):
        ablate(copy, name=CONFIRMATION)
    assert len(read(copy, SEARCH).trials) == 8


def test_nothing_is_tested_before_all_is_trained(copy: Path, wait_until: Wait) -> None:
    """Ctrl-C keeps the trained models, the test split stays shut, and the command says so."""
    command = [sys.executable, "-m", "study", "confirm", "--storage", url_of(copy)]
    command += ["--study", SEARCH, "--top", "2", "--seeds", "30", "--name", "cut"]
    command += ["--workers", "1", "--threads", "1"]
    states = (
        "SELECT state FROM trials JOIN studies USING (study_id) "
        "WHERE study_name = 'cut' AND state = 'COMPLETE'"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(ask(copy, states)) > 1)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
    assert process.returncode == 130
    assert "Interrupted; everything is kept." in said
    record = read(copy, "cut")
    assert 1 < len(record.complete) < 120
    assert attrs.TEST_RESULTS not in record.user_attrs
    assert len(models_of(copy)) == len(record.complete)


def test_other_images(copy: Path, other_data: Path, tiny_data: Path) -> None:
    """The same configurations and seeds on other images, stored beside the confirmation."""
    name = f"{SEARCH}-on-{other_data.stem}"
    confirm(copy, other_data=other_data, n_seeds=1)
    begun = read(copy, name)
    outcome, said, (table,) = confirm(copy, other_data=other_data)
    here, there = read(copy, CONFIRMATION), read(copy, name)
    assert there.trials[: len(begun.trials)] == begun.trials
    assert outcome.progress.complete == outcome.target == 4 * N_SEEDS
    assert table.row_count == 4
    first, second = arms_of(here), arms_of(there)
    assert second == {arm: {**values, "expected": None} for arm, values in first.items()}
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
    assert any(line.startswith(f"{n_same} of 6 pairs of configurations have") for line in said)

    with pytest.raises(StudyError, match=f"{name!r} is not the confirmation"):
        confirm(copy, name=name)
    with pytest.raises(StudyError, match="holds the very images of study 'search'"):
        confirm(copy, other_data=tiny_data)
    with pytest.raises(StudyError, match="give one of them"):
        confirm(copy, other_data=other_data, data=tiny_data)


def follow(folder: Path) -> Followup:
    """Set up or continue a confirmation of the best trial, with one seed."""
    place = place_of(folder)
    search = find_search(SEARCH, place, say=print)
    kind, settings = search.found.kind, search.settings
    choose = partial(
        confirmation_arms,
        search.record,
        settings.space_in(kind),
        kind,
        settings.fixed,
        top=1,
        seed=settings.seed,
    )
    request = FollowupRequest(place=place, name="trained", n_seeds=1)
    return set_up(search, attrs.CONFIRMATION, choose, request, say=str)


def test_models_of_others(copy: Path, tmp_path: Path) -> None:
    """Two commands test once; under old names models are tested if they are the trial's."""
    run_followup(follow(copy), place_of(copy), say=str)
    followup, before, models = follow(copy), read(copy, "trained"), copy / "artifacts" / "models"
    shutil.copytree(models, tmp_path / "kept")
    storage, said = open_storage(url_of(copy), write=True), list[str]()

    def tested() -> dict[str, Any]:
        after = measure_models(followup, storage, before, place_of(copy), say=said.append)
        return dict(after.user_attrs)

    first, second = tested(), tested()
    expected = first[attrs.TEST_RESULTS]
    assert len(expected) == 3
    assert second == first
    assert (said, models_of(copy)) == ([], [])

    study_id = storage.get_study_id_from_name("trained")
    storage.set_study_user_attr(study_id, attrs.TEST_RESULTS, {})
    with closing(sqlite3.connect(copy / "study.db")) as connection, connection:
        connection.execute("DELETE FROM study_user_attributes WHERE key = ?", (attrs.UID,))
    kept = sorted((tmp_path / "kept").iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    wrong = (kept[1], *kept[1:])  # in place of the first lies that of another database's trial
    for trial, path in zip(before.complete, wrong, strict=True):
        shutil.copy(path, models / f"{study_id}-{trial.number}.pt")
    found = tested()[attrs.TEST_RESULTS]
    lost = str(before.complete[0].number)
    assert found == {number: result for number, result in expected.items() if number != lost}
    (line,) = said
    assert line.startswith("Warning: the trained models of 1 trials are not in ")
    assert len(models_of(copy)) == 3  # whoever else's they may be


def test_ablation_goes_from_the_default_to_the_confirmed_winner(copy: Path) -> None:
    """One parameter changes at a time, on fresh splits; the end is what was confirmed."""
    with pytest.raises(StudyError, match="`epoch` cannot be swept"):
        ablate(copy, trial="3", params=("epoch",))
    outcome, said, (path, sweep) = ablate(copy)
    record = read(copy, f"{SEARCH}-ablation")
    info, confirmation = get_ablation(record), get_confirmation(read(copy, CONFIRMATION))
    arms = arms_of(record)
    winner = arms_of(read(copy, CONFIRMATION))[confirmation.best]["params"]
    steps = [arm for arm in arms.values() if arm["role"] == "path"]
    assert steps[0]["params"] == arms_of(read(copy, CONFIRMATION))["default"]["params"]
    assert steps[-1]["params"] == winner
    assert outcome.progress.complete == outcome.target == len(arms)
    assert path.row_count == len(info.path) == len(steps)
    assert [s.parameter for s in info.sweeps] == ["learning_rate"]
    assert sweep.row_count == 1 + len(info.sweeps[0].others)
    values = {other.changes["learning_rate"] for other in info.sweeps[0].others}
    assert len(values) == len(info.sweeps[0].others) >= 2
    assert winner["learning_rate"] not in values
    assert any("fewer than 3 seeds" in line for line in said)
    assert attrs.TEST_RESULTS not in record.user_attrs
    assert models_of(copy) == []


def test_ablation_of_a_trial_by_number(copy: Path) -> None:
    """A trial that was named is the winner."""
    outcome, _, _ = ablate(copy, trial="3", name="third")
    arms = arms_of(read(copy, "third"))
    winner = [arm for arm in arms.values() if arm["role"] == "path"][-1]
    assert winner["params"] == read(copy, SEARCH).trials[3].params
    assert outcome.progress.complete == outcome.target


def test_multitask_searches_are_confirmed_with_their_accuracy(
    tmp_path: Path, tiny_data: Path
) -> None:
    """Accuracies are kept and tested; where nothing classifies there is none."""
    small = {**SMALL, "auxiliary_task": "true", "strategy": "joint"}
    small |= {"classification_layer_num": "1", "patience": "0"}
    run_search(tmp_path, tiny_data, "multitask", n_trials=4, assignments=small)
    confirm(tmp_path, top=1, n_seeds=1)
    info = get_confirmation(read(tmp_path, CONFIRMATION))
    assert len(info.confirmed) == 3
    for c in info.confirmed:
        assert c.accuracy is not None
        assert c.test_accuracy is not None
        assert 0 <= c.test_accuracy.mean <= 1
        assert c.test is not None
        assert c.test.mean > 0


def test_imported_results_are_confirmed_on_images_of_today(
    tmp_path: Path, tiny_data: Path
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
    import_csv(ImportRequest(file=path, url=url_of(tmp_path), study=SEARCH), say=str)
    outcome, said, _ = confirm(tmp_path, top=2, n_seeds=1, data=tiny_data)
    record = read(tmp_path, CONFIRMATION)
    info = get_confirmation(record)
    assert outcome.progress.complete == outcome.target == 3
    assert {c.trial for c in info.confirmed if c.role == "top"} == {0, 1}
    assert info.get("trial 1").search_value == 0.02
    assert info.excluded == ("trial 0",)
    assert any(line.startswith("Not counted, whatever the error: trial 0") for line in said)
    assert [c.name for c in info.confirmed if c.test is None] == ["trial 0"]
    again, _, _ = confirm(tmp_path, top=2, n_seeds=2)
    assert again.progress.complete == again.target == 6
    assert record.user_attrs[attrs.SETTINGS]["split"] == "group"
