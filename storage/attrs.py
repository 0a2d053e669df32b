"""Names of everything that studies and trials carry beside Optuna's own columns.

Others may give the same names to something else. So in another program's study nothing is read
by them, and in one of ours nothing that is no such thing (``parted``).
"""

from collections.abc import Mapping
from typing import Any

from storage.values import DesignState, Experiment, ImportedFrom, Owner, Request, Settings, Stored

# On a study; some are JSON.
# Names its files: random, for databases count studies each from 1.
UID = Stored("emoji_study:uid", str)
# What all workers share: kind, space, sampler, pruner, seeds, data, split.
SETTINGS = Stored("settings", Settings)
# What readers need to know of its kind of model: metrics, space, ....
KIND = Stored("emoji_study:kind", dict[str, Any])
TARGET = Stored("target_trials", int)  # finished trials that were asked for so far, over all runs
# Those that the latest request asked for, a part of the target.
REQUEST = Stored("requested_trials", int)
# The target that it made, its replicate, if it is open.
LAST_REQUEST = Stored("emoji_study:last_request", Request)
# Of the next new trial: its point, the one behind the last, the replicate.
DESIGN = Stored("design", DesignState)
# How often a trial is tried again that failed by an error.
MAX_RETRIES = Stored("max_retries", int)
# What an experiment compares; only on a study that is one.
EXPERIMENT = Stored("experiment", Experiment)
CONFIRMATION = "confirmation"  # name of the experiments that train a search's best again
TRANSFER = "transfer"  # name of the experiments that do so on other images than the search's
ABLATION = "ablation"  # name of the experiments that take the best configuration of a search apart
# Errors of confirmed models on the test split, by trial's number.
TEST_RESULTS = Stored("test_results", dict[str, dict[str, float]])
# Where an imported study comes from: name of the file, number of its rows.
IMPORTED = Stored("imported", ImportedFrom)
# Whose pictures a study keeps: all (without it), best or none.
KEPT_PICTURES = Stored("kept_pictures", str)
# True where a search does; experiments always do.
MEASURES_LATENTS = Stored("measures_latents", bool)
BASELINE = Stored("baseline", float)  # objective of a constant prediction, on the validation data
# Training and validation images of each class, by name.
CLASS_COUNTS = Stored("class_counts", dict[str, dict[str, int]])
# What was left out of its data, or changed; texts.
DATA_REMARKS = Stored("emoji_study:data_remarks", list[str])

# On a trial, written when it starts.
SEED = Stored("seed", int)
REPLICATE = Stored("replicate", int)
WORKER = Stored("worker", str)  # the process that runs the trial, as ``queue.worker_id`` names it
DEVICE = Stored("device", str)
THREADS = Stored("threads", int)
CODE_VERSION = Stored("code_version", str)
# Of the file of a user's kind that trained the trial.
KIND_DIGEST = Stored("emoji_study:kind_digest", str)
# Versions of what it ran with, system and cores, for people to read.
ENVIRONMENT = Stored("environment", str)
DATA_FINGERPRINT = Stored("data_fingerprint", str)
RETRY_OF = Stored("retry_of", int)  # number of the failed trial that this one repeats
# Split of an imported trial's metrics, ``test`` or ``validation``.
MEASURED_ON = Stored("measured_on", str)
# Study and number of the trial whose parameters it was told to take.
WARM_START = Stored("warm_start", str)
PAIR = Stored("pair", int)  # number of its pair of an experiment: its seed and its split
ARM = Stored("arm", str)  # name of what the trial stands for in an experiment
SIDES = Stored("sides", str)  # split of an experiment's trial; the study's own without it
# How many attempts at the trial failed by an error before; 0 without it.
ERRORS = Stored("errors", int)
DEATHS = Stored("deaths", int)  # how many workers died at the trial before; 0 without it
# Of its point in a design drawn in advance (grid, random, qmc).
DESIGN_INDEX = Stored("design_index", int)

# On a trial, written when it ends, whatever its state.
VALIDATION_MSE = "validation_mse"  # the lowest reconstruction error, that of the kept weights
BEST_EPOCH = Stored("best_epoch", int)  # epoch of the lowest validation error, counted from 1
VALIDATION_CROSS_ENTROPY = "validation_cross_entropy"
VALIDATION_ACCURACY = "validation_accuracy"  # share that the kept weights classify correctly
VALIDATION_BALANCED_ACCURACY = "validation_balanced_accuracy"  # mean of that over the classes
# Of the next five see ``emoji_ae.latent_quality``; only where latents were measured.
LATENT_ATTRIBUTE_AUC = "latent_attribute_auc"
LATENT_ANALOGY_RANK = "latent_analogy_rank"
LATENT_PATH_SMOOTHNESS = "latent_path_smoothness"
LATENT_PROBE_ACCURACY = "latent_probe_accuracy"
LATENT_VARIANCE_USED = "latent_variance_used"
# Validation images by class (rows), predicted class; ``CLASSES``' order.
CONFUSION = Stored("confusion", list[list[int]])
# True where it breaks the constraint on accuracy, else not there.
INFEASIBLE = Stored("infeasible", bool)
# True where it ended as its validation error had stopped falling.
EARLY_STOPPED = Stored("early_stopped", bool)
LAST_VALIDATION_MSE = Stored("last_validation_mse", float)
LAST_TRAIN_MSE = Stored("last_train_mse", float)
EPOCHS_RUN = Stored("epochs_run", int)
# That earlier attempts had trained; only where this went on.
RESUMED_EPOCHS = Stored("resumed_epochs", int)
TRAINING_SECONDS = Stored("training_seconds", float)
PARAMETER_COUNT = Stored("parameter_count", int)
# Of one example through the model; not with earlier versions.
MULTIPLY_ADDS = Stored("multiply_adds", int)
# Of its curve's file, which answers others if it is undamaged.
CURVES_DIGEST = Stored("curves_digest", str)
# Number of the trial whose curve answered it; nothing was trained.
REUSED_FROM = Stored("reused_from", int)
# Why a failed trial failed, one line; without it, its worker died.
FAILURE = Stored("failure", str)
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

_STORED = {str(name): name for name in list(vars().values()) if isinstance(name, Stored)}


def has_diverged(trial: Owner) -> bool:
    """Whether a trial failed as its error became NaN or infinite."""
    return (FAILURE.of(trial) or "").startswith(DIVERGED)


def test_examples(number: int) -> Stored[list[list[float]]]:
    """Return where a study keeps groups of a trial's test examples: size and mean of each."""
    return Stored(f"emoji_study:test_examples:{number}", list[list[float]])


def is_ours(study_attrs: Mapping[str, Any]) -> bool:
    """Whether a study's user attributes are those of one that this package made or imported."""
    return SETTINGS.among(study_attrs) is not None


def parted(
    user_attrs: Mapping[str, Any], *, ours: bool
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Part user attributes of a study, or of its trials, into what we wrote and all others."""
    if not ours:
        return {}, user_attrs
    others = {
        name: value
        for name, value in user_attrs.items()
        if name in _STORED and _STORED[name].read(value) is None
    }
    if not others:
        return user_attrs, others
    return {name: v for name, v in user_attrs.items() if name not in others}, others
