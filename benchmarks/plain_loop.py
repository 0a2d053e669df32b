"""The training loop as a user of plain PyTorch writes it: the baseline.

Images stay encoded, are decoded and transformed by PIL one by one, and batched by a DataLoader;
Adam as it comes, and the loss read after every step.
"""

import io
import time
from collections.abc import Sequence

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
    """Encoded images, decoded and transformed when they are asked for."""

    def __init__(self, files: Sequence[bytes], transform: transforms.Compose) -> None:
        self.files = files
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        image: torch.Tensor = self.transform(Image.open(io.BytesIO(self.files[i])).convert("RGB"))
        return image


def train_plainly(
    config: AutoencoderConfig, train: Sequence[bytes], validation: Sequence[bytes], *, seed: int
) -> tuple[float, float]:
    """Train for ``config.epoch`` epochs; return seconds per epoch and the last validation MSE."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    loader = DataLoader(
        PngImages(train, TRAIN_TRANSFORM), batch_size=config.batch_size, shuffle=True
    )
    validation_loader = DataLoader(
        PngImages(validation, VALIDATION_TRANSFORM), batch_size=config.batch_size
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
