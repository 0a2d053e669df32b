"""No training is done twice: finished ones answer, interrupted ones go on."""

import math
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import pytest
import torch
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.splits import Split, split_dataset
from search_spaces import SPACES
from search_spaces.autoencoder import to_config
from search_spaces.base import Parameter, SearchSpace
from storage import attrs, queue
from storage.artifacts import open_artifacts, read_artifact
from storage.rdb import open_storage
from study.data import study_data
from study.objectives import AutoencoderObjective, TrialInterrupted
from study.settings import StudySettings, code_version

LONG, SHORT = 4, 2
SMALL = SearchSpace(
    kind="autoencoder",
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
) -> AutoencoderObjective:
    """The objective of a study of the small space."""
    data = study_data(dataset, split)
    monkeypatch.setitem(SPACES["autoencoder"], "small", SMALL)
    settings = StudySettings(
        kind="autoencoder",
        space="small",
        fixed={},
        sampler="grid",
        pruner="none",
        seed=0,
        data=None,
        data_fingerprint=data.fingerprint,
        split="group",
        data_seed=42,
        sides=split.sides,
        code_version=code_version(),
    )
    return AutoencoderObjective(
        settings=settings, data=data, artifacts=tmp_path / "artifacts", device=torch.device("cpu")
    )


def run(
    study: optuna.Study,
    objective: AutoencoderObjective,
    changes: dict[str, object],
    *,
    replicate: int = 0,
    stop_requested: Callable[[], bool] = lambda: False,
) -> FrozenTrial:
    """Queue a point, run it, and return the trial."""
    queue.enqueue(study, POINT | changes, {attrs.REPLICATE: replicate})
    claimed = queue.claim(study)
    assert claimed is not None
    trial = queue.start(study, claimed)
    study.tell(trial, objective(trial, stop_requested))
    return study.trials[-1]


@pytest.mark.parametrize("epochs", [LONG, SHORT])
def test_a_training_that_was_done_is_answered_from_its_curve(
    study: optuna.Study, objective: AutoencoderObjective, epochs: int
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
    study: optuna.Study, objective: AutoencoderObjective
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
    study: optuna.Study, objective: AutoencoderObjective, tmp_path: Path
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
    objective: AutoencoderObjective,
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
    study: optuna.Study, objective: AutoencoderObjective
) -> None:
    """With a schedule, a short training is not the beginning of a long one."""
    run(study, objective, {"schedule": "cosine"})

    short = run(study, objective, {"schedule": "cosine", "epoch": SHORT})

    assert short.user_attrs[attrs.EPOCHS_RUN] == SHORT


def test_a_longer_training_is_trained(
    study: optuna.Study, objective: AutoencoderObjective
) -> None:
    """A short training cannot answer a long one."""
    run(study, objective, {"epoch": SHORT})

    assert run(study, objective, {}).user_attrs[attrs.EPOCHS_RUN] == LONG


def test_lost_files_mean_training_again(
    study: optuna.Study, objective: AutoencoderObjective
) -> None:
    """A finished trial whose files are gone answers nothing."""
    run(study, objective, {})
    for path in objective.artifacts.iterdir():
        if path.is_file():
            path.unlink()

    assert run(study, objective, {}).user_attrs[attrs.EPOCHS_RUN] == LONG


def test_an_interrupted_trial_goes_on_where_it_stopped(
    study: optuna.Study, objective: AutoencoderObjective
) -> None:
    """The second attempt has the whole curve, trains only the rest, and leaves no state."""
    asked: list[bool] = []

    def stop_after_two() -> bool:
        asked.append(True)
        return len(asked) == 2

    def count_epochs() -> bool:
        epochs.append(True)
        return False

    with pytest.raises(TrialInterrupted, match="after epoch 2"):
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
