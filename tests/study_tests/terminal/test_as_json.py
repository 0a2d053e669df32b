"""What programs read: JSON that any reader takes, which says of a study what Optuna says."""

import json
import math
from typing import Any

from storage.records import load_study_record
from study.terminal.as_json import status_json
from study.terminal.followups_json import ablation_json, confirmation_json
from tests.conftest import Cli
from tests.servers import opened
from tests.study_tests.analysis.test_ablation import ablated
from tests.study_tests.analysis.test_confirmation import confirmed
from tests.study_tests.foreign import best_of, make_study

N_STUDIES = 15
STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "running": "RUNNING"}


def refuse(number: str) -> None:
    """Fail at a number that JSON has not."""
    raise AssertionError(number)


def read(cli: Cli, *args: str) -> Any:
    """Run a command; return the document that is all of its standard output."""
    code, out, _ = cli(*args, "--json")
    assert code == 0
    return json.loads(out, parse_constant=refuse)


def completed(best: dict[str, Any], part: str) -> dict[str, Any]:
    """Return values of a trial, those with a word as the number that it means."""
    words = best.get("not_finite", {}).get(part, {})
    assert {name for name, value in best[part].items() if value is None} >= set(words)
    return best[part] | {name: float(word) for name, word in words.items()}


def test_as_optuna_says(cli: Cli) -> None:
    """Directions, names, counts, best trial and front of random studies are Optuna's own."""
    storage = ("--storage", "sqlite:///study.db")
    with opened("sqlite:///study.db", create=True, write=True) as made:
        studies = [make_study(made, seed) for seed in range(N_STUDIES)]
        listed = read(cli, "list", *storage)
        for study, short in zip(studies, listed, strict=True):
            found = json.loads(json.dumps(status_json(load_study_record(made, study.study_name))))
            if study is studies[0]:
                assert read(cli, "status", *storage, "--study", study.study_name) == found
            best, front = found.pop("best"), found.pop("front")
            assert found == short
            assert found["study"] == study.study_name
            assert found["directions"] == [way.name.lower() for way in study.directions]
            several = len(study.directions) > 1
            unnamed = ["value", "value_1", "value_2"][: len(study.directions)]
            assert found["metrics"] == (study.metric_names or unnamed)
            states = [trial.state.name for trial in study.trials]
            counts = {**STATES, "waiting": "WAITING"}
            assert found["counts"] == {key: states.count(name) for key, name in counts.items()}
            theirs = best_of(study)
            assert front == [trial.number for trial in theirs]
            assert (best is None) == (several or not theirs)
            if best is not None:
                assert best["number"] == theirs[0].number
                values = dict(zip(found["metrics"], theirs[0].values, strict=True))
                assert completed(best, "values") == values
                assert completed(best, "params") == theirs[0].params


def test_followups() -> None:
    """A confirmation and an ablation have a row for each configuration, numbers as they are."""
    values = {"best": [0.1, 0.2], "default": [0.3, 0.4]}
    info = confirmed(values, promised={"best": math.inf}, tests={"best": [0.5, 0.7]})
    best, _ = json.loads(json.dumps(confirmation_json(info), allow_nan=False))["configurations"]
    assert best["validation"]["mean"] == info.confirmed[0].validation.mean
    assert (best["search_value"], best["not_finite"]) == (None, {"search_value": "inf"})
    info = ablated()
    told = json.loads(json.dumps(ablation_json(info), allow_nan=False))
    assert [step["name"] for step in told["path"]] == [step.name for step in info.path]
    assert told["path"][1]["changes"] == {"learning_rate": 0.001}
    others = {o["name"]: o["difference"] for sweep in told["sweeps"] for o in sweep["others"]}
    assert others == {o.name: o.difference.mean for s in info.sweeps for o in s.others}
