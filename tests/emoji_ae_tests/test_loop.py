"""The loop that all trainings share: its best epoch, its patience, its ends, and its parts."""

import math
from collections.abc import Iterable, Sequence

import pytest
import torch
from torch import Tensor, nn

from emoji_ae.config import AutoencoderConfig, multitask_config
from emoji_ae.evaluation import to_float
from emoji_ae.loop import Course, batch_bounds, fit
from emoji_ae.seeding import seeded
from tests.emoji_ae_tests.reference import initial_model, pictures

TINY = AutoencoderConfig(width=2, depth=3, latent_channels=2, normalization="batch", batch_size=2)
IMAGES = pictures(5, seed=0)


class Planned:
    """A task with errors, of each epoch, that are known beforehand; it trains as any other."""

    judged_by = "validation_mse"

    def __init__(self, validation: Sequence[float], train: Sequence[float] = (0.0,) * 6) -> None:
        self.model = initial_model(TINY, 0)
        self._validation = validation
        self._train = train
        self.weights: list[dict[str, Tensor]] = []
        self.rows: list[list[int]] = []
        self.epochs: list[list[int]] = []
        self.observed: list[list[float]] = []

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return those of the decoder."""
        return self.model.decoder.parameters()

    def step(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the MSE, and the number of the step."""
        assert self.model.training
        assert torch.equal(inputs, to_float(IMAGES, torch.device("cpu"))[rows])
        self.rows.append(rows.tolist())
        loss = nn.functional.mse_loss(self.model(inputs), inputs)
        return loss, torch.tensor(float(len(self.rows)))

    def evaluate(self, observed: Sequence[Tensor], rows: Tensor) -> dict[str, float]:
        """Return what was planned for the epoch."""
        epoch = len(self.weights)
        state = self.model.state_dict()
        self.weights.append({name: value.clone() for name, value in state.items()})
        self.epochs.append(rows.tolist())
        self.observed.append([value.item() for value in observed])
        return {"train_mse": self._train[epoch], "validation_mse": self._validation[epoch]}


def run(task: Planned, *, patience: int = 0, epoch: int = 6, n_drawn: int = 5) -> Course:
    """Train on the module's images."""
    config = multitask_config(**TINY.to_dict() | {"epoch": epoch, "patience": patience})
    images = to_float(IMAGES, torch.device("cpu"))
    with seeded(0, torch.device("cpu")) as generator:
        amounts = {"n_images": len(images), "n_drawn": n_drawn}
        return fit(config, task, lambda order: images[order], generator=generator, **amounts)


@pytest.mark.parametrize(
    ("values", "patience", "n", "best"),
    [
        ([5, 4, 3, 2, 1, 0], 1, 6, 5),
        ([5, 4, 6, 2, 1, 0], 1, 3, 1),
        ([5, 4, 4, 4, 1, 0], 2, 4, 1),
        ([3, 1, 2, 1, 2, 3], 0, 6, 1),
        ([2, 1, 3, math.nan, 0, 0], 0, 4, 1),
    ],
)
def test_patience_and_best(values: list[float], patience: int, n: int, best: int) -> None:
    """Training ends so long after the lowest MSE, or at NaN, and keeps that epoch's weights."""
    task = Planned(values)
    result = run(task, patience=patience)
    errors = [metrics.validation_mse for metrics in result.curve]
    assert errors == pytest.approx(values[:n], nan_ok=True)
    assert result.best == result.curve[best]
    assert not result.stopped
    assert result.diverged == math.isnan(values[n - 1])
    assert not task.model.training
    for name, value in task.model.state_dict().items():
        assert torch.equal(value, task.weights[best][name]), name


def test_task_decides_what_is_trained() -> None:
    """Only its parameters move, and it gets the rows of each step and what the steps gave."""
    task = Planned([1, 0])
    run(task, epoch=2)
    start = dict(initial_model(TINY, 0).named_parameters())
    for name, value in task.model.named_parameters():
        if name.endswith("weight"):
            assert torch.equal(value, start[name]) == name.startswith("encoder."), name
    assert [len(rows) for rows in task.rows] == [2, 3, 2, 3]  # none is left alone
    assert task.epochs == [task.rows[0] + task.rows[1], task.rows[2] + task.rows[3]]
    assert [sorted(rows) for rows in task.epochs] == [[0, 1, 2, 3, 4]] * 2
    assert task.epochs[0] != task.epochs[1]
    assert task.observed == [[1.0, 2.0], [3.0, 4.0]]
    task = Planned([3, 1, 2], [0, 1, 2])
    task.judged_by = "train_mse"
    course = run(task, epoch=3, n_drawn=4)
    assert course.best == course.curve[0]  # it names the metric
    assert run(Planned([1, 0], [-math.inf, 0]), epoch=2).diverged
    # Where an epoch draws a part, none is drawn twice, and from epoch to epoch they change.
    assert {(len(rows), len(set(rows))) for rows in task.epochs} == {(4, 4)}
    assert len({frozenset(rows) for rows in task.epochs}) > 1


def test_batches() -> None:
    """Batches cover every image once; a single one left over joins the batch before it."""
    assert batch_bounds(1, 4) == [(0, 1)]
    assert batch_bounds(6, 4) == [(0, 4), (4, 6)]
    assert batch_bounds(9, 4) == [(0, 4), (4, 9)]
