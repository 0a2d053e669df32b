"""The loop that all trainings share: its best epoch, its patience, its ends, and its parts."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from emoji_ae.config import AutoencoderConfig, Schedule, multitask_config
from emoji_ae.curve import EpochMetrics
from emoji_ae.evaluation import to_float
from emoji_ae.loop import Course, batch_bounds, build_optimizer, build_scheduler, fit
from emoji_ae.resume import ResumeFile
from emoji_ae.seeding import seeded
from emoji_ae.training import suspended_result
from tests.emoji_ae_tests.reference import initial_model, learning_rate_and_momentum, pictures

TINY = AutoencoderConfig(
    width=2, depth=3, latent_channels=2, epoch=6, batch_size=2, learning_rate=0.01
)
IMAGES = pictures(5, seed=0)


class Planned:
    """A task with validation errors that are known beforehand; it trains as any other.

    Args:
        validation: MSE after each epoch; the cross-entropy is 1 less it.
        entropies: Cross-entropy after each epoch, where it is another.
    """

    judged_by = "validation_mse"

    def __init__(
        self, validation: Sequence[float], entropies: Sequence[float] | None = None
    ) -> None:
        self.model = initial_model(TINY, 0)
        self._validation = validation
        self._entropies = entropies or [1 - value for value in validation]
        self.weights: list[dict[str, Tensor]] = []
        self.rows: list[list[int]] = []
        self.observed: list[list[float]] = []

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return those of the decoder."""
        return self.model.decoder.parameters()

    def step(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the MSE, and the number of the step."""
        assert self.model.training
        assert len(inputs) == len(rows)
        self.rows.append(rows.tolist())
        loss = nn.functional.mse_loss(self.model(inputs), inputs)
        return loss, torch.tensor(float(len(self.rows)))

    def evaluate(self, observed: Sequence[Tensor], rows: Tensor) -> dict[str, float]:
        """Return what was planned for the epoch."""
        epoch = len(self.weights)
        state = self.model.state_dict()
        self.weights.append({name: value.clone() for name, value in state.items()})
        self.observed.append([value.item() for value in observed])
        assert sorted(rows.tolist()) == [0, 1, 2, 3, 4]
        return {
            "train_mse": 0.0,
            "train_total": 0.0,
            "validation_mse": self._validation[epoch],
            "validation_cross_entropy": self._entropies[epoch],
            "validation_total": self._entropies[epoch],
            "train_cross_entropy": 0.0,
            "train_accuracy": 0.0,
            "validation_accuracy": 0.0,
            "validation_balanced_accuracy": 0.0,
        }


def run(task: Planned, *, patience: int = 0, epoch: int = 6, **kwargs: Any) -> Course:
    """Train on the module's images."""
    config = multitask_config(**TINY.to_dict() | {"epoch": epoch, "patience": patience})
    images = to_float(IMAGES, torch.device("cpu"))
    with seeded(0, torch.device("cpu")) as generator:
        return fit(
            config,
            task,
            lambda order: images[order],
            n_images=len(images),
            n_drawn=len(images),
            generator=generator,
            **kwargs,
        )


@pytest.mark.parametrize(
    ("values", "patience", "n", "best"),
    [
        ([5, 4, 3, 2, 1, 0], 1, 6, 5),
        ([5, 4, 6, 2, 1, 0], 1, 3, 1),
        ([5, 4, 6, 2, 1, 0], 2, 6, 5),
        ([5, 4, 6, 7, 1, 0], 2, 4, 1),
        ([5, 4, 4, 4, 1, 0], 2, 4, 1),
        ([1, 2, 2, 2, 2, 2], 5, 6, 0),
        ([1, 2, 2, 2, 2, 0], 4, 5, 0),
        ([3, 4, 2, 4, 4, 1], 2, 5, 2),
        ([1, 2, 2, 2, 2, 2], 0, 6, 0),
        ([3, 1, 2, 1, 2, 3], 0, 6, 1),
    ],
)
def test_patience_and_best(values: list[float], patience: int, n: int, best: int) -> None:
    """Training ends so many epochs after the last lower MSE, and keeps that epoch's weights."""
    task = Planned(values)
    result = run(task, patience=patience)
    assert [metrics.validation_mse for metrics in result.curve] == values[:n]
    assert result.best == result.curve[best]
    for name, value in task.model.state_dict().items():
        assert torch.equal(value, task.weights[best][name])


@given(values=st.lists(st.integers(0, 4), min_size=6, max_size=6), patience=st.integers(0, 6))
@settings(max_examples=25)
def test_patience_looks_back(values: list[float], patience: int) -> None:
    """A training never goes on after so many epochs in vain, and never ends before."""
    curve = [metrics.validation_mse for metrics in run(Planned(values), patience=patience).curve]
    waited = [n - 1 - curve.index(min(curve[:n])) for n in range(1, len(curve) + 1)]
    if patience:
        assert all(epochs < patience for epochs in waited[:-1])
        assert waited[-1] == patience or len(curve) == 6
    else:
        assert len(curve) == 6


def test_task_decides_what_is_trained() -> None:
    """Only the task's parameters move, and each step gets the rows of its images."""
    task = Planned([1, 0])
    run(task, epoch=2)
    start = initial_model(TINY, 0).state_dict()
    for name, value in task.model.state_dict().items():
        assert torch.equal(value, start[name]) == name.startswith("encoder."), name
    assert [len(rows) for rows in task.rows] == [2, 3, 2, 3]  # none is left alone
    for epoch in (task.rows[:2], task.rows[2:]):
        assert sorted(row for rows in epoch for row in rows) == [0, 1, 2, 3, 4]
    assert task.rows[:2] != task.rows[2:]


def test_task_gets_what_it_observed() -> None:
    """What the steps of an epoch gave comes back at its end, in order."""
    task = Planned([1, 0])
    run(task, epoch=2)
    assert task.observed == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(("judged_by", "best"), [("validation_mse", 1), ("train_mse", 0)])
def test_task_decides_what_is_best(judged_by: str, best: int) -> None:
    """The metric that it names decides whose weights are kept."""
    task = Planned([3, 1, 2])
    task.judged_by = judged_by
    course = run(task, epoch=3)
    assert course.best == course.curve[best]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrong", ["mse", "cross_entropy"])
def test_any_metric_that_is_not_finite_ends(value: float, wrong: str) -> None:
    """One that is NaN or infinite ends the training, with the best of the epochs before."""
    mse, entropy = [2.0, 1.0, 3.0, 0.5, 0.0, 0.0], [1.0] * 6
    (mse if wrong == "mse" else entropy)[3] = value
    task = Planned(mse, entropy)
    result = run(task)
    assert result.diverged
    assert [metrics.epoch for metrics in result.curve] == [0, 1, 2, 3]
    assert result.best == result.curve[1]
    assert not task.model.training
    for name, weight in task.model.state_dict().items():
        assert torch.equal(weight, task.weights[1][name])


def test_suspended_result(tmp_path: Path) -> None:
    """What a state holds is a result: its curve, and the model of its best epoch."""
    task = Planned([3, 1, 2, 4, 5, 6])
    file = ResumeFile(tmp_path / "state.pt", identity=TINY.identity(), seed=0, max_epochs=6)

    def interrupt(metrics: EpochMetrics) -> bool:
        if metrics.epoch == 3:
            raise KeyError
        return False

    with pytest.raises(KeyError):
        run(task, on_epoch=interrupt, resume=file)
    assert file.state is not None
    result = suspended_result(TINY, file.state)
    assert [metrics.validation_mse for metrics in result.curve] == [3, 1, 2, 4]
    assert result.best == result.curve[1]
    assert not result.model.training
    for name, value in result.model.state_dict().items():
        assert torch.equal(value, task.weights[1][name])


def test_optimizer() -> None:
    """Adam takes step size and penalty of the configuration, for the parameters it is given."""
    parameter = nn.Parameter(torch.zeros(3))
    config = AutoencoderConfig(learning_rate=0.02, weight_decay=0.3)
    optimizer = build_optimizer(config, iter([parameter]))
    assert type(optimizer) is torch.optim.Adam
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.02, 0.3)
    assert group["params"] == [parameter]


