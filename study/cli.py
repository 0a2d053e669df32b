"""The command line: reads arguments, calls the package, prints what it returns.

Everything slow to import (torch, optuna, plotly) is imported by the command that needs it.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from study.errors import user_message

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from storage.records import StudyRecord
    from study.running.coordinator import RunOutcome
    from study.running.place import Place

DEFAULT_STORAGE = "sqlite:///runs/study.db"

app = typer.Typer(
    name="emoji-study",
    help="Hyperparameter studies of small autoencoders on face emoji.",
    epilog="Start with: emoji-study demo. With --debug, errors show where they come from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(
    help="Build or describe a data set.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(data_app, name="data")

Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        envvar="EMOJI_STUDY_STORAGE",
        help="Database URL: sqlite:///FILE, postgresql+psycopg://..., mysql+pymysql://..., or "
        "grpc://HOST:PORT of serve-storage.",
    ),
]
StudyName = Annotated[
    str | None,
    typer.Option("--study", help="Name of the study; may be left out where there is only one."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data set file (parquet); the embedded images if not given."),
]
Vendors = Annotated[
    str | None,
    typer.Option(
        "--vendors",
        metavar="NAME,NAME,...",
        help="Installed images to use: apple, google (default), joypixels, meta, samsung, twitter "
        "or windows. Without --data the first one's are split as usual; all others only give "
        "extra training images, never of an emoji in validation or test.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Artifacts = Annotated[
    Path | None,
    typer.Option("--artifacts", help="Folder of pictures and curves; beside an SQLite file."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PARAM=VALUE", help="Fix a parameter; may be repeated."),
]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", min=1, help="Epochs, or other steps, per training; --set epoch=E."),
]

KindHere = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="FILE.py:NAME",
        help="Where the code of the study's own kind lies here; else where it lay when the study "
        "was made.",
    ),
]
AcceptChange = Annotated[
    bool,
    typer.Option(
        "--accept-change",
        help="Go on though the code of the study's own kind has changed; trials from then on are "
        "marked.",
    ),
]
Workers = Annotated[
    int, typer.Option("--workers", min=1, help="Worker processes; they share the cores.")
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads per worker; cores // workers.")
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="Fresh seeds and splits, in all.")]
FollowupName = Annotated[
    str | None,
    typer.Option("--name", help="Name to store it as; the study's and what it is, if not given."),
]
Backend = Annotated[
    str, typer.Option("--backend", help="Where workers run: local, or dask for a Dask cluster.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", help="Dask cluster, tls:// or tcp://HOST:8786; this process if not given."
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the study: 0.")]
DataSeed = Annotated[int | None, typer.Option("--data-seed", min=0, help="Seed of the split: 42.")]


def main() -> None:
    """Run the command line and exit: 0 done, 1 user error, 2 usage, 130 interrupted."""
    debug = "--debug" in sys.argv
    argv = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=argv, prog_name="emoji-study")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        message = user_message(error)
        if debug or message is None:
            raise
        sys.stderr.write(f"Error: {message}\n")
        sys.exit(1)


@app.command(
    epilog="Examples: emoji-study run autoencoder --space notebook --sampler grid --trials 12 "
    "--workers 2 | emoji-study run multitask --space extended --min-accuracy 0.9 | "
    "emoji-study run autoencoder --vendors google,twitter,apple --study more-images"
)
def run(
    kind: Annotated[
        str,
        typer.Argument(
            help="Kind of model: autoencoder, multitask; your own: path/to/file.py:NAME, "
            "package.module:NAME."
        ),
    ],
    space: Annotated[
        str | None, typer.Option("--space", help="Search space: notebook (default) or extended.")
    ] = None,
    data: Data = None,
    vendors: Vendors = None,
    storage: Storage = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option("--study", help="Name of the study; KIND-SPACE if not given.")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials",
            min=1,
            help="Finished trials to add, complete or pruned: 40 unless given, for a grid the "
            "whole grid. An interrupted run is completed first.",
        ),
    ] = None,
    total: Annotated[
        int | None,
        typer.Option(
            "--total",
            min=1,
            help="Finished trials in all, in place of --trials: however often this is repeated, "
            "the study ends with that many.",
        ),
    ] = None,
    workers: Workers = 1,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="grid, random, qmc, tpe (default) or gp.")
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(
            "--pruner",
            help="median, halving (successive, asynchronous), hyperband or none; by default none "
            "for a grid, halving in the notebook's space with 100 epochs and more, else hyperband "
            "from 100 trials, median below.",
        ),
    ] = None,
    assignments: Assignments = None,
    epochs: Epochs = None,
    seed: Seed = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="How data are parted. Emoji: group (default) keeps variants of one on one side; "
            "random leaks.",
        ),
    ] = None,
    data_seed: DataSeed = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            "--min-accuracy",
            min=0,
            max=1,
            help="A trial whose second metric (of multitask: validation accuracy) is worse is "
            "infeasible.",
        ),
    ] = None,
    pareto: Annotated[
        bool,
        typer.Option(
            "--pareto",
            help="Make the second metric (of multitask: accuracy) an objective too; such studies "
            "cannot prune.",
        ),
    ] = False,
    replicate: Annotated[
        int,
        typer.Option(
            "--replicate",
            min=0,
            help="Train with other seeds than the study's other replicates; 0 is the first.",
        ),
    ] = 0,
    warm_start: Annotated[
        str | None,
        typer.Option(
            "--warm-start",
            metavar="STUDY",
            help="Begin a new study with the best points of this one, one for thirty trials.",
        ),
    ] = None,
    max_retries: Annotated[
        int | None,
        typer.Option(
            "--max-retries", min=0, help="Attempts after the first at a trial with an error: 2."
        ),
    ] = None,
    pictures: Annotated[
        str | None,
        typer.Option(
            "--pictures",
            help="Trials that keep pictures: all (default), best (ten, the median and the worst) "
            "or none.",
        ),
    ] = None,
    latents: Annotated[
        bool,
        typer.Option(
            "--latents",
            help="Measure the latents of every trained model too, 0.1 s each; the report says "
            "what mattered for them.",
        ),
    ] = False,
    threads: Threads = None,
    device: Device = "auto",
    artifacts: Artifacts = None,
    backend: Backend = "local",
    scheduler: Scheduler = None,
    accept_change: AcceptChange = False,
) -> None:
    """Create or continue a study and run trials of it.

    Ctrl-C keeps everything; the same command continues. It asks for more trials only when the
    ones before are finished and it has said so; in a loop that restarts it, --total is safest.
    A study that exists keeps its settings, so they need not be repeated.
    """
    if trials is not None and total is not None:
        raise typer.BadParameter("--trials adds and --total counts all; give one of them.")

    from study.commands.run import Amount, Kept
    from study.commands.run import run as run_study
    from study.running.deciding import Given

    outcome = run_study(
        kind,
        _place(storage, workers, threads, device, artifacts, backend, scheduler),
        Given(
            space=space,
            assignments=_assignments(assignments),
            n_steps=epochs,
            sampler=sampler,
            pruner=pruner,
            seed=seed,
            data=data,
            split=split,
            data_seed=data_seed,
            min_accuracy=min_accuracy,
            pareto=pareto,
            options={"vendors": _names(vendors)},
        ),
        Amount(n_trials=trials, n_total=total, replicate=replicate, max_retries=max_retries),
        kept=Kept(pictures=pictures, extra=latents),
        study=study,
        warm_start=warm_start,
        accept_change=accept_change,
        say=_say,
    )
    _exit_unless_done(outcome)


@app.command(
    epilog="Example: emoji-study worker --storage postgresql+psycopg://me@db/studies "
    "--study autoencoder-extended --workers 8"
)
def worker(
    study: Annotated[str, typer.Option("--study", help="Name of the study.")],
    storage: Storage = DEFAULT_STORAGE,
    data: Data = None,
    workers: Workers = 1,
    threads: Threads = None,
    device: Device = "auto",
    artifacts: Artifacts = None,
    kind: KindHere = None,
    accept_change: AcceptChange = False,
) -> None:
    """Join a study from this machine, until it has the trials that were asked for.

    The study brings its settings along; data and version must be the same here. Any number of
    machines may join at any time, and leave: what they began goes on elsewhere.
    """
    from study.commands.worker import work

    place = _place(storage, workers, threads, device, artifacts, data=data, kind=kind)
    _exit_unless_done(work(study, place, accept_change=accept_change, say=_say))


@app.command(
    "serve-storage",
    epilog="Example: emoji-study serve-storage --storage postgresql+psycopg://me@db/studies "
    "--host 0.0.0.0; then: emoji-study worker --storage grpc://HOST:13000 --study NAME",
)
def serve_storage(
    storage: Storage = DEFAULT_STORAGE,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for all networks.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")
    ] = 13000,
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="Requests answered at the same time.")
    ] = 10,
) -> None:
    """Serve a storage to hundreds of workers, which share its few connections.

    Nothing is encrypted and no password is asked: only for a network that you trust.
    """
    from study.commands.serve_storage import serve

    serve(storage, host=host, port=port, n_threads=threads, say=_say)


@app.command(
    epilog="Examples: emoji-study experiment auxiliary-task --pairs 10 --workers 2 | "
    "emoji-study experiment leakage --epochs 100 | emoji-study experiment latent-space "
    "--vendors google,twitter,apple --workers 2"
)
def experiment(
    name: Annotated[
        str,
        typer.Argument(
            help="auxiliary-task (does classifying hurt reconstructing?), leakage (what do "
            "variants of one emoji on both sides of the split do?) or latent-space (what makes "
            "latents better?)."
        ),
    ],
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, help="Seeds and splits that all arms are run with.")
    ] = 10,
    lambdas: Annotated[
        list[float] | None,
        typer.Option(
            "--lambda",
            help="auxiliary-task: weight of the cross-entropy; may be repeated: 0.1, 0.5, 0.7.",
        ),
    ] = None,
    data: Data = None,
    vendors: Vendors = None,
    storage: Storage = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option("--study", help="Name of its study; NAME if not given.")
    ] = None,
    workers: Workers = 1,
    assignments: Assignments = None,
    epochs: Epochs = None,
    seed: Seed = None,
    data_seed: DataSeed = None,
    threads: Threads = None,
    device: Device = "auto",
    artifacts: Artifacts = None,
    kind: KindHere = None,
) -> None:
    """Run a paired experiment, and say what came out and how sure it is.

    Each pair has a seed and a split of its own; all arms of a pair start from equal weights.
    What --set does not fix is the notebook's best multitask configuration. Ctrl-C keeps
    everything; the same command continues, with more --pairs it goes on.
    """
    from study.commands.experiment import experiment as run_experiment
    from study.running.deciding import Given

    outcome = run_experiment(
        name,
        _place(storage, workers, threads, device, artifacts, kind=kind),
        Given(
            assignments=_assignments(assignments),
            n_steps=epochs,
            seed=seed,
            data=data,
            data_seed=data_seed,
            options={"vendors": _names(vendors)},
        ),
        options={"lambdas": tuple(lambdas)} if lambdas else {},
        study=study,
        n_pairs=pairs,
        say=_say,
    )
    _exit_unless_done(outcome)


@app.command(
    epilog="Examples: emoji-study confirm --study autoencoder-extended --workers 2 | "
    "emoji-study confirm --study autoencoder-extended --top 3 --seeds 10 | "
    "emoji-study confirm --study autoencoder-extended --top 1 --other-data twitter.parquet"
)
def confirm(
    ctx: typer.Context,
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    top: Annotated[
        int, typer.Option("--top", min=1, help="How many of the best trials are trained again.")
    ] = 5,
    trials: Annotated[
        list[int] | None,
        typer.Option(
            "--trial",
            min=0,
            help="Number of a trial to train again in place of the best; may be repeated.",
        ),
    ] = None,
    seeds: Seeds = 5,
    name: FollowupName = None,
    data: Data = None,
    other_data: Annotated[
        Path | None,
        typer.Option(
            "--other-data",
            help="Data set file of other images than the search's, to train and test on: do the "
            "same configurations win there? Stored as NAME-on-FILE.",
        ),
    ] = None,
    workers: Workers = 1,
    seed: Seed = None,
    threads: Threads = None,
    device: Device = "auto",
    artifacts: Artifacts = None,
    backend: Backend = "local",
    scheduler: Scheduler = None,
    kind: KindHere = None,
) -> None:
    """Train a study's best trials again, with fresh seeds and splits, and say which stay good.

    The lowest of many errors is that of one seed and of one set of validation images. Beside the
    best trials, the kind's default configuration and one from the middle of the search are
    trained on the same seeds and splits. When all of it is done, and not before, each trained
    model is measured once on the test split. Ctrl-C keeps everything; the same command
    continues, with more --seeds it goes on.
    """
    if trials:
        _refuse(ctx, "--top", why="chooses trials; --trial names them. Give one of both.")

    from study.commands.confirm import confirm as confirm_best

    _, record = _record(storage, study)
    outcome = confirm_best(
        record.name,
        _place(storage, workers, threads, device, artifacts, backend, scheduler, data, kind),
        top=top,
        trials=tuple(trials or ()),
        other_data=other_data,
        name=name,
        seed=seed,
        n_seeds=seeds,
        say=_say,
        show=_show,
    )
    _exit_unless_done(outcome)


@app.command(
    epilog="Examples: emoji-study ablate --study autoencoder-extended --workers 2 | "
    "emoji-study ablate --study autoencoder-extended --trial 17 --param learning_rate"
)
def ablate(
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    trial: Annotated[
        str | None,
        typer.Option(
            "--trial",
            help="Number of the winner, or best; if not given, the best confirmed one, else best.",
        ),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", help="Parameter to vary around the winner; may be repeated: all."),
    ] = None,
    seeds: Seeds = 3,
    name: FollowupName = None,
    data: Data = None,
    workers: Workers = 1,
    seed: Seed = None,
    threads: Threads = None,
    device: Device = "auto",
    artifacts: Artifacts = None,
    backend: Backend = "local",
    scheduler: Scheduler = None,
    kind: KindHere = None,
) -> None:
    """Measure what each parameter of a study's winner is worth, with real trainings.

    From the kind's default configuration to the winner one parameter changes at a time, in the
    order that a forest grown on the study expects most of; then each parameter of the winner is
    varied alone. All of it on the same fresh seeds and splits. Ctrl-C keeps everything; the same
    command continues, with more --seeds it goes on.
    """
    from study.commands.ablate import ablate as take_apart

    _, record = _record(storage, study)
    outcome = take_apart(
        record.name,
        _place(storage, workers, threads, device, artifacts, backend, scheduler, data, kind),
        trial=trial,
        only=tuple(params or ()),
        name=name,
        seed=seed,
        n_seeds=seeds,
        say=_say,
        show=_show,
    )
    _exit_unless_done(outcome)


@app.command(
    "import-csv", epilog="Example: emoji-study import-csv results.csv --study notebook-2024"
)
def import_csv(
    file: Annotated[
        Path, typer.Argument(help="CSV file: of the notebook's layout, or from export.")
    ],
    storage: Storage = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option("--study", help="Name of the study; the file's if not given.")
    ] = None,
) -> None:
    """Turn results in a CSV file into a study, for status, report, export and --warm-start."""
    from study.commands.import_csv import import_csv as import_file

    import_file(file, url=storage, study=study, say=_say)


@app.command("list", epilog="Example: emoji-study list --storage sqlite:///runs/demo/study.db")
def list_studies(storage: Storage = DEFAULT_STORAGE) -> None:
    """List the studies of a storage."""
    from storage.rdb import open_storage
    from storage.records import load_study_record, study_names
    from study.terminal.status import study_table

    opened = open_storage(storage)
    _show(study_table([load_study_record(opened, name) for name in study_names(opened)]))


@app.command(epilog="Example: emoji-study status --study autoencoder-notebook --watch")
def status(
    ctx: typer.Context,
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on showing it until the study is done.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between two looks, with --watch.")
    ] = 2.0,
) -> None:
    """Show a study's progress, its workers, failures and best trials."""
    if not watch:
        _refuse(ctx, "--every", why="belongs to --watch.")

    from storage.queue import silences
    from storage.records import load_study_record
    from study.terminal.status import status_lines
    from study.terminal.status import watch as watch_study

    opened, record = _record(storage, study)
    study_id = opened.get_study_id_from_name(record.name)
    if watch:
        watch_study(
            lambda: (load_study_record(opened, record.name), silences(opened, study_id)),
            interval_s=every,
        )
        return
    for part in status_lines(record, silences(opened, study_id)):
        _show(part)


