"""What a study is, from what was given and what is stored."""

from dataclasses import replace

import pytest

from study.emoji import AUTOENCODER, MULTITASK
from study.errors import StudyError
from study.experiment import PAIRED
from study.metrics import Metric
from study.requests import Given
from study.running.deciding import decide, decide_search
from study.settings import default_settings

COSTLY = replace(MULTITASK, metrics=(MULTITASK.objective, Metric(name="cost", label="cost")))


def test_a_demand_is_of_the_second_metric_in_its_direction() -> None:
    """What is maximised is demanded at least, what is minimised at most, other metrics never."""
    for kind, given, needed in (
        (COSTLY, Given(at_most=("cost", 30.0)), 30.0),
        (MULTITASK, Given(at_least=("validation_accuracy", 0.9)), 0.9),
        (MULTITASK, Given(min_accuracy=0.8), 0.8),
    ):
        assert decide(given, None, kind, study="s").min_accuracy == needed
    with pytest.raises(StudyError, match="cost is minimized: give --at-most in place of --at-le"):
        decide(Given(at_least=("cost", 1.0)), None, COSTLY, study="s")


def test_an_experiment_is_no_search() -> None:
    """Its study is not continued as one."""
    stored = replace(default_settings(AUTOENCODER), sampler=PAIRED)
    with pytest.raises(StudyError, match=r"^Study 's' has the sampler 'paired' and is no search;"):
        decide_search(Given(), stored, AUTOENCODER, study="s", n_trials=1)
