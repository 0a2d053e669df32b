"""The two search spaces of the multitask study."""

from collections.abc import Mapping

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from emoji_ae.config import AutoencoderConfig, multitask_config
from search_spaces.autoencoder import EXTENDED as AUTOENCODER_EXTENDED
from search_spaces.autoencoder import field_values, pop_flag
from search_spaces.autoencoder import to_values as autoencoder_values
from search_spaces.base import Parameter, Scalar, SearchSpace


def to_config(params: Mapping[str, Scalar]) -> AutoencoderConfig:
    """Turn a trial's parameters into its configuration, or raise a ConfigError.

    ``auxiliary_task`` false stands for ``classification_lambda`` 0.
    """
    values = field_values(params)
    if "auxiliary_task" in values and not pop_flag(values, "auxiliary_task"):
        values["classification_lambda"] = 0.0
    return multitask_config(**values)


def to_values(config: AutoencoderConfig) -> dict[str, Scalar]:
    """Return the values of all parameters that stand for a configuration."""
    values = autoencoder_values(config)
    return {**values, "auxiliary_task": values["classification_lambda"] != 0}


NOTEBOOK = SearchSpace(
    name="notebook",
    parameters=(
        # As in the autoencoder's space, long trainings come before those that begin them.
        Parameter("epoch", CategoricalDistribution([200, 100])),
        Parameter("batch_size", CategoricalDistribution([16, 32])),
        Parameter("learning_rate", CategoricalDistribution([1e-4, 1e-3, 1e-2])),
        Parameter("dropout", CategoricalDistribution([0.0, 0.3, 0.5])),
        Parameter("classification_lambda", CategoricalDistribution([0.1, 0.5, 0.7])),
        Parameter("classification_layer_num", CategoricalDistribution([1, 2, 3])),
        Parameter("batch_normalization", CategoricalDistribution([False, True])),
        Parameter("weight_decay", CategoricalDistribution([1e-5, 1e-4, 1e-3])),
    ),
    to_config=to_config,
)
"""The grid of the notebook study: 1,944 points.

Dropout does nothing in a classifier of one layer, so 1,512 of them differ in effect; and half of
these are the beginnings of the other half, so 756 trainings answer them all.
"""

_HIDDEN = {"classification_layer_num": (2, 3)}

EXTENDED = SearchSpace(
    name="extended",
    parameters=(
        *AUTOENCODER_EXTENDED.parameters,
        Parameter("strategy", CategoricalDistribution(["joint", "sequential", "branched"])),
        Parameter("branch_point", IntDistribution(1, 3), when={"strategy": ("branched",)}),
        Parameter(
            "auxiliary_task",
            CategoricalDistribution([True, False]),
            when={"strategy": ("joint", "branched")},
        ),
        Parameter(
            "classification_lambda",
            FloatDistribution(1e-3, 10.0, log=True),
            when={"auxiliary_task": (True,)},
        ),
        Parameter("classification_layer_num", IntDistribution(1, 3)),
        Parameter("classification_width", IntDistribution(32, 512, log=True), when=_HIDDEN),
        Parameter("dropout", FloatDistribution(0.0, 0.7), when=_HIDDEN),
        Parameter("class_weights", CategoricalDistribution([False, True])),
        Parameter("patience", CategoricalDistribution([0, 20, 40])),
    ),
    to_config=to_config,
)
"""What the notebook did not try, and what it proposed: other strategies, early stopping."""
