"""What can be asked: a class per command, whose docstring is the help, and a field per option.

``study.options`` makes the options, and reads them into these values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from study.errors import StudyError

Say = Callable[[str], None]
DEFAULT_TRIALS = 40
OF_A_STUDY = dict.fromkeys(("--trial", "--storage"), "belongs to --study: name the study.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """How the command line asks for a value, where the name and type of a field do not say it.

    Args:
        name: Of the option; None for the field's.
        positional: Whether it is asked for without a name.
        low, high: Range of a number.
        metavar: What stands for the value in the help.
        env: Environment variable of the default.
        read: Makes the value of the text that was given or None; of all texts, if it is ``many``.
        many: Whether it may be repeated, as every tuple may.
        without: Of a request: fields that the command does not ask for.
    """

    name: str | None = None
    positional: bool = False
    low: float | None = None
    high: float | None = None
    metavar: str | None = None
    env: str | None = None
    read: Callable[[Any], object] | None = None
    many: bool = False
    without: tuple[str, ...] = ()


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


def _vendors(text: str | None) -> Mapping[str, Any]:
    return {} if text is None else {"vendors": tuple(map(str.strip, text.split(",")))}


Count = Annotated[int, Option(low=1)]
Natural = Annotated[int, Option(low=0)]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked, or a part of it."""

    def unused(self) -> Mapping[str, str]:
        """Return options that would do nothing beside the others, each with the reason."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Stored(Request):
    """Where studies are stored.

    Args:
        url: Database URL: sqlite:///FILE, postgresql+psycopg://..., mysql+pymysql://..., or
            grpc://HOST:PORT of serve-storage.
    """

    url: Annotated[str, Option(name="--storage", env="EMOJI_STUDY_STORAGE")] = (
        "sqlite:///runs/study.db"
    )


@dataclass(frozen=True, kw_only=True)
class OneStudy(Stored):
    """A study of a storage.

    Args:
        study: Name of the study; may be left out where there is only one.
    """

    study: str | None = None


@dataclass(frozen=True, kw_only=True)
class WithArtifacts(Stored):
    """A storage and its files.

    Args:
        artifacts: Folder of pictures and curves; beside an SQLite file.
    """

    artifacts: Path | None = None


@dataclass(frozen=True, kw_only=True)
class WithData(Request):
    """What reads data.

    Args:
        data: Data set file (parquet); the embedded images if not given.
    """

    data: Path | None = None


@dataclass(frozen=True, kw_only=True)
class WithDevice(Request):
    """What trains, or loads a model.

    Args:
        device: auto, cpu or cuda.
    """

    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Place(WithDevice, WithData, WithArtifacts):
    """Where the trainings of a study run, and with how many workers; data None for the study's.

    Args:
        n_workers: Worker processes; they share the cores.
        threads: CPU threads per worker; cores // workers.
        backend: Where workers run: local, or dask for a Dask cluster.
        scheduler: Dask cluster, tls:// or tcp://HOST:8786; this process if not given.
        kind: Where the code of the study's own kind lies here; else where it lay when the study
            was made.
    """

    n_workers: Annotated[int, Option(name="--workers", low=1)] = 1
    threads: Count | None = None
    backend: str = "local"
    scheduler: str | None = None
    kind: Annotated[str | None, Option(metavar="FILE.py:NAME")] = None

    def check(self) -> None:
        """Raise a StudyError if workers cannot run there."""
        if self.backend not in ("local", "dask"):
            raise StudyError(f"`backend` must be local or dask, but got {self.backend!r}.")
        if self.backend == "local" and self.scheduler is not None:
            raise StudyError("--scheduler belongs to --backend dask.")


@dataclass(frozen=True, kw_only=True)
class Configured(WithData):
    """What is trained, on which data; None stands for what is stored, or the default.

    Args:
        assignments: Fix a parameter; may be repeated.
        n_steps: Epochs, or other steps, per training; --set epoch=E.
        options: Installed images to use: apple, google (default), joypixels, meta, samsung,
            twitter or windows. Without --data the first one's are split as usual; all others
            only give extra training images, never of an emoji in validation or test.
    """

    assignments: Annotated[
        Mapping[str, str],
        Option(name="--set", metavar="PARAM=VALUE", read=_assignments, many=True),
    ] = field(default_factory=dict)
    n_steps: Annotated[int | None, Option(name="--epochs", low=1)] = None
    options: Annotated[
        Mapping[str, Any], Option(name="--vendors", metavar="NAME,NAME,...", read=_vendors)
    ] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Given(Configured):
    """What a user said of a study; None stands for what is stored, or the default.

    Args:
        space: Search space: notebook (default) or extended.
        sampler: grid, random, qmc, tpe (default) or gp.
        pruner: median, halving (successive, asynchronous), hyperband or none; by default none for
            a grid, halving in the notebook's space with 100 epochs and more, else hyperband from
            100 trials, median below.
        seed: Seed of the study: 0.
        split: How data are parted. Emoji: group (default) keeps variants of one on one side;
            random leaks.
        data_seed: Seed of the split: 42.
        min_accuracy: A trial whose second metric (of multitask: validation accuracy) is worse is
            infeasible.
        pareto: Make the second metric (of multitask: accuracy) an objective too; such studies
            cannot prune.
    """

    space: str | None = None
    sampler: str | None = None
    pruner: str | None = None
    seed: Natural | None = None
    split: str | None = None
    data_seed: Natural | None = None
    min_accuracy: Annotated[float | None, Option(low=0, high=1)] = None
    pareto: bool = False


@dataclass(frozen=True, kw_only=True)
class RunRequest(Request):
    """Create or continue a study and run trials of it.

    Ctrl-C keeps everything; the same command continues. It asks for more trials only when the
    ones before are finished and it has said so; in a loop that restarts it, --total is safest.
    A study that exists keeps its settings, so they need not be repeated.

    Args:
        kind: Kind of model: autoencoder, multitask; your own: path/to/file.py:NAME,
            package.module:NAME.
        study: Name of the study; KIND-SPACE if not given.
        n_trials: Finished trials to add, complete or pruned: 40 unless given, for a grid the
            whole grid. An interrupted run is completed first.
        n_total: Finished trials in all, in place of --trials: however often this is repeated, the
            study ends with that many.
        replicate: Train with other seeds than the study's other replicates; 0 is the first.
        max_retries: Attempts after the first at a trial with an error: 2.
        pictures: Trials that keep pictures: all (default), best (ten, the median and the worst) or
            none.
        extra: Measure the latents of every trained model too, 0.1 s each; the report says what
            mattered for them.
        warm_start: Begin a new study with the best points of this one, one for thirty trials.
        accept_change: Go on though the code of the study's own kind has changed; trials from then
            on are marked.
    """

    kind: Annotated[str, Option(positional=True)]
    study: str | None = None
    given: Given = Given()
    n_trials: Annotated[int | None, Option(name="--trials", low=1)] = None
    n_total: Annotated[int | None, Option(name="--total", low=1)] = None
    place: Annotated[Place, Option(without=("data", "kind"))] = Place()
    replicate: Natural = 0
    max_retries: Natural | None = None
    pictures: str | None = None
    extra: Annotated[bool, Option(name="--latents")] = False
    warm_start: Annotated[str | None, Option(metavar="STUDY")] = None
    accept_change: bool = False

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

    Args:
        study: Name of the study.
        accept_change: Go on though the code of the study's own kind has changed; trials from then
            on are marked.
    """

    study: str
    place: Annotated[Place, Option(without=("backend", "scheduler"))] = Place()
    accept_change: bool = False


