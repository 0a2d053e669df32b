"""What a training minimises for the autoencoder: the squared error, and what may be added."""

from torch import Tensor

from emoji_ae.augment import LUMA_WEIGHTS
from emoji_ae.config import AutoencoderConfig
from emoji_ae.models import Autoencoder


def reconstruction_loss(
    config: AutoencoderConfig,
    model: Autoencoder,
    reconstructions: Tensor,
    images: Tensor,
    mse: Tensor,
) -> Tensor:
    """Return the loss of a batch: its squared error and the weighted terms that are switched on.

    To be called directly after the forward pass that gave ``reconstructions``, in training mode.
    """
    loss = mse
    if config.edge_weight:
        loss = loss + config.edge_weight * edge_error(reconstructions, images)
    if config.color_weight:
        loss = loss + config.color_weight * color_error(reconstructions, images)
    if config.kl_weight:
        divergence = model.divergence()
        assert divergence is not None  # built with the same configuration
        loss = loss + config.kl_weight * divergence / images[0].numel()
    return loss


def edge_error(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Return the mean squared error of the differences between neighbouring pixels.

    Blurred edges cost much here and little in the squared error of the pixels.

    Source: the gradient difference loss, with squares, of Mathieu, Couprie, LeCun, "Deep
        multi-scale video prediction beyond mean square error", ICLR 2016, arXiv:1511.05440.
    """
    wrong = reconstructions - images
    return (wrong.diff(dim=-1).square().mean() + wrong.diff(dim=-2).square().mean()) / 2


def color_error(reconstructions: Tensor, images: Tensor) -> Tensor:
    """Return the mean squared error of the colours without their lightness.

    Grey where there should be pink costs as much as pink where there should be grey.

    Source: colour difference signals of ITU-R BT.601, unscaled.
    """
    wrong = reconstructions - images
    weights = wrong.new_tensor(LUMA_WEIGHTS).view(3, 1, 1)
    return (wrong - (wrong * weights).sum(dim=1, keepdim=True)).square().mean()