@app.command(
    epilog="Example: emoji-study export --study autoencoder-notebook --out trials.parquet"
)
def export(
    out: Annotated[Path, typer.Option("--out", help="File to write: .csv or .parquet.")],
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="Add what trials reported, epoch by epoch.")
    ] = False,
) -> None:
    """Write all trials of a study as a table, one row each."""
    from study.exchange.write_table import write_table

    _, record = _record(storage, study)
    _say(f"{write_table(record, out, curves=curves)} trials written to {out}")


@app.command(
    epilog="Examples: emoji-study train --study autoencoder-notebook --trial best | "
    "emoji-study train --kind multitask --set classification_lambda=0.5 --epochs 100"
)
def train(
    ctx: typer.Context,
    storage: Storage = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option("--study", help="Train a trial of this study.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="Without --study: autoencoder (default), multitask; your own as "
            "FILE.py:NAME; with it, where the code of the study's kind lies here.",
        ),
    ] = None,
    trial: Annotated[str, typer.Option("--trial", help="Number of the trial, or best.")] = "best",
    assignments: Assignments = None,
    epochs: Epochs = None,
    data: Data = None,
    vendors: Vendors = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Seed; a trial's own, so that it is repeated, else 0."),
    ] = None,
    device: Device = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads; a trial's own, else all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write; runs/train/... if not given.")
    ] = None,
) -> None:
    """Train one model for good, and evaluate it on the test split once.

    Without --study, the parameters are those of --set; all others are the kind's default. Writes
    the model, the kind's pictures, of test data, and the metrics. Interrupted, it keeps the best
    epoch so far, not evaluated; the same command trains anew.
    """
    if study is None:
        _refuse(ctx, "--trial", "--storage", why="belongs to --study: name the study.")

    from study.commands.train import TrainRequest
    from study.commands.train import train as train_model

    final = train_model(
        TrainRequest(
            url=storage,
            study=study,
            kind=kind,
            trial=trial,
            assignments=_assignments(assignments),
            n_steps=epochs,
            data=data,
            options={"vendors": _names(vendors)},
            seed=seed,
            device=device,
            threads=threads,
            out=out,
        ),
        say=_say,
    )
    if final is None or final.interrupted:
        raise typer.Exit(130)


