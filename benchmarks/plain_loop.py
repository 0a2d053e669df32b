"""The training loop as a user of plain PyTorch writes it: the baseline, in two ways.

Images are transformed by PIL one by one, and batched by a DataLoader; Adam as it comes, and the
loss read after every step. They stay encoded and are decoded in each epoch, or are decoded once
into arrays of which each sample is made a picture, as the original notebook did.
"""

import io
import time
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from emoji_ae.config import IMAGE_SIZE, AutoencoderConfig
from emoji_ae.models import build_model

TRAIN_TRANSFORM = transforms.Compose(
    [
        transforms.Resize((IMAGE_SIZE, IMAGE_SIZE)),
        transforms.RandomAffine(
            15, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5, fill=(255, 255, 255)
        ),
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.RandomRotation(20, fill=(255, 255, 255)),
        transforms.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        transforms.ToTensor(),
    ]
)
VALIDATION_TRANSFORM = transforms.Compose(
    [transforms.Resize((IMAGE_SIZE, IMAGE_SIZE)), transforms.ToTensor()]
)


class PngImages(Dataset[torch.Tensor]):
    """Images that are transformed when they are asked for, and decoded then or ``once``."""

    def __init__(
        self, files: Sequence[bytes], transform: transforms.Compose, *, once: bool
    ) -> None:
        self.files = files
        self.transform = transform
        self.arrays = [np.asarray(_decoded(file)) for file in files] if once else None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        picture = (
            _decoded(self.files[i]) if self.arrays is None else Image.fromarray(self.arrays[i])
        )
        image: torch.Tensor = self.transform(picture)
        return image


def _decoded(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file)).convert("RGB")


def train_plainly(
    config: AutoencoderConfig,
    train: Sequence[bytes],
    validation: Sequence[bytes],
    *,
    seed: int,
    once: bool = False,
) -> tuple[float, float]:
    """Train for ``config.epoch`` epochs; return seconds per epoch and the last validation MSE.

    With ``once`` images are decoded once, which counts as well.
    """
    started = time.perf_counter()
    torch.manual_seed(seed)
    loader = DataLoader(
        PngImages(train, TRAIN_TRANSFORM, once=once), batch_size=config.batch_size, shuffle=True
    )
    validation_loader = DataLoader(
        PngImages(validation, VALIDATION_TRANSFORM, once=once), batch_size=config.batch_size
    )
    model = build_model(config)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    criterion = nn.MSELoss()
    validation_mse = float("nan")
    for _ in range(config.epoch):
        model.train()
        train_loss = 0.0
        for images in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), images)
            loss.backward()
            optimizer.step()
            train_loss += loss.item() * len(images)
        model.eval()
        total = 0.0
        with torch.no_grad():
            for images in validation_loader:
                total += criterion(model(images), images).item() * len(images)
        validation_mse = total / len(validation)
    return (time.perf_counter() - started) / config.epoch, validation_mse
