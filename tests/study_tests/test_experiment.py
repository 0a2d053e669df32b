"""Paired experiments: which arms there are, and real ones run, killed, continued, extended."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from emoji_ae.config import AutoencoderConfig, multitask_config
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.splits import Split, split_dataset
from emoji_ae.training import train_model
from storage import attrs
from storage.rdb import open_storage
from study.commands.experiment import experiment as run_experiment
from study.commands.train import train
from study.emoji import AUTOENCODER, MULTITASK
from study.emoji.data import StudyData
from study.emoji.experiments import (
    IMPROVED,
    NOTEBOOK_LAMBDAS,
    auxiliary_task,
    latent_space,
    leakage,
)
from study.errors import StudyError
from study.experiment import Arm, Design, Experiment
from study.kinds import Kind, Source
from study.requests import ExperimentRequest, TrainRequest
from study.running.coordinator import RunOutcome
from study.seeds import pair_seed
from study.settings import StudySettings
from tests.emoji_ae_tests.reference import leaking_groups
from tests.study_tests.asking import given_in, place_at, run_study
from tests.study_tests.studies import ask, open_study

Wait = Callable[[Callable[[], bool]], None]

OWN = Source()
EXTRA = Source(options={"vendors": ("google", "twitter")})
SPACE = MULTITASK.spaces["extended"]
NAME = "auxiliary-task"
LAMBDA = 0.5
ARMS = ["lambda 0", "joint, lambda 0.5", "sequential", "branched, lambda 0.5"]
EPOCHS = 10
SMALL = {"epoch": str(EPOCHS), "width": "8", "latent_channels": "16", "learning_rate": "0.01"}
N_PAIRS = 2


def experiment(folder: Path, **changes: Any) -> tuple[RunOutcome, list[str]]:
    """Run an experiment in ``folder`` with two workers; return what was said, too."""
    said: list[str] = []
    asked: dict[str, Any] = {
        "name": NAME,
        "n_pairs": N_PAIRS,
        "assignments": SMALL,
        "n_workers": 2,
        **changes,
    }
    lambdas = asked.pop("lambdas", (LAMBDA,))
    place, given = place_at(url_of(folder), asked), given_in(asked)
    request = ExperimentRequest(place=place, given=given, lambdas=lambdas, **asked)
    outcome = run_experiment(request, say=said.append)
    return outcome, [line for line in said if not line.startswith("Warning: ")]


def url_of(folder: Path) -> str:
    """Return the URL of the database in ``folder``."""
    return f"sqlite:///{folder / 'study.db'}"


def trials_of(folder: Path, name: str = NAME) -> list[FrozenTrial]:
    """Return all trials of an experiment."""
    storage = open_storage(url_of(folder))
    return optuna.load_study(study_name=name, storage=storage).get_trials()


def cells(trials: list[FrozenTrial]) -> dict[tuple[int, str], FrozenTrial]:
    """Return the complete trials by pair and arm."""
    return {
        (trial.user_attrs[attrs.PAIR], trial.user_attrs[attrs.ARM]): trial
        for trial in trials
        if trial.state == TrialState.COMPLETE
    }


def results(trials: list[FrozenTrial]) -> dict[tuple[int, str], tuple[Any, ...]]:
    """Return what each arm gave in each pair, bit for bit."""
    return {
        cell: (
            trial.values,
            trial.intermediate_values,
            *(trial.user_attrs[name] for name in (attrs.SEED, attrs.SIDES, attrs.CONFUSION)),
        )
        for cell, trial in cells(trials).items()
    }


@pytest.fixture(scope="module")
def dataset(tiny_data: Path) -> EmojiDataset:
    """The tiny data set."""
    return load_dataset(tiny_data)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """A folder with an experiment of two pairs that has been run; only to be read."""
    folder = tmp_path_factory.mktemp("experiment")
    outcome, _ = experiment(folder, data=tiny_data)
    assert outcome.progress.complete == outcome.target == N_PAIRS * len(ARMS)
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@pytest.fixture
def copy(ran: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to go on with."""
    shutil.copytree(ran, tmp_path / "copy")
    return tmp_path / "copy"


