"""Asking for a yes at the terminal."""

import sys

import click

from study.errors import StudyError


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask a question, unless ``yes`` answers it; a StudyError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise StudyError(f"{question} There is no terminal to answer on; --yes does.")
    return click.confirm(question)
