"""Randomness in a scope, and devices by name."""

from contextlib import suppress

import pytest
import torch

from emoji_ae.seeding import resolve_device, seeded

CPU = torch.device("cpu")


def test_seed_decides_both_streams() -> None:
    """Both streams follow from the seed alone; the global generator is as it was before."""
    streams = set()
    for seed in (0, 1, 2**63 - 1):
        drawn = []
        for other in (1, 2):
            with torch.random.fork_rng():
                state = torch.manual_seed(other).get_state()
                with suppress(KeyError), seeded(seed, CPU) as generator:
                    weights = torch.rand(3 * other)[:3]
                    drawn.append((weights.tolist(), torch.rand(3, generator=generator).tolist()))
                    raise KeyError("failed")
                assert torch.equal(torch.get_rng_state(), state)
        assert drawn[0] == drawn[1]
        streams.add(str(drawn[0]))
    assert len(streams) == 3


def test_device_names() -> None:
    """CUDA is used exactly where it is, never silently replaced; other names are refused."""
    assert resolve_device("cpu") == CPU
    assert (resolve_device("auto").type == "cuda") == torch.cuda.is_available()
    for name in ("", "CPU", "cuda:0"):
        message = rf"must be auto, cpu, cuda or mps, but got '{name}'\."
        with pytest.raises(ValueError, match=message):
            resolve_device(name)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="must be auto or cpu on a machine without CUDA"):
            resolve_device("cuda")
    if not torch.backends.mps.is_available():
        with pytest.raises(ValueError, match="where torch finds no GPU of a Mac"):
            resolve_device("mps")
