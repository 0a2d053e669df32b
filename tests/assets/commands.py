"""The command lines of a version's README and guides, and what its command line made of them.

``PYTHONPATH=CHECKOUT python tests/assets/commands.py CHECKOUT`` prints them, as they are kept of
0.1.0 in ``0.1.0/commands.json``.
"""

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from study.cli import app

EARLIER = {
    **{"lambda": "lambdas", "from": "page", "open": "open_browser", "param": "params"},
    **{"set": "assignments", "confirm trial": "trials"},
}
"""What 0.1.0 called the value of an option, where that was not the option's name."""
LISTS = ("vendors",)
"""Options that were one text with commas in 0.1.0."""


def lines_of(root: Path) -> list[str]:
    """Return each command line in a code block of the documents below a folder, once."""
    documents = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    text = "".join(document.read_text() for document in documents)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    shown = (block for language, block in blocks if language in ("", "sh", "console"))
    lines = (line for block in shown for line in block.replace("\\\n", " ").splitlines())
    lines = (re.sub(r"^pipx run --spec \S+ ", "", line) for line in lines)
    ours = (line for line in lines if line.startswith("emoji-study "))
    return sorted({re.split(r"\s[|>&]|\s#", line)[0].strip() for line in ours})


def meaning(line: str) -> dict[str, Any]:
    """Return the command of a line, and the value of each argument that the line gives."""
    command: Any = app
    words, path = shlex.split(line)[1:], []
    while hasattr(command, "commands"):
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    context = command.make_context(path[-1], words)
    given = {
        EARLIER.get(f"{path[-1]} {name}", EARLIER.get(name, name)): value
        for name, value in context.params.items()
        if context.get_parameter_source(name).name == "COMMANDLINE"
    }
    given |= {name: ",".join(given[name]) for name in LISTS if name in given}
    return {"command": " ".join(path), **json.loads(json.dumps(given, default=str))}


if __name__ == "__main__":
    meanings = {line: meaning(line) for line in lines_of(Path(sys.argv[1]))}
    json.dump(meanings, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
