"""Commands without the command line: what a test asks is sorted into the parts of a request."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from study.commands.run import run
from study.requests import Given, Place, RunRequest
from study.running.coordinator import RunOutcome


def run_study(
    url: str, kind: str = "autoencoder", *, say: Callable[[str], None] = str, **asked: Any
) -> RunOutcome:
    """Run a study with one thread for each worker, unless more are asked for."""
    place = place_at(url, asked)
    given = given_in(asked)
    return run(RunRequest(kind=kind, place=place, given=given, **asked), say=say)


def place_at(url: str, asked: dict[str, Any]) -> Place:
    """Take where a command runs out of what is asked."""
    names = {field.name for field in fields(Place)} - {"kind", "data"}
    own = {name: asked.pop(name) for name in names & set(asked)}
    return Place(url=url, **{"threads": 1, **own})


def given_in(asked: dict[str, Any]) -> Given:
    """Take what a user said of a study out of what is asked."""
    vendors = asked.pop("vendors", None)
    own = {field.name: asked.pop(field.name) for field in fields(Given) if field.name in asked}
    return Given(**own, options={"vendors": vendors})
