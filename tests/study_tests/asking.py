"""Commands in the test's own process, on folders that several tests share."""

from pathlib import Path

from study.cli import app
from tests.study_tests.studies import url_of

TRAINING = ("run", "worker", "experiment", "confirm", "ablate", "train")


def command(folder: Path, line: str) -> int:
    """Run a command on the studies in ``folder``, with one thread for each worker.

    Returns:
        The exit code. Errors are raised; what is said is captured, as of any test.
    """
    words = [*line.split(), "--storage", url_of(folder)]
    if words[0] in TRAINING:
        words += ["--threads", "1"]
    return app(words, standalone_mode=False) or 0