@given(n=st.integers(1, 500), batch_size=st.integers(2, 70))
def test_batches_cover_all(n: int, batch_size: int) -> None:
    """Batches are full but for the last, cover every image once, and leave none alone."""
    bounds = batch_bounds(n, batch_size)
    assert [i for start, stop in bounds for i in range(start, stop)] == list(range(n))
    sizes = [stop - start for start, stop in bounds]
    assert all(size == batch_size for size in sizes[:-1])
    assert 1 <= sizes[-1] <= batch_size + 1
    assert n == 1 or min(sizes) > 1
    assert len(sizes) in (n // batch_size, math.ceil(n / batch_size))


@pytest.mark.parametrize(
    ("n", "batch_size", "expected"),
    [
        (1, 4, [(0, 1)]),
        (4, 4, [(0, 4)]),
        (5, 4, [(0, 5)]),
        (6, 4, [(0, 4), (4, 6)]),
        (9, 4, [(0, 4), (4, 9)]),
        (3, 2, [(0, 3)]),
    ],
)
def test_batches(n: int, batch_size: int, expected: list[tuple[int, int]]) -> None:
    """A single image left over joins the batch before it."""
    assert batch_bounds(n, batch_size) == expected


def rates(schedule: Schedule, n_steps: int) -> list[float]:
    """Return the learning rate of each step, and the one after the last."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    scheduler = build_scheduler(optimizer, schedule, 0.1, n_steps)
    assert scheduler is not None
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(n_steps):
        optimizer.step()
        scheduler.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_cosine_schedule() -> None:
    """Cosine starts at the learning rate, is at half of it in the middle and at zero after."""
    found = rates("cosine", 10)
    assert found[0] == 0.1
    assert found[5] == pytest.approx(0.05)
    assert found[9] == pytest.approx(0.1 * (1 - math.cos(math.pi / 10)) / 2)
    assert found[10] == pytest.approx(0, abs=1e-9)
    assert found == sorted(found, reverse=True)


def test_one_cycle_schedule() -> None:
    """One-cycle starts low, has its peak after three tenths, and ends near zero."""
    found = rates("one_cycle", 10)[:10]
    assert found[0] == pytest.approx(0.1 / 25)
    assert found[1] == pytest.approx((0.1 / 25 + 0.1) / 2)
    assert found[2] == pytest.approx(0.1) == max(found)
    assert found[9] == pytest.approx(0.1 / 25 / 1e4)
    assert found[2:] == sorted(found[2:], reverse=True)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_schedules_have_their_formula(schedule: Schedule) -> None:
    """Every step has the rate that the schedule's definition gives."""
    expected = [learning_rate_and_momentum(schedule, 0.1, step, 23)[0] for step in range(23)]
    assert rates(schedule, 23)[:23] == pytest.approx(expected, rel=1e-6)


def test_constant_schedule() -> None:
    """Without a schedule there is none to step, and the optimizer's rate stays."""
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=0.1)
    assert build_scheduler(optimizer, "constant", 0.1, 10) is None
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_to_float() -> None:
    """Bytes become numbers from 0 to 1, in a tensor of their own."""
    images = torch.tensor([0, 51, 255], dtype=torch.uint8)
    values = to_float(images, torch.device("cpu"))
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, torch.tensor([0.0, 0.2, 1.0]))
    assert images.tolist() == [0, 51, 255]
