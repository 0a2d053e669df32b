"""What can be asked: a class per command, whose docstring is the help, and a field per option.

``study.commands.options`` makes the options, and reads them into these values. A field's type says
what may be given: a ``Literal`` is a set of choices, a tuple may be given several times.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, dataclass_transform

from study.choices import Backend, Device, Direction, Pictures, Pruner, Sampler

Say = Callable[[str], None]
REQUIRED = object()
DEFAULT_KIND, DEFAULT_TRIALS, DEFAULT_STORAGE = "autoencoder", 40, "sqlite:///runs/study.db"
DEFAULT_SAMPLER: Sampler = "tpe"
DEFAULT_SEED, DEFAULT_DATA_SEED = 0, 42
CONFIRM_TOP = 5
CONFIRM_SEEDS = 6
"""The fewest seeds of a confirmation that tell what is seed, what is split and what is choice."""

OWN, STUDY, DATA, TRIALS = "Options", "Study", "Data", "Trials"
PLACE, STORAGE, EMOJI = "Where it runs", "Where it is stored", "Of the emoji's kinds only"
GROUPS = (OWN, STUDY, DATA, TRIALS, PLACE, STORAGE, EMOJI)
"""Headings of options in the help, in their order."""

OF_A_STUDY = dict.fromkeys(("--storage", "--trial"), "belongs to --study: name the study.")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class OptionSpec:
    """What a field says of itself as an option.

    Args:
        default: ``REQUIRED`` for none.
        shown: What the help says in place of the default None.
        name: Of the option, if it is not the field's.
        group: Heading in the help, if it is not that of its class.
        positional: Whether it is asked for without a name.
        low, high: Range of a number.
        metavar: What stands for the value in the help.
        env: Environment variable of the default.
        read: Makes the value of all texts that were given; a ValueError says what they must be.
        of_storage: Whether it is the name of a stored study, which a shell can complete.
        of_kinds: Whether it holds the options that only some kinds have, by name.
        without: Of a request in a request: fields that are not asked for.
    """

    help: str
    default: object
    shown: object = None
    name: str | None = None
    group: str | None = None
    positional: bool = False
    low: float | None = None
    high: float | None = None
    metavar: str | None = None
    env: str | None = None
    read: Callable[[Sequence[str]], object] | None = None
    of_storage: bool = False
    of_kinds: bool = False
    without: tuple[str, ...] = ()


def option(help: str = "", default: object = None, **more: Any) -> Any:
    """Return a field, as ``dataclasses.field`` does, with its ``OptionSpec``."""
    metadata = {"spec": OptionSpec(help=help, default=default, **more)}
    if default is REQUIRED:
        return field(metadata=metadata)
    return field(default_factory=lambda: default, metadata=metadata)


def _study(help: str, default: object = None, **more: Any) -> Any:
    return option(help, default, of_storage=True, **more)


def _accept_change() -> Any:
    return option(
        "Go on though the code of the study's own kind has changed; trials from then on are "
        "marked.",
        False,
        group=TRIALS,
    )


def _assignments(texts: Sequence[str]) -> Mapping[str, str]:
    assignments: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator:
            raise ValueError(f"must be PARAM=VALUE, but got {text!r}.")
        if name in assignments:
            raise ValueError(f"must give a parameter one value, but got {name} twice.")
        assignments[name] = value.strip()
    return assignments


def _bound(texts: Sequence[str]) -> tuple[str, float] | None:
    """Read METRIC=NUMBER; the last one counts, as of every option that is no list."""
    for text in texts[-1:]:
        name, _, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not name.strip() or not abs(number) < float("inf"):
            raise ValueError(f"must be METRIC=NUMBER, but got {text!r}.")
        return name.strip(), number
    return None


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Request:
    """What is asked, or a part of it; each subclass is a frozen, keyword-only dataclass.

    They have no ``repr`` and are not compared, for every method takes time before any help.
    """

    group: ClassVar[str] = OWN
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True, repr=False, eq=False)(cls)

    def unused(self) -> Mapping[str, str]:
        """Return options that would do nothing beside the others, each with the reason."""
        parts = (getattr(self, own.name) for own in fields(self))
        return {
            name: why
            for part in parts
            if isinstance(part, Request)
            for name, why in part.unused().items()
        }


class Stored(Request):
    """Where studies are stored."""

    group: ClassVar[str] = STORAGE

    url: str = option(
        "Database: sqlite:///FILE, postgresql+psycopg://..., mysql+pymysql://..., "
        "grpc://HOST:PORT of serve-storage; to be read, journal:///FILE.",
        DEFAULT_STORAGE,
        name="--storage",
        metavar="URL",
        env="EMOJI_STUDY_STORAGE",
    )


class WithStudy(Request):
    """What is about one study."""

    study: str | None = _study("Name of the study; may be left out where there is only one.")


class WithJson(Request):
    """What programs can read."""

    as_json: bool = option(
        "Print JSON (docs/tables.md); all else goes to standard error.", False, name="--json"
    )


class OneStudy(WithStudy, Stored):
    """A study of a storage."""


class WithArtifacts(Stored):
    """A storage and its files."""

    group: ClassVar[str] = STORAGE

    artifacts: Path | None = option(
        "Folder of pictures and curves.", shown="beside an SQLite file"
    )


class WithData(Request):
    """What reads data."""

    group: ClassVar[str] = DATA

    data: Path | None = option("Data set file (parquet).", shown="the embedded images")


class WithDevice(Request):
    """What trains, or loads a model."""

    group: ClassVar[str] = PLACE

    device: Device = option("What trains; mps is a Mac's GPU.", "auto")


class Place(WithDevice, WithData, WithArtifacts):
    """Where the trainings of a study run, and with how many workers; data None for the study's."""

    group: ClassVar[str] = PLACE

    n_workers: int = option("Worker processes; they share the cores.", 1, name="--workers", low=1)
    threads: int | None = option("CPU threads per worker.", shown="cores // workers", low=1)
    backend: Backend = option("Where workers run: on this machine, or on a Dask cluster.", "local")
    scheduler: str | None = option(
        "Dask cluster, tls:// or tcp://HOST:8786.", shown="this process", metavar="URL"
    )
    kind: str | None = option(
        "Where the code of the study's own kind lies here.",
        shown="where it lay when the study was made",
        metavar="FILE.py:NAME",
    )

    def unused(self) -> Mapping[str, str]:
        return {} if self.backend == "dask" else {"--scheduler": "belongs to --backend dask."}


