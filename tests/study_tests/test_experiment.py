"""Paired experiments: which arms there are, and real ones run, continued, extended."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.splits import Split, split_dataset
from storage import attrs
from storage.rdb import open_storage
from storage.values import Arm, Experiment
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
from study.experiment import Design
from study.kinds import Kind, Source
from study.seeds import pair_seed
from study.settings import StudySettings
from tests.conftest import Cli
from tests.emoji_ae_tests.reference import leaking_groups
from tests.study_tests.asking import command, url_of
from tests.study_tests.studies import merge_log, open_study
from tests.study_tests.toy import TOY

OWN = Source()
EXTRA = Source(options={"vendors": ("google", "twitter")})
SPACE = MULTITASK.spaces["extended"]
NAME = "auxiliary-task"
LAMBDA = 0.5
ARMS = ["lambda 0", "joint, lambda 0.5", "sequential", "branched, lambda 0.5"]
EPOCHS = 4
SMALL = {"epoch": EPOCHS, "width": 8, "latent_channels": 16, "learning_rate": 0.01}
SMALL |= {"classification_layer_num": 2}
SETS = "".join(f" --set {name}={value}" for name, value in SMALL.items())
COMMAND = f"experiment {NAME} --lambda {LAMBDA}"
N_PAIRS = 2


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


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """A folder with an experiment of two pairs that has been run; only to be read."""
    folder = tmp_path_factory.mktemp("experiment")
    assert command(folder, f"{COMMAND} --pairs {N_PAIRS} --data {tiny_data}{SETS}") == 0
    assert len(cells(trials_of(folder))) == N_PAIRS * len(ARMS)
    merge_log(folder)
    return folder


@pytest.fixture
def copy(ran: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to go on with."""
    return shutil.copytree(ran, tmp_path / "copy")


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
        ("leakage", (0.1,), "^--lambda belongs to the experiment auxiliary-task.$"),
        (NAME, (0.0,), "^`lambda` must be a positive number, but got 0.0.$"),
        (NAME, (float("nan"),), "^`lambda` must be a positive number, but got nan.$"),
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
        configs = {a.name: space.to_config({**design.shared, **a.params}) for a in design.arms}
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
    # What is active in no arm is shared as well, for a model that --set asks for.
    own = {name for arm in design.arms for name in arm.params}
    assert {parameter.name for parameter in space.parameters} == {*shared, *own}
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
    assert (TWO_SPLITS.n_pairs, TWO_SPLITS.n_trials) == (2, 6)
    points = [TWO_SPLITS.point(index) for index in range(TWO_SPLITS.n_trials)]
    assert points == [(pair, arm) for pair in (0, 1) for arm in TWO_SPLITS.arms]
    sides = [TWO_SPLITS.sides_of(arm.name)[pair] for pair, arm in points]
    assert sides == ["tvx", "vxt", "tvx", "xtv", "ttv", "xtv"]


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
        fingerprint = StudyData(dataset, split).fingerprint
        assert {own[attrs.DATA_FINGERPRINT] for own in of_pair} == {fingerprint}
    for name in (attrs.SEED, attrs.SIDES, attrs.DATA_FINGERPRINT):
        assert len({trial.user_attrs[name] for trial in trials}) == N_PAIRS
    assert all(attrs.REUSED_FROM not in trial.user_attrs for trial in trials)


def test_arms_differ_in_what_is_compared(ran: Path) -> None:
    """Parameters of arms differ in what is compared; without influence errors are the same."""
    by_cell = cells(trials_of(ran))
    shared = {**auxiliary_task(OWN, {"lambdas": (LAMBDA,)}).shared, **SMALL}
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
        # What only the second layer that was asked for makes active.
        assert trial.params.keys() >= {"classification_width", "dropout"}
    values = set()
    for pair in range(N_PAIRS):
        alone, joint, sequential, branched = (by_cell[pair, arm] for arm in ARMS)
        assert sequential.value == alone.value
        assert sequential.intermediate_values == alone.intermediate_values
        assert len(alone.intermediate_values) == EPOCHS
        values |= {alone.value, joint.value, branched.value}
    assert len(values) == 3 * N_PAIRS


