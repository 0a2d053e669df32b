"""What can be asked: a class per command, whose docstring is the help, and a field per option.

``study.commands.options`` makes the options, and reads them into these values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.errors import StudyError

Say = Callable[[str], None]
REQUIRED = object()
DEFAULT_KIND, DEFAULT_TRIALS = "autoencoder", 40
CONFIRM_SEEDS = 6
"""The fewest seeds of a confirmation that tell what is seed, what is split and what is choice."""

OF_A_STUDY = dict.fromkeys(("--storage", "--trial"), "belongs to --study: name the study.")


def option(
    help: str = "",
    default: object = None,
    *,
    name: str | None = None,
    positional: bool = False,
    low: float | None = None,
    high: float | None = None,
    metavar: str | None = None,
    env: str | None = None,
    read: Callable[[Any], object] | None = None,
    many: bool = False,
    without: tuple[str, ...] = (),
) -> Any:
    """Return a field, as ``dataclasses.field`` does, that the command line asks for.

    Args:
        default: ``REQUIRED`` for none.
        name: Of the option, if it is not the field's.
        positional: Whether it is asked for without a name.
        low, high: Range of a number.
        metavar: What stands for the value in the help.
        env: Environment variable of the default.
        read: Makes the value of the text that was given or None; of all texts, if it is ``many``.
        many: Whether it may be repeated, as every tuple may.
        without: Of a request in a request: fields that are not asked for.
    """
    said = {
        "help": help,
        "default": default,
        "name": name,
        "positional": positional,
        "low": low,
        "high": high,
        "metavar": metavar,
        "env": env,
        "read": read,
        "many": many,
        "without": without,
    }
    if default is REQUIRED:
        return field(metadata=said)
    return field(default_factory=lambda: default, metadata=said)


def _accept_change() -> Any:
    return option(
        "Go on though the code of the study's own kind has changed; trials from then on are "
        "marked.",
        False,
    )


def _assignments(texts: Sequence[str]) -> Mapping[str, str]:
    assignments: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator:
            raise ValueError(f"{text!r} is not of the form PARAM=VALUE.")
        if name in assignments:
            raise ValueError(f"--set {name} comes twice; give one value.")
        assignments[name] = value.strip()
    return assignments


def _directions(texts: Sequence[str]) -> tuple[str, ...]:
    found = tuple(part.strip() for text in texts for part in text.split(","))
    for part in found:
        if part not in ("minimize", "maximize"):
            raise ValueError(f"must be minimize or maximize, but got {part!r}.")
    return found


def _vendors(text: str | None) -> Mapping[str, Any]:
    return {} if text is None else {"vendors": tuple(map(str.strip, text.split(",")))}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked, or a part of it."""

    def unused(self) -> Mapping[str, str]:
        """Return options that would do nothing beside the others, each with the reason."""
        return {}


DEFAULT_STORAGE = "sqlite:///runs/study.db"


@dataclass(frozen=True, kw_only=True)
class Stored(Request):
    """Where studies are stored."""

    url: str = option(
        "Database URL: sqlite:///FILE, postgresql+psycopg://..., mysql+pymysql://..., "
        "grpc://HOST:PORT of serve-storage; to be read, journal:///FILE.",
        DEFAULT_STORAGE,
        name="--storage",
        env="EMOJI_STUDY_STORAGE",
    )


@dataclass(frozen=True, kw_only=True)
class WithStudy(Request):
    """What is about one study."""

    study: str | None = option("Name of the study; may be left out where there is only one.")


@dataclass(frozen=True, kw_only=True)
class WithJson(Request):
    """What programs can read."""

    as_json: bool = option(
        "Print JSON (docs/tables.md); all else goes to standard error.", False, name="--json"
    )


@dataclass(frozen=True, kw_only=True)
class OneStudy(WithStudy, Stored):
    """A study of a storage."""


@dataclass(frozen=True, kw_only=True)
class WithArtifacts(Stored):
    """A storage and its files."""

    artifacts: Path | None = option("Folder of pictures and curves; beside an SQLite file.")


