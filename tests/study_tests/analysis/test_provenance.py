"""How a study came about: a command that its own parser takes, and what its trials ran on."""

import itertools
import shlex
from dataclasses import replace

from search_spaces import parse_params
from storage import attrs
from study.analysis.provenance import get_provenance
from study.emoji import AUTOENCODER
from tests.study_tests.synthetic import MULTITASK_SETTINGS, SETTINGS, planted, study, trial


def options(command: str) -> dict[str, list[str]]:
    """Return the values of each option of a command."""
    found: dict[str, list[str]] = {}
    for name, value in itertools.pairwise(shlex.split(command)):
        if name.startswith("--"):
            found.setdefault(name, []).append(value)
    return found


def test_the_command_gives_the_settings() -> None:
    """Every setting of a search is an option that can be read; what was no search has none."""
    fixed = {"epoch": 20, "batch_normalization": False, "learning_rate": 1e-5}
    settings = {attrs.SETTINGS: {**SETTINGS, "fixed": fixed}}
    command = get_provenance(replace(planted(), name="it's", user_attrs=settings)).command
    assert shlex.split(command)[:3] == ["emoji-study", "run", "autoencoder"]
    found = options(command)
    sets = found.pop("--set")
    expected = {"study": "it's-again", "trials": "114", "space": "extended", "sampler": "tpe"}
    expected |= {"pruner": "median", "seed": "0", "split": "group", "data-seed": "42"}
    assert found == {f"--{name}": [value] for name, value in expected.items()}
    assert parse_params(AUTOENCODER.spaces, dict(text.split("=") for text in sets)) == fixed
    more = {"pareto": True, "data": "my faces.parquet", "vendors": ["twitter", "apple"]}
    record = study(trial(0, value=0.1), settings=MULTITASK_SETTINGS | more)
    command = get_provenance(record).command
    names = ("--min-accuracy", "--data", "--vendors")
    values = [options(command)[name] for name in names]
    assert values == [["0.7"], ["my faces.parquet"], ["twitter,apple"]]
    assert "--pareto" in shlex.split(command)
    for user_attrs in (
        {},
        {attrs.SETTINGS: {**SETTINGS, "sampler": "imported"}},
        {attrs.SETTINGS: SETTINGS, attrs.EXPERIMENT: {"name": "leakage"}},
    ):
        assert get_provenance(replace(planted(), user_attrs=user_attrs)).command is None


def test_machines_are_counted() -> None:
    """Environments and devices by frequency, hosts once; what stored nothing is left out."""
    stored = [
        {"environment": "new", "device": "cpu", "threads": 1, "worker": "a/x:1"},
        {"environment": "old", "device": "cpu", "threads": 2, "worker": "b/x:1"},
        {"environment": "old", "device": "cpu", "threads": 1, "worker": "a/y:2"},
        {},
    ]
    info = get_provenance(study(*(trial(i, attrs=a) for i, a in enumerate(stored))))
    assert info.environments == (("old", 2), ("new", 1))
    assert info.devices == (("cpu, 1 thread", 2), ("cpu, 2 threads", 1))
    assert info.n_hosts == 2