@app.command(
    epilog="Examples: emoji-study compose 'nerd face - smiling face with open mouth + face with "
    "stuck out tongue' --study autoencoder-extended | emoji-study compose "
    "'nerd face' 'sleepy face' --checkpoint best/checkpoint.pt --out path.gif | emoji-study "
    "compose --gallery --checkpoint best/checkpoint.pt --out gallery.png"
)
def compose(
    ctx: typer.Context,
    expressions: Annotated[
        list[str] | None,
        typer.Argument(
            help="Emoji by their texts with + and -, NUMBER * ..., (...), mean(a, b), "
            "attr(words): what images with these words share, upper(a) and lower(a): halves, of "
            "a convolutional model. Quote texts with signs or numbers. Several expressions are "
            "the stops of a path.",
        ),
    ] = None,
    gallery: Annotated[
        bool,
        typer.Option("--gallery", help="Draw the notebook's sums beside better ones instead."),
    ] = False,
    average: Annotated[
        str,
        typer.Option("--average", help="Average face of the gallery, or: face without mouth."),
    ] = "slightly smiling face",
    storage: Storage = DEFAULT_STORAGE,
    study: Annotated[
        str | None, typer.Option("--study", help="Take the model of a trial of this study.")
    ] = None,
    trial: Annotated[str, typer.Option("--trial", help="Number of the trial, or best.")] = "best",
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Take this model, as `train` wrote it.")
    ] = None,
    way: Annotated[
        str, typer.Option("--way", help="Of a path: slerp (great circles) or lerp (straight).")
    ] = "slerp",
    steps: Annotated[
        int, typer.Option("--steps", min=2, help="Pictures from one stop of a path to the next.")
    ] = 9,
    through_mean: Annotated[
        bool, typer.Option("--through-mean", help="Lead a path through the mean of all images.")
    ] = False,
    data: Data = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="PNG file to write, of a path also a GIF, animated; runs/composition.png or "
            "runs/gallery.png if not given.",
        ),
    ] = None,
) -> None:
    """Add and subtract emoji in a model's latent space, and draw what comes out.

    The picture shows the emoji over their reconstructions, the composite, and the real emoji
    that are nearest to it; of several expressions the path from one to the next; of --gallery
    what each way of adding up makes of the same faces. A trial's model is trained once and kept
    in runs/models.
    """
    if not gallery:
        _refuse(ctx, "--average", why="belongs to --gallery.")
    if gallery or len(expressions or ()) < 2:
        own = "--gallery has none" if gallery else "give several expressions"
        _refuse(ctx, "--way", "--steps", "--through-mean", why=f"belongs to a path: {own}.")
    if study is None:
        _refuse(ctx, "--trial", "--storage", why="belongs to --study: name the study.")
    if checkpoint is not None:
        _refuse(ctx, "--device", why="is where --study trains; --checkpoint is trained already.")

    from study.emoji.compose import ComposeRequest, compose_request

    request = ComposeRequest(
        expressions=tuple(expressions or ()),
        gallery=gallery,
        average=average,
        way=way,
        steps=steps,
        through_mean=through_mean,
        url=storage,
        study=study,
        trial=trial,
        checkpoint=checkpoint,
        data=data,
        device=device,
        out=out or Path("runs/gallery.png" if gallery else "runs/composition.png"),
    )
    compose_request(request, say=_say)


