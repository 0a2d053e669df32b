"""Tables of other programs' studies: Optuna's own, of all its versions, and with faults."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from storage.records import load_study_record
from study.errors import StudyError
from study.exchange.read_results import read_results
from study.exchange.write_table import write_table
from tests.conftest import Cli
from tests.study_tests import synthetic
from tests.study_tests.synthetic import planted, trial

BOTH = ("minimize", "maximize")


def objective(asked: optuna.Trial) -> tuple[float, float]:
    """Fail, or return two values of a conditional space."""
    x = asked.suggest_float("x", 0, 1)
    n = asked.suggest_int("n", 1, 1000, log=True) if x > 0.3 else 7
    asked.suggest_categorical("kind", ["a", "b", "null"])
    asked.set_user_attr("note, 1", f"{n}!")
    asked.set_user_attr("flag", x > 0.5)
    asked.set_constraint("size", x - 0.5)
    if asked.number == 4:
        raise ValueError("4")
    return x, n


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    """A study of Optuna."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    made = optuna.create_study(directions=BOTH, sampler=sampler)
    made._storage.set_study_system_attr(made._study_id, "study:metric_names", ["loss", "the gain"])
    made.optimize(objective, n_trials=8, catch=(ValueError,))
    made.ask()
    return made


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("more", [False, True])
def test_trials_dataframe(study: optuna.Study, tmp_path: Path, ending: str, more: bool) -> None:
    """However it is written, all comes back but what it does not hold: ranges, a missing None."""
    frame = study.trials_dataframe(multi_index=more).sample(frac=1, random_state=0)
    path = tmp_path / f"table.{ending}"
    (frame.to_csv if ending == "csv" else frame.to_parquet)(path, index=more)
    found = read_results(path, name=study.study_name, directions=BOTH)
    first = load_study_record(study._storage, study.study_name)
    assert found == replace(first, trials=tuple(map(replace, found.trials)))
    for one, wanted in zip(found.trials, first.trials, strict=True):
        assert one == replace(wanted, trial_id=one.number, distributions=one.distributions)


EARLIER = """number,value,datetime_start,datetime_complete,duration,params_lr,params_opt,\
user_attrs_gpu,system_attrs_constraints,intermediate_values_0,intermediate_values_10,state
0,0.5,2020-04-01 12:00:00.5,2020-04-01 12:00:01.5,0 days 00:00:01,0.01,adam,\
True,"[0.5, -1]",0.7,0.5,COMPLETE
1,0.6,2020-04-01 12:00:00,2020-04-01 12:00:01,0 days 00:00:01,1e-05,sgd,\
,"(-0.5,)",0.6,,TrialState.PRUNED

2,,2020-04-01 12:00:00,,,0.1,16,,,,,RUNNING
"""


def test_earlier_versions(tmp_path: Path) -> None:
    """Constraints are a list, states carry their class, reports a column each; times are local."""
    path = tmp_path / "optuna-2.csv"
    path.write_text(EARLIER)
    record = read_results(path, name="old", directions=["minimize"])
    first, pruned, running = record.trials
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
    assert [t.state for t in record.trials] == states
    assert (first.values, pruned.values) == ((0.5,), ())
    assert (first.constraints, pruned.constraints) == ({"0": 0.5, "1": -1.0}, {"0": -0.5})
    assert (first.intermediate_values, pruned.intermediate_values) == ({0: 0.7, 10: 0.5}, {0: 0.6})
    assert first.other_attrs == {"gpu": True}
    assert (first.params, first.duration_s) == ({"lr": 0.01, "opt": "adam"}, 1.0)
    assert first.started == datetime.fromisoformat("2020-04-01 12:00:00.5").astimezone(UTC)
    assert (running.params["opt"], running.completed) == (16, None)
    assert running.distributions == {
        "lr": FloatDistribution(1e-05, 0.1),
        "opt": CategoricalDistribution(["adam", "sgd", 16]),
    }