@dataclass(frozen=True, kw_only=True)
class WithData(Request):
    """What reads data."""

    data: Path | None = option("Data set file (parquet); the embedded images if not given.")


@dataclass(frozen=True, kw_only=True)
class WithDevice(Request):
    """What trains, or loads a model."""

    device: str = option("auto, cpu, cuda or mps (a Mac's GPU).", "auto")


@dataclass(frozen=True, kw_only=True)
class Place(WithDevice, WithData, WithArtifacts):
    """Where the trainings of a study run, and with how many workers; data None for the study's."""

    n_workers: int = option("Worker processes; they share the cores.", 1, name="--workers", low=1)
    threads: int | None = option("CPU threads per worker; cores // workers.", low=1)
    backend: str = option("Where workers run: local, or dask for a Dask cluster.", "local")
    scheduler: str | None = option(
        "Dask cluster, tls:// or tcp://HOST:8786; this process if not given."
    )
    kind: str | None = option(
        "Where the code of the study's own kind lies here; else where it lay when the study was "
        "made.",
        metavar="FILE.py:NAME",
    )

    def check(self) -> None:
        """Raise a StudyError if workers cannot run there."""
        if self.backend not in ("local", "dask"):
            raise StudyError(f"`backend` must be local or dask, but got {self.backend!r}.")
        if self.backend == "local" and self.scheduler is not None:
            raise StudyError("--scheduler belongs to --backend dask.")


@dataclass(frozen=True, kw_only=True)
class Configured(WithData):
    """What is trained, on which data; None stands for what is stored, or the default."""

    assignments: Mapping[str, str] = option(
        "Fix a parameter; may be repeated.",
        {},
        name="--set",
        metavar="PARAM=VALUE",
        read=_assignments,
        many=True,
    )
    n_steps: int | None = option(
        "Epochs, or other steps, per training; --set epoch=E.", name="--epochs", low=1
    )
    options: Mapping[str, Any] = option(
        "Installed images to use: apple, google (default), joypixels, meta, samsung, twitter or "
        "windows. Without --data the first one's are split as usual; all others only give extra "
        "training images, never of an emoji in validation or test.",
        {},
        name="--vendors",
        metavar="NAME,NAME,...",
        read=_vendors,
    )


@dataclass(frozen=True, kw_only=True)
class Given(Configured):
    """What a user said of a study; None stands for what is stored, or the default."""

    space: str | None = option("Search space: notebook (default) or extended.")
    sampler: str | None = option("grid, random, qmc, tpe (default) or gp.")
    pruner: str | None = option(
        "median, halving (successive, asynchronous), hyperband or none; by default none for a "
        "grid, halving in the notebook's space with 100 epochs and more, else hyperband from 100 "
        "trials, median below."
    )
    seed: int | None = option("Seed of the study: 0.", low=0)
    split: str | None = option(
        "How data are parted. Emoji: group (default) keeps variants of one on one side; random "
        "leaks."
    )
    data_seed: int | None = option("Seed of the split: 42.", low=0)
    min_accuracy: float | None = option(
        "A trial whose second metric (of multitask: validation accuracy) is worse is infeasible.",
        low=0,
        high=1,
    )
    pareto: bool = option(
        "Make the second metric (of multitask: accuracy) an objective too; such studies cannot "
        "prune.",
        False,
    )


