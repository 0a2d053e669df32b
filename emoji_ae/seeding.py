"""Randomness in a scope: seeded inside, untouched outside."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from emoji_ae.errors import ConfigError


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch's global generators within the block and restore them after it.

    Initial weights come from the global generator. Order of images and augmentation come from
    the yielded one, a stream of its own on the CPU: models of different size see the same
    batches, on every device. A seed is from 0 to 2**63 - 1.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``mps`` into a device; a ConfigError if there is none.

    ``auto`` is never ``mps``, on which nobody has tried whether trainings can be repeated.
    """
    if name not in ("auto", "cpu", "cuda", "mps"):
        raise ConfigError(f"`device` must be auto, cpu, cuda or mps, but got {name!r}.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            "`device` must be auto or cpu where torch finds no GPU of a Mac, but got 'mps'."
        )
    if name == "mps":
        return torch.device(name)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError(
            "`device` must be auto or cpu on a machine without CUDA, but got 'cuda'."
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")