@app.command(
    epilog="Examples: emoji-study report --study autoencoder-notebook --out report.html\n\n"
    "emoji-study report --study original --study autoencoder-extended"
)
def report(
    ctx: typer.Context,
    storage: Storage = DEFAULT_STORAGE,
    study: Annotated[
        list[str] | None,
        typer.Option("--study", help="Name of a study; several are compared with each other."),
    ] = None,
    page: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="HTML", help="Older report to take studies from; may be repeated."
        ),
    ] = None,
    artifacts: Artifacts = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML file; runs/STUDY.html if not given.")
    ] = None,
    independent: Annotated[
        bool,
        typer.Option(
            "--independent",
            help="Correlations of trials only that no result had a part in choosing.",
        ),
    ] = False,
) -> None:
    """Write the report of a study as one HTML file that needs no network.

    Several studies, from the storage or from older reports, give a comparison.
    """
    if page and not study:
        _refuse(ctx, "--storage", why="belongs to --study: --from needs no database.")
    if page or len(study or ()) > 1:
        which = "--from brings its own" if page else "several --study are compared without any"
        _refuse(ctx, "--artifacts", why=f"holds pictures: {which}.")

    from study.commands.report import ReportRequest, report_request

    request = ReportRequest(
        url=storage,
        studies=study or [],
        pages=page or [],
        artifacts=artifacts,
        out=out,
        correlated="independent" if independent else "all",
    )
    _say(f"Report written to {report_request(request)}")


