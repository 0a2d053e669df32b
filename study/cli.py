"""The command line: a table of commands, whose options are the fields of ``study.requests``.

Everything slow to import (torch, optuna, plotly) is imported by the command that needs it.
"""

import os
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from study import requests
from study.commands.ask import Unanswered
from study.commands.options import HELP_NAMES, Code, Commands
from study.emoji import requests as emoji
from study.errors import ChoiceError, user_message
from study.formats import counted
from study.shell import join
from study.terminal import screen
from study.terminal.waiting import waiting

if TYPE_CHECKING:
    from study.running.coordinator import RunOutcome

app = Commands(
    "emoji-study",
    help="Hyperparameter studies that can be believed: of autoencoders on face emoji, or of "
    "your own model.",
    epilog="Start with: emoji-study demo. With --debug, errors show where they come from. Your "
    "shell completes names of commands, options and studies after "
    "'eval \"$(_EMOJI_STUDY_COMPLETE=bash_source emoji-study)\"' in ~/.bashrc; zsh and fish: "
    "docs/commands.md.",
    no_args_is_help=True,
    of_kinds=[emoji.EmojiOptions],
    context_settings=HELP_NAMES,
)
click.version_option(package_name="emoji-study", message="%(prog)s %(version)s")(app)
data_app = Commands(
    "data", help="Build or describe a data set.", no_args_is_help=True, context_settings=HELP_NAMES
)