@dataclass(frozen=True, kw_only=True)
class ServeRequest(Stored):
    """Serve a storage to hundreds of workers, which share its few connections.

    Nothing is encrypted and no password is asked: only for a network that you trust.

    Args:
        host: Address to listen on; 0.0.0.0 for all networks.
        port: Port to listen on.
        threads: Requests answered at the same time.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Option(low=1, high=65535)] = 13000
    threads: Count = 10


@dataclass(frozen=True, kw_only=True)
class ExperimentRequest(Request):
    """Run a paired experiment, and say what came out and how sure it is.

    Each pair has a seed and a split of its own; all arms of a pair start from equal weights.
    What --set does not fix is the notebook's best multitask configuration. Ctrl-C keeps
    everything; the same command continues, with more --pairs it goes on.

    Args:
        name: auxiliary-task (does classifying hurt reconstructing?), leakage (what do variants of
            one emoji on both sides of the split do?) or latent-space (what makes latents
            better?).
        n_pairs: Seeds and splits that all arms are run with.
        lambdas: auxiliary-task: weight of the cross-entropy; may be repeated: 0.1, 0.5, 0.7.
        study: Name of its study; NAME if not given.
    """

    name: Annotated[str, Option(positional=True)]
    n_pairs: Annotated[int, Option(name="--pairs", low=1)] = 10
    lambdas: Annotated[tuple[float, ...], Option(name="--lambda")] = ()
    study: str | None = None
    given: Annotated[
        Given,
        Option(without=("space", "sampler", "pruner", "split", "min_accuracy", "pareto")),
    ] = Given()
    place: Annotated[Place, Option(without=("data", "backend", "scheduler"))] = Place()


@dataclass(frozen=True, kw_only=True)
class FollowupRequest(Request):
    """How a search is followed up.

    Args:
        study: Name of the study; may be left out where there is only one.
        n_seeds: Fresh seeds and splits, in all.
        name: Name to store it as; the study's and what it is, if not given.
        seed: Seed of the study: 0.
    """

    study: str | None = None
    n_seeds: Annotated[int, Option(name="--seeds", low=1)] = 5
    name: str | None = None
    place: Place = Place()
    seed: Natural | None = None


@dataclass(frozen=True, kw_only=True)
class ConfirmRequest(FollowupRequest):
    """Train a study's best trials again, with fresh seeds and splits, and say which stay good.

    The lowest of many errors is that of one seed and of one set of validation images. Beside the
    best trials, the kind's default configuration and one from the middle of the search are
    trained on the same seeds and splits. When all of it is done, and not before, each trained
    model is measured once on the test split. Ctrl-C keeps everything; the same command
    continues, with more --seeds it goes on.

    Args:
        top: How many of the best trials are trained again.
        trials: Number of a trial to train again in place of the best; may be repeated.
        other_data: Data set file of other images than the search's, to train and test on: do the
            same configurations win there? Stored as NAME-on-FILE.
    """

    top: Count = 5
    trials: Annotated[tuple[int, ...], Option(name="--trial", low=0)] = ()
    other_data: Path | None = None

    def unused(self) -> Mapping[str, str]:
        both = "chooses trials; --trial names them. Give one of both."
        return {"--top": both} if self.trials else {}


@dataclass(frozen=True, kw_only=True)
class AblateRequest(FollowupRequest):
    """Measure what each parameter of a study's winner is worth, with real trainings.

    From the kind's default configuration to the winner one parameter changes at a time, in the
    order that a forest grown on the study expects most of; then each parameter of the winner is
    varied alone. All of it on the same fresh seeds and splits. Ctrl-C keeps everything; the same
    command continues, with more --seeds it goes on.

    Args:
        trial: Number of the winner, or best; if not given, the best confirmed one, else best.
        params: Parameter to vary around the winner; may be repeated: all.
    """

    trial: str | None = None
    params: Annotated[tuple[str, ...], Option(name="--param")] = ()
    n_seeds: Annotated[int, Option(name="--seeds", low=1)] = 3


@dataclass(frozen=True, kw_only=True)
class ImportRequest(Stored):
    """Turn results in a CSV file into a study, for status, report, export and --warm-start.

    Args:
        file: CSV file: of the notebook's layout, or from export.
        study: Name of the study; the file's if not given.
    """

    file: Annotated[Path, Option(positional=True)]
    study: str | None = None


@dataclass(frozen=True, kw_only=True)
class ListRequest(Stored):
    """List the studies of a storage."""


@dataclass(frozen=True, kw_only=True)
class StatusRequest(OneStudy):
    """Show a study's progress, its workers, failures and best trials.

    Args:
        watch: Go on showing it until the study is done.
        every: Seconds between two looks, with --watch.
    """

    watch: bool = False
    every: Annotated[float, Option(low=0.1)] = 2.0

    def unused(self) -> Mapping[str, str]:
        return {} if self.watch else {"--every": "belongs to --watch."}


@dataclass(frozen=True, kw_only=True)
class ExportRequest(OneStudy):
    """Write all trials of a study as a table, one row each.

    Args:
        out: File to write: .csv or .parquet.
        curves: Add what trials reported, epoch by epoch.
    """

    out: Path
    curves: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainRequest(WithDevice, Configured, Stored):
    """Train one model for good, and evaluate it on the test split once.

    Without --study, the parameters are those of --set; all others are the kind's default. Writes
    the model, the kind's pictures, of test data, and the metrics. Interrupted, it keeps the best
    epoch so far, not evaluated; the same command trains anew.

    Args:
        study: Train a trial of this study.
        kind: Without --study: autoencoder (default), multitask; your own as FILE.py:NAME; with
            it, where the code of the study's kind lies here.
        trial: Number of the trial, or best.
        seed: Seed; a trial's own, so that it is repeated, else 0.
        threads: CPU threads; a trial's own, else all.
        out: Folder to write; runs/train/... if not given.
    """

    study: str | None = None
    kind: str | None = None
    trial: str = "best"
    seed: Natural | None = None
    threads: Count | None = None
    out: Path | None = None

    def unused(self) -> Mapping[str, str]:
        return OF_A_STUDY if self.study is None else {}


@dataclass(frozen=True, kw_only=True)
class ComposeRequest(WithDevice, WithData, Stored):
    """Add and subtract emoji in a model's latent space, and draw what comes out.

    The picture shows the emoji over their reconstructions, the composite, and the real emoji
    that are nearest to it; of several expressions the path from one to the next; of --gallery
    what each way of adding up makes of the same faces. A trial's model is trained once and kept
    in runs/models.

    Args:
        expressions: Emoji by their texts with + and -, NUMBER * ..., (...), mean(a, b),
            attr(words): what images with these words share, upper(a) and lower(a): halves, of a
            convolutional model. Quote texts with signs or numbers. Several expressions are the
            stops of a path.
        gallery: Draw the notebook's sums beside better ones instead.
        average: Average face of the gallery, or: face without mouth.
        study: Take the model of a trial of this study.
        trial: Number of the trial, or best.
        checkpoint: Take this model, as `train` wrote it.
        way: Of a path: slerp (great circles) or lerp (straight).
        steps: Pictures from one stop of a path to the next.
        through_mean: Lead a path through the mean of all images.
        out: PNG file to write, of a path also a GIF, animated; runs/composition.png or
            runs/gallery.png if not given.
    """

    expressions: Annotated[tuple[str, ...], Option(positional=True)] = ()
    gallery: bool = False
    average: str = "slightly smiling face"
    study: str | None = None
    trial: str = "best"
    checkpoint: Path | None = None
    way: str = "slerp"
    steps: Annotated[int, Option(low=2)] = 9
    through_mean: bool = False
    out: Path | None = None

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

    Args:
        studies: Name of a study; several are compared with each other.
        pages: Older report to take studies from; may be repeated.
        out: HTML file; runs/STUDY.html if not given.
        independent: Correlations of trials only that no result had a part in choosing.
    """

    studies: Annotated[tuple[str, ...], Option(name="--study")] = ()
    pages: Annotated[tuple[Path, ...], Option(name="--from", metavar="HTML")] = ()
    out: Path | None = None
    independent: bool = False

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

    Args:
        port: Port to serve at; 0 for a free one.
        open_browser: Show it in the web browser.
        allow_edit: Let its pages change and delete studies; else they only read.
        refresh: Write notes and charts of the studies anew, and end; serve nothing.
        study: With --refresh: only this study.
    """

    port: Annotated[int, Option(low=0, high=65535)] = 8080
    open_browser: Annotated[bool, Option(name="--open")] = False
    allow_edit: bool = False
    refresh: bool = False
    study: str | None = None

    def unused(self) -> Mapping[str, str]:
        if not self.refresh:
            return {"--study": "belongs to --refresh; pages show all studies."}
        serving = ("--port", "--open", "--allow-edit")
        return dict.fromkeys(serving, "is for serving pages; --refresh serves none.")


@dataclass(frozen=True, kw_only=True)
class CleanRequest(OneStudy, WithArtifacts):
    """Remove the pictures of most trials of a study, which take most of its space.

    In the dashboard a small picture stands in for each. Curves stay, and `train` draws anew.

    Args:
        pictures: Whose to keep: best (ten, the median and the worst) or none.
    """

    pictures: str


@dataclass(frozen=True, kw_only=True)
class DemoRequest(WithDevice):
    """Run a small study end to end: database, best model, report.

    Takes about two minutes on two cores. Run again, it continues, and adds no trials.

    Args:
        out: Folder to write.
        workers: Worker processes.
    """

    out: Path = Path("runs/demo")
    workers: Count = 2


@dataclass(frozen=True, kw_only=True)
class BuildRequest(Request):
    """Write the installed emoji images of one vendor as a data set file.

    Args:
        out: Parquet file to write.
        vendor: apple, google, joypixels, meta, samsung, twitter or windows.
    """

    out: Path
    vendor: str = "google"


@dataclass(frozen=True, kw_only=True)
class DescribeRequest(WithData):
    """Describe a data set and its split as one HTML file that needs no network.

    Words, classes, sides of the split, what leaks across it, and near-duplicates.

    Args:
        split: group keeps variants of an emoji on one side; random leaks.
        data_seed: Seed of the split.
        out: HTML file to write.
    """

    split: str = "group"
    data_seed: Natural = 42
    out: Path = Path("runs/data.html")
