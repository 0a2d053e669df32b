"""Stored values are read as the type that they have, or not at all."""

import copy
import json
import math
import pickle
from typing import Any

import pytest

from storage import attrs
from storage.values import Arm, Experiment
from tests.study_tests.synthetic import EXPERIMENT, MULTITASK_SETTINGS, SETTINGS


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        (attrs.SEED, 3, 3),
        (attrs.SEED, 3.0, 3),  # some tables know no whole numbers
        (attrs.SEED, 3.5, None),
        (attrs.SEED, True, None),
        (attrs.TRAINING_SECONDS, 2, 2.0),
        (attrs.TRAINING_SECONDS, math.nan, None),
        (attrs.FAILURE, 1, None),
        (attrs.CONFUSION, [[1, 0], [0, "x"]], None),
        (attrs.CONFUSION, [[1, 0], [2]], None),
        (attrs.CONFUSION, [[1, 0], [0, 2]], [[1, 0], [0, 2]]),
        (attrs.EXPERIMENT, {"name": "x", "question": "?", "arms": [{"name": "a"}]}, None),
        (attrs.EXPERIMENT, {**EXPERIMENT, "arms": [{"name": 1, "params": {}}]}, None),
        (attrs.SETTINGS, {**SETTINGS, "seed": "0"}, None),
        (attrs.SETTINGS, {n: x for n, x in SETTINGS.items() if n != "seed"}, None),
    ],
)
def test_types(name: attrs.Stored[Any], value: Any, read: Any) -> None:
    """What has another shape is not known, and another's."""
    assert name.among({name: value}) == read
    assert attrs.parted({name: value}, ours=True)[read is None] == {name: value}


def test_objects_come_back() -> None:
    """Settings and experiments do, through JSON; what is no setting of ours is an option."""
    stored = {**MULTITASK_SETTINGS, "vendors": ["apple"], "training": 2}
    settings = attrs.SETTINGS.read(stored)
    assert (settings.vendors, settings.options) == (("apple",), {"vendors": ("apple",)})
    assert json.loads(json.dumps(settings.to_dict())) == stored
    arms = (Arm(name="a", params={"rate": 0.5, "on": True}, expected=1.0, split="random"),)
    made = Experiment(name="e", question="?", arms=arms, sides={"group": ("tv", "vt")})
    assert attrs.EXPERIMENT.read(json.loads(json.dumps(made.to_dict()))) == made


def test_names_are_texts() -> None:
    """A name can be written wherever a text can, and is one after a copy."""
    for same in (copy.deepcopy(attrs.SEED), pickle.loads(pickle.dumps(attrs.SEED))):
        assert (type(same), same) == (str, "seed")