class Configured(WithData):
    """What is trained, on which data; None stands for what is stored, or the default."""

    group: ClassVar[str] = STUDY

    assignments: Mapping[str, str] = option(
        "Fix a parameter; may be repeated.",
        {},
        name="--set",
        metavar="PARAM=VALUE",
        read=_assignments,
    )
    n_steps: int | None = option(
        "Epochs, or other steps, per training: --set of the kind's own name for them.",
        name="--epochs",
        low=1,
    )
    options: Mapping[str, Any] = option(default={}, of_kinds=True)


class Given(Configured):
    """What a user said of a study; None stands for what is stored, or the default."""

    group: ClassVar[str] = STUDY

    space: str | None = option(
        "Search space of the kind; the emoji's have notebook and extended.", shown="its first"
    )
    sampler: Sampler | None = option("What chooses the trials.", shown=DEFAULT_SAMPLER)
    pruner: Pruner | None = option(
        "What ends poor trials early; halving is successive and asynchronous. By default none for "
        "a grid, halving in the notebook's space with 100 epochs and more, else hyperband from "
        "100 trials, median below."
    )
    seed: int | None = option("Seed of the study.", shown=DEFAULT_SEED, low=0)
    split: str | None = option(
        "How data are parted, of the kind's ways. Emoji: group keeps variants of one on one side; "
        "random leaks.",
        shown="its first",
        group=DATA,
    )
    data_seed: int | None = option(
        "Seed of the split.", shown=DEFAULT_DATA_SEED, low=0, group=DATA
    )
    min_accuracy: float | None = option(
        "Short for --at-least of the kind's second metric; of multitask, validation_accuracy.",
        low=0,
        high=1,
        group=EMOJI,
    )
    at_least: tuple[str, float] | None = option(
        "A trial that has less of the kind's second metric, which is maximised, is infeasible.",
        metavar="METRIC=A",
        read=_bound,
    )
    at_most: tuple[str, float] | None = option(
        "The same for a second metric that is minimised: no trial may have more of it.",
        metavar="METRIC=A",
        read=_bound,
    )
    pareto: bool = option(
        "Make the second metric (of multitask: accuracy) an objective too; such studies cannot "
        "prune.",
        False,
    )

    def unused(self) -> Mapping[str, str]:
        demands = {
            "--min-accuracy": self.min_accuracy,
            "--at-least": self.at_least,
            "--at-most": self.at_most,
        }
        said = [name for name, value in demands.items() if value is not None]
        return {name: f"demands the same as {said[0]}; give one of both." for name in said[1:]}