def test_auxiliary_task() -> None:
    """The autoencoder alone is compared with every lambda and both other strategies."""
    design = auxiliary_task(OWN, {"lambdas": (0.1, 0.5)})
    assert [arm.name for arm in design.arms] == [
        "lambda 0",
        "joint, lambda 0.1",
        "joint, lambda 0.5",
        "sequential",
        "branched, lambda 0.1",
    ]
    configs = [SPACE.to_config({**design.shared, **arm.params}) for arm in design.arms]
    found = [(c.to_dict()["strategy"], c.to_dict()["classification_lambda"]) for c in configs]
    assert found[:3] == [("joint", 0.0), ("joint", 0.1), ("joint", 0.5)]
    assert found[3][0] == "sequential"
    assert found[4] == ("branched", 0.1)
    assert len({config.identity() for config in configs}) == 5
    assert {arm.split for arm in design.arms} == {"group"}
    default = auxiliary_task(OWN, {"lambdas": NOTEBOOK_LAMBDAS})
    assert MULTITASK.experiments[NAME](OWN, {}) == default != design
    # The arms of the other experiment are the same training on an honest split and a leaking one.
    honest, leaking = MULTITASK.experiments["leakage"](OWN, {}).arms
    assert (honest.split, leaking.split) == ("group", "random")
    assert honest.params == leaking.params


EXPERIMENTS = {**AUTOENCODER.experiments, **MULTITASK.experiments}


@pytest.mark.parametrize(
    ("name", "lambdas", "message"),
    [
        ("latent-space", (0.1,), "^--lambda belongs to the experiment auxiliary-task.$"),
        ("leakage", (0.1,), "^--lambda belongs to the experiment auxiliary-task.$"),
        (NAME, (0.0,), "^`lambda` must be a positive number, but got 0.0.$"),
        (NAME, (0.1, -1.0), "^`lambda` must be a positive number, but got -1.0.$"),
        (NAME, (float("nan"),), "^`lambda` must be a positive number, but got nan.$"),
        (NAME, (float("inf"),), "^`lambda` must be a positive number, but got inf.$"),
        (NAME, (0.1, 0.1), "`lambda`"),
        (NAME, (0.12345671, 0.12345672), "`lambda`"),
    ],
)
def test_no_such_design(name: str, lambdas: tuple[float, ...], message: str) -> None:
    """Lambdas that say nothing, are shown alike, or belong to another experiment are refused."""
    with pytest.raises(StudyError, match=message):
        EXPERIMENTS[name](OWN, {"lambdas": lambdas})


def test_latent_space() -> None:
    """The improved model comes first, every arm differs from it, and from it alone."""
    for source, has_extra in ((OWN, False), (EXTRA, True)):
        design = AUTOENCODER.experiments["latent-space"](source, {})
        space = AUTOENCODER.space("extended", source)
        configs = {
            arm.name: space.to_config({**design.shared, **arm.params}) for arm in design.arms
        }
        assert list(configs)[:2] == ["improved", "notebook"]
        own_images = replace(AutoencoderConfig(), extra_images=not has_extra)
        assert configs["notebook"] == own_images
        assert len({config.identity() for config in configs.values()}) == len(configs)
        assert ("extra images" in configs) == has_extra
        changed = {"improved": {}, "notebook": dict.fromkeys(IMPROVED)}
        for name, config in configs.items():
            effective, improved = config.effective(), configs["improved"].effective()
            found = {n for n in effective | improved if effective.get(n) != improved.get(n)}
            assert found == set(changed[name]) if name in changed else 1 <= len(found) <= 2
        sizes = {name: config.latent_size for name, config in configs.items()}
        assert sizes.pop("512 latents") == 512
        assert sizes.pop("4,096 latents") == 4096
        assert set(sizes.values()) == {2048}


DESIGNS = [
    (MULTITASK, auxiliary_task(OWN, {})),
    (MULTITASK, leakage(OWN, {})),
    (AUTOENCODER, latent_space(EXTRA, {})),
    (AUTOENCODER, latent_space(OWN, {})),
]