def test_less_than_usual(tmp_path: Path) -> None:
    """Without states what has values is complete; without times none are told."""
    (tmp_path / "short.csv").write_text("values_1,values_0,params_x\n1,2,3\n,,4\n")
    first, second = read_results(tmp_path / "short.csv", name="s", directions=BOTH).trials
    assert (first.state.name, first.values, first.duration_s) == ("COMPLETE", (2.0, 1.0), None)
    assert (second.state.name, second.values, second.params) == ("FAIL", (), {"x": 4})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number,value,state\n0,x,COMPLETE\n", "row 2: `value` must be a number, but is 'x'."),
        ("number,value,state\n0,1,DONE\n", "row 2: `state` must be one of RUNNING, COMPLETE, "),
        ("number,value,state\n0,1,FAIL\n\n1,,COMPLETE\n", "row 4: `value` is missing."),
        ("value,state,datetime_start\n1,FAIL,soon\n", "row 2: `datetime_start` must be a time "),
        ("value,state,intermediate_values_a\n1,FAIL,1\n", "`intermediate_values_a` must end in "),
        ("value,state,system_attrs_constraints\n1,FAIL,[a]\n", "must be a list of numbers, but "),
        ("number,state,value,curve\n0,FAIL,,1;2\n", "row 2: `curve` must be a list of numbers"),
        ("number,state,value,curve,curve_steps\n0,FAIL,,[1],[0.5]\n", "`curve_steps` must be a "),
        ("value,value,state\n1,2,FAIL\n", "has 2 columns named 'value'; give them different n"),
        ("value,state\n1,FAIL,3\n", "must have as many cells in every row as in its first"),
    ],
)
def test_wrong_cell(tmp_path: Path, text: str, message: str) -> None:
    """A fault is told in a line, with the row as spreadsheets count and the column."""
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(StudyError, match=rf"^{path}.*{re.escape(message)}"):
        read_results(path, name="wrong", directions=["minimize"])


def test_wrong_parquet(tmp_path: Path) -> None:
    """The same holds for Parquet, whose ranges of choices hold no other value."""
    path = tmp_path / "wrong.parquet"
    path.write_text("no such thing")
    with pytest.raises(StudyError, match=rf"^{path} is no Parquet file: "):
        read_results(path, name="wrong")
    write_table(synthetic.study(trial(0, params={"batch_size": 48})), path)
    rule = "row 2: `batch_size` must be one of 16, 32, 64, but is 48"
    with pytest.raises(StudyError, match=rule):
        read_results(path, name="wrong")


def test_command(cli: Cli, tmp_path: Path, study: optuna.Study) -> None:
    """It asks for directions where the file tells none; what it stores is Optuna's own."""
    study.trials_dataframe().to_csv("table.csv")
    record = load_study_record(study._storage, study.study_name)
    write_table(record, Path("told.parquet"))
    write_table(planted(8), Path("ours.csv"))
    for args, code, message in (
        ("table.csv", 1, "does not tell whether `values_loss` and `values_the gain` should be"),
        ("table.csv --direction maximize", 1, "--direction must be given once for each of"),
        ("table.csv --direction up", 2, "must be one of minimize, maximize, but got 'up'."),
        ("told.parquet --direction minimize", 1, "told.parquet tells that it is minimize, maxi"),
        ("ours.csv --direction maximize", 1, "ours.csv tells that it is minimize: leave it out"),
    ):
        ended, out, error = cli("import-csv", *args.split(), "--storage", "sqlite:///study.db")
        assert (ended, out, message in error) == (code, "", True), error
        assert not Path("study.db").exists()
    for args in ("table.csv --direction minimize,maximize", "told.parquet"):
        ended, out, _ = cli("import-csv", *args.split(), "--storage", "sqlite:///study.db")
        name = args.split(".")[0]
        told = f"9 trials imported as study {name}: minimize loss and maximize the gain;"
        assert (ended, out.startswith(told)) == (0, True), out
        stored = optuna.load_study(study_name=name, storage="sqlite:///study.db")
        assert (stored.metric_names, stored.user_attrs) == (["loss", "the gain"], {})
        assert [t.values for t in stored.best_trials] == [t.values for t in study.best_trials]
