"""What can be asked: each option of the command line once, as a field whose help is its docstring.

``study.cli`` makes the options, and reads them into these values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from study.errors import StudyError

Say = Callable[[str], None]
DEFAULT_TRIALS = 40


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
class Stored:
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
class WithData:
    """What reads data.

    Args:
        data: Data set file (parquet); the embedded images if not given.
    """

    data: Path | None = None


@dataclass(frozen=True, kw_only=True)
class WithDevice:
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
class Amount:
    """How much is run.

    Args:
        n_trials: Finished trials to add, complete or pruned: 40 unless given, for a grid the
            whole grid. An interrupted run is completed first.
        n_total: Finished trials in all, in place of --trials: however often this is repeated, the
            study ends with that many.
        replicate: Train with other seeds than the study's other replicates; 0 is the first.
        max_retries: Attempts after the first at a trial with an error: 2.
    """

    n_trials: Annotated[int | None, Option(name="--trials", low=1)] = None
    n_total: Annotated[int | None, Option(name="--total", low=1)] = None
    replicate: Natural = 0
    max_retries: Natural | None = None

    @property
    def n_first(self) -> int:
        """Trials that a new study begins with."""
        return self.n_total or self.n_trials or DEFAULT_TRIALS


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a study keeps and measures beside its results, from now on.

    Args:
        pictures: Trials that keep pictures: all (default), best (ten, the median and the worst) or
            none.
        extra: Measure the latents of every trained model too, 0.1 s each; the report says what
            mattered for them.
    """

    pictures: str | None = None
    extra: Annotated[bool, Option(name="--latents")] = False


@dataclass(frozen=True, kw_only=True)
class FollowupRequest(OneStudy):
    """How a search is followed up; ``study`` is the search.

    Args:
        name: Name to store it as; the study's and what it is, if not given.
        seed: Seed of the study: 0.
    """

    name: str | None = None
    seed: Natural | None = None


@dataclass(frozen=True, kw_only=True)
class TrainRequest(WithDevice, Configured, Stored):
    """What ``emoji-study train`` was asked; None stands for the trial's value or the default.

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


@dataclass(frozen=True, kw_only=True)
class ComposeRequest(WithDevice, WithData, Stored):
    """What ``emoji-study compose`` was asked.

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


@dataclass(frozen=True, kw_only=True)
class ReportRequest(WithArtifacts):
    """What ``emoji-study report`` was asked; the only study where neither study nor page is given.

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


@dataclass(frozen=True, kw_only=True)
class DashboardRequest(WithArtifacts):
    """What ``emoji-study dashboard`` was asked.

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


@dataclass(frozen=True, kw_only=True)
class CleanRequest(OneStudy, WithArtifacts):
    """What ``emoji-study clean`` was asked.

    Args:
        pictures: Whose to keep: best (ten, the median and the worst) or none.
    """

    pictures: str


@dataclass(frozen=True, kw_only=True)
class DescribeRequest(WithData):
    """What ``emoji-study data describe`` was asked.

    Args:
        split: group keeps variants of an emoji on one side; random leaks.
        data_seed: Seed of the split.
        out: HTML file to write.
    """

    split: str = "group"
    data_seed: Natural = 42
    out: Path = Path("runs/data.html")
