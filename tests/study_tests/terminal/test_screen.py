"""Stored texts are shown on a screen, and never obeyed."""

import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from study.dashboard import server
from study.terminal.console import Screen
from study.terminal.screen import MAX_LINE, forgive_screens, log, printable, say, say_error

HOSTILE = {
    "colour": ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
    "clipboard": ("\x1b]52;c;cm0gLXJmIC8=\x07", "�]52;c;cm0gLXJmIC8=�"),
    "eight-bit control": ("a\x9b2Jb", "a�2Jb"),
    "overwritten line": ("good\rbad", "good�bad"),
    "backspaces": ("ab\x08\x08c", "ab��c"),
    "turned about": ("\u202egnp.exe", "�gnp.exe"),
    "isolated": ("a\u2066b\u2069", "a�b�"),
    "half a character": ("\ud800", "�"),
    "markup": ("[bold]x[/bold] [link=http://x]y[/link]", "[bold]x[/bold] [link=http://x]y[/link]"),
    "emoji codes": (":100: :smile:", ":100: :smile:"),
    "plain": ("é 漢字 😀 a\\", "é 漢字 😀 a\\"),
}


@given(st.text(st.characters(codec=None)))
def test_nothing_is_obeyed(text: str) -> None:
    """No control character is left but line feeds and tabs, and none is lost without a sign."""
    shown = printable(text)
    assert len(shown) == len(text)
    assert {c for c in shown if unicodedata.category(c) in ("Cc", "Cs")} <= {"\n", "\t"}
    assert printable(shown) == shown


@pytest.mark.parametrize("name", HOSTILE)
def test_printed(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A line and a table show what a text is, whatever it would do."""
    text, shown = HOSTILE[name]
    say(text)
    assert capsys.readouterr().out == f"{shown}\n"
    table = Table("name", box=None)
    table.add_row(text.replace("[", "\\["))
    screen = Screen(width=100)
    screen.file = out = io.StringIO()
    screen.print(table)
    assert shown.replace("\t", " ") in re.sub(r"\s+", " ", out.getvalue())


def test_long_messages_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """A stored text of a million characters is no error of a million."""
    say_error("x" * 1_000_000)
    assert len(capsys.readouterr().err) == MAX_LINE + 1


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """What workers, the server and commands say of a stored text is one line, obeyed by none."""
    log("worker \x1b[31mred\nError: feigned")
    server._say(ValueError("\x1b]0;title\x07"))
    say_error("study 'a\u2028b'")
    assert capsys.readouterr().err.splitlines() == [
        "worker �[31mred Error: feigned",
        "Error: ValueError: �]0;title�",
        "Error: study 'a b'",
    ]


def test_screens_without_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen that lacks a character gets another one in its place."""
    bytes_out = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(bytes_out, encoding="latin-1"))
    forgive_screens()
    say("é 漢 – —")
    assert bytes_out.getvalue() == "é ? ? ?\n".encode("latin-1")
