"""No training is done twice: finished ones answer, interrupted ones go on."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.artifacts import get_all_artifact_meta
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.splits import Split, split_dataset
from search_spaces import SPACES, multitask
from search_spaces.autoencoder import to_config
from search_spaces.base import Parameter, SearchSpace
from storage import attrs
from storage.artifacts import open_artifacts, read_artifact
from storage.rdb import open_storage
from study.emoji import AUTOENCODER
from study.emoji.data import StudyData
from study.kinds import Interrupted
from study.running.objective import TrainingObjective
from study.settings import StudySettings, default_settings
from tests.study_tests.studies import claim_point, objective_of, open_study

LONG, MIDDLE, SHORT = 4, 3, 2
SMALL = SearchSpace(
    name="small",
    parameters=(
        Parameter(name="epoch", distribution=CategoricalDistribution([LONG, SHORT])),
        Parameter(name="learning_rate", distribution=CategoricalDistribution([1e-3, 1e-2])),
        Parameter(name="schedule", distribution=CategoricalDistribution(["constant", "cosine"])),
    ),
    to_config=lambda params: to_config({"width": 4, "latent_channels": 8, **params}),
)
POINT = {"epoch": LONG, "learning_rate": 1e-3, "schedule": "constant"}


@pytest.fixture(scope="module")
def dataset() -> EmojiDataset:
    """The embedded images."""
    return load_dataset(None)


@pytest.fixture(scope="module")
def split(dataset: EmojiDataset) -> Split:
    """Which of them train and which choose."""
    return split_dataset(dataset, method="group", seed=42)


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """An empty study."""
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}", create=True, write=True)
    return optuna.create_study(storage=storage, pruner=optuna.pruners.NopPruner())


@pytest.fixture
def objective(
    tmp_path: Path, dataset: EmojiDataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> TrainingObjective:
    """The objective of a study of the small space."""
    data = StudyData(dataset, split)
    monkeypatch.setitem(SPACES["autoencoder"], "small", SMALL)
    settings = replace(
        default_settings(AUTOENCODER),
        space="small",
        sampler="grid",
        data_fingerprint=data.fingerprint,
        sides=split.sides,
    )
    return objective_of(settings, tmp_path / "artifacts", data=data)


def run(
    study: optuna.Study,
    objective: TrainingObjective,
    changes: dict[str, object],
    *,
    replicate: int = 0,
    stop_requested: Callable[[], bool] = lambda: False,
) -> FrozenTrial:
    """Queue a point, run it, and return the trial."""
    trial = claim_point(study, POINT | changes, {attrs.REPLICATE: replicate})
    study.tell(trial, objective(trial, stop_requested))
    return study.trials[-1]


@pytest.mark.parametrize("epochs", [LONG, SHORT])
def test_a_training_that_was_done_is_answered_from_its_curve(
    study: optuna.Study, objective: TrainingObjective, epochs: int
) -> None:
    """A repeated configuration, or the beginning of a longer one, costs no epoch."""
    first = run(study, objective, {})

    second = run(study, objective, {"epoch": epochs})

    values = [first.intermediate_values[epoch] for epoch in range(epochs)]
    assert list(second.intermediate_values.values()) == values
    assert second.value == min(values)
    assert second.user_attrs[attrs.REUSED_FROM] == first.number
    assert second.user_attrs[attrs.EPOCHS_RUN] == 0
    assert second.user_attrs[attrs.BEST_EPOCH] == values.index(min(values)) + 1
    assert second.user_attrs[attrs.LAST_VALIDATION_MSE] == values[-1]
    assert attrs.REUSED_FROM not in first.user_attrs


def test_an_answer_equals_the_training_that_it_saves(
    study: optuna.Study, objective: TrainingObjective
) -> None:
    """Trained on its own, the short training has the values that the long one answers with."""
    alone = run(study, objective, {"epoch": SHORT})
    run(study, objective, {})
    answered = run(study, objective, {"epoch": SHORT})

    assert attrs.REUSED_FROM in answered.user_attrs
    assert answered.intermediate_values == alone.intermediate_values
    assert answered.value == alone.value
    for name in (attrs.BEST_EPOCH, attrs.LAST_VALIDATION_MSE, attrs.PARAMETER_COUNT, attrs.SEED):
        assert answered.user_attrs[name] == alone.user_attrs[name], name
    assert math.isclose(
        answered.user_attrs[attrs.LAST_TRAIN_MSE],
        alone.user_attrs[attrs.LAST_TRAIN_MSE],
        rel_tol=1e-6,
    )


def test_an_answer_has_its_files(
    study: optuna.Study, objective: TrainingObjective, tmp_path: Path
) -> None:
    """The files of an answered trial are there, the curves cut to its length."""
    run(study, objective, {})
    answered = run(study, objective, {"epoch": SHORT})

    store = open_artifacts(objective.artifacts)
    pictures = read_artifact(store, study._storage, answered._trial_id, attrs.RECONSTRUCTIONS_FILE)
    curves = read_artifact(store, study._storage, answered._trial_id, attrs.CURVES_FILE)

    assert pictures is not None
    assert pictures.startswith(b"\x89PNG")
    assert curves is not None
    (tmp_path / "curves.csv").write_bytes(curves)
    assert pd.read_csv(tmp_path / "curves.csv")["epoch"].tolist() == list(range(SHORT))


@pytest.mark.parametrize(
    ("changes", "replicate"),
    [({"learning_rate": 1e-2}, 0), ({"schedule": "cosine"}, 0), ({}, 1)],
    ids=["another configuration", "a schedule", "a replicate"],
)
def test_what_is_another_training_is_trained(
    study: optuna.Study,
    objective: TrainingObjective,
    changes: dict[str, object],
    replicate: int,
) -> None:
    """Other parameters, or a replicate that was asked for, are trained."""
    first = run(study, objective, {})

    second = run(study, objective, changes, replicate=replicate)

    assert second.user_attrs[attrs.EPOCHS_RUN] == LONG
    assert second.user_attrs[attrs.SEED] != first.user_attrs[attrs.SEED]
    assert second.value != first.value


def test_the_beginning_of_a_scheduled_training_is_trained(
    study: optuna.Study, objective: TrainingObjective
) -> None:
    """With a schedule, a short training is not the beginning of a long one."""
    run(study, objective, {"schedule": "cosine"})

    short = run(study, objective, {"schedule": "cosine", "epoch": SHORT})

    assert short.user_attrs[attrs.EPOCHS_RUN] == SHORT


def test_a_longer_training_is_trained(study: optuna.Study, objective: TrainingObjective) -> None:
    """A short training cannot answer a long one."""
    run(study, objective, {"epoch": SHORT})

    assert run(study, objective, {}).user_attrs[attrs.EPOCHS_RUN] == LONG


def test_lost_files_mean_training_again(study: optuna.Study, objective: TrainingObjective) -> None:
    """A finished trial whose files are gone answers nothing."""
    run(study, objective, {})
    for path in objective.artifacts.iterdir():
        if path.is_file():
            path.unlink()

    assert run(study, objective, {}).user_attrs[attrs.EPOCHS_RUN] == LONG


def test_an_interrupted_trial_goes_on_where_it_stopped(
    study: optuna.Study, objective: TrainingObjective
) -> None:
    """The second attempt has the whole curve, trains only the rest, and leaves no state."""
    asked: list[bool] = []

    def stop_after_two() -> bool:
        asked.append(True)
        return len(asked) == 2

    def count_epochs() -> bool:
        epochs.append(True)
        return False

    with pytest.raises(Interrupted, match="after epoch 2"):
        run(study, objective, {}, stop_requested=stop_after_two)
    unfinished = list((objective.artifacts / "unfinished").iterdir())
    study.tell(study.trials[-1].number, state=TrialState.FAIL)
    epochs: list[bool] = []
    resumed = run(study, objective, {}, stop_requested=count_epochs)
    whole = run(study, objective, {}, replicate=1)

    assert len(unfinished) == 1
    assert list((objective.artifacts / "unfinished").iterdir()) == []
    assert len(epochs) == LONG - 2 - 1  # the last epoch is not asked about
    assert list(resumed.intermediate_values) == list(whole.intermediate_values) == [0, 1, 2, 3]
    assert study.trials[0].intermediate_values == {
        epoch: resumed.intermediate_values[epoch] for epoch in (0, 1)
    }
    assert resumed.user_attrs[attrs.EPOCHS_RUN] == LONG
    assert resumed.user_attrs[attrs.RESUMED_EPOCHS] == 2
    assert attrs.RESUMED_EPOCHS not in whole.user_attrs


STILL = 1e-12
"""A learning rate that changes no weight, so that the first epoch is the best, and all equal."""

CHOICES: dict[str, list[Any]] = {
    "epoch": [LONG, MIDDLE, SHORT],
    "learning_rate": [1e-2, STILL],
    "strategy": ["joint", "sequential", "branched"],
    "classification_lambda": [0.5, 0.0],
    "classification_layer_num": [1, 2],
    "dropout": [0.0, 0.5],
    "patience": [0, 1],
}
SMALL_MULTITASK = SearchSpace(
    name="small",
    parameters=tuple(
        Parameter(name=name, distribution=CategoricalDistribution(choices))
        for name, choices in CHOICES.items()
    ),
    to_config=lambda params: multitask.to_config(
        {"width": 4, "latent_channels": 8, "batch_size": 8, "classification_width": 16, **params}
    ),
)
JOINT: dict[str, Any] = {name: choices[0] for name, choices in CHOICES.items()}
SEQUENTIAL = {**JOINT, "strategy": "sequential"}
BRANCHED = {**JOINT, "strategy": "branched"}
STANDING = {**JOINT, "learning_rate": STILL}
STOPPED = {**STANDING, "patience": 1}
"""Stops after its second epoch, because that was no better than the first."""
DROPPING = {**JOINT, "dropout": 0.5, "classification_layer_num": 2}
UNCLASSIFIED = {**JOINT, "classification_lambda": 0.0}

OF_THE_RUN = {
    attrs.WORKER,
    attrs.TRAINING_SECONDS,
    attrs.EPOCHS_RUN,
    attrs.REUSED_FROM,
    attrs.RESUMED_EPOCHS,
    attrs.CURVES_DIGEST,
}
"""Attributes that say how a trial came to its result, and how long that took, not what it is."""


class Bench:
    """Studies of the small multitask space in one database, each with artifacts of its own."""

    def __init__(self, folder: Path, settings: StudySettings, dataset: EmojiDataset) -> None:
        self._folder = folder
        self._storage = open_storage(f"sqlite:///{folder / 'study.db'}", create=True, write=True)
        data = StudyData(dataset, Split.from_sides(settings.sides))
        self.objective = objective_of(settings, folder / "artifacts", data=data)

    def study(self, name: str) -> optuna.Study:
        """Return a study, which is created where it does not exist."""
        study = open_study(self._storage, name, self.objective.settings)
        study.pruner = optuna.pruners.NopPruner()
        return study

    def run(
        self,
        params: Mapping[str, Any],
        *,
        name: str = "study",
        objective: TrainingObjective | None = None,
        pruner: optuna.pruners.BasePruner | None = None,
        stop_requested: Callable[[], bool] = lambda: False,
        **user_attrs: Any,
    ) -> FrozenTrial:
        """Queue a point, run it to whatever end, and return the trial."""
        study = self.study(name)
        study.pruner = pruner or study.pruner
        trial = claim_point(study, params, user_attrs)
        objective = replace(
            objective or self.objective, artifacts=self._folder / "artifacts" / name
        )
        try:
            study.tell(trial, objective(trial, stop_requested))
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except Interrupted:
            study.tell(trial, state=TrialState.FAIL)
        return study.trials[trial.number]

    def file(self, trial: FrozenTrial, *, name: str = "study") -> Path:
        """Return where the curves of a trial lie."""
        (meta,) = [
            meta
            for meta in get_all_artifact_meta(trial, storage=self._storage)
            if meta.filename == attrs.CURVES_FILE
        ]
        return self._folder / "artifacts" / name / meta.artifact_id

    def result(self, trial: FrozenTrial, *, name: str = "study") -> dict[str, Any]:
        """Return all that a trial gave, bit for bit, without how it came to that."""
        curve = pd.read_csv(self.file(trial, name=name), dtype=str, keep_default_na=False)
        return {
            "state": trial.state,
            "values": trial.values,
            "reports": trial.intermediate_values,
            "constraints": trial.constraints,
            "curve": curve.drop(columns="seconds").to_dict("list"),
            **{k: v for k, v in trial.user_attrs.items() if k not in OF_THE_RUN},
        }

    def unfinished(self) -> list[str]:
        """Return the names of the states of unfinished trainings."""
        return sorted(path.name for path in self._folder.rglob("unfinished/*"))


@pytest.fixture(params=["constraint", "two objectives"])
def bench(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tiny_data: Path,
    settings: StudySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """A bench for studies with a constraint on accuracy, or with accuracy as an objective."""
    monkeypatch.setitem(SPACES["multitask"], "small", SMALL_MULTITASK)
    pareto = request.param == "two objectives"
    decided = replace(
        settings,
        kind="multitask",
        space="small",
        fixed={},
        sampler="grid",
        pareto=pareto,
        min_accuracy=None if pareto else 0.5,
    )
    return Bench(tmp_path, decided, load_dataset(tiny_data))


only_constraint = pytest.mark.parametrize("bench", ["constraint"], indirect=True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(JOINT, {"epoch": LONG}, id="joint"),
        pytest.param(JOINT, {"epoch": SHORT}, id="joint, its beginning"),
        pytest.param(BRANCHED, {"epoch": SHORT}, id="branched, its beginning"),
        pytest.param(STANDING, {"epoch": SHORT}, id="the same best epoch"),
        pytest.param(DROPPING, {"epoch": MIDDLE}, id="dropout"),
        pytest.param(JOINT, {"dropout": 0.5}, id="dropout without effect"),
        pytest.param(SEQUENTIAL, {"epoch": LONG}, id="sequential"),
        pytest.param(SEQUENTIAL, {"dropout": 0.5}, id="sequential, dropout without effect"),
        pytest.param(SEQUENTIAL, {"classification_lambda": 0.0}, id="lambda without effect"),
        pytest.param(
            {**SEQUENTIAL, "learning_rate": STILL, "patience": 1}, {}, id="sequential, stopped"
        ),
        pytest.param(STOPPED, {"epoch": LONG}, id="stopped"),
        pytest.param(STOPPED, {"epoch": MIDDLE}, id="stopped, shorter"),
        pytest.param({**STOPPED, "epoch": MIDDLE}, {"epoch": LONG}, id="stopped, longer"),
        pytest.param(STOPPED, {"epoch": SHORT}, id="stopped where the other ends"),
        pytest.param(UNCLASSIFIED, {"epoch": SHORT}, id="autoencoder alone"),
    ],
)
def test_an_answer_is_what_the_training_would_have_given(
    bench: Bench, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Values, figures, constraint and curve equal those of the same trial in another study."""
    source = bench.run(first)
    answered = bench.run({**first, **second})
    trained = bench.run({**first, **second}, name="alone")

    assert answered.user_attrs[attrs.REUSED_FROM] == source.number
    assert answered.user_attrs[attrs.EPOCHS_RUN] == 0
    assert answered.user_attrs[attrs.TRAINING_SECONDS] == 0
    assert attrs.REUSED_FROM not in trained.user_attrs
    assert attrs.VALIDATION_ACCURACY in trained.user_attrs
    expected = bench.result(trained, name="alone")
    found = bench.result(answered)
    if found.get(attrs.BEST_EPOCH) != source.user_attrs[attrs.BEST_EPOCH]:
        del expected[attrs.CONFUSION]  # nobody knows it but for the source's best epoch
    assert found == expected


