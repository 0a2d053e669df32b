"""The command ``emoji-study`` as a process of its own, which ``python -m study`` is too.

Started in the second way, Python looks for every module in the current folder first, which is the
user's own; from here on it does not, unless the package itself lies there.
"""

import os
import sys


def command() -> None:
    """Run the command line, and end the process at once.

    Python takes a second or two to tear down what was imported. Who is killed in that time has
    done its work and counts as failed, so a loop that restarts it would ask for more trials.
    """
    from study.cli import main

    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    if "storage.rdb" in sys.modules:  # else it would take a second to import
        from storage.rdb import close_all

        close_all()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # whoever read it has seen enough
    except OSError:
        code = code or 1
    os._exit(code)


if __name__ == "__main__":
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.flags.safe_path and os.path.realpath(sys.path[0]) != os.path.realpath(home):
        del sys.path[0]
    command()
