"""Names of everything that studies and trials carry beside Optuna's own columns."""

# On a study.
SETTINGS = "settings"
"""What every worker must share: kind, space, sampler, pruner, seeds, data (a JSON object)."""
TARGET = "target_trials"
"""Finished trials that were asked for so far, over all runs."""
REQUEST = "requested_trials"
"""Finished trials that the latest request asked for, a part of the target."""

# On a trial, written when it starts.
SEED = "seed"
REPLICATE = "replicate"
WORKER = "worker"
"""``host:pid`` of the process that runs the trial."""
DEVICE = "device"
THREADS = "threads"
CODE_VERSION = "code_version"
DATA_FINGERPRINT = "data_fingerprint"
RETRY_OF = "retry_of"
"""Number of the failed trial that this one repeats."""
DESIGN_INDEX = "design_index"
"""Position of the trial's point in a design that is drawn in advance (grid, random, qmc)."""

# On a trial, written when it ends, whatever its state.
VALIDATION_MSE = "validation_mse"
"""Lowest reconstruction error on the validation split, the error of the kept weights."""
BEST_EPOCH = "best_epoch"
"""Epoch of the lowest validation error, counted from 1."""
LAST_VALIDATION_MSE = "last_validation_mse"
LAST_TRAIN_MSE = "last_train_mse"
EPOCHS_RUN = "epochs_run"
TRAINING_SECONDS = "training_seconds"
PARAMETER_COUNT = "parameter_count"
FAILURE = "failure"
"""Why a failed trial failed, one line; without it, its worker died."""
DIVERGED = "diverged"
"""Beginning of the reason of a training whose error became NaN or infinite."""

# File names of a trial's artifacts, in the order of their upload.
RECONSTRUCTIONS_FILE = "reconstructions.png"
CURVES_FILE = "curves.csv"
TEXTS_ENTRY = "texts"
"""The PNG's text entry that says what each image shows, a JSON list."""
