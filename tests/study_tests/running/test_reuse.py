"""No training is done twice: finished ones answer, interrupted ones go on."""

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
from emoji_ae.splits import Split
from search_spaces import SPACES, autoencoder, multitask
from search_spaces.base import Parameter, SearchSpace
from storage import attrs
from storage.rdb import open_storage
from study.emoji.data import StudyData
from study.kinds import Interrupted
from study.running.objective import TrainingObjective
from study.seeds import pair_seed
from study.settings import StudySettings
from tests.study_tests.studies import claim_point, objective_of, open_study

LONG, MIDDLE, SHORT = 4, 3, 2

STILL = 1e-12
"""A learning rate that changes no weight, so that the first epoch is the best, and all equal."""

SHARED: dict[str, list[Any]] = {"epoch": [LONG, MIDDLE, SHORT], "learning_rate": [1e-2, STILL]}
OF_MULTITASK = {
    **SHARED,
    "strategy": ["joint", "sequential", "branched"],
    "classification_lambda": [0.5, 0.0],
    "classification_layer_num": [1, 2],
    "dropout": [0.0, 0.5],
    "patience": [0, 1],
}
PLAIN: dict[str, Any] = {name: choices[0] for name, choices in SHARED.items()}
JOINT: dict[str, Any] = {name: choices[0] for name, choices in OF_MULTITASK.items()}
SEQUENTIAL = {**JOINT, "strategy": "sequential"}
BRANCHED = {**JOINT, "strategy": "branched"}
STANDING = {**JOINT, "learning_rate": STILL}
STOPPED = {**STANDING, "patience": 1}
"""Stops after its second epoch, because that was no better than the first."""
STOPPED_SEQUENTIAL = {**STOPPED, "strategy": "sequential"}
DROPPING = {**JOINT, "dropout": 0.5, "classification_layer_num": 2}
UNCLASSIFIED = {**JOINT, "classification_lambda": 0.0}

OF_THE_RUN = {
    *(attrs.WORKER, attrs.TRAINING_SECONDS, attrs.EPOCHS_RUN),
    *(attrs.REUSED_FROM, attrs.RESUMED_EPOCHS, attrs.CURVES_DIGEST),
}
"""Attributes that say how a trial came to its result, and how long that took, not what it is."""


def space_of(choices: Mapping[str, list[Any]], to_config: Callable[..., Any]) -> SearchSpace:
    """Return a space of these choices for small models."""
    small = {"width": 4, "latent_channels": 8, "batch_size": 8}
    return SearchSpace(
        name="small",
        parameters=tuple(
            Parameter(name=name, distribution=CategoricalDistribution(values))
            for name, values in choices.items()
        ),
        to_config=lambda params: to_config({**small, **params}),
    )


class Bench:
    """Studies of a small space in one database, each with artifacts of its own."""

    def __init__(self, folder: Path, settings: StudySettings, dataset: EmojiDataset) -> None:
        self._folder = folder
        self._storage = open_storage(f"sqlite:///{folder / 'study.db'}", create=True, write=True)
        data = StudyData(dataset, Split.from_sides(settings.sides))
        self.objective = objective_of(settings, folder / "artifacts", data=data)
        swapped = Split.from_sides(settings.sides.translate(str.maketrans("vx", "xv")))
        self.elsewhere = replace(self.objective, data=StudyData(dataset, swapped))

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
        study = open_study(self._storage, name, self.objective.settings)
        study.pruner = pruner or optuna.pruners.NopPruner()
        trial = claim_point(study, params, user_attrs)
        folder = self._folder / "artifacts" / name
        objective = replace(objective or self.objective, artifacts=folder)
        try:
            study.tell(trial, objective(trial, stop_requested))
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except Interrupted:
            study.tell(trial, state=TrialState.FAIL)
        return study.trials[trial.number]

    def alone(self, params: Mapping[str, Any], **more: Any) -> tuple[FrozenTrial, dict[str, Any]]:
        """Return a training that is the only one of its study, and its result."""
        name = f"alone-{len(self._storage.get_all_studies())}"
        trial = self.run(params, name=name, **more)
        return trial, self.result(trial, name=name)

    def file(
        self, trial: FrozenTrial, file: str = attrs.CURVES_FILE, *, name: str = "study"
    ) -> Path:
        """Return where a file of a trial lies."""
        metas = get_all_artifact_meta(trial, storage=self._storage)
        (found,) = [meta.artifact_id for meta in metas if meta.filename == file]
        return self._folder / "artifacts" / name / found

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