def main() -> None:
    """Run the command line and exit: 0 done, 1 user error, 2 usage, 130 interrupted."""
    debug = "--debug" in sys.argv
    screen.forgive_screens()
    if not debug:
        warnings.simplefilter("ignore", RuntimeWarning)  # of NumPy, where numbers are infinite
    argv = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if "_EMOJI_STUDY_COMPLETE" in os.environ:
        from study.commands.completion import prepare

        prepare()
    try:
        sys.exit(app.main(argv, "emoji-study", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "emoji-study"
        screen.say_error(f"{error.format_message()} See {command} --help.")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):  # the latter where click asks
        sys.exit(130)
    except Unanswered as error:
        screen.say(str(error), err=True)
        sys.exit(1)
    except Exception as error:
        message = user_message(error)
        if debug or message is None:
            raise
        screen.say_error(message)
        sys.exit(2 if isinstance(error, ChoiceError) else 1)


@app.add(
    "emoji-study run autoencoder --space notebook --sampler grid --trials 12 --workers 2",
    "emoji-study run multitask --space extended --min-accuracy 0.9",
    "emoji-study run autoencoder --vendors google,twitter,apple --study more-images",
)
def _run(request: requests.RunRequest) -> Code:
    waiting("Preparing the study")
    from study.commands.run import run

    return _code(run(request, say=_say))


@app.add(
    "emoji-study worker --storage postgresql+psycopg://me@db/studies --study autoencoder-extended "
    "--workers 8"
)
def _worker(request: requests.WorkRequest) -> Code:
    waiting("Preparing the worker")
    from study.commands.worker import work

    return _code(work(request, say=_say))


@app.add(
    "emoji-study serve-storage --storage postgresql+psycopg://me@db/studies --host 0.0.0.0",
    "emoji-study worker --storage grpc://HOST:13000 --study NAME",
)
def _serve_storage(request: requests.ServeRequest) -> None:
    waiting("Opening the storage")
    from study.commands.serve_storage import serve

    serve(request, say=_say)


@app.add(
    "emoji-study experiment auxiliary-task --pairs 10 --workers 2",
    "emoji-study experiment leakage --epochs 100",
    "emoji-study experiment latent-space --vendors google,twitter,apple --workers 2",
)
def _experiment(request: requests.ExperimentRequest) -> Code:
    waiting("Preparing the experiment")
    from study.commands.experiment import experiment

    return _code(experiment(request, say=_say))


@app.add(
    "emoji-study confirm --study autoencoder-extended --workers 2",
    "emoji-study confirm --study autoencoder-extended --top 3 --seeds 10",
    "emoji-study confirm --study autoencoder-extended --top 1 --other-data twitter.parquet",
)
def _confirm(request: requests.ConfirmRequest) -> Code:
    waiting("Reading the study")
    from study.commands.confirm import confirm

    say = _aside(request)
    return _code(confirm(request, say=say, show=_show), say)


@app.add(
    "emoji-study ablate --study autoencoder-extended --workers 2",
    "emoji-study ablate --study autoencoder-extended --trial 17 --param learning_rate",
)
def _ablate(request: requests.AblateRequest) -> Code:
    waiting("Reading the study")
    from study.commands.ablate import ablate

    say = _aside(request)
    return _code(ablate(request, say=say, show=_show), say)


@app.add(
    "emoji-study import-csv results.csv --study notebook-2024",
    "emoji-study import-csv trials.parquet --direction maximize",
)
def _import_csv(request: requests.ImportRequest) -> None:
    waiting("Reading the file")
    from study.commands.import_csv import import_csv

    import_csv(request, say=_say)


@app.add(
    "emoji-study list --storage sqlite:///runs/demo/study.db",
    "emoji-study list --json",
)
def _list(request: requests.ListRequest) -> None:
    waiting("Reading the studies")
    from study.commands.show import list_studies

    list_studies(request, show=_show, say=_aside(request))


@app.add(
    "emoji-study status --study autoencoder-notebook --watch",
    "emoji-study status --study autoencoder-notebook --json",
)
def _status(request: requests.StatusRequest) -> None:
    waiting("Reading the study")
    from study.commands.show import status

    status(request, show=_show, say=_aside(request))


@app.add("emoji-study export --study autoencoder-notebook --out trials.parquet")
def _export(request: requests.ExportRequest) -> None:
    waiting("Reading the study")
    from study.commands.show import export

    _say(f"{counted(export(request), 'trial')} written to {request.out}")


@app.add(
    "emoji-study train --study autoencoder-notebook --trial best",
    "emoji-study train --kind multitask --set classification_lambda=0.5 --epochs 100",
)
def _train(request: requests.TrainRequest) -> Code:
    waiting("Preparing the training")
    from study.commands.train import train

    final = train(request, say=_say)
    return 130 if final is None or final.interrupted else 0


@app.add(
    "emoji-study compose 'nerd face - smiling face with open mouth + face with stuck out tongue' "
    "--study autoencoder-extended",
    "emoji-study compose 'nerd face' 'sleepy face' --checkpoint best/checkpoint.pt --out path.gif",
    "emoji-study compose --gallery --checkpoint best/checkpoint.pt --out gallery.png",
)
def _compose(request: emoji.ComposeRequest) -> None:
    waiting("Loading the model")
    from study.emoji.compose import compose_request

    compose_request(request, say=_say)


@app.add(
    "emoji-study report --study autoencoder-notebook --out report.html",
    "emoji-study report --study original --study autoencoder-extended",
)
def _report(request: requests.ReportRequest) -> None:
    waiting("Reading the study")
    from study.commands.report import report_request

    written = report_request(request)
    if isinstance(written, str):
        _say(written)
    else:
        how = "; open it in a browser." if written.suffix == ".html" else ""
        _say(f"Report written to {written}{how}")


@app.add(
    "emoji-study dashboard --open",
    "emoji-study dashboard --storage sqlite:///runs/demo/study.db --port 9000",
)
def _dashboard(request: requests.DashboardRequest) -> None:
    waiting("Opening the storage")
    from study.commands.dashboard import dashboard_request, refresh_request

    (refresh_request if request.refresh else dashboard_request)(request, say=_say)


@app.add("emoji-study clean --study autoencoder-notebook --pictures best")
def _clean(request: requests.CleanRequest) -> None:
    waiting("Reading the study")
    from study.commands.clean import clean_request

    clean_request(request, say=_say)


@app.add(
    "emoji-study copy --study grid --to postgresql+psycopg://me@db/studies",
    "emoji-study copy --storage journal:///optuna.log --all --to sqlite:///study.db",
)
def _copy(request: requests.CopyRequest) -> Code:
    waiting("Reading the studies")
    from study.commands.move import copy

    return 0 if copy(request, say=_say) else 1


@app.add("emoji-study rename --study grid first-grid")
def _rename(request: requests.RenameRequest) -> Code:
    waiting("Opening the storage")
    from study.commands.move import rename

    return 0 if rename(request, say=_say) else 1


@app.add("emoji-study delete --study grid --study grid-confirmation")
def _delete(request: requests.DeleteRequest) -> Code:
    waiting("Opening the storage")
    from study.commands.move import delete

    return 0 if delete(request, say=_say) else 1


@app.add("emoji-study demo --out runs/demo")
def _demo(request: requests.DemoRequest) -> Code:
    waiting("Preparing the demo: a search of some minutes, its best model, a report")
    from study.commands.demo import run_demo

    outcome = run_demo(request, say=_say)
    return _code(outcome) if outcome.interrupted else 0


app.add_command(data_app)


@data_app.add("emoji-study data build --out runs/twitter.parquet --vendor twitter")
def _build(request: emoji.BuildRequest) -> None:
    waiting("Reading the images")
    from study.emoji.describe import build_data

    _say(f"{counted(build_data(request), 'image')} written to {request.out}")
    _say(f"Next: {join(['emoji-study', 'data', 'describe', '--data', str(request.out)])}")


@data_app.add("emoji-study data describe --data twitter.parquet --out twitter.html")
def _describe(request: emoji.DescribeRequest) -> None:
    waiting("Reading the data")
    from study.emoji.describe import describe_data

    _say(f"Description written to {describe_data(request)}; open it in a browser.")


def _code(outcome: "RunOutcome", say: requests.Say | None = None) -> Code:
    if outcome.interrupted:
        (say or _say)("Interrupted; everything is kept. The same command continues.")
        return 130
    return 0 if outcome.done else 1


def _say(text: str) -> None:
    """Print a text: a warning on standard error, all else on standard output."""
    screen.say(text, err=text.startswith("Warning: "))


def _aside(request: requests.WithJson) -> requests.Say:
    """Return what prints a line beside a command's result, which JSON shares with none."""

    return partial(screen.say, err=True) if request.as_json else _say


def _show(renderable: Any) -> None:
    from study.terminal.console import Screen

    console = Screen()
    # A pipe has no width to which a table should be cut.
    (console if console.is_terminal else Screen(width=500)).print(renderable)
