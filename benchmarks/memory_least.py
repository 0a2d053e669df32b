"""The least that a training needs: torch, the data, a model and its optimizer; prints kB."""

import sys

import torch

from benchmarks.measure import peak_kb
from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import LabelledImages
from emoji_ae.training import train_model

if __name__ == "__main__":
    torch.set_num_threads(1)
    tensors = torch.load(sys.argv[1], weights_only=True)
    config = AutoencoderConfig(epoch=2)
    sides = (
        LabelledImages(images=images, labels=torch.zeros(len(images), dtype=torch.int64))
        for images in (tensors["train"], tensors["validation"])
    )
    train_model(config, *sides, seed=0)
    sys.stdout.write(f"{peak_kb()}\n")