@app.command(
    epilog="Examples: emoji-study dashboard --open | "
    "emoji-study dashboard --storage sqlite:///runs/demo/study.db --port 9000"
)
def dashboard(
    ctx: typer.Context,
    storage: Storage = DEFAULT_STORAGE,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to serve at; 0 for a free one.")
    ] = 8080,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Show it in the web browser.")
    ] = False,
    allow_edit: Annotated[
        bool,
        typer.Option(
            "--allow-edit", help="Let its pages change and delete studies; else they only read."
        ),
    ] = False,
    artifacts: Artifacts = None,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh", help="Write notes and charts of the studies anew, and end; serve nothing."
        ),
    ] = False,
    study: Annotated[
        str | None, typer.Option("--study", help="With --refresh: only this study.")
    ] = None,
) -> None:
    """Show the studies of a storage live in the browser: optuna-dashboard, on this machine only.

    Every trial has its pictures, curves and a note there, every study the report of the moment.
    Open the whole address that it prints: the token in it keeps other users of the machine out.
    To watch a study that runs elsewhere: ssh -L 8080:localhost:8080 HOST, and this command there.
    """
    if refresh:
        serving = ("--port", "--open", "--allow-edit")
        _refuse(ctx, *serving, why="is for serving pages; --refresh serves none.")
    else:
        _refuse(ctx, "--study", why="belongs to --refresh; pages show all studies.")

    from study.commands.dashboard import DashboardRequest, dashboard_request, refresh_request

    if refresh:
        refresh_request(storage, study, artifacts, say=_say)
        return
    request = DashboardRequest(
        url=storage,
        artifacts=artifacts,
        port=port,
        allow_edit=allow_edit,
        open_browser=open_browser,
    )
    dashboard_request(request, say=_say)


