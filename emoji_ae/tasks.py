"""What trainings minimise and measure: reconstruction, classification, or both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoji_ae.classification import balanced_accuracy, confusion_matrix
from emoji_ae.config import AutoencoderConfig
from emoji_ae.curve import EpochMetrics
from emoji_ae.evaluation import image_errors, reconstruction_errors
from emoji_ae.losses import reconstruction_loss
from emoji_ae.models import Autoencoder, MultitaskAutoencoder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reconstruction:
    """Minimises the error of the reconstructions; a classifier of the model is left alone.

    Validation images are ``(m, 3, 64, 64)`` float32 in [0, 1], in the layout of the model.
    """

    judged_by = "validation_mse"

    config: AutoencoderConfig
    model: Autoencoder
    validation: Tensor

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return all parameters."""
        return self.model.parameters()

    def step(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch's loss, and the sum of its images' errors."""
        reconstructions = self.model(inputs)
        mse = functional.mse_loss(reconstructions, inputs)
        loss = reconstruction_loss(self.config, self.model, reconstructions, inputs, mse)
        return loss, mse.detach() * len(inputs)

    def evaluate(self, observed: Sequence[Tensor], rows: Tensor) -> dict[str, float]:
        """Return the errors of an epoch."""
        return {
            "train_mse": _mean(observed, rows).item(),
            "validation_mse": reconstruction_errors(self.model, self.validation).mean().item(),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """The classes of the images, and their weights, ``(classes,)``, or None for equal ones."""

    train: Tensor
    validation: Tensor
    weights: Tensor | None

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy, by class weights where there are some."""
        return functional.cross_entropy(logits, labels, weight=self.weights)

    def validation_values(
        self, logits: Tensor, *, mse: Tensor, total: Tensor, weight: float
    ) -> dict[str, float]:
        """Return the metrics by name; the loss is ``total`` plus the weighted cross-entropy."""
        cross_entropy = self.cross_entropy(logits, self.validation)
        confusion = confusion_matrix(logits.argmax(dim=1), self.validation)
        values = torch.stack(
            [
                mse,
                cross_entropy,
                total + weight * cross_entropy,
                confusion.diagonal().sum() / len(logits),
                balanced_accuracy(confusion),
            ]
        ).tolist()
        names = ("mse", "cross_entropy", "total", "accuracy", "balanced_accuracy")
        return {f"validation_{name}": value for name, value in zip(names, values, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Multitask:
    """Minimises reconstruction error and cross-entropy; with weight 0 only the former."""

    judged_by = "validation_mse"

    config: AutoencoderConfig
    weight: float
    model: MultitaskAutoencoder
    validation: Tensor
    labels: Labels

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return all parameters, or those of encoder and decoder."""
        if self.weight:
            return self.model.parameters()
        return [*self.model.encoder.parameters(), *self.model.decoder.parameters()]

    def step(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch's loss, and the sums of MSE, cross-entropy, loss and accuracy."""
        reconstructions, logits = self.model.forward_tasks(inputs)
        mse = functional.mse_loss(reconstructions, inputs)
        labels = self.labels.train[rows]
        cross_entropy = self.labels.cross_entropy(logits, labels)
        loss = reconstruction_loss(self.config, self.model, reconstructions, inputs, mse)
        # Without weight not even a gradient of zeros may reach the classifier.
        loss = loss + self.weight * cross_entropy if self.weight else loss
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        return loss, torch.stack([mse, cross_entropy, loss, accuracy]).detach() * len(inputs)

    def evaluate(self, observed: Sequence[Tensor], rows: Tensor) -> dict[str, float]:
        """Return the metrics of an epoch."""
        self.model.eval()
        images = self.model.arrange(self.validation)
        with torch.no_grad():
            reconstructions, logits = self.model.forward_tasks(images)
            mse = image_errors(reconstructions, images).mean()
            values = self.labels.validation_values(logits, mse=mse, total=mse, weight=self.weight)
        names = ("train_mse", "train_cross_entropy", "train_total", "train_accuracy")
        return {**dict(zip(names, _mean(observed, rows).tolist(), strict=True)), **values}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrozenLatents:
    """Minimises the cross-entropy of a classifier of latents, ``(m, latents)``, that stay.

    Its epochs have the reconstruction errors of the autoencoder's best one, ``kept``.
    """

    judged_by = "validation_cross_entropy"

    model: nn.Module
    validation: Tensor
    labels: Labels
    kept: EpochMetrics

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return those of the classifier."""
        return self.model.parameters()

    def step(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch's loss, and its logits."""
        logits = self.model(inputs)
        return self.labels.cross_entropy(logits, self.labels.train[rows]), logits.detach()

    def evaluate(self, observed: Sequence[Tensor], rows: Tensor) -> dict[str, float]:
        """Return the metrics of an epoch; its loss is the cross-entropy."""
        self.model.eval()
        with torch.no_grad():
            logits = self.model(self.validation)
            values = self.labels.validation_values(
                logits,
                mse=logits.new_tensor(self.kept.validation_mse),
                total=logits.new_zeros(()),
                weight=1.0,
            )
        logits, labels = torch.cat(list(observed)), self.labels.train[rows]
        cross_entropy = self.labels.cross_entropy(logits, labels).item()
        return {
            "train_mse": self.kept.train_mse,
            "train_cross_entropy": cross_entropy,
            "train_total": cross_entropy,
            "train_accuracy": (logits.argmax(dim=1) == labels).float().mean().item(),
            **values,
        }


def _mean(sums: Sequence[Tensor], rows: Tensor) -> Tensor:
    """Return the mean over an epoch's images of what batches summed over theirs."""
    return sum(sums, start=sums[0].new_zeros(())) / len(rows)
