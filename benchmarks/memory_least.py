"""The least that a training needs: torch, the data, a model and its optimizer; prints kB."""

import sys

import torch

from benchmarks.measure import peak_kb
from emoji_ae.config import AutoencoderConfig
from emoji_ae.train import train_autoencoder

if __name__ == "__main__":
    torch.set_num_threads(1)
    tensors = torch.load(sys.argv[1], weights_only=True)
    config = AutoencoderConfig(epoch=2)
    train_autoencoder(config, tensors["train"], tensors["validation"], seed=0)
    sys.stdout.write(f"{peak_kb()}\n")