@app.command(epilog="Example: emoji-study clean --study autoencoder-notebook --pictures best")
def clean(
    pictures: Annotated[
        str,
        typer.Option(
            "--pictures", help="Whose to keep: best (ten, the median and the worst) or none."
        ),
    ],
    storage: Storage = DEFAULT_STORAGE,
    study: StudyName = None,
    artifacts: Artifacts = None,
) -> None:
    """Remove the pictures of most trials of a study, which take most of its space.

    In the dashboard a small picture stands in for each. Curves stay, and `train` draws anew.
    """
    from study.commands.dashboard import CleanRequest, clean_request

    request = CleanRequest(url=storage, study=study, artifacts=artifacts, keep=pictures)
    clean_request(request, say=_say)


@app.command(epilog="Example: emoji-study demo --out runs/demo")
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("runs/demo"),
    workers: Annotated[int, typer.Option("--workers", min=1, help="Worker processes.")] = 2,
    device: Device = "auto",
) -> None:
    """Run a small study end to end: database, best model, report.

    Takes about two minutes on two cores. Run again, it continues, and adds no trials.
    """
    from study.commands.demo import run_demo

    if run_demo(out, n_workers=workers, device=device, say=_say).interrupted:
        _say("Interrupted; everything is kept. The same command continues.")
        raise typer.Exit(130)