@dataclass(frozen=True, kw_only=True)
class RunRequest(Request):
    """Create or continue a study and run trials of it.

    Ctrl-C keeps everything; the same command continues. It asks for more trials only when the
    ones before are finished and it has said so; in a loop that restarts it, --total is safest.
    A study that exists keeps its settings, so they need not be repeated.
    """

    kind: str = option(
        "Kind of model: autoencoder, multitask; your own: path/to/file.py:NAME, "
        "package.module:NAME.",
        REQUIRED,
        positional=True,
    )
    study: str | None = option("Name of the study; KIND-SPACE if not given.")
    given: Given = option(default=Given())
    n_trials: int | None = option(
        "Finished trials to add, complete or pruned: 40 unless given, for a grid the whole grid. "
        "An interrupted run is completed first.",
        name="--trials",
        low=1,
    )
    n_total: int | None = option(
        "Finished trials in all, in place of --trials: however often this is repeated, the study "
        "ends with that many.",
        name="--total",
        low=1,
    )
    place: Place = option(default=Place(), without=("data", "kind"))
    replicate: int = option(
        "Train with other seeds than the study's other replicates; 0 is the first.", 0, low=0
    )
    max_retries: int | None = option(
        "Attempts after the first at a trial with an error: 2.", low=0
    )
    pictures: str | None = option(
        "Trials that keep pictures: all (default), best (ten, the median and the worst) or none."
    )
    extra: bool = option(
        "Measure the latents of every trained model too, 0.1 s each; the report says what "
        "mattered for them.",
        False,
        name="--latents",
    )
    warm_start: str | None = option(
        "Begin a new study with the best points of this one, one for thirty trials.",
        metavar="STUDY",
    )
    accept_change: bool = _accept_change()

    @property
    def n_first(self) -> int:
        """Trials that a new study begins with."""
        return self.n_total or self.n_trials or DEFAULT_TRIALS

    def unused(self) -> Mapping[str, str]:
        both = "adds and --total counts all; give one of them."
        return {} if self.n_total is None else {"--trials": both}


@dataclass(frozen=True, kw_only=True)
class WorkRequest(Request):
    """Join a study from this machine, until it has the trials that were asked for.

    The study brings its settings along; data and version must be the same here. Any number of
    machines may join at any time, and leave: what they began goes on elsewhere.
    """

    study: str = option("Name of the study.", REQUIRED)
    place: Place = option(default=Place(), without=("backend", "scheduler"))
    accept_change: bool = _accept_change()


@dataclass(frozen=True, kw_only=True)
class ServeRequest(Stored):
    """Serve a storage to hundreds of workers, which share its few connections.

    Nothing is encrypted and no password is asked: only for a network that you trust.
    """

    host: str = option("Address to listen on; 0.0.0.0 for all networks.", "127.0.0.1")
    port: int = option("Port to listen on.", 13000, low=1, high=65535)
    threads: int = option("Requests answered at the same time.", 10, low=1)


@dataclass(frozen=True, kw_only=True)
class ExperimentRequest(Request):
    """Run a paired experiment, and say what came out and how sure it is.

    Each pair has a seed and a split of its own; all arms of a pair start from equal weights.
    What --set does not fix is the notebook's best multitask configuration. Ctrl-C keeps
    everything; the same command continues, with more --pairs it goes on.
    """

    name: str = option(
        "auxiliary-task (does classifying hurt reconstructing?), leakage (what do variants of one "
        "emoji on both sides of the split do?) or latent-space (what makes latents better?).",
        REQUIRED,
        positional=True,
    )
    n_pairs: int = option(
        "Seeds and splits that all arms are run with.", 10, name="--pairs", low=1
    )
    lambdas: tuple[float, ...] = option(
        "auxiliary-task: weight of the cross-entropy; may be repeated: 0.1, 0.5, 0.7.",
        (),
        name="--lambda",
    )
    study: str | None = option("Name of its study; NAME if not given.")
    given: Given = option(
        default=Given(), without=("space", "sampler", "pruner", "split", "min_accuracy", "pareto")
    )
    place: Place = option(default=Place(), without=("data", "backend", "scheduler"))


@dataclass(frozen=True, kw_only=True)
class FollowupRequest(WithJson, WithStudy):
    """How a search is followed up."""

    n_seeds: int = option("Fresh seeds, in all.", CONFIRM_SEEDS, name="--seeds", low=1)
    name: str | None = option("Name to store it as; the study's and what it is, if not given.")
    place: Place = option(default=Place())
    seed: int | None = option("Seed of the study: 0.", low=0)