@pytest.mark.parametrize(("kind", "design"), DESIGNS)
def test_arms_leave_nothing_to_chance(kind: Kind, design: Design) -> None:
    """What is shared and what is an arm's own are all parameters, and nothing is both."""
    shared, space, notebook = design.shared, kind.spaces["extended"], kind.default
    assert shared == {name: notebook[name] for name in shared}
    for arm in design.arms:
        assert not set(shared) & set(arm.params)
        params: dict[str, Any] = {}
        for parameter in space.parameters:
            if parameter.is_active(params):
                assert parameter.name in {**shared, **arm.params}, (arm.name, parameter.name)
                params[parameter.name] = {**shared, **arm.params}[parameter.name]
        assert set(arm.params) <= set(params)


TWO_SPLITS = Experiment(
    name="e",
    question="Which?",
    arms=(
        Arm(name="a", params={"strategy": "sequential"}, split="group"),
        Arm(name="b", params={"strategy": "joint"}, split="random"),
        Arm(name="c", params={}, split="group"),
    ),
    sides={"group": ("tvx", "xtv"), "random": ("vxt", "ttv")},
)


def test_points() -> None:
    """Trials come pair by pair, arm by arm, each with the split of its pair and its way."""
    assert (TWO_SPLITS.n_pairs, len(TWO_SPLITS)) == (2, 6)
    points = [TWO_SPLITS.point(index) for index in range(len(TWO_SPLITS))]
    assert [params for params, _ in points] == [
        {"strategy": "sequential"},
        {"strategy": "joint"},
        {},
    ] * 2
    assert [own for _, own in points] == [
        {attrs.PAIR: pair, attrs.ARM: arm, attrs.SIDES: sides}
        for pair, arm, sides in (
            (0, "a", "tvx"),
            (0, "b", "vxt"),
            (0, "c", "tvx"),
            (1, "a", "xtv"),
            (1, "b", "ttv"),
            (1, "c", "xtv"),
        )
    ]
    with pytest.raises(IndexError, match="out of range"):
        TWO_SPLITS.point(6)


def test_round_trip() -> None:
    """An experiment comes back from a study's attributes as it was, through JSON."""
    stored = {attrs.EXPERIMENT: json.loads(json.dumps(TWO_SPLITS.to_dict()))}
    assert Experiment.from_attrs(stored, study="s") == TWO_SPLITS
    for values in ({}, {attrs.EXPERIMENT: None}, {attrs.EXPERIMENT: "e"}):
        with pytest.raises(StudyError, match=r"^Study 's' is no experiment\.$"):
            Experiment.from_attrs(values, study="s")


def test_every_arm_is_run_in_every_pair(ran: Path, dataset: EmojiDataset) -> None:
    """All arms of a pair share seed, split and data; two pairs share none of them."""
    trials = trials_of(ran)
    assert [(t.user_attrs[attrs.PAIR], t.user_attrs[attrs.ARM]) for t in trials] == [
        (pair, arm) for pair in range(N_PAIRS) for arm in ARMS
    ]
    assert [t.user_attrs[attrs.DESIGN_INDEX] for t in trials] == list(range(len(trials)))
    for pair in range(N_PAIRS):
        split = split_dataset(dataset, method="group", seed=42 + pair)
        of_pair = [t.user_attrs for t in trials if t.user_attrs[attrs.PAIR] == pair]
        assert {own[attrs.SEED] for own in of_pair} == {pair_seed(0, pair)}
        assert {own[attrs.SIDES] for own in of_pair} == {split.sides}
        assert {own[attrs.DATA_FINGERPRINT] for own in of_pair} == {
            StudyData(dataset, split).fingerprint
        }
    for name in (attrs.SEED, attrs.SIDES, attrs.DATA_FINGERPRINT):
        assert len({trial.user_attrs[name] for trial in trials}) == N_PAIRS
    assert all(attrs.REUSED_FROM not in trial.user_attrs for trial in trials)