@pytest.fixture
def bench(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tiny_data: Path,
    settings: StudySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """A bench for multitask studies with a constraint on accuracy, or for another sort."""
    sort = getattr(request, "param", "constraint")
    plain = space_of(SHARED, autoencoder.to_config)
    monkeypatch.setitem(SPACES["autoencoder"], "small", plain)
    monkeypatch.setitem(SPACES["multitask"], "small", space_of(OF_MULTITASK, multitask.to_config))
    decided = replace(
        settings,
        kind="autoencoder" if sort == "autoencoder" else "multitask",
        space="small",
        fixed={},
        sampler="grid",
        pareto=sort == "two objectives",
        min_accuracy=0.5 if sort == "constraint" else None,
    )
    return Bench(tmp_path, decided, load_dataset(tiny_data))


@pytest.mark.parametrize(
    ("bench", "first", "second"),
    [
        ("autoencoder", PLAIN, {"epoch": SHORT}),
        ("two objectives", JOINT, {"epoch": SHORT}),
        ("constraint", STANDING, {"epoch": SHORT}),  # with the same best epoch
        ("two objectives", SEQUENTIAL, {"classification_lambda": 0.0}),
        ("constraint", STOPPED_SEQUENTIAL, {}),
        ("constraint", {**STOPPED, "epoch": MIDDLE}, {"epoch": LONG}),  # a longer one
        ("constraint", STOPPED, {"epoch": SHORT}),  # where the other one ends
        ("constraint", UNCLASSIFIED, {"epoch": SHORT}),
    ],
    indirect=["bench"],
)
def test_an_answer_is_what_the_training_would_have_given(
    bench: Bench, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Values, figures, constraint and curve equal those of the same trial in another study."""
    source = bench.run(first)
    answers = [bench.run({**first, **second}) for _ in range(2)]
    trained, expected = bench.alone({**first, **second})

    assert attrs.REUSED_FROM not in trained.user_attrs
    for answered in answers:  # the first one is no source
        assert answered.user_attrs[attrs.REUSED_FROM] == source.number
        assert answered.user_attrs[attrs.EPOCHS_RUN] == 0
        assert answered.user_attrs[attrs.TRAINING_SECONDS] == 0
        picture = bench.file(answered, attrs.RECONSTRUCTIONS_FILE).read_bytes()
        assert picture == bench.file(source, attrs.RECONSTRUCTIONS_FILE).read_bytes()
        found = bench.result(answered)
        if found[attrs.BEST_EPOCH] != source.user_attrs[attrs.BEST_EPOCH]:
            expected = {name: value for name, value in expected.items() if name != attrs.CONFUSION}
        assert found == expected


def test_what_is_another_training_is_trained(bench: Bench) -> None:
    """A training with other weights at its end, or with more epochs, answers nothing."""
    points = (
        *({**SEQUENTIAL, "epoch": SHORT}, SEQUENTIAL, JOINT, {**JOINT, "patience": 1}),
        *(BRANCHED, UNCLASSIFIED, {**UNCLASSIFIED, "classification_layer_num": 2}),
    )
    for params in points:
        trained = bench.run(params)
        assert attrs.REUSED_FROM not in trained.user_attrs
        assert trained.user_attrs[attrs.EPOCHS_RUN] == len(trained.intermediate_values)
        assert bench.result(trained) == bench.alone(params)[1]
    again = bench.run(points[0], **{attrs.REPLICATE: 1})
    assert attrs.REUSED_FROM not in again.user_attrs


def test_a_pruned_training_answers_its_beginning(bench: Bench) -> None:
    """What was run before a trial was pruned answers as much, and no epoch more."""
    after_two = optuna.pruners.ThresholdPruner(upper=0.0, n_warmup_steps=1)
    pruned = bench.run(JOINT, pruner=after_two)
    assert (pruned.state, len(pruned.intermediate_values)) == (TrialState.PRUNED, 2)

    short = bench.run({**JOINT, "epoch": SHORT})
    middle = bench.run({**JOINT, "epoch": MIDDLE})

    assert short.user_attrs[attrs.REUSED_FROM] == pruned.number
    assert bench.result(short) == bench.alone({**JOINT, "epoch": SHORT})[1]
    assert middle.user_attrs[attrs.EPOCHS_RUN] == MIDDLE


def test_a_damaged_curve_never_changes_a_result(bench: Bench) -> None:
    """Where the curve is lost or not whole, the training is done again, and gives what it gave."""
    first = bench.run(JOINT)
    expected = bench.result(first)
    path = bench.file(first)
    content = path.read_bytes()
    for damaged in (None, b"", content[:-1]):
        if damaged is None:
            path.unlink()
        else:
            path.write_bytes(damaged)
        again = bench.run(JOINT)
        assert attrs.REUSED_FROM not in again.user_attrs
        assert again.user_attrs[attrs.EPOCHS_RUN] == LONG
        assert bench.result(again) == expected
    path.write_bytes(content)
    assert bench.run(JOINT).user_attrs[attrs.REUSED_FROM] == first.number


class Stop:
    """Asks to stop when it has been asked so often; 0 for never."""

    def __init__(self, after: int) -> None:
        self._after = after
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked == self._after


@pytest.mark.parametrize(
    ("bench", "params"),
    [
        ("autoencoder", PLAIN),
        ("constraint", {**DROPPING, "strategy": "sequential"}),
        ("two objectives", STOPPED_SEQUENTIAL),
    ],
    indirect=["bench"],
)
def test_an_interrupted_training(bench: Bench, params: dict[str, Any]) -> None:
    """However it was trained, nothing of the result tells where it was interrupted."""
    interrupted = bench.run(params, stop_requested=Stop(1))
    assert interrupted.state == TrialState.FAIL
    assert interrupted.user_attrs[attrs.EPOCHS_RUN] == 1
    assert len(bench.unfinished()) == 1

    resumed = bench.run(params)
    whole, expected = bench.alone(params)

    assert bench.result(resumed) == expected
    assert interrupted.intermediate_values.items() <= resumed.intermediate_values.items()
    assert resumed.user_attrs[attrs.EPOCHS_RUN] == whole.user_attrs[attrs.EPOCHS_RUN]
    assert resumed.user_attrs[attrs.RESUMED_EPOCHS] == 1
    assert attrs.RESUMED_EPOCHS not in whole.user_attrs
    assert bench.unfinished() == []


def test_trials_of_a_pair_share_only_what_is_equal(bench: Bench) -> None:
    """Arms of a pair have one seed; each goes on from its own state, on its own split."""
    arms = [(JOINT, bench.objective), (SEQUENTIAL, bench.objective), (JOINT, bench.elsewhere)]
    pair, resumed = {attrs.PAIR: 0}, []
    for params, objective in arms:
        bench.run(params, objective=objective, stop_requested=Stop(2), **pair)
    assert len(bench.unfinished()) == 3
    for params, objective in arms:
        never = Stop(0)
        resumed.append(bench.run(params, objective=objective, stop_requested=never, **pair))
        assert never.asked == LONG - 2 - 1  # the last epoch is not asked about
        found = bench.result(resumed[-1])
        assert found == bench.alone(params, objective=objective, **pair)[1]
    assert bench.unfinished() == []
    trained = [*resumed, bench.run(JOINT, **{attrs.PAIR: 1}), bench.run(JOINT)]
    seeds = [trial.user_attrs[attrs.SEED] for trial in trained]
    assert seeds[:3] == [pair_seed(bench.objective.settings.seed, 0)] * 3
    assert len(set(seeds[2:])) == 3
    assert all(attrs.REUSED_FROM not in trial.user_attrs for trial in trained)
    assert trained[2].value != trained[0].value
    again = bench.run(JOINT, **pair)
    assert again.user_attrs[attrs.REUSED_FROM] == trained[0].number
    assert again.value == trained[0].value
