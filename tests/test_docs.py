"""The documents say what is true."""

import json
import re
import subprocess
from pathlib import Path

from benchmarks.commands import TARGET, reference
from tests.assets.commands import lines_of, meaning

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EARLIER = json.loads((ROOT / "tests" / "assets" / "0.1.0" / "commands.json").read_text())
"""Command lines of the documents of 0.1.0, and what they meant."""


def test_readme_opens_with_the_two_commands() -> None:
    """The first code block of the README is the two make commands."""
    first = re.search(r"```(?:sh)?\n(.*?)```", README, flags=re.DOTALL)
    commands = [line.split("#")[0].strip() for line in first[1].splitlines()]
    assert commands == ["make demo", "make test"]


def test_commands_can_be_typed() -> None:
    """All commands of the documents exist as shown; those of 0.1.0 are read as they were."""
    assert all([meaning(line)["command"] for line in lines_of(ROOT)])
    assert {line: meaning(line) for line in EARLIER} == EARLIER


def test_reference_of_commands_is_that_of_the_code() -> None:
    """The reference says what the commands declare; `make docs` writes it anew."""
    assert TARGET.read_text() == reference()


def test_readme_lists_the_code_as_it_is() -> None:
    """The map of the code in the README names every top-level folder and no other."""
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    folders = {name.split("/")[0] for name in tracked if "/" in name} - {".ci"}
    assert set(re.findall(r"^- `(\w+)/`", README, flags=re.MULTILINE)) == folders


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link in a document points at a file of the repository."""
    broken = [
        (document.name, target)
        for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        for target in re.findall(r"\]\(([^)#]+)", document.read_text())
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert broken == []


def test_version_is_in_the_changelog() -> None:
    """The current version has an entry in the changelog."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