def test_arms_differ_in_what_is_compared(ran: Path) -> None:
    """Parameters of arms differ in what is compared; without influence errors are the same."""
    by_cell = cells(trials_of(ran))
    shared: dict[str, Any] = {
        **auxiliary_task(OWN, {"lambdas": (LAMBDA,)}).shared,
        **{"epoch": EPOCHS, "width": 8, "latent_channels": 16, "learning_rate": 0.01},
    }
    classifies = {"auxiliary_task": True, "classification_lambda": LAMBDA}
    own = {
        "lambda 0": {"strategy": "joint", "auxiliary_task": False},
        "joint, lambda 0.5": {"strategy": "joint", **classifies},
        "sequential": {"strategy": "sequential"},
        "branched, lambda 0.5": {"strategy": "branched", "branch_point": 2, **classifies},
    }
    for (_, arm), trial in by_cell.items():
        assert own[arm].items() <= trial.params.items() <= {**shared, **own[arm]}.items()
        assert trial.params.keys() >= {"epoch", "learning_rate", "width", "class_weights"}
    values = set()
    for pair in range(N_PAIRS):
        alone, joint, sequential, branched = (by_cell[pair, arm] for arm in ARMS)
        assert sequential.value == alone.value
        assert sequential.intermediate_values == alone.intermediate_values
        assert len(alone.intermediate_values) == EPOCHS
        values |= {alone.value, joint.value, branched.value}
    assert len(values) == 3 * N_PAIRS


def test_a_trial_is_the_training_of_its_pair(
    ran: Path, dataset: EmojiDataset, tmp_path: Path
) -> None:
    """Trained apart, with the seed and on the split of a later pair, an arm gives the same."""
    data = StudyData(dataset, split_dataset(dataset, seed=42 + 1))
    for arm in ARMS:
        trial = cells(trials_of(ran))[1, arm]
        result = train_model(
            SPACE.to_config(trial.params),
            data.train,
            data.validation,
            seed=pair_seed(0, 1),
            device=torch.device("cpu"),
        )
        assert trial.value == result.best.validation_mse
        assert list(trial.intermediate_values.values()) == [
            metrics.validation_mse for metrics in result.curve
        ]
    trial = cells(trials_of(ran))[1, "sequential"]
    asked = TrainRequest(
        url=url_of(ran), study=NAME, trial=str(trial.number), out=tmp_path / "out", threads=1
    )
    said: list[str] = []
    train(asked, say=said.append)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["seed"] == trial.user_attrs[attrs.SEED]
    assert metrics["validation_mse"] == trial.value
    assert "repeats the trial's validation MSE exactly." in "\n".join(said)


def test_what_is_done_is_not_done_again(copy: Path) -> None:
    """The same request, or one for fewer pairs, trains nothing and says the same."""
    before = trials_of(copy)
    for n_pairs in (N_PAIRS, 1):
        outcome, said = experiment(copy, n_pairs=n_pairs, assignments={})
        assert outcome.progress.finished == outcome.target == len(before)
        assert trials_of(copy) == before
        assert said[
            0
        ] == f"Does classifying as well make reconstructions worse? {N_PAIRS} pairs " + (
            f"of {len(ARMS)} arms."
        )
        assert f"Study {NAME} in " in said[1]
        assert said[2].startswith("joint, lambda 0.5: 2 pairs are too few to tell a difference")
        assert all("2 pairs are too few" in line for line in said[2:])


def test_more_pairs(copy: Path, ran: Path, dataset: EmojiDataset) -> None:
    """More pairs are added to those that are there; what a dead worker left is done again."""
    before = trials_of(copy)
    with closing(sqlite3.connect(copy / "study.db")) as connection, connection:
        connection.execute("UPDATE trials SET state = 'RUNNING' WHERE number = 7")
        connection.execute("DELETE FROM trial_values WHERE trial_id = 8")
    outcome, said = experiment(copy, n_pairs=3)
    trials = trials_of(copy)
    assert outcome.progress.complete == outcome.target == 3 * len(ARMS)
    assert trials[:7] == before[:7]
    assert trials[7].state == TrialState.FAIL
    old = {cell: found for cell, found in results(trials).items() if cell[0] < N_PAIRS}
    assert old == results(trials_of(ran))
    added = [t.user_attrs for t in trials if t.user_attrs[attrs.PAIR] == 2]
    assert {own[attrs.SIDES] for own in added} == {split_dataset(dataset, seed=44).sides}
    assert {own[attrs.SEED] for own in added} == {pair_seed(0, 2)}
    assert [own[attrs.ARM] for own in added] == ARMS
    assert said[0].endswith(f"3 pairs of {len(ARMS)} arms.")


