"""Commands that are pasted."""

import shutil
import subprocess

import pytest

from study.shell import at_storage, join

BASH = shutil.which("bash")
WORDS = ("plain", "a b", "", "it's", "two\nlines\t\\n", "\x1b[31m", "\x07'\\", "\u202e\U0001f600é")


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_pasted() -> None:
    """A shell reads back each word, of which none holds what does not print."""
    line = at_storage(join(["printf", "%s\\0", *WORDS, "--x"]), "sqlite:///it's a.db")
    assert line.isprintable()
    shell = subprocess.run([str(BASH), "-c", line], capture_output=True, check=True)
    words = [*WORDS, "--storage", "sqlite:///it's a.db", "--x"]
    assert shell.stdout.decode().split("\0")[:-1] == words