@dataclass(frozen=True, kw_only=True)
class ConfirmRequest(FollowupRequest):
    """Train a study's best trials again, with fresh seeds and splits, and say which stay good.

    The lowest of many errors is that of one seed and of one set of validation images. Half of the
    fresh seeds train on that split and half on fresh ones, which tells how much of a rise is
    seed, split or choice. Beside the best trials, the kind's default configuration and one from
    the middle of the search are trained on the same seeds and splits. When all of it is done, and
    not before, each trained model is measured once on the test split. Ctrl-C keeps everything;
    the same command continues, with more --seeds it goes on.
    """

    top: int = option("How many of the best trials are trained again.", 5, low=1)
    trials: tuple[int, ...] = option(
        "Number of a trial to train again in place of the best; may be repeated.",
        (),
        name="--trial",
        low=0,
    )
    n_own: int | None = option(
        "How many of --seeds train on the search's own split, and not on fresh ones: half; 0 for "
        "fresh ones alone.",
        name="--own-split",
        low=0,
    )
    other_data: Path | None = option(
        "Data set file of other images than the search's, to train and test on: do the same "
        "configurations win there? Stored as NAME-on-FILE."
    )

    def unused(self) -> Mapping[str, str]:
        both = "chooses trials; --trial names them. Give one of both."
        other = "is of the search's own data; --other-data has none. Give one of both."
        return ({"--top": both} if self.trials else {}) | (
            {"--own-split": other} if self.other_data is not None else {}
        )


@dataclass(frozen=True, kw_only=True)
class AblateRequest(FollowupRequest):
    """Measure what each parameter of a study's winner is worth, with real trainings.

    From the kind's default configuration to the winner one parameter changes at a time, in the
    order that a forest grown on the study expects most of; then each parameter of the winner is
    varied alone. All of it on the same fresh seeds and splits. Ctrl-C keeps everything; the same
    command continues, with more --seeds it goes on.
    """

    trial: str | None = option(
        "Number of the winner, or best; if not given, the best confirmed one, else best."
    )
    params: tuple[str, ...] = option(
        "Parameter to vary around the winner; may be repeated: all.", (), name="--param"
    )
    n_seeds: int = option("Fresh seeds and splits, in all.", 3, name="--seeds", low=1)


@dataclass(frozen=True, kw_only=True)
class ImportRequest(Stored):
    """Turn results in a file into a study, for status, report, export and --warm-start.

    A table is one that export wrote, one of Optuna's trials_dataframe(), or of the notebook's
    layout; docs/tables.md says what is read of each.
    """

    file: Path = option("Table to read: .csv or .parquet.", REQUIRED, positional=True)
    study: str | None = option("Name of the study; the file's if not given.")
    directions: tuple[str, ...] = option(
        "minimize or maximize, for a table that does not tell; of several objectives once for "
        "each, in the order of their columns.",
        (),
        name="--direction",
        metavar="DIRECTION",
        read=_directions,
        many=True,
    )


@dataclass(frozen=True, kw_only=True)
class ListRequest(WithJson, Stored):
    """List the studies of a storage."""


@dataclass(frozen=True, kw_only=True)
class StatusRequest(WithJson, OneStudy):
    """Show a study's progress, its workers, failures and best trials."""

    watch: bool = option("Go on showing it until the study is done.", False)
    every: float = option("Seconds between two looks, with --watch.", 2.0, low=0.1)

    def unused(self) -> Mapping[str, str]:
        if self.watch and self.as_json:
            return {"--watch": "shows a study again and again; --json tells of it once."}
        return {} if self.watch else {"--every": "belongs to --watch."}


@dataclass(frozen=True, kw_only=True)
class ExportRequest(OneStudy):
    """Write all trials of a study as a table, one row each."""

    out: Path = option("File to write: .csv or .parquet.", REQUIRED)
    curves: bool = option("Add what trials reported, step by step.", False)