def test_a_study_stays_what_it_is(copy: Path, multitask: StudySettings, other_data: Path) -> None:
    """A request for another experiment, of other data or for a search changes nothing."""
    storage = open_storage(url_of(copy), write=True)
    study = optuna.load_study(study_name=NAME, storage=storage)
    before = study.user_attrs, study.get_trials()
    arms = "^Study 'auxiliary-task' is the experiment auxiliary-task with the arms lambda 0; "
    changes: dict[str, Any]
    for changes, message in (
        ({"lambdas": (0.7,)}, f"{arms}joint, "),
        ({"lambdas": (0.5, 0.7)}, "take another --study name to compare others"),
        ({"lambdas": None}, "take another --study name to compare others"),
        ({"name": "leakage", "lambdas": None, "study": NAME, "assignments": {}}, arms),
        ({"assignments": {"epoch": "3"}}, "'auxiliary-task' has fixed {.*, but got {"),
        ({"seed": 1}, "'auxiliary-task' has seed 0, but got 1"),
        ({"data_seed": 1}, "'auxiliary-task' has data_seed 42, but got 1"),
        ({"assignments": {"strategy": "joint"}}, "^`strategy` is what the arms of this experim"),
        ({"assignments": {"classification_lambda": "1"}}, "^`classification_lambda` is what the"),
        ({"assignments": {"auxiliary_task": "true"}}, "^`auxiliary_task` is what the arms"),
        ({"assignments": {"branch_point": "1"}}, "^`branch_point` is what the arms"),
        ({"n_pairs": 3, "data": other_data}, "'auxiliary-task' was made with other data"),
    ):
        with pytest.raises(StudyError, match=message) as seen:
            experiment(copy, **changes)
        assert "\n" not in str(seen.value)
    for changes in ({}, {"sampler": "tpe"}, {"space": "notebook"}):
        with pytest.raises(StudyError, match=r"^[^\n]*paired[^\n]*$|has space 'extended'"):
            run_study(url_of(copy), "multitask", study=NAME, n_trials=1, **changes)
    study = optuna.load_study(study_name=NAME, storage=storage)
    assert (study.user_attrs, study.get_trials()) == before
    # Nor can a search be continued as an experiment.
    open_study(storage, "s", multitask)
    with pytest.raises(StudyError, match=r"^Study 's' has \w+ "):
        experiment(copy, study="s", data=Path(str(multitask.data)))
    assert trials_of(copy, "s") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"assignments": {"strategy": "joint"}},
        {"assignments": {"width": "x"}},
        {"name": "leak"},
        {"lambdas": (-1.0,)},
        {"device": "gpu"},
        {"data": Path("no.parquet")},
    ],
)
def test_refused_before_anything_is_created(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    """A request that makes no sense leaves no database."""
    with pytest.raises(Exception, match=r"^[^\n]*must be|^[^\n]*is what the arms"):
        experiment(tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_leaking_arm(tmp_path: Path, tiny_data: Path, dataset: EmojiDataset) -> None:
    """In every pair, one arm is judged on variants of its training images, the other is not."""
    outcome, said = experiment(
        tmp_path,
        name="leakage",
        lambdas=None,
        data=tiny_data,
        assignments={**SMALL, "epoch": "2"},
    )
    assert outcome.progress.complete == outcome.target == 2 * N_PAIRS
    by_cell = cells(trials_of(tmp_path, "leakage"))
    assert set(by_cell) == {
        (pair, arm) for pair in range(N_PAIRS) for arm in ("group split", "random split")
    }
    for pair in range(N_PAIRS):
        honest, leaking = (by_cell[pair, arm] for arm in ("group split", "random split"))
        splits = [Split.from_sides(t.user_attrs[attrs.SIDES]) for t in (honest, leaking)]
        assert splits == [
            split_dataset(dataset, method="group", seed=42 + pair),
            split_dataset(dataset, method="random", seed=42 + pair),
        ]
        assert leaking_groups(dataset, splits[0]) == 0 < leaking_groups(dataset, splits[1])
        assert honest.params == leaking.params
        assert honest.user_attrs[attrs.SEED] == leaking.user_attrs[attrs.SEED]
        assert honest.value != leaking.value
    # Question, study, a comparison in each metric, and a line for each of the latents.
    latents = [line for line in said if ", against group split: " in line]
    assert len(said) == 2 + 3 + len(latents)
    assert latents
    assert all("2 pairs are too few to tell" in line for line in said[2:])


def test_diverged_arm(tmp_path: Path, tiny_data: Path) -> None:
    """An arm that diverges is missing, is not tried again, and the others go on."""
    changes: dict[str, Any] = {
        "lambdas": (LAMBDA, 1e39),
        "data": tiny_data,
        "assignments": {**SMALL, "epoch": "2"},
    }
    for _ in range(2):
        outcome, said = experiment(tmp_path, **changes)
        trials = trials_of(tmp_path)
        assert (outcome.progress.complete, outcome.progress.failed) == (8, 2)
        assert (outcome.target, outcome.interrupted) == (10, False)
        assert [trial.number for trial in trials if trial.state == TrialState.FAIL] == [2, 7]
        assert trials[2].user_attrs[attrs.ARM] == "joint, lambda 1e+39"
        assert "2 of 10 trainings are missing; their pairs are left out." in said
        assert not any(line.startswith("joint, lambda 1e+39") for line in said)


@pytest.mark.parametrize(
    ("assignments", "free"),
    [
        ({"classification_layer_num": "2"}, {"classification_width", "dropout"}),
        ({"auto_encoder": "linear"}, {"bottleneck_dim"}),
    ],
)
def test_arms_leave_nothing_to_chance_with_other_models(
    tmp_path: Path, tiny_data: Path, assignments: Mapping[str, str], free: set[str]
) -> None:
    """Parameters of a model that --set asks for are shared, at the notebook's values."""
    experiment(
        tmp_path,
        name="leakage",
        lambdas=None,
        data=tiny_data,
        assignments={**SMALL, "epoch": "1", **assignments},
    )
    notebook = multitask_config().to_dict()
    for trial in trials_of(tmp_path, "leakage"):
        assert {name: trial.params[name] for name in free} == {n: notebook[n] for n in free}


DONE = "SELECT 1 FROM trials WHERE state = 'COMPLETE'"
TRAINED = (
    "SELECT 1 FROM trials JOIN trial_intermediate_values USING (trial_id) WHERE state = 'RUNNING'"
)


def exists(pid: int) -> bool:
    """Say whether there is such a process, be it one that has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_killed_and_continued(
    ran: Path, tmp_path: Path, tiny_data: Path, wait_until: Wait
) -> None:
    """After a kill in the middle, the same request gives what it gives at one go."""
    command = [
        Path(sys.executable).with_name("emoji-study"),
        *("experiment", NAME, "--lambda", str(LAMBDA), "--pairs", str(N_PAIRS)),
        *("--workers", "2", "--threads", "1", "--storage", url_of(tmp_path), "--data", tiny_data),
        *(argument for name, value in SMALL.items() for argument in ("--set", f"{name}={value}")),
    ]

    with (tmp_path / "err").open("w") as err:
        running = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=err, start_new_session=True
        )

        def stopped_in_the_middle() -> bool:
            """Stop all processes; let them go on if no trial is in the middle of a training."""
            if not ask(tmp_path, DONE):
                return False
            os.killpg(running.pid, signal.SIGSTOP)
            if ask(tmp_path, TRAINED):
                return True
            os.killpg(running.pid, signal.SIGCONT)
            return False

        try:
            wait_until(lambda: running.poll() is not None or stopped_in_the_middle())
            assert running.poll() is None, "it ended before it could be killed"
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    killed = trials_of(tmp_path)
    assert TrialState.RUNNING in {trial.state for trial in killed}
    pids = [int(trial.user_attrs[attrs.WORKER].rpartition(":")[2]) for trial in killed]
    wait_until(lambda: not any(exists(pid) for pid in pids))  # until its heir has seen it end

    outcome, said = experiment(tmp_path, data=tiny_data)

    assert outcome.progress.complete == outcome.target == N_PAIRS * len(ARMS)
    assert not any("missing" in line for line in said)
    trials = trials_of(tmp_path)
    for before, after in zip(killed, trials, strict=False):
        if before.state == TrialState.COMPLETE:
            assert after == before
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(finished) == N_PAIRS * len(ARMS)
    assert results(finished) == results(trials_of(ran))
