"""Names of everything that studies and trials carry beside Optuna's own columns.

Others may give the same names to something else. So in another program's study nothing is read
by them, and in one of ours nothing that is no such thing (``parted``).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

# On a study; some are JSON.
UID = "emoji_study:uid"  # names its files: random, for databases count studies each from 1
SETTINGS = "settings"  # what all workers share: kind, space, sampler, pruner, seeds, data, split
KIND = "emoji_study:kind"  # what readers need to know of its kind of model: metrics, space, ...
TARGET = "target_trials"  # finished trials that were asked for so far, over all runs
REQUEST = "requested_trials"  # those that the latest request asked for, a part of the target
LAST_REQUEST = "emoji_study:last_request"  # the target that it made, its replicate, if it is open
DESIGN = "design"  # of the next new trial: its point, the one behind the last, the replicate
MAX_RETRIES = "max_retries"  # how often a trial is tried again that failed by an error
EXPERIMENT = "experiment"  # what an experiment compares; only on a study that is one
CONFIRMATION = "confirmation"  # name of the experiments that train a search's best again
TRANSFER = "transfer"  # name of the experiments that do so on other images than the search's
ABLATION = "ablation"  # name of the experiments that take the best configuration of a search apart
TEST_RESULTS = "test_results"  # errors of confirmed models on the test split, by trial's number
TEST_EXAMPLES = "emoji_study:test_examples:"  # before a trial's number: groups of test examples
IMPORTED = "imported"  # where an imported study comes from: name of the file, number of its rows
KEPT_PICTURES = "kept_pictures"  # whose pictures a study keeps: all (without it), best or none
MEASURES_LATENTS = "measures_latents"  # True where a search does; experiments always do
BASELINE = "baseline"  # objective of a constant prediction, on the validation data
CLASS_COUNTS = "class_counts"  # training and validation images of each class, by name
DATA_REMARKS = "emoji_study:data_remarks"  # what was left out of its data, or changed; texts

# On a trial, written when it starts.
SEED = "seed"
REPLICATE = "replicate"
WORKER = "worker"  # the process that runs the trial, as ``queue.worker_id`` names it
DEVICE = "device"
THREADS = "threads"
CODE_VERSION = "code_version"
KIND_DIGEST = "emoji_study:kind_digest"  # of the file of a user's kind that trained the trial
ENVIRONMENT = "environment"  # versions of what it ran with, system and cores, for people to read
DATA_FINGERPRINT = "data_fingerprint"
RETRY_OF = "retry_of"  # number of the failed trial that this one repeats
MEASURED_ON = "measured_on"  # split of an imported trial's metrics, ``test`` or ``validation``
WARM_START = "warm_start"  # study and number of the trial whose parameters it was told to take
PAIR = "pair"  # number of its pair of an experiment: its seed and its split
ARM = "arm"  # name of what the trial stands for in an experiment
SIDES = "sides"  # split of an experiment's trial; the study's own without it
ERRORS = "errors"  # how many attempts at the trial failed by an error before; 0 without it
DEATHS = "deaths"  # how many workers died at the trial before; 0 without it
DESIGN_INDEX = "design_index"  # of its point in a design drawn in advance (grid, random, qmc)

# On a trial, written when it ends, whatever its state.
VALIDATION_MSE = "validation_mse"  # the lowest reconstruction error, that of the kept weights
BEST_EPOCH = "best_epoch"  # epoch of the lowest validation error, counted from 1
VALIDATION_CROSS_ENTROPY = "validation_cross_entropy"
VALIDATION_ACCURACY = "validation_accuracy"  # share that the kept weights classify correctly
VALIDATION_BALANCED_ACCURACY = "validation_balanced_accuracy"  # mean of that over the classes
# Of the next five see ``emoji_ae.latent_quality``; only where latents were measured.
LATENT_ATTRIBUTE_AUC = "latent_attribute_auc"
LATENT_ANALOGY_RANK = "latent_analogy_rank"
LATENT_PATH_SMOOTHNESS = "latent_path_smoothness"
LATENT_PROBE_ACCURACY = "latent_probe_accuracy"
LATENT_VARIANCE_USED = "latent_variance_used"
CONFUSION = "confusion"  # validation images by class (rows), predicted class; ``CLASSES``' order
INFEASIBLE = "infeasible"  # True where it breaks the constraint on accuracy, else not there
EARLY_STOPPED = "early_stopped"  # True where it ended as its validation error had stopped falling
LAST_VALIDATION_MSE = "last_validation_mse"
LAST_TRAIN_MSE = "last_train_mse"
EPOCHS_RUN = "epochs_run"
RESUMED_EPOCHS = "resumed_epochs"  # that earlier attempts had trained; only where this went on
TRAINING_SECONDS = "training_seconds"
PARAMETER_COUNT = "parameter_count"
MULTIPLY_ADDS = "multiply_adds"  # of one example through the model; not with earlier versions
CURVES_DIGEST = "curves_digest"  # of its curve's file, which answers others if it is undamaged
REUSED_FROM = "reused_from"  # number of the trial whose curve answered it; nothing was trained
FAILURE = "failure"  # why a failed trial failed, one line; without it, its worker died
DIVERGED = "diverged"  # beginning of the reason of a training whose error became NaN or infinite

# File names of a trial's artifacts, in the order of their upload.
RECONSTRUCTIONS_FILE = "reconstructions.png"
LEARNING_CURVE_FILE = "learning_curve.png"
CURVES_FILE = "curves.csv"
FILES = (RECONSTRUCTIONS_FILE, LEARNING_CURVE_FILE, CURVES_FILE)
GALLERY_FILE = "latent_gallery.png"  # of a confirmation: sums of emoji by its best model
PICTURES_ENTRY = "pictures"  # the PNG's text about its columns: JSON objects of text, role, mse
SAMPLE = "sample"  # role of an image that all trials of a study show
LOWEST = "lowest"  # role of an image with one of a trial's lowest reconstruction errors
MEDIAN = "median"
HIGHEST = "highest"

_Shape = Callable[[Any], bool]
"""Says whether a value is what this package stores under a name."""


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not _flag(value)


def _number(value: Any) -> bool:
    return _real(value) and math.isfinite(value)


def _list_of(shape: _Shape) -> _Shape:
    return lambda value: isinstance(value, list) and all(map(shape, value))


def _dict_of(shape: _Shape) -> _Shape:
    return lambda value: isinstance(value, dict) and all(map(shape, value.values()))


def _dict_with(**shapes: _Shape) -> _Shape:
    return lambda value: (
        isinstance(value, dict)
        and all(name in value and shape(value[name]) for name, shape in shapes.items())
    )


def _table(value: Any) -> bool:
    return _list_of(_list_of(_number))(value) and all(len(row) == len(value) for row in value)


_SHAPES: dict[str, _Shape] = {
    **dict.fromkeys((UID, CONFIRMATION, TRANSFER, ABLATION, KEPT_PICTURES), _text),
    **dict.fromkeys((TARGET, REQUEST, MAX_RETRIES, BASELINE), _number),
    **dict.fromkeys((SETTINGS, KIND, LAST_REQUEST, DESIGN, EXPERIMENT), _dict_with()),
    TEST_RESULTS: _dict_of(_dict_of(_real)),
    CLASS_COUNTS: _dict_of(_dict_of(_number)),
    IMPORTED: _dict_with(file=_text),
    **dict.fromkeys((MEASURES_LATENTS, INFEASIBLE, EARLY_STOPPED), _flag),
    **dict.fromkeys((WORKER, DEVICE, CODE_VERSION, KIND_DIGEST, ENVIRONMENT), _text),
    **dict.fromkeys((DATA_FINGERPRINT, MEASURED_ON, WARM_START, ARM, SIDES), _text),
    **dict.fromkeys((CURVES_DIGEST, FAILURE), _text),
    **dict.fromkeys((SEED, REPLICATE, THREADS, RETRY_OF, PAIR, ERRORS, DEATHS), _number),
    **dict.fromkeys((DESIGN_INDEX, BEST_EPOCH, EPOCHS_RUN, RESUMED_EPOCHS), _number),
    **dict.fromkeys((TRAINING_SECONDS, PARAMETER_COUNT, MULTIPLY_ADDS, REUSED_FROM), _number),
    CONFUSION: _table,
    DATA_REMARKS: _list_of(_text),
}


def is_ours(study_attrs: Mapping[str, Any]) -> bool:
    """Whether a study's user attributes are those of one that this package made or imported."""
    settings = study_attrs.get(SETTINGS)
    names = ("kind", "space", "sampler", "pruner", "data_fingerprint")
    return (
        isinstance(settings, Mapping)
        and all(isinstance(settings.get(name), str) for name in names)
        and isinstance(settings.get("fixed", {}), Mapping)
    )


def parted(
    user_attrs: Mapping[str, Any], *, ours: bool
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Part user attributes of a study, or of its trials, into what we wrote and all others."""
    if not ours:
        return {}, user_attrs
    others = {
        name: value
        for name, value in user_attrs.items()
        if name in _SHAPES and not _SHAPES[name](value)
    }
    if not others:
        return user_attrs, others
    return {name: v for name, v in user_attrs.items() if name not in others}, others