@data_app.command(
    "build", epilog="Example: emoji-study data build --out runs/twitter.parquet --vendor twitter"
)
def data_build(
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write.")],
    vendor: Annotated[
        str,
        typer.Option(
            "--vendor", help="apple, google, joypixels, meta, samsung, twitter or windows."
        ),
    ] = "google",
) -> None:
    """Write the installed emoji images of one vendor as a data set file."""
    from study.emoji.describe import build_data

    _say(f"{build_data(vendor, out)} images written to {out}")


@data_app.command(
    "describe",
    epilog="Example: emoji-study data describe --data twitter.parquet --out twitter.html",
)
def data_describe(
    data: Data = None,
    split: Annotated[
        str,
        typer.Option(
            "--split", help="group keeps variants of an emoji on one side; random leaks."
        ),
    ] = "group",
    data_seed: Annotated[int, typer.Option("--data-seed", min=0, help="Seed of the split.")] = 42,
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.")] = Path(
        "runs/data.html"
    ),
) -> None:
    """Describe a data set and its split as one HTML file that needs no network.

    Words, classes, sides of the split, what leaks across it, and near-duplicates.
    """
    from study.emoji.describe import DescribeRequest, describe_data

    request = DescribeRequest(data=data, split=split, data_seed=data_seed, out=out)
    _say(f"Description written to {describe_data(request)}")