def test_a_study_stays_what_it_is(copy: Path, multitask: StudySettings, other_data: Path) -> None:
    """A request for another experiment, of other data or for a search changes nothing."""
    storage = open_storage(url_of(copy), write=True)
    study = optuna.load_study(study_name=NAME, storage=storage)
    open_study(storage, "s", multitask)
    before = study.user_attrs, study.get_trials()
    arms = "^Study 'auxiliary-task' is the experiment auxiliary-task with the arms lambda 0; "
    others = "take another --study name to compare others"
    for line, message in (
        (f"experiment {NAME} --lambda 0.7", f"{arms}joint, "),
        (f"{COMMAND} --lambda 0.7", others),
        (f"experiment {NAME}", others),
        (f"experiment leakage --study {NAME}", arms),
        (f"{COMMAND} --set epoch=3", "'auxiliary-task' has fixed {.*, but got {"),
        (f"{COMMAND} --set strategy=joint", "^`strategy` is what the arms of this experiment"),
        (f"{COMMAND} --pairs 3 --data {other_data}", "'auxiliary-task' was made with other data"),
        # Nor is it continued as a search, or a search as an experiment.
        (f"run multitask --study {NAME}", "^[^\n]*paired[^\n]*$"),
        (f"{COMMAND} --study s --data {multitask.data}", r"^Study 's' has \w+ "),
    ):
        with pytest.raises(StudyError, match=message) as seen:
            command(copy, line)
        assert "\n" not in str(seen.value)
    study = optuna.load_study(study_name=NAME, storage=storage)
    assert (study.user_attrs, study.get_trials()) == before
    assert trials_of(copy, "s") == []


def test_leaking_arm(cli: Cli, tmp_path: Path, tiny_data: Path) -> None:
    """One arm is judged on variants of what it trains on; extra images never leak; all is said."""
    shared = ("--storage", url_of(tmp_path), "--study", "leakage")
    args = ("experiment", "leakage", *shared, "--data", str(tiny_data), "--pairs", "2")
    args += ("--set", "width=8", "--set", "latent_channels=16", "--epochs", "2", "--threads", "1")
    code, out, err = cli(*args, "--vendors", "meta")
    assert (code, "Traceback" in err, "leakage: 4/4 " in err) == (0, False, True)
    question, power, where, *_ = out.splitlines()
    assert power == "2 pairs: too few to tell any difference from chance; 3 are needed."
    assert question.endswith(" both sides of the split? 2 pairs of 2 arms.")
    assert where.startswith("Study leakage in ")
    assert "multitask, extended space, paired sampler, no pruner; " in where
    assert " of them extra ones, and 8 validation images; 1 worker with 1 thread each." in where

    data, own = load_dataset(tiny_data, ["meta"]), load_dataset(tiny_data)
    by_cell = cells(trials_of(tmp_path, "leakage"))
    assert len(by_cell) == 2 * N_PAIRS
    assert len({trial.user_attrs[attrs.SIDES] for trial in by_cell.values()}) == 2 * N_PAIRS
    for pair in range(N_PAIRS):
        honest, leaking = (by_cell[pair, arm] for arm in ("group split", "random split"))
        for method, trial in (("group", honest), ("random", leaking)):
            split = Split.from_sides(trial.user_attrs[attrs.SIDES])
            assert split == split_dataset(data, method=method, seed=42 + pair)
            alone = Split.from_sides(split.sides[: own.n_own])
            assert alone == split_dataset(own, method=method, seed=42 + pair)
            leaking_images = leaking_groups(own, alone)
            assert leaking_groups(data, split) == leaking_images
            assert (leaking_images > 0) == (method == "random")
        assert honest.params == leaking.params
        assert honest.user_attrs[attrs.SEED] == leaking.user_attrs[attrs.SEED]
        assert honest.value != leaking.value


RATES = TOY.replace(
    "TOY = Kind(",
    """
def rates(source, options):
    from storage.values import Arm
    from study.experiment import Design

    return Design(
        question="Which rate is best?",
        space="line",
        arms=tuple(
            Arm(name=f"rate {rate:g}", params={"rate": rate}, split="drawn")
            for rate in options["lambdas"]
        ),
        shared={"start": 0.0, "rounds": 5},
    )


TOY = Kind(
    experiments={"rates": rates},""",
)
"""A kind that has an experiment, too: whose arms train without torch."""


def test_diverged_arm(cli: Cli, toy: Path) -> None:
    """An arm that diverges is missing, is not tried again, and the others go on."""
    toy.write_text(RATES)
    args = ("--kind", "toy_kind.py:TOY", "--storage", url_of(toy.parent), "--pairs", "2")
    rates = ("--lambda", "0.5", "--lambda", "4", "--lambda", "0.1")
    for _ in range(2):
        code, out, err = cli("experiment", "rates", *args, *rates)
        assert (code, "Traceback" in err) == (1, False)
        trials = trials_of(toy.parent, "rates")
        assert [trial.number for trial in trials if trial.state == TrialState.FAIL] == [1, 4]
        assert len(cells(trials)) == 4
        assert len(trials) == 6
        assert trials[1].user_attrs[attrs.ARM] == "rate 4"
        lines = out.splitlines()
        assert "2 of 6 trainings are missing; their pairs are left out." in lines
        assert not any(line.startswith("rate 4") for line in lines)
        assert any(line.startswith("rate 0.1: 2 pairs are too few to tell ") for line in lines)