@only_constraint
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(SEQUENTIAL, {"epoch": SHORT}, id="shorter sequential"),
        pytest.param({**SEQUENTIAL, "epoch": SHORT}, {"epoch": LONG}, id="longer sequential"),
        pytest.param({**JOINT, "epoch": SHORT}, {"epoch": LONG}, id="longer"),
        pytest.param(JOINT, {"strategy": "sequential"}, id="joint, then sequential"),
        pytest.param(SEQUENTIAL, {"strategy": "joint"}, id="sequential, then joint"),
        pytest.param(JOINT, {"strategy": "branched"}, id="joint, then branched"),
        pytest.param(DROPPING, {"dropout": 0.0}, id="another dropout"),
        pytest.param(JOINT, {"classification_layer_num": 2}, id="another classifier"),
        pytest.param(JOINT, {"patience": 1}, id="another patience"),
        pytest.param(JOINT, {"classification_lambda": 0.0}, id="another lambda"),
        pytest.param(UNCLASSIFIED, {"classification_layer_num": 2}, id="another one not trained"),
        pytest.param(UNCLASSIFIED, {"strategy": "branched"}, id="another branch not trained"),
    ],
)
def test_what_is_another_multitask_training_is_trained(
    bench: Bench, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """A training with other weights at its end, or with more epochs, answers nothing."""
    bench.run(first)
    trained = bench.run({**first, **second})

    assert attrs.REUSED_FROM not in trained.user_attrs
    assert trained.user_attrs[attrs.EPOCHS_RUN] == len(trained.intermediate_values)
    alone = bench.run({**first, **second}, name="alone")
    assert bench.result(trained) == bench.result(alone, name="alone")


@only_constraint
def test_a_pruned_training_answers_its_beginning(bench: Bench) -> None:
    """What was run before a trial was pruned answers as much, and no epoch more."""
    after_two = optuna.pruners.ThresholdPruner(upper=0.0, n_warmup_steps=1)
    pruned = bench.run(JOINT, pruner=after_two)
    assert (pruned.state, len(pruned.intermediate_values)) == (TrialState.PRUNED, 2)

    short = bench.run({**JOINT, "epoch": SHORT})
    middle = bench.run({**JOINT, "epoch": MIDDLE})

    assert short.user_attrs[attrs.REUSED_FROM] == pruned.number
    assert bench.result(short) == bench.result(
        bench.run({**JOINT, "epoch": SHORT}, name="alone"), name="alone"
    )
    assert middle.user_attrs[attrs.EPOCHS_RUN] == MIDDLE


@only_constraint
def test_trials_of_a_pair_answer_each_other_only_where_they_are_equal(bench: Bench) -> None:
    """One seed does not make one training: strategy, split and data count as well."""
    first = bench.run(JOINT, **{attrs.PAIR: 0})
    swapped = bench.objective.settings.sides.translate(str.maketrans("vx", "xv"))
    dataset = load_dataset(Path(str(bench.objective.settings.data)))
    elsewhere = replace(bench.objective, data=StudyData(dataset, Split.from_sides(swapped)))
    others = [
        bench.run(SEQUENTIAL, **{attrs.PAIR: 0}),
        bench.run(BRANCHED, **{attrs.PAIR: 0}),
        bench.run(JOINT, objective=elsewhere, **{attrs.PAIR: 0}),
        bench.run(JOINT, **{attrs.PAIR: 1}),
        bench.run(JOINT),
    ]
    again = bench.run(JOINT, **{attrs.PAIR: 0})

    seeds = [trial.user_attrs[attrs.SEED] for trial in (first, *others)]
    assert seeds[:4] == [seeds[0]] * 4
    assert len(set(seeds[3:])) == 3
    assert [trial.user_attrs.get(attrs.REUSED_FROM) for trial in others] == [None] * 5
    assert [trial.user_attrs[attrs.EPOCHS_RUN] for trial in others] == [LONG] * 5
    assert others[2].user_attrs[attrs.DATA_FINGERPRINT] != first.user_attrs[attrs.DATA_FINGERPRINT]
    assert others[2].value != first.value
    assert again.user_attrs[attrs.REUSED_FROM] == first.number
    assert again.value == first.value


@pytest.mark.parametrize("params", [JOINT, SEQUENTIAL], ids=["joint", "sequential"])
def test_an_answer_is_no_source(bench: Bench, params: dict[str, Any]) -> None:
    """Every answer names the trial that was trained."""
    trials = [bench.run(params) for _ in range(3)]

    assert [trial.user_attrs.get(attrs.REUSED_FROM) for trial in trials] == [None, 0, 0]
    assert bench.result(trials[2]) == bench.result(trials[1]) == bench.result(trials[0])


def without_classification(content: bytes) -> bytes:
    """Cut the last line behind the columns that every epoch has."""
    *lines, last = content.splitlines()
    return b"\n".join([*lines, b",".join(last.split(b",")[:4]), b""])


@only_constraint
@pytest.mark.parametrize(
    ("params", "damage"),
    [
        pytest.param(JOINT, lambda _: None, id="lost"),
        pytest.param(JOINT, lambda _: b"", id="empty"),
        pytest.param(JOINT, lambda content: content.splitlines()[0], id="only names"),
        pytest.param(JOINT, lambda content: content[: len(content) // 2], id="half"),
        pytest.param(JOINT, lambda content: b"\n".join(content.splitlines()[:-1]), id="a line"),
        pytest.param(JOINT, lambda content: content[:-30], id="a few cells"),
        pytest.param(JOINT, without_classification, id="many cells"),
        pytest.param(JOINT, lambda content: content[:-6], id="some digits"),
        pytest.param(JOINT, lambda content: content[:-1], id="nothing but the end of the line"),
        pytest.param(JOINT, lambda content: b"\xff" * len(content), id="no text"),
        pytest.param(JOINT, lambda content: content.replace(b"0.", b"x"), id="no numbers"),
        pytest.param(JOINT, lambda content: content.replace(b"_mse", b"_error"), id="other names"),
        pytest.param(
            JOINT,
            lambda content: content.replace(b",", b"\r,"),
            id="no table",
        ),
        pytest.param(SEQUENTIAL, lambda content: content[: len(content) // 4], id="sequential"),
        pytest.param(
            SEQUENTIAL,
            lambda content: b"\n".join(content.splitlines()[: 1 + LONG]),
            id="all of the classifier",
        ),
        pytest.param(
            SEQUENTIAL,
            lambda content: b"\n".join(content.splitlines()[: 2 + LONG]),
            id="most of the classifier",
        ),
    ],
)
def test_a_damaged_curve_never_changes_a_result(
    bench: Bench, params: dict[str, Any], damage: Callable[[bytes], bytes | None]
) -> None:
    """Where the curve is not whole, the training is done again, and gives what it gave."""
    first = bench.run(params)
    expected = bench.result(first)
    path = bench.file(first)
    content = damage(path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    second = bench.run(params)

    assert bench.result(second) == expected
    if content is None or b"\n" not in content:
        assert attrs.REUSED_FROM not in second.user_attrs
        assert second.user_attrs[attrs.EPOCHS_RUN] == LONG


class Stop:
    """Asks to stop when it has been asked so often; 0 for never.

    Args:
        after: How often.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked == self._after


@pytest.mark.parametrize(
    "params",
    [
        pytest.param(JOINT, id="joint"),
        pytest.param(BRANCHED, id="branched"),
        pytest.param(SEQUENTIAL, id="sequential"),
        pytest.param(DROPPING, id="dropout"),
        pytest.param({**SEQUENTIAL, **DROPPING, "strategy": "sequential"}, id="dropout at last"),
        pytest.param({**STANDING, "patience": 1, "strategy": "sequential"}, id="stopped"),
        pytest.param(UNCLASSIFIED, id="autoencoder alone"),
    ],
)
def test_an_interrupted_multitask_training_gives_what_a_whole_one_gives(
    bench: Bench, params: dict[str, Any]
) -> None:
    """However it was trained, nothing of the result tells where it was interrupted."""
    interrupted = bench.run(params, stop_requested=Stop(1))
    assert interrupted.state == TrialState.FAIL
    assert interrupted.user_attrs[attrs.EPOCHS_RUN] == 1
    assert len(bench.unfinished()) == 1

    resumed = bench.run(params)
    whole = bench.run(params, name="alone")

    assert bench.result(resumed) == bench.result(whole, name="alone")
    assert resumed.user_attrs[attrs.EPOCHS_RUN] == whole.user_attrs[attrs.EPOCHS_RUN]
    assert resumed.user_attrs[attrs.RESUMED_EPOCHS] == 1
    assert attrs.RESUMED_EPOCHS not in whole.user_attrs
    assert bench.unfinished() == []


@only_constraint
def test_unfinished_trainings_of_a_pair_are_kept_apart(bench: Bench) -> None:
    """Arms of a pair share a seed; each goes on from its own state, on its own split."""
    swapped = bench.objective.settings.sides.translate(str.maketrans("vx", "xv"))
    dataset = load_dataset(Path(str(bench.objective.settings.data)))
    elsewhere = replace(bench.objective, data=StudyData(dataset, Split.from_sides(swapped)))
    arms: list[tuple[dict[str, Any], TrainingObjective]] = [
        (JOINT, bench.objective),
        (SEQUENTIAL, bench.objective),
        (JOINT, elsewhere),
    ]
    for params, objective in arms:
        bench.run(params, objective=objective, stop_requested=Stop(2), **{attrs.PAIR: 0})
    assert len(bench.unfinished()) == 3

    for params, objective in arms:
        never = Stop(0)
        resumed = bench.run(params, objective=objective, stop_requested=never, **{attrs.PAIR: 0})
        whole = bench.run(params, objective=objective, name="alone", **{attrs.PAIR: 0})

        assert never.asked == LONG - 2 - 1  # the last epoch is not asked about
        assert bench.result(resumed) == bench.result(whole, name="alone")
    assert bench.unfinished() == []
