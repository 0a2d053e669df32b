"""Asking for a yes at the terminal."""

import sys

import click

from study.requests import Say


class Unanswered(Exception):
    """A question was not answered; the message is one line that says how it can be."""


def confirmed(question: str, *, yes: bool, say: Say) -> bool:
    """Ask a question, unless ``yes`` answers it; say so where the answer changes nothing.

    Raises:
        Unanswered: If there is no terminal to answer on, or it ends.
    """
    if yes:
        return True
    try:
        if sys.stdin.isatty():
            answer = click.confirm(question)
            if not answer:
                say("Nothing was changed.")
            return answer
    except click.Abort as error:
        if not isinstance(error.__cause__, EOFError):
            raise
    raise Unanswered(f"{question} Nothing was changed: nobody can answer here, so give --yes.")