@dataclass(frozen=True, kw_only=True)
class TrainRequest(WithDevice, Configured, Stored):
    """Train one model for good, and evaluate it on the test split once.

    Without --study, the parameters are those of --set; all others are the kind's default. Writes
    the model, the kind's pictures, of test data, and the metrics. Interrupted, it keeps the best
    epoch so far, not evaluated; the same command trains anew.
    """

    study: str | None = option("Train a trial of this study.")
    kind: str | None = option(
        "Without --study: autoencoder (default), multitask; your own as FILE.py:NAME; with it, "
        "where the code of the study's kind lies here."
    )
    trial: str = option("Number of the trial, or best.", "best")
    seed: int | None = option("Seed; a trial's own, so that it is repeated, else 0.", low=0)
    threads: int | None = option("CPU threads; a trial's own, else all.", low=1)
    out: Path | None = option("Folder to write; runs/train/... if not given.")

    def unused(self) -> Mapping[str, str]:
        return OF_A_STUDY if self.study is None else {}


@dataclass(frozen=True, kw_only=True)
class ComposeRequest(WithDevice, WithData, Stored):
    """Add and subtract emoji in a model's latent space, and draw what comes out.

    The picture shows the emoji over their reconstructions, the composite, and the real emoji
    that are nearest to it; of several expressions the path from one to the next; of --gallery
    what each way of adding up makes of the same faces. A trial's model is trained once and kept
    in runs/models.
    """

    expressions: tuple[str, ...] = option(
        "Emoji by their texts with + and -, NUMBER * ..., (...), mean(a, b), attr(words): what "
        "images with these words share, upper(a) and lower(a): halves, of a convolutional model. "
        "Quote texts with signs or numbers. Several expressions are the stops of a path.",
        (),
        positional=True,
    )
    gallery: bool = option("Draw the notebook's sums beside better ones instead.", False)
    average: str = option(
        "Average face of the gallery, or: face without mouth.", "slightly smiling face"
    )
    study: str | None = option("Take the model of a trial of this study.")
    trial: str = option("Number of the trial, or best.", "best")
    checkpoint: Path | None = option("Take this model, as `train` wrote it.")
    way: str = option("Of a path: slerp (great circles) or lerp (straight).", "slerp")
    steps: int = option("Pictures from one stop of a path to the next.", 9, low=2)
    through_mean: bool = option("Lead a path through the mean of all images.", False)
    out: Path | None = option(
        "PNG file to write, of a path also a GIF, animated; runs/composition.png or "
        "runs/gallery.png if not given."
    )

    def unused(self) -> Mapping[str, str]:
        unused = {} if self.gallery else {"--average": "belongs to --gallery."}
        if self.gallery or len(self.expressions) < 2:
            own = "--gallery has none" if self.gallery else "give several expressions"
            path = ("--way", "--steps", "--through-mean")
            unused |= dict.fromkeys(path, f"belongs to a path: {own}.")
        if self.study is None:
            unused |= OF_A_STUDY
        if self.checkpoint is not None:
            unused["--device"] = "is where --study trains; --checkpoint is trained already."
        return unused


@dataclass(frozen=True, kw_only=True)
class ReportRequest(WithArtifacts):
    """Write the report of a study as one HTML file that needs no network.

    Several studies, from the storage or from older reports, give a comparison.
    """

    studies: tuple[str, ...] = option(
        "Name of a study; several are compared with each other.", (), name="--study"
    )
    pages: tuple[Path, ...] = option(
        "Older report to take studies from; may be repeated.", (), name="--from", metavar="HTML"
    )
    out: Path | None = option(
        "File to write: .html, or .md for Markdown with its pictures beside it, - for Markdown "
        "on the screen; runs/STUDY.html if not given."
    )
    independent: bool = option(
        "Correlations of trials only that no result had a part in choosing.", False
    )

    def unused(self) -> Mapping[str, str]:
        if self.pages:
            own = {"--artifacts": "holds pictures: --from brings its own."}
            none = {"--storage": "belongs to --study: --from needs no database."}
            return own if self.studies else none | own
        several = "holds pictures: several --study are compared without any."
        return {"--artifacts": several} if len(self.studies) > 1 else {}