class RunRequest(Request):
    """Create or continue a study and run trials of it.

    Ctrl-C keeps everything; the same command continues. It asks for more trials only when the
    ones before are finished and it has said so; in a loop that restarts it, --total is safest.
    A study that exists keeps its settings, so they need not be repeated.
    """

    group: ClassVar[str] = TRIALS

    kind: str = option(
        "Kind of model: autoencoder, multitask; your own: path/to/file.py:NAME, "
        "package.module:NAME.",
        REQUIRED,
        positional=True,
    )
    study: str | None = _study("Name of the study.", shown="KIND-SPACE", group=STUDY)
    given: Given = option(default=Given())
    n_trials: int | None = option(
        "Finished trials to add, complete or pruned; an interrupted run is completed first.",
        shown=f"{DEFAULT_TRIALS}, for a grid the whole grid",
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
        "Attempts after the first at a trial with an error.", shown=2, low=0
    )
    pictures: Pictures | None = option(
        "Trials that keep pictures; best: ten, the median and the worst.", shown="all"
    )
    extra: bool = option(
        "Measure the latents of every trained model too, 0.1 s each; the report says what "
        "mattered for them.",
        False,
        name="--latents",
        group=EMOJI,
    )
    warm_start: str | None = _study(
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
        return {**super().unused(), **({} if self.n_total is None else {"--trials": both})}


class WorkRequest(Request):
    """Join a study from this machine, until it has the trials that were asked for.

    The study brings its settings along; data and version must be the same here. Any number of
    machines may join at any time, and leave: what they began goes on elsewhere.
    """

    study: str = _study("Name of the study.", REQUIRED)
    place: Place = option(default=Place(), without=("backend", "scheduler"))
    accept_change: bool = _accept_change()


class ServeRequest(Stored):
    """Serve a storage to hundreds of workers, which share its few connections.

    Nothing is encrypted and no password is asked: only for a network that you trust.
    """

    host: str = option(
        "Address to listen on; 0.0.0.0 for all networks.", "127.0.0.1", metavar="HOST"
    )
    port: int = option("Port to listen on.", 13000, low=1, high=65535)
    threads: int = option("Requests answered at the same time.", 10, low=1)


class ExperimentRequest(Request):
    """Run a paired experiment, and say what came out and how sure it is.

    Each pair has a seed and a split of its own; all arms of a pair start from equal weights.
    What --set does not fix is the notebook's best multitask configuration. Ctrl-C keeps
    everything; the same command continues, with more --pairs it goes on.
    """

    name: str = option(
        "Of the emoji: auxiliary-task (does classifying hurt reconstructing?), leakage (what do "
        "variants of one emoji on both sides of the split do?), latent-space (what makes latents "
        "better?).",
        REQUIRED,
        positional=True,
    )
    n_pairs: int = option(
        "Seeds and splits that all arms are run with.", 10, name="--pairs", low=1
    )
    lambdas: tuple[float, ...] = option(
        "auxiliary-task: weight of the cross-entropy; may be repeated.",
        (),
        shown="0.1, 0.5, 0.7",
        name="--lambda",
        group=EMOJI,
    )
    study: str | None = _study("Name of its study.", shown="NAME")
    given: Given = option(
        default=Given(),
        without=(
            *("space", "sampler", "pruner", "split"),
            *("min_accuracy", "at_least", "at_most", "pareto"),
        ),
    )
    place: Place = option(default=Place(), without=("data", "backend", "scheduler"))


class FollowupRequest(WithJson, WithStudy):
    """How a search is followed up."""

    n_seeds: int = option("Fresh seeds, in all.", CONFIRM_SEEDS, name="--seeds", low=1)
    name: str | None = option("Name to store it as.", shown="STUDY-confirmation or -ablation")
    place: Place = option(default=Place())
    seed: int | None = option("Seed of the study.", shown=DEFAULT_SEED, low=0)


class ConfirmRequest(FollowupRequest):
    """Train a study's best trials again, with fresh seeds and splits, and say which stay good.

    The lowest of many errors is that of one seed and of one set of validation images. Half of the
    fresh seeds train on that split and half on fresh ones, which tells how much of a rise is
    seed, split or choice. Beside the best trials, the kind's default configuration and one from
    the middle of the search are trained on the same seeds and splits. When all of it is done, and
    not before, each trained model is measured once on the test split. Ctrl-C keeps everything;
    the same command continues, with more --seeds it goes on.
    """

    top: int = option("How many of the best trials are trained again.", CONFIRM_TOP, low=1)
    trials: tuple[int, ...] = option(
        "Number of a trial to train again in place of the best; may be repeated.",
        (),
        name="--trial",
        low=0,
    )
    n_own: int | None = option(
        "How many of --seeds train on the search's own split, and not on fresh ones; 0 for fresh "
        "ones alone.",
        shown="half",
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
        return {
            **super().unused(),
            **({"--top": both} if self.trials else {}),
            **({} if self.other_data is None else {"--own-split": other}),
        }


class AblateRequest(FollowupRequest):
    """Measure what each parameter of a study's winner is worth, with real trainings.

    From the kind's default configuration to the winner one parameter changes at a time, in the
    order that a forest grown on the study expects most of; then each parameter of the winner is
    varied alone. All of it on the same fresh seeds and splits. Ctrl-C keeps everything; the same
    command continues, with more --seeds it goes on.
    """

    trial: str | None = option(
        "The winner.", shown="the best confirmed one, else best", metavar="NUMBER|best"
    )
    params: tuple[str, ...] = option(
        "Parameter to vary around the winner; may be repeated.", (), shown="all", name="--param"
    )
    n_seeds: int = option("Fresh seeds and splits, in all.", 3, name="--seeds", low=1)


class ImportRequest(Stored):
    """Turn results in a file into a study, for status, report, export and --warm-start.

    A table is one that export wrote, one of Optuna's trials_dataframe(), or of the notebook's
    layout; docs/tables.md says what is read of each.
    """

    file: Path = option("Table to read: .csv or .parquet.", REQUIRED, positional=True)
    study: str | None = option("Name of the study.", shown="the file's")
    directions: tuple[Direction, ...] = option(
        "For a table that does not tell which way is better; of several objectives once for each, "
        "in the order of their columns.",
        (),
        name="--direction",
    )
    kind: str | None = option(
        "Where the code of your own kind lies, for a table of one.",
        shown="a kind that is installed",
        metavar="FILE.py:NAME",
    )


class ListRequest(WithJson, Stored):
    """List the studies of a storage."""


class StatusRequest(WithJson, OneStudy):
    """Show a study's progress, its workers, failures and best trials."""

    watch: bool = option("Go on showing it until the study is done.", False)
    every: float = option("Seconds between two looks, with --watch.", 2.0, low=0.1)

    def unused(self) -> Mapping[str, str]:
        if self.watch and self.as_json:
            return {"--watch": "shows a study again and again; --json tells of it once."}
        return {} if self.watch else {"--every": "belongs to --watch."}


class ExportRequest(OneStudy):
    """Write all trials of a study as a table, one row each."""

    out: Path = option("File to write: .csv or .parquet.", REQUIRED)
    curves: bool = option("Add what trials reported, step by step.", False)


class TrainRequest(WithDevice, Configured, Stored):
    """Train one model for good, and evaluate it on the test split once.

    Without --study, the parameters are those of --set; all others are the kind's default. Writes
    the model, the kind's pictures, of test data, and the metrics. Interrupted, it keeps the best
    epoch so far, not evaluated; the same command trains anew.
    """

    study: str | None = _study("Train a trial of this study.")
    kind: str | None = option(
        "Without --study: autoencoder, multitask; your own as FILE.py:NAME; with it, where the "
        "code of the study's kind lies here.",
        shown=DEFAULT_KIND,
        metavar="KIND",
    )
    trial: str = option("Which trial.", "best", metavar="NUMBER|best")
    seed: int | None = option(
        "Seed.", shown=f"a trial's own, so that it is repeated, else {DEFAULT_SEED}", low=0
    )
    threads: int | None = option(
        "CPU threads.", shown="a trial's own, else all", low=1, group=PLACE
    )
    out: Path | None = option("Folder to write.", shown="runs/train/...")

    def unused(self) -> Mapping[str, str]:
        return OF_A_STUDY if self.study is None else {}


class ReportRequest(WithArtifacts):
    """Write the report of a study as one HTML file that needs no network.

    Several studies, from the storage or from older reports, give a comparison.
    """

    studies: tuple[str, ...] = _study(
        "Name of a study; several are compared with each other.", (), name="--study"
    )
    pages: tuple[Path, ...] = option(
        "Older report to take studies from; may be repeated.", (), name="--from", metavar="HTML"
    )
    out: Path | None = option(
        "File to write: .html, or .md for Markdown with its pictures beside it, - for Markdown "
        "on the screen.",
        shown="runs/STUDY.html",
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
    study: str | None = _study("With --refresh: only this study.")

    def unused(self) -> Mapping[str, str]:
        if not self.refresh:
            return {"--study": "belongs to --refresh; pages show all studies."}
        serving = ("--port", "--open", "--allow-edit")
        return dict.fromkeys(serving, "is for serving pages; --refresh serves none.")


class CleanRequest(OneStudy, WithArtifacts):
    """Remove the pictures of most trials of a study, which take most of its space.

    In the dashboard a small picture stands in for each. Curves stay, and `train` draws anew.
    """

    pictures: Pictures = option("Whose to keep; best: ten, the median and the worst.", REQUIRED)


class Asked(WithArtifacts):
    """What asks before it changes something."""

    yes: bool = option("Do not ask.", False)


class CopyRequest(Asked):
    """Copy studies to another storage, with all their trials and files.

    From anything that can be read, also a journal or a database of Optuna 2.6, to a database,
    which is created if need be. All of it is there at the end, or nothing. A trial that is running
    has failed in the copy, for its worker stays; `run` trains it again.
    """

    to: str = option("Storage to copy to, as of --storage.", REQUIRED, metavar="URL")
    studies: tuple[str, ...] = _study(
        "Name of a study, may be repeated; may be left out where there is only one.",
        (),
        name="--study",
    )
    whole: bool = option("Copy all studies.", False, name="--all")
    name: str | None = option("Name of the copy.", shown="the study's")
    to_artifacts: Path | None = option("Folder for the files.", shown="beside an SQLite file")

    def unused(self) -> Mapping[str, str]:
        return {"--study": "chooses studies; --all takes all of them."} if self.whole else {}


class RenameRequest(Asked):
    """Give a study another name.

    Studies that follow it, such as NAME-confirmation, are renamed with it.
    """

    new_name: str = option("Its new name.", REQUIRED, positional=True)
    study: str = _study("Name of the study.", REQUIRED)


class DeleteRequest(Asked):
    """Delete studies with all their trials and files, for ever."""

    studies: tuple[str, ...] = _study(
        "Name of a study; may be repeated.", REQUIRED, name="--study"
    )


class DemoRequest(WithDevice):
    """Run a small study end to end: database, best model, report.

    Takes about two minutes on two cores. Run again, it continues, and adds no trials.
    """

    out: Path = option("Folder to write.", Path("runs/demo"))
    workers: int = option("Worker processes.", 2, low=1)
