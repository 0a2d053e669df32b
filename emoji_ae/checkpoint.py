"""Trained autoencoders on disk: weights with the configuration and the data they belong to."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from emoji_ae.config import AutoencoderConfig, config_from_dict
from emoji_ae.curve import EpochMetrics, metrics_from_dict
from emoji_ae.errors import CheckpointError
from emoji_ae.files import load_content, whole_file
from emoji_ae.models import Autoencoder, build_model

_FORMAT = "emoji-study autoencoder 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A trained autoencoder, on the CPU in evaluation mode, and where it came from."""

    model: Autoencoder
    config: AutoencoderConfig
    seed: int
    data_fingerprint: str
    curve: tuple[EpochMetrics, ...]


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint, whole or not at all; raise a CheckpointError if it cannot be written."""
    content = {
        "format": _FORMAT,
        "config": checkpoint.config.to_dict(),
        "seed": checkpoint.seed,
        "data_fingerprint": checkpoint.data_fingerprint,
        "curve": [asdict(metrics) for metrics in checkpoint.curve],
        "weights": checkpoint.model.state_dict(),
    }
    try:
        with whole_file(path) as partial:
            torch.save(content, partial)
    except (OSError, RuntimeError, ValueError) as error:
        # torch turns some write errors into RuntimeError; a path like "." is a ValueError.
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"Checkpoint {path} cannot be written: {reason}") from None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint without running code from it (``weights_only``).

    Raises:
        CheckpointError: If the file is missing, damaged, or no checkpoint of an autoencoder.
    """
    try:
        content = load_content(path)
    except FileNotFoundError:
        raise CheckpointError(f"Checkpoint {path} does not exist.") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CheckpointError(f"Checkpoint {path} cannot be read: {reason}.") from None
    except Exception as error:  # damaged files raise anything from EOFError to KeyError
        raise CheckpointError(
            f"Checkpoint {path} cannot be read: it is damaged or no checkpoint "
            f"({type(error).__name__})."
        ) from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(f"Checkpoint {path} is not one of emoji-study's autoencoders.")
    try:
        config = config_from_dict(content["config"])
        model = build_model(config)
        model.load_state_dict(content["weights"])
        curve = tuple(metrics_from_dict(metrics) for metrics in content["curve"])
        seed, fingerprint = int(content["seed"]), str(content["data_fingerprint"])
    except Exception as error:  # crafted content raises anything
        reason = " ".join(str(error).split())
        raise CheckpointError(f"Checkpoint {path} does not fit its model: {reason}") from None
    return Checkpoint(
        model=model.eval(), config=config, seed=seed, data_fingerprint=fingerprint, curve=curve
    )


def load_training(
    path: Path, *, config: AutoencoderConfig, seed: int, data_fingerprint: str
) -> Checkpoint:
    """Read the checkpoint of a certain training; raise a CheckpointError if it is of another."""
    checkpoint = load_checkpoint(path)
    found = (checkpoint.config, checkpoint.seed, checkpoint.data_fingerprint)
    if found != (config, seed, data_fingerprint):
        raise CheckpointError(f"Checkpoint {path} is of another training.")
    return checkpoint
