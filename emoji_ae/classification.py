"""How well images are classified when some classes are rare."""

import torch
from torch import Tensor

from emoji_ae.labels import CLASSES


def count_classes(labels: Tensor) -> Tensor:
    """Return the number of images of each class, ``(classes,)`` int64, of labels ``(n,)``."""
    return torch.bincount(labels, minlength=len(CLASSES))


def class_weights(labels: Tensor) -> Tensor:
    """Return weights in inverse proportion to the size of the classes, ``(classes,)`` float32.

    Of a class they are ``n / (classes with images * images of the class)``, without images 0.

    Source: the ``balanced`` weights of ``sklearn.utils.class_weight.compute_class_weight``.
    """
    counts = count_classes(labels)
    present = counts > 0
    weights = len(labels) / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, 0.0)


def confusion_matrix(predicted: Tensor, labels: Tensor) -> Tensor:
    """Count images by class, in rows, and by predicted class, in columns: int64."""
    n = len(CLASSES)
    return torch.bincount(labels * n + predicted, minlength=n * n).view(n, n)


def balanced_accuracy(confusion: Tensor) -> Tensor:
    """Return the mean recall of the classes that have images, a scalar in [0, 1].

    Source: Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution", ICPR 2010.
    """
    counts = confusion.sum(dim=1)
    present = counts > 0
    return (confusion.diagonal()[present] / counts[present]).mean()
