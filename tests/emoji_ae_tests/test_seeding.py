"""Randomness in a scope, and devices by name."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.seeding import resolve_device, seeded

CPU = torch.device("cpu")


@given(seed=st.integers(0, 2**63 - 1))
def test_same_seed_same_numbers(seed: int) -> None:
    """Within the block both streams follow from the seed alone."""
    numbers = []
    with torch.random.fork_rng():
        for other in (1, 2):
            torch.manual_seed(other)
            with seeded(seed, CPU) as generator:
                numbers.append((torch.rand(3), torch.rand(3, generator=generator)))
    assert torch.equal(numbers[0][0], numbers[1][0])
    assert torch.equal(numbers[0][1], numbers[1][1])


def test_other_seed_other_numbers() -> None:
    """Different seeds give different numbers in both streams."""
    globals_, owns = set(), set()
    for seed in range(20):
        with seeded(seed, CPU) as generator:
            globals_.add(torch.rand(1).item())
            owns.add(torch.rand(1, generator=generator).item())
    assert len(globals_) == len(owns) == 20


def test_global_state_comes_back() -> None:
    """After the block the global generator goes on as if the block had not been."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = torch.rand(4)
        torch.manual_seed(0)
        first = torch.rand(2)
        with seeded(9, CPU):
            torch.rand(100)
        assert torch.equal(torch.cat([first, torch.rand(2)]), expected)


def test_global_state_comes_back_after_an_error() -> None:
    """An error in the block does not leave its seed behind."""
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="shape"), seeded(9, CPU):
        torch.rand(1).view(7)
    assert torch.equal(torch.get_rng_state(), state)


def test_blocks_nest() -> None:
    """A block within another does not disturb it."""
    with seeded(1, CPU) as outer:
        expected = torch.rand(1), torch.rand(1, generator=outer)
    with seeded(1, CPU) as outer:
        with seeded(2, CPU) as inner:
            torch.rand(5)
            torch.rand(5, generator=inner)
        assert torch.equal(torch.rand(1), expected[0])
        assert torch.equal(torch.rand(1, generator=outer), expected[1])


def test_streams_are_apart() -> None:
    """What initial weights draw does not change what order and augmentation get."""
    drawn = []
    for n_weights in (0, 1000):
        with seeded(3, CPU) as generator:
            torch.rand(n_weights)
            drawn.append(torch.rand(4, generator=generator))
    assert torch.equal(*drawn)
    with seeded(3, CPU) as generator:
        assert generator.device == CPU
        assert generator is not torch.default_generator


def test_device_names() -> None:
    """The CPU is always there, and ``auto`` is CUDA exactly where it is available."""
    assert resolve_device("cpu") == CPU
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == expected


@pytest.mark.parametrize("name", ["", "CPU", "gpu", "cuda:0", "mps", " cpu"])
def test_unknown_device(name: str) -> None:
    """A name that is none of the three is refused."""
    with pytest.raises(ValueError, match=rf"must be auto, cpu or cuda, but got '{name}'\."):
        resolve_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_missing_cuda() -> None:
    """CUDA is not silently replaced by the CPU."""
    with pytest.raises(ValueError, match="must be auto or cpu on a machine without CUDA"):
        resolve_device("cuda")