@dataclass(frozen=True, kw_only=True)
class DashboardRequest(WithArtifacts):
    """Show the studies of a storage live in the browser: optuna-dashboard, on this machine only.

    Every trial has its pictures, curves and a note there, every study the report of the moment.
    Open the whole address that it prints: the token in it keeps other users of the machine out.
    To watch a study that runs elsewhere: ssh -L 8080:localhost:8080 HOST, and this command there.
    """

    port: int = option("Port to serve at; 0 for a free one.", 8080, low=0, high=65535)
    open_browser: bool = option("Show it in the web browser.", False, name="--open")
    allow_edit: bool = option(
        "Let its pages change and delete studies; else they only read.", False
    )
    refresh: bool = option(
        "Write notes and charts of the studies anew, and end; serve nothing.", False
    )
    study: str | None = option("With --refresh: only this study.")

    def unused(self) -> Mapping[str, str]:
        if not self.refresh:
            return {"--study": "belongs to --refresh; pages show all studies."}
        serving = ("--port", "--open", "--allow-edit")
        return dict.fromkeys(serving, "is for serving pages; --refresh serves none.")


@dataclass(frozen=True, kw_only=True)
class CleanRequest(OneStudy, WithArtifacts):
    """Remove the pictures of most trials of a study, which take most of its space.

    In the dashboard a small picture stands in for each. Curves stay, and `train` draws anew.
    """

    pictures: str = option(
        "Whose to keep: best (ten, the median and the worst) or none.", REQUIRED
    )


@dataclass(frozen=True, kw_only=True)
class Asked(WithArtifacts):
    """What asks before it changes something."""

    yes: bool = option("Do not ask.", False)


@dataclass(frozen=True, kw_only=True)
class CopyRequest(Asked):
    """Copy studies to another storage, with all their trials and files.

    From anything that can be read, also a journal or a database of Optuna 2.6, to a database,
    which is created if need be. All of it is there at the end, or nothing. A trial that is running
    has failed in the copy, for its worker stays; `run` trains it again.
    """

    to: str = option("Storage to copy to, as of --storage.", REQUIRED)
    studies: tuple[str, ...] = option(
        "Name of a study, may be repeated; may be left out where there is only one.",
        (),
        name="--study",
    )
    whole: bool = option("Copy all studies.", False, name="--all")
    name: str | None = option("Name of the copy; the study's if not given.")
    to_artifacts: Path | None = option("Folder for the files; beside an SQLite file.")

    def unused(self) -> Mapping[str, str]:
        return {"--study": "chooses studies; --all takes all of them."} if self.whole else {}


@dataclass(frozen=True, kw_only=True)
class RenameRequest(Asked):
    """Give a study another name.

    Studies that follow it, such as NAME-confirmation, are renamed with it.
    """

    new_name: str = option("Its new name.", REQUIRED, positional=True)
    study: str = option("Name of the study.", REQUIRED)


@dataclass(frozen=True, kw_only=True)
class DeleteRequest(Asked):
    """Delete studies with all their trials and files, for ever."""

    studies: tuple[str, ...] = option(
        "Name of a study; may be repeated.", REQUIRED, name="--study"
    )


@dataclass(frozen=True, kw_only=True)
class DemoRequest(WithDevice):
    """Run a small study end to end: database, best model, report.

    Takes about two minutes on two cores. Run again, it continues, and adds no trials.
    """

    out: Path = option("Folder to write.", Path("runs/demo"))
    workers: int = option("Worker processes.", 2, low=1)


@dataclass(frozen=True, kw_only=True)
class BuildRequest(Request):
    """Write the installed emoji images of one vendor as a data set file."""

    out: Path = option("Parquet file to write.", REQUIRED)
    vendor: str = option("apple, google, joypixels, meta, samsung, twitter or windows.", "google")


@dataclass(frozen=True, kw_only=True)
class DescribeRequest(WithData):
    """Describe a data set and its split as one HTML file that needs no network.

    Words, classes, sides of the split, what leaks across it, and near-duplicates.
    """

    split: str = option("group keeps variants of an emoji on one side; random leaks.", "group")
    data_seed: int = option("Seed of the split.", 42, low=0)
    out: Path = option("HTML file to write.", Path("runs/data.html"))
