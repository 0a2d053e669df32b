"""The command ``emoji-study`` as a process of its own, which ``python -m study`` is too."""

import os
import sys
from typing import NoReturn

from study.cli import main


def command() -> NoReturn:
    """Run the command line, and end the process at once.

    Python takes a second or two to tear down what was imported. Who is killed in that time has
    done its work and counts as failed, so a loop that restarts it would ask for more trials.
    """
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            pass  # whoever read it has seen enough
        except OSError:
            code = code or 1
    os._exit(code)


if __name__ == "__main__":
    command()
