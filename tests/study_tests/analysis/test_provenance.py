"""How a study came about: a command that its own parser takes, and what its trials ran on."""

import shlex
from dataclasses import replace

from search_spaces import parse_params
from storage import attrs
from study.analysis.provenance import again, get_provenance
from study.emoji import AUTOENCODER
from tests.study_tests.synthetic import (
    EXPERIMENT,
    MULTITASK_SETTINGS,
    SETTINGS,
    planted,
    study,
    trial,
)


def test_the_command_gives_the_settings() -> None:
    """Every setting of a search is an option that can be read; what was no search has none."""
    fixed = {"epoch": 20, "batch_normalization": False, "learning_rate": 1e-5}
    settings = {attrs.SETTINGS: {**SETTINGS, "fixed": fixed}}
    command = get_provenance(replace(planted(), name="it's", user_attrs=settings)).command
    words = shlex.split(command)
    assert words[:3] == ["emoji-study", "run", "autoencoder"]
    found = list(zip(words[3::2], words[4::2], strict=True))
    sets = dict(value.split("=") for name, value in found if name == "--set")
    assert parse_params(AUTOENCODER.spaces, sets) == fixed
    assert {name: value for name, value in found if name != "--set"} == {
        **{"--study": "it's-again", "--trials": "114", "--space": "extended", "--sampler": "tpe"},
        **{"--pruner": "median", "--seed": "0", "--split": "group", "--data-seed": "42"},
    }
    more = {"pareto": True, "data": "my faces.parquet", "vendors": ["twitter", "apple"]}
    record = study(trial(0, value=0.1), settings=MULTITASK_SETTINGS | more)
    command = get_provenance(record).command
    for option in ("--min-accuracy 0.7 ", "--data 'my faces.parquet'", "--vendors twitter,apple"):
        assert option in command
    assert "--pareto" in command
    high = study(trial(0, value=0.1), settings=MULTITASK_SETTINGS | {"min_accuracy": 7})
    assert "--at-least validation_accuracy=7" in str(get_provenance(high).command)
    imported = {attrs.SETTINGS: {**SETTINGS, "sampler": "imported"}}
    following = {attrs.SETTINGS: SETTINGS, attrs.EXPERIMENT: {**EXPERIMENT, "follows": "search"}}
    for user_attrs in ({}, imported, following):
        assert get_provenance(replace(planted(), user_attrs=user_attrs)).command is None


def test_the_command_of_an_experiment() -> None:
    """It gives what differs from the default; again with seeds and splits that are new."""
    weights = [{"classification_lambda": 0.1}, {"classification_lambda": 0.5}, {}]
    arms = [{"name": f"{i}", "params": own, "split": "group"} for i, own in enumerate(weights)]
    own = {**EXPERIMENT, "arms": arms, "sides": {"group": ["tvx", "vtx"]}}
    fixed = {"fixed": {"epoch": 20, "batch_size": 16}}  # the second is the kind's default
    settings = {attrs.SETTINGS: {**SETTINGS, **fixed}, attrs.EXPERIMENT: own}
    record = replace(planted(), user_attrs=settings)
    start = "emoji-study experiment leakage --study planted-again"
    weights_told, more = "--lambda 0.1 --lambda 0.5", "--set epoch=20"
    told = f"{start} --pairs 2 {weights_told} --seed 0 --data-seed 42 {more}"
    assert get_provenance(record).command == told
    start = start.replace("again", "fresh")
    told = f"{start} --pairs 5 {weights_told} --seed 1 --data-seed 44 {more}"
    assert again(record, n_pairs=5) == told


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
