"""The command line: a table of commands, whose options are the fields of ``study.requests``.

Everything slow to import (torch, optuna, plotly) is imported by the command that needs it.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from study.errors import user_message
from study.options import Code, Commands
from study.requests import (
    Amount,
    CleanRequest,
    ComposeRequest,
    Count,
    DashboardRequest,
    DescribeRequest,
    FollowupRequest,
    Given,
    Kept,
    OneStudy,
    Option,
    Place,
    ReportRequest,
    Stored,
    TrainRequest,
    WithDevice,
)

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from storage.records import StudyRecord
    from study.running.coordinator import RunOutcome

app = Commands(
    help="Hyperparameter studies of small autoencoders on face emoji.",
    epilog="Start with: emoji-study demo. With --debug, errors show where they come from.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = Commands("data", help="Build or describe a data set.", no_args_is_help=True)


def main() -> None:
    """Run the command line and exit: 0 done, 1 user error, 2 usage, 130 interrupted."""
    debug = "--debug" in sys.argv
    argv = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        sys.exit(app.main(argv, "emoji-study", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except Exception as error:
        message = user_message(error)
        if debug or message is None:
            raise
        sys.stderr.write(f"Error: {message}\n")
        sys.exit(1)


@app.add(
    "emoji-study run autoencoder --space notebook --sampler grid --trials 12 --workers 2",
    "emoji-study run multitask --space extended --min-accuracy 0.9",
    "emoji-study run autoencoder --vendors google,twitter,apple --study more-images",
)
def run(
    kind: Annotated[str, Option(positional=True)],
    given: Given,
    place: Annotated[Place, Option(without=("data", "kind"))],
    amount: Amount,
    kept: Kept,
    study: str | None = None,
    warm_start: Annotated[str | None, Option(metavar="STUDY")] = None,
    accept_change: bool = False,
) -> Code:
    """Create or continue a study and run trials of it.

    Ctrl-C keeps everything; the same command continues. It asks for more trials only when the
    ones before are finished and it has said so; in a loop that restarts it, --total is safest.
    A study that exists keeps its settings, so they need not be repeated.

    Args:
        kind: Kind of model: autoencoder, multitask; your own: path/to/file.py:NAME,
            package.module:NAME.
        study: Name of the study; KIND-SPACE if not given.
        warm_start: Begin a new study with the best points of this one, one for thirty trials.
        accept_change: Go on though the code of the study's own kind has changed; trials from then
            on are marked.
    """
    if amount.n_trials is not None and amount.n_total is not None:
        raise click.BadParameter("--trials adds and --total counts all; give one of them.")

    from study.commands.run import run as run_study

    outcome = run_study(
        kind,
        place,
        given,
        amount,
        kept=kept,
        study=study,
        warm_start=warm_start,
        accept_change=accept_change,
        say=_say,
    )
    return _code(outcome)


@app.add(
    "emoji-study worker --storage postgresql+psycopg://me@db/studies --study autoencoder-extended "
    "--workers 8"
)
def worker(
    study: str,
    place: Annotated[Place, Option(without=("backend", "scheduler"))],
    accept_change: bool = False,
) -> Code:
    """Join a study from this machine, until it has the trials that were asked for.

    The study brings its settings along; data and version must be the same here. Any number of
    machines may join at any time, and leave: what they began goes on elsewhere.

    Args:
        study: Name of the study.
        accept_change: Go on though the code of the study's own kind has changed; trials from then
            on are marked.
    """
    from study.commands.worker import work

    return _code(work(study, place, accept_change=accept_change, say=_say))


@app.add(
    "emoji-study serve-storage --storage postgresql+psycopg://me@db/studies --host 0.0.0.0",
    "emoji-study worker --storage grpc://HOST:13000 --study NAME",
)
def serve_storage(
    stored: Stored,
    host: str = "127.0.0.1",
    port: Annotated[int, Option(low=1, high=65535)] = 13000,
    threads: Count = 10,
) -> None:
    """Serve a storage to hundreds of workers, which share its few connections.

    Nothing is encrypted and no password is asked: only for a network that you trust.

    Args:
        host: Address to listen on; 0.0.0.0 for all networks.
        port: Port to listen on.
        threads: Requests answered at the same time.
    """
    from study.commands.serve_storage import serve

    serve(stored.url, host=host, port=port, n_threads=threads, say=_say)


@app.add(
    "emoji-study experiment auxiliary-task --pairs 10 --workers 2",
    "emoji-study experiment leakage --epochs 100",
    "emoji-study experiment latent-space --vendors google,twitter,apple --workers 2",
)
def experiment(
    name: Annotated[str, Option(positional=True)],
    given: Annotated[
        Given,
        Option(without=("space", "sampler", "pruner", "split", "min_accuracy", "pareto")),
    ],
    place: Annotated[Place, Option(without=("data", "backend", "scheduler"))],
    pairs: Count = 10,
    lambdas: Annotated[tuple[float, ...], Option(name="--lambda")] = (),
    study: str | None = None,
) -> Code:
    """Run a paired experiment, and say what came out and how sure it is.

    Each pair has a seed and a split of its own; all arms of a pair start from equal weights.
    What --set does not fix is the notebook's best multitask configuration. Ctrl-C keeps
    everything; the same command continues, with more --pairs it goes on.

    Args:
        name: auxiliary-task (does classifying hurt reconstructing?), leakage (what do variants of
            one emoji on both sides of the split do?) or latent-space (what makes latents
            better?).
        pairs: Seeds and splits that all arms are run with.
        lambdas: auxiliary-task: weight of the cross-entropy; may be repeated: 0.1, 0.5, 0.7.
        study: Name of its study; NAME if not given.
    """
    from study.commands.experiment import experiment as run_experiment

    options = {"lambdas": lambdas} if lambdas else {}
    outcome = run_experiment(
        name, place, given, options=options, study=study, n_pairs=pairs, say=_say
    )
    return _code(outcome)


@app.add(
    "emoji-study confirm --study autoencoder-extended --workers 2",
    "emoji-study confirm --study autoencoder-extended --top 3 --seeds 10",
    "emoji-study confirm --study autoencoder-extended --top 1 --other-data twitter.parquet",
)
def confirm(
    request: FollowupRequest,
    place: Place,
    top: Count = 5,
    trials: Annotated[tuple[int, ...], Option(name="--trial", low=0)] = (),
    seeds: Count = 5,
    other_data: Path | None = None,
) -> Code:
    """Train a study's best trials again, with fresh seeds and splits, and say which stay good.

    The lowest of many errors is that of one seed and of one set of validation images. Beside the
    best trials, the kind's default configuration and one from the middle of the search are
    trained on the same seeds and splits. When all of it is done, and not before, each trained
    model is measured once on the test split. Ctrl-C keeps everything; the same command
    continues, with more --seeds it goes on.

    Args:
        top: How many of the best trials are trained again.
        trials: Number of a trial to train again in place of the best; may be repeated.
        seeds: Fresh seeds and splits, in all.
        other_data: Data set file of other images than the search's, to train and test on: do the
            same configurations win there? Stored as NAME-on-FILE.
    """
    if trials:
        _refuse("--top", why="chooses trials; --trial names them. Give one of both.")

    from study.commands.confirm import confirm as confirm_best

    _, record = _record(request)
    outcome = confirm_best(
        record.name,
        place,
        top=top,
        trials=trials,
        other_data=other_data,
        name=request.name,
        seed=request.seed,
        n_seeds=seeds,
        say=_say,
        show=_show,
    )
    return _code(outcome)


@app.add(
    "emoji-study ablate --study autoencoder-extended --workers 2",
    "emoji-study ablate --study autoencoder-extended --trial 17 --param learning_rate",
)
def ablate(
    request: FollowupRequest,
    place: Place,
    trial: str | None = None,
    params: Annotated[tuple[str, ...], Option(name="--param")] = (),
    seeds: Count = 3,
) -> Code:
    """Measure what each parameter of a study's winner is worth, with real trainings.

    From the kind's default configuration to the winner one parameter changes at a time, in the
    order that a forest grown on the study expects most of; then each parameter of the winner is
    varied alone. All of it on the same fresh seeds and splits. Ctrl-C keeps everything; the same
    command continues, with more --seeds it goes on.

    Args:
        trial: Number of the winner, or best; if not given, the best confirmed one, else best.
        params: Parameter to vary around the winner; may be repeated: all.
        seeds: Fresh seeds and splits, in all.
    """
    from study.commands.ablate import ablate as take_apart

    _, record = _record(request)
    outcome = take_apart(
        record.name,
        place,
        trial=trial,
        only=params,
        name=request.name,
        seed=request.seed,
        n_seeds=seeds,
        say=_say,
        show=_show,
    )
    return _code(outcome)


@app.add("emoji-study import-csv results.csv --study notebook-2024")
def import_csv(
    file: Annotated[Path, Option(positional=True)], stored: Stored, study: str | None = None
) -> None:
    """Turn results in a CSV file into a study, for status, report, export and --warm-start.

    Args:
        file: CSV file: of the notebook's layout, or from export.
        study: Name of the study; the file's if not given.
    """
    from study.commands.import_csv import import_csv as import_file

    import_file(file, url=stored.url, study=study, say=_say)


@app.add("emoji-study list --storage sqlite:///runs/demo/study.db", name="list")
def list_studies(stored: Stored) -> None:
    """List the studies of a storage."""
    from storage.rdb import open_storage
    from storage.records import load_study_record, study_names
    from study.terminal.status import study_table

    opened = open_storage(stored.url)
    _show(study_table([load_study_record(opened, name) for name in study_names(opened)]))


@app.add("emoji-study status --study autoencoder-notebook --watch")
def status(
    request: OneStudy,
    watch: bool = False,
    every: Annotated[float, Option(low=0.1)] = 2.0,
) -> None:
    """Show a study's progress, its workers, failures and best trials.

    Args:
        watch: Go on showing it until the study is done.
        every: Seconds between two looks, with --watch.
    """
    if not watch:
        _refuse("--every", why="belongs to --watch.")

    from storage.queue import silences
    from storage.records import load_study_record
    from study.terminal.status import status_lines
    from study.terminal.status import watch as watch_study

    opened, record = _record(request)
    study_id = opened.get_study_id_from_name(record.name)
    if watch:
        watch_study(
            lambda: (load_study_record(opened, record.name), silences(opened, study_id)),
            interval_s=every,
        )
        return
    for part in status_lines(record, silences(opened, study_id)):
        _show(part)


@app.add("emoji-study export --study autoencoder-notebook --out trials.parquet")
def export(request: OneStudy, out: Path, curves: bool = False) -> None:
    """Write all trials of a study as a table, one row each.

    Args:
        out: File to write: .csv or .parquet.
        curves: Add what trials reported, epoch by epoch.
    """
    from study.exchange.write_table import write_table

    _, record = _record(request)
    _say(f"{write_table(record, out, curves=curves)} trials written to {out}")


@app.add(
    "emoji-study train --study autoencoder-notebook --trial best",
    "emoji-study train --kind multitask --set classification_lambda=0.5 --epochs 100",
)
def train(request: TrainRequest) -> Code:
    """Train one model for good, and evaluate it on the test split once.

    Without --study, the parameters are those of --set; all others are the kind's default. Writes
    the model, the kind's pictures, of test data, and the metrics. Interrupted, it keeps the best
    epoch so far, not evaluated; the same command trains anew.
    """
    if request.study is None:
        _refuse("--trial", "--storage", why="belongs to --study: name the study.")

    from study.commands.train import train as train_model

    final = train_model(request, say=_say)
    return 130 if final is None or final.interrupted else 0


@app.add(
    "emoji-study compose 'nerd face - smiling face with open mouth + face with stuck out tongue' "
    "--study autoencoder-extended",
    "emoji-study compose 'nerd face' 'sleepy face' --checkpoint best/checkpoint.pt --out path.gif",
    "emoji-study compose --gallery --checkpoint best/checkpoint.pt --out gallery.png",
)
def compose(request: ComposeRequest) -> None:
    """Add and subtract emoji in a model's latent space, and draw what comes out.

    The picture shows the emoji over their reconstructions, the composite, and the real emoji
    that are nearest to it; of several expressions the path from one to the next; of --gallery
    what each way of adding up makes of the same faces. A trial's model is trained once and kept
    in runs/models.
    """
    if not request.gallery:
        _refuse("--average", why="belongs to --gallery.")
    if request.gallery or len(request.expressions) < 2:
        own = "--gallery has none" if request.gallery else "give several expressions"
        _refuse("--way", "--steps", "--through-mean", why=f"belongs to a path: {own}.")
    if request.study is None:
        _refuse("--trial", "--storage", why="belongs to --study: name the study.")
    if request.checkpoint is not None:
        _refuse("--device", why="is where --study trains; --checkpoint is trained already.")

    from study.emoji.compose import compose_request

    compose_request(request, say=_say)


@app.add(
    "emoji-study report --study autoencoder-notebook --out report.html",
    "emoji-study report --study original --study autoencoder-extended",
)
def report(request: ReportRequest) -> None:
    """Write the report of a study as one HTML file that needs no network.

    Several studies, from the storage or from older reports, give a comparison.
    """
    if request.pages and not request.studies:
        _refuse("--storage", why="belongs to --study: --from needs no database.")
    if request.pages or len(request.studies) > 1:
        several = "several --study are compared without any"
        which = "--from brings its own" if request.pages else several
        _refuse("--artifacts", why=f"holds pictures: {which}.")

    from study.commands.report import report_request

    _say(f"Report written to {report_request(request)}")


@app.add(
    "emoji-study dashboard --open",
    "emoji-study dashboard --storage sqlite:///runs/demo/study.db --port 9000",
)
def dashboard(request: DashboardRequest) -> None:
    """Show the studies of a storage live in the browser: optuna-dashboard, on this machine only.

    Every trial has its pictures, curves and a note there, every study the report of the moment.
    Open the whole address that it prints: the token in it keeps other users of the machine out.
    To watch a study that runs elsewhere: ssh -L 8080:localhost:8080 HOST, and this command there.
    """
    if request.refresh:
        serving = ("--port", "--open", "--allow-edit")
        _refuse(*serving, why="is for serving pages; --refresh serves none.")
    else:
        _refuse("--study", why="belongs to --refresh; pages show all studies.")

    from study.commands.dashboard import dashboard_request, refresh_request

    (refresh_request if request.refresh else dashboard_request)(request, say=_say)


@app.add("emoji-study clean --study autoencoder-notebook --pictures best")
def clean(request: CleanRequest) -> None:
    """Remove the pictures of most trials of a study, which take most of its space.

    In the dashboard a small picture stands in for each. Curves stay, and `train` draws anew.
    """
    from study.commands.dashboard import clean_request

    clean_request(request, say=_say)


@app.add("emoji-study demo --out runs/demo")
def demo(where: WithDevice, out: Path = Path("runs/demo"), workers: Count = 2) -> Code:
    """Run a small study end to end: database, best model, report.

    Takes about two minutes on two cores. Run again, it continues, and adds no trials.

    Args:
        out: Folder to write.
        workers: Worker processes.
    """
    from study.commands.demo import run_demo

    if run_demo(out, n_workers=workers, device=where.device, say=_say).interrupted:
        return _interrupted()
    return 0


app.add_command(data_app)


@data_app.add("emoji-study data build --out runs/twitter.parquet --vendor twitter", name="build")
def data_build(out: Path, vendor: str = "google") -> None:
    """Write the installed emoji images of one vendor as a data set file.

    Args:
        out: Parquet file to write.
        vendor: apple, google, joypixels, meta, samsung, twitter or windows.
    """
    from study.emoji.describe import build_data

    _say(f"{build_data(vendor, out)} images written to {out}")


@data_app.add(
    "emoji-study data describe --data twitter.parquet --out twitter.html", name="describe"
)
def data_describe(request: DescribeRequest) -> None:
    """Describe a data set and its split as one HTML file that needs no network.

    Words, classes, sides of the split, what leaks across it, and near-duplicates.
    """
    from study.emoji.describe import describe_data

    _say(f"Description written to {describe_data(request)}")


def _code(outcome: "RunOutcome") -> Code:
    if outcome.interrupted:
        return _interrupted()
    return 0 if outcome.done else 1


def _interrupted() -> Code:
    _say("Interrupted; everything is kept. The same command continues.")
    return 130


def _record(request: OneStudy) -> "tuple[BaseStorage, StudyRecord]":
    """Read a study; if no name is given the only one of the storage, follow-ups aside."""
    from storage.rdb import open_storage
    from storage.records import load_study_record, only_study

    opened = open_storage(request.url)
    return opened, load_study_record(opened, request.study or only_study(opened))


def _refuse(*options: str, why: str) -> None:
    """Refuse options that would have no effect beside the others that were given.

    What is not on the command line, as a storage in the environment, was not meant for it.

    Args:
        options: Such as ``--trial``.
        why: Follows the option in the error; names another one.

    Raises:
        click.BadParameter: If one of them is on the command line.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name))
        for option in parameter.opts:
            if option in options and given is click.core.ParameterSource.COMMANDLINE:
                raise click.BadParameter(f"{option} {why}")


def _say(text: str) -> None:
    """Print a line: a warning on standard error, all else on standard output."""
    click.echo(text, err=text.startswith("Warning: "))


def _show(renderable: Any) -> None:
    from rich.console import Console

    console = Console()
    # A pipe has no width to which a table should be cut.
    (console if console.is_terminal else Console(width=500)).print(renderable)
