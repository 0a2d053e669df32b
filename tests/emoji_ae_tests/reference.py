"""What several tests of training need: small pictures, and parts of training written out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from emoji_ae.config import AutoencoderConfig, config_from_dict
from emoji_ae.dataset import EmojiDataset
from emoji_ae.models import Autoencoder, build_model
from emoji_ae.splits import Split


def pictures(n: int, seed: int) -> Tensor:
    """Return ``(n, 3, 64, 64)`` uint8: white, with a disc of random place, size and colour."""
    generator = torch.Generator().manual_seed(seed)
    x, y, radius = (torch.rand(3, n, 1, 1, generator=generator) * 20 + 10).unbind()
    colours = torch.randint(0, 200, (n, 3, 1, 1), generator=generator)
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    disc = (columns - x - 10).square() + (rows - y - 10).square() < radius.square()
    return torch.where(disc.unsqueeze(1), colours, 255).to(torch.uint8)


def with_fields(config: AutoencoderConfig, **fields: Any) -> AutoencoderConfig:
    """Return a configuration with other values of some fields, the classifier's among them."""
    return config_from_dict(config.to_dict() | fields)


def initial_model(config: AutoencoderConfig, seed: int) -> Autoencoder:
    """Return the model that a training starts from."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_model(config)


def write_data(path: Path, texts: Sequence[str], images: Sequence[bytes | None]) -> Path:
    """Write a data set file of texts and image files; return its path."""
    rows = [{"bytes": image} for image in images]
    pq.write_table(pa.table({"text": pa.array(texts, pa.string()), "image": rows}), path)
    return path


def leaking_groups(dataset: EmojiDataset, split: Split) -> int:
    """Count the groups with images in the training set and in validation or test too."""
    train, judged = (
        {group for row in rows for group in dataset.groups_of(row)}
        for rows in (split.train, split.validation + split.test)
    )
    return len(train & judged)