def _place(
    url: str,
    workers: int,
    threads: int | None,
    device: str,
    artifacts: Path | None,
    backend: str = "local",
    scheduler: str | None = None,
    data: Path | None = None,
    kind: str | None = None,
) -> "Place":
    """Return where the trainings of a command run."""
    from study.running.place import Place

    return Place(
        url=url,
        data=data,
        n_workers=workers,
        threads=threads,
        device=device,
        artifacts=artifacts,
        backend=backend,
        scheduler=scheduler,
        kind=kind,
    )


def _exit_unless_done(outcome: "RunOutcome") -> None:
    if outcome.interrupted:
        _say("Interrupted; everything is kept. The same command continues.")
        raise typer.Exit(130)
    if not outcome.done:
        raise typer.Exit(1)


def _record(url: str, study: str | None) -> "tuple[BaseStorage, StudyRecord]":
    """Read a study; if no name is given the only one of the storage, follow-ups aside."""
    from storage.rdb import open_storage
    from storage.records import load_study_record, only_study

    opened = open_storage(url)
    return opened, load_study_record(opened, study or only_study(opened))


def _assignments(texts: list[str] | None) -> Mapping[str, str]:
    """Read ``PARAM=VALUE`` texts."""
    assignments: dict[str, str] = {}
    for text in texts or []:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator:
            raise typer.BadParameter(f"{text!r} is not of the form PARAM=VALUE.")
        if name in assignments:
            raise typer.BadParameter(f"--set {name} comes twice; give one value.")
        assignments[name] = value.strip()
    return assignments


def _refuse(ctx: typer.Context, *options: str, why: str) -> None:
    """Refuse options that would have no effect beside the others that were given.

    What is not on the command line, as a storage in the environment, was not meant for it.

    Args:
        ctx: Of the command.
        options: Such as ``--trial``.
        why: Follows the option in the error; names another one.

    Raises:
        typer.BadParameter: If one of them is on the command line.
    """
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(str(parameter.name))
        for option in parameter.opts:
            if option in options and source is not None and source.name == "COMMANDLINE":
                raise typer.BadParameter(f"{option} {why}")


def _names(text: str | None) -> tuple[str, ...] | None:
    """Read names with commas between them."""
    return None if text is None else tuple(name.strip() for name in text.split(","))


def _say(text: str) -> None:
    """Print a line: a warning on standard error, all else on standard output."""
    typer.echo(text, err=text.startswith("Warning: "))


def _show(renderable: Any) -> None:
    from rich.console import Console

    console = Console()
    # A pipe has no width to which a table should be cut.
    (console if console.is_terminal else Console(width=500)).print(renderable)
