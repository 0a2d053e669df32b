"""Studies of other programs: what is said of them is what Optuna says, and no word of ours."""

import math
import re
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.importance import get_param_importances
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import plot_hypervolume_history

from storage.records import StudyRecord, load_study_record, load_summaries
from study.analysis import objectives_of
from study.analysis.front import get_unbeaten
from study.analysis.hypervolume import get_hypervolume
from study.analysis.ped_anova import get_ped_anova
from study.dashboard.graphs import draw_graphs
from study.dashboard.other_notes import study_note, trial_note
from study.metrics import Metric
from study.report import read_report_data, render_data
from study.report.markdown import to_markdown
from tests.conftest import Cli
from tests.servers import opened
from tests.study_tests.foreign import NAMES, best_of, make_study

URL = "sqlite:///study.db"
OURS = r"\b(emoji|epochs?|images?|MSE|trained|trainings?|weights?|workers?)\b"
"""Words for what this package trains."""


def slowly(seeds: Sequence[int]) -> Any:
    """Leave these to the slow tests."""
    return pytest.param(seeds, marks=pytest.mark.slow)


def loss(metric: Metric, trial: FrozenTrial) -> float:
    """Return a value as what is to be low, which is all that Optuna's importances know."""
    return float(metric.sign * trial.values[metric.place or 0])


def check_said(study: optuna.Study, record: StudyRecord) -> None:
    """Compare best trials, values, importances and hypervolume with Optuna's own."""
    best = best_of(study)
    assert [trial.number for trial in get_unbeaten(record)] == [trial.number for trial in best]
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    assert [list(t.values) for t in record.complete] == [t.values for t in complete]
    for metric in objectives_of(record):
        info = get_ped_anova(record, metric=metric)
        if info.parameters:
            theirs = get_param_importances(study, target=partial(loss, metric))
            shares = {p.name: p.share for p in info.parameters}
            assert {name: shares.get(name, 0.0) for name in theirs} == pytest.approx(theirs)
    found = get_hypervolume(record)
    if found is not None and found.n_left_out == 0 and "not_set" not in record.directions:
        box = abs(math.prod(np.subtract(found.reference, found.best).tolist()))
        if math.isfinite(box):  # Optuna's is none otherwise
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                (drawn,) = plot_hypervolume_history(study, found.reference).data
            assert found.shares[-1] * box == pytest.approx(drawn.y[-1])


def check_tables(text: str) -> None:
    """Assert that all rows of each table have as many cells, whatever stands in them."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


def check_commands(cli: Cli, study: optuna.Study, record: StudyRecord) -> None:
    """Run what reads; each ends well, and says nothing that is not so."""
    best, named = best_of(study), ("--storage", URL, "--study", record.name)
    for command in (("export", "--out", "trials.csv"), ("report", "--out", "p.html"), ("status",)):
        code, out, error = cli(*command[:1], *named, *command[1:])
        assert (code, "Traceback" in error, "Warning" in error) == (0, False, False), error
    if len(record.directions) == 1:
        first = re.search(r"^ *best trial .*\n *(\d+) ", out, re.MULTILINE)
        assert [first and int(first[1])] == ([t.number for t in best] or [None])
    assert out.splitlines()[-1].startswith("Next: emoji-study report")
    page = Path("p.html").read_text()
    assert render_data(read_report_data(Path("p.html"))) == page
    text = to_markdown(page, name=None).text
    assert "could not be made" not in text
    check_tables(text)
    assert set(re.findall("emoji-study ([a-z-]+)", text)) <= {"report", "export"}
    headline = next(line for line in text.splitlines() if line.startswith("# "))
    if best and len(record.directions) > 1:
        assert headline.startswith(f"# {len(best)} of ")
    elif best:
        assert headline.startswith(f"# Best so far: trial {best[0].number}, ")
    notes = [trial_note(record, t, url=URL) for t in record.trials if t.state.is_finished()]
    notes.append(study_note(record, study_id=1, url=URL))
    graphs = [graph or "" for graph in draw_graphs(record).values()]
    said = "\n".join([text, *notes, *graphs]).replace("emoji-study", "")
    said = said.replace(r"\_", "_")  # as names are in Markdown
    attributes = {name for trial in record.trials for name in trial.other_attrs}
    for name in ("epoch", "Epoch", *NAMES, *attributes):
        said = said.replace(name, "")
    assert {m[0] for m in re.finditer(OURS, said, re.IGNORECASE)} == set()


@pytest.mark.filterwarnings("ignore:PedAnovaImportanceEvaluator computes", "ignore:Some regimes")
@pytest.mark.parametrize("seeds", [(*range(60), 650), slowly(range(60, 1000))])
def test_as_optuna_says(seeds: Sequence[int]) -> None:
    """Best trials, values, importances and hypervolume are Optuna's, of copies (650) as well."""
    storage = InMemoryStorage()
    for study in (make_study(storage, seed) for seed in seeds):
        check_said(study, load_study_record(storage, study.study_name))


@pytest.mark.parametrize("seeds", [(0, 1, 14, 18, 39), slowly(range(40, 240))])
def test_commands_and_pages(cli: Cli, tmp_path: Path, seeds: Sequence[int]) -> None:
    """Whatever Optuna stores, commands read it, and pages contradict neither it nor themselves."""
    with opened(f"sqlite:///{tmp_path / 'study.db'}", create=True, write=True) as storage:
        studies = [make_study(storage, seed) for seed in seeds]
        listed = {summary.name: summary.best for summary in load_summaries(storage)}
        assert cli("list", "--storage", URL)[0] == 0
        for study in studies:
            check_commands(cli, study, load_study_record(storage, study.study_name))
            told, best = listed[study.study_name], best_of(study)
            if len(study.directions) == 1:
                assert [t.values[0] for t in best] == ([told.values[0]] if told else [])
        named = [word for study in studies[:2] for word in ("--study", study.study_name)]
    code, text, _ = cli("report", "--storage", URL, *named, "--out", "-")
    assert (code, "emoji-study confirm" in text) == (0, False)
