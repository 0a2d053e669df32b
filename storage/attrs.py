"""Names of everything that studies and trials carry beside Optuna's own columns.

Others may give the same names to something else. So in another program's study nothing is read
by them, and in one of ours nothing that is no such thing (``parted``).
"""

from collections.abc import Mapping
from typing import Any

from storage.values import (
    DesignState,
    Experiment,
    ImportedFrom,
    Request,
    Settings,
    Stored,
    StoredTable,
)

# On a study; some are JSON.
UID = Stored("emoji_study:uid", str)  # names its files; databases count studies each from 1
SETTINGS = Stored("settings", Settings)  # what all workers share, see there
KIND = Stored("emoji_study:kind", dict[str, Any])  # what readers need to know of its kind of model
TARGET = Stored("target_trials", int)  # finished trials that were asked for so far, over all runs
REQUEST = Stored("requested_trials", int)  # what the latest request asked for of these
LAST_REQUEST = Stored("emoji_study:last_request", Request)  # see there
DESIGN = Stored("design", DesignState)  # see there
MAX_RETRIES = Stored("max_retries", int)  # tries of a trial after one with an error
EXPERIMENT = Stored("experiment", Experiment)  # what it compares; only where it is one
CONFIRMATION = "confirmation"  # name of the experiments that train a search's best again
TRANSFER = "transfer"  # name of the experiments that do so on other images than the search's
ABLATION = "ablation"  # name of the experiments that take the best configuration of a search apart
TEST_RESULTS = Stored("test_results", dict[str, dict[str, float]])  # by trial's number
IMPORTED = Stored("imported", ImportedFrom)  # where an imported study comes from
KEPT_PICTURES = Stored("kept_pictures", str)  # all (without it), best or none
MEASURES_LATENTS = Stored("measures_latents", bool)  # of a search; experiments always do
BASELINE = Stored("baseline", float)  # objective of a constant prediction, on the validation data
CLASS_COUNTS = Stored("class_counts", dict[str, dict[str, int]])  # images by side and class
NOUN = Stored("emoji_study:noun", str)  # what the examples of its data are called
DATA_REMARKS = Stored("emoji_study:data_remarks", list[str])  # what was left out or changed

# On a trial, written when it starts.
SEED = Stored("seed", int)
REPLICATE = Stored("replicate", int)
WORKER = Stored("worker", str)  # the process that runs the trial, as ``queue.worker_id`` names it
DEVICE = Stored("device", str)
THREADS = Stored("threads", int)
CODE_VERSION = Stored("code_version", str)
KIND_DIGEST = Stored("emoji_study:kind_digest", str)  # of the file of a user's kind
ENVIRONMENT = Stored("environment", str)  # versions, system and cores, for people to read
DATA_FINGERPRINT = Stored("data_fingerprint", str)
RETRY_OF = Stored("retry_of", int)  # number of the failed trial that this one repeats
MEASURED_ON = Stored("measured_on", str)  # ``test`` or ``validation``, of an imported trial
WARM_START = Stored("warm_start", str)  # study and number of the trial whose parameters it took
PAIR = Stored("pair", int)  # number of its pair of an experiment: its seed and its split
ARM = Stored("arm", str)  # name of what the trial stands for in an experiment
SIDES = Stored("sides", str)  # split of an experiment's trial; the study's own without it
ERRORS = Stored("errors", int)  # how many attempts failed by an error before; 0 without it
DEATHS = Stored("deaths", int)  # how many workers died at the trial before; 0 without it
DESIGN_INDEX = Stored("design_index", int)  # of its point in a design drawn in advance

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
CONFUSION = StoredTable("confusion")  # images by class (rows) and predicted class
INFEASIBLE = Stored("infeasible", bool)  # true where it breaks the constraint, else not there
EARLY_STOPPED = Stored("early_stopped", bool)  # true where its error had stopped falling
LAST_VALIDATION_MSE = Stored("last_validation_mse", float)
LAST_TRAIN_MSE = Stored("last_train_mse", float)
EPOCHS_RUN = Stored("epochs_run", int)
RESUMED_EPOCHS = Stored("resumed_epochs", int)  # that earlier attempts had trained
TRAINING_SECONDS = Stored("training_seconds", float)
PARAMETER_COUNT = Stored("parameter_count", int)
MULTIPLY_ADDS = Stored("multiply_adds", int)  # of one example through the model
CURVES_DIGEST = Stored("curves_digest", str)  # of its curve's file, which may answer others
REUSED_FROM = Stored("reused_from", int)  # whose curve answered it; nothing was trained
FAILURE = Stored("failure", str)  # why it failed, one line; without it, its worker died
DIVERGED = "diverged"  # beginning of the reason of a training whose error became NaN or infinite

# File names of a trial's artifacts, in the order of their upload.
RECONSTRUCTIONS_FILE = "reconstructions.png"
LEARNING_CURVE_FILE = "learning_curve.png"
CURVES_FILE = "curves.csv"
FILES = (RECONSTRUCTIONS_FILE, LEARNING_CURVE_FILE, CURVES_FILE)
GALLERY_FILE = "latent_gallery.png"  # of a confirmation: sums of emoji by its best model
PICTURES_ENTRY = "pictures"  # the PNG's text about its columns: JSON objects of text, role, mse
SAMPLE = "sample"  # role of an image that all trials of a study show

_STORED = {str(name): name for name in list(vars().values()) if isinstance(name, Stored)}


def has_diverged(user_attrs: Mapping[str, Any]) -> bool:
    """Whether the trial of these attributes failed as its error became NaN or infinite."""
    return (FAILURE.among(user_attrs) or "").startswith(DIVERGED)


def tested_examples(number: int) -> Stored[list[list[float]]]:
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
