"""The documents say what is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


GUIDES = "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))


def commands() -> list[str]:
    """Return every ``emoji-study`` line of the code blocks of the README and the guides."""
    blocks = re.findall(r"```(?:sh|console)?\n(.*?)```", README + GUIDES, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.startswith("emoji-study ")]


def help_of(command: str) -> str:
    """Return what a command's ``--help`` prints."""
    done = subprocess.run(
        [sys.executable, "-c", "from study.cli import main; main()", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_readme_opens_with_the_two_commands() -> None:
    """The first code block of the README is the two make commands."""
    first = re.search(r"```(?:sh)?\n(.*?)```", README, flags=re.DOTALL)

    assert first is not None
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == [
        "make demo",
        "make test",
    ]


@pytest.mark.whole
@pytest.mark.parametrize("line", commands())
def test_commands_have_these_options(line: str) -> None:
    """Every command of the documents exists, with every option that it shows."""
    words = line.split()[1:]
    command = " ".join(words[:2]) if words[0] == "data" else words[0]
    text = help_of(command)

    assert [word for word in words if word.startswith("--") and word not in text] == []


def test_readme_lists_the_code_as_it_is() -> None:
    """The map of the code in the README names every top-level folder and no other."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folders = {name.split("/")[0] for name in tracked if "/" in name} - {".ci"}
    listed = set(re.findall(r"^- `(\w+)/`", README, flags=re.MULTILINE))

    assert listed == folders


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

    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
