"""The page, the notes and the charts of a user's own kind speak of its metrics and of no emoji."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from PIL import Image

from storage import attrs
from storage.artifacts import clear_pictures, open_artifacts, save_artifacts
from storage.rdb import open_storage
from storage.records import StudyRecord, load_study_record
from study.dashboard.graphs import draw_graphs
from study.dashboard.notes import study_note, trial_note
from study.kind_info import KindInfo
from study.kinds import File
from study.report import ReportData, read_report_data, render_data
from study.report.pictures import best_pictures, trial_files
from tests.study_tests.analysis import test_other_kinds as other
from tests.study_tests.pages import render_comparison, render_report
from tests.study_tests.studies import claim_point
from tests.study_tests.synthetic import SETTINGS

FOREIGN = re.compile(
    r"emoji(?!-study|_study)|auto.?encoder|\bMSE|reconstruct|latent|architecture|multitask", re.I
)
"""Words of the emoji studies."""

DIGITS = replace(
    other.kind(other.LOSS, other.ACCURACY, fidelity="passes"),
    files=(File(name="confusion.png", label="Confusion of digits", picture=True),),
    model_file="model",
)


def digits(n_trials: int = 40, *, kind: KindInfo = DIGITS) -> StudyRecord:
    """Return a search for a classifier of digits."""
    record = other.record(kind, n_trials)
    settings = {**SETTINGS, **other.SETTINGS, "fixed": {}}
    digest = {attrs.KIND_DIGEST: "a"}
    trials = (replace(t, user_attrs={**t.user_attrs, **digest}) for t in record.trials)
    told = {**record.user_attrs, attrs.SETTINGS: settings}
    return replace(record, trials=tuple(trials), user_attrs=told)


def words(page: str) -> str:
    """Return what a reader sees of a page, charts included, without styles and scripts."""
    data = r'<script type="(?:application/gzip|text/plain)".*?</script>|<script>.*?</script>'
    return re.sub(rf"{data}|<style>.*?</style>", "", page, flags=re.S)


def foreign(text: str) -> list[str]:
    """Return what a text says of emoji studies, in its surroundings."""
    return [text[max(0, m.start() - 60) : m.end() + 60] for m in FOREIGN.finditer(text)]


@pytest.mark.parametrize("n_trials", [0, 2, 40])
def test_page_says_nothing_of_emoji(n_trials: int, tmp_path: Path) -> None:
    """Sections, sentences and charts are of the kind's own metrics, which the page holds."""
    record = digits(n_trials)
    source = render_report(record)
    page = words(source)
    assert foreign(page) == []
    (tmp_path / "page.html").write_text(source, encoding="utf-8")
    assert read_report_data(tmp_path / "page.html") == ReportData(studies=(record,))
    assert "another version" not in page
    for absent in ("families", "branches", "classes", "latent-space", "pictures", "trial-files"):
        assert f'<section id="{absent}"' not in page
    if n_trials == 40:
        assert "Best so far: trial " in page
        assert ", validation cross-entropy 0." in page
        assert "Trade-off between error and accuracy" in page
        assert "validation cross-entropy (log)" in page


def test_words_follow_the_steps_and_the_objective() -> None:
    """What steps are called may not be known; a high objective has a linear axis and its words."""
    text = words(render_report(digits(kind=replace(DIGITS, fidelity=None))))
    assert "Steps trained" in text
    assert set(re.findall(r"\b(?:epochs|Epochs)\b", text)) == set()
    accuracy = replace(DIGITS.metrics[1], place=0)
    record = digits(kind=replace(DIGITS, metrics=(accuracy,)))
    trials = (replace(t, values=tuple(1 + v for v in t.values)) for t in record.trials)
    text = words(render_report(replace(record, trials=tuple(trials))))
    assert re.search(r", validation accuracy \d+\.\d\N{NO-BREAK SPACE}%", text)
    assert "0 of 9 checks need a look" in text
    assert '"maximise": true' in text
    assert "validation accuracy (log)" not in text
    assert '<section id="trade-off"' not in text


def test_comparison_of_own_kinds_says_nothing_of_emoji() -> None:
    """Its table, its charts and its sentences are of the common objective."""
    text = words(render_comparison([digits(), replace(digits(30), name="others")]))
    assert foreign(text) == []
    assert "best cross-entropy (log)" in text
    assert "a cross-entropy of" in text


@pytest.mark.parametrize("n_trials", [0, 40])
def test_notes_and_charts_of_the_dashboard_say_nothing_of_emoji(n_trials: int) -> None:
    """The note tells the objective, the files and the attributes of the kind."""
    record = digits(n_trials)
    note = study_note(record, study_id=1, url="sqlite:///study.db")
    notes = [trial_note(record, t, url="sqlite:///study.db") for t in record.trials]
    graphs = [text for text in draw_graphs(record).values() if text is not None]
    assert foreign("\n".join([note, *notes, *graphs])) == []
    assert "Lower is better: the objective is validation cross-entropy" in note
    assert "`confusion.png` (Confusion of digits)" in note
    assert "another version" not in note


def test_plain_pictures_of_best_median_and_worst(url: str, tmp_path: Path) -> None:
    """A picture of the kind is shown under its label; what was cleaned away is not."""
    storage, store = open_storage(url, create=True, write=True), open_artifacts(tmp_path / "files")
    made = optuna.create_study(storage=storage, study_name="study")
    for name, value in digits(0).user_attrs.items():
        made.set_user_attr(name, value)
    pictures = {}
    for value in (0.3, 0.1, 0.5, 0.2, 0.4):
        # Larger than the one that says that there is none.
        pixels = np.random.default_rng(round(10 * value)).integers(0, 256, (60, 80, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        pictures[value] = buffer.getvalue()
        claimed = claim_point(made, {})
        save_artifacts(store, claimed, {"confusion.png": pictures[value]})
        made.tell(claimed, value)
    record = load_study_record(storage, "study")
    assert best_pictures(record, storage, store) is None
    (found,) = trial_files(record, storage, store)
    assert found.label == "Confusion of digits"
    assert [(file.caption, file.content) for file in found.trials] == [
        ("best: trial 1, validation cross-entropy 0.1000", pictures[0.1]),
        ("median: trial 0, validation cross-entropy 0.3000", pictures[0.3]),
        ("worst: trial 2, validation cross-entropy 0.5000", pictures[0.5]),
    ]
    data = ReportData(studies=(record,), files=(found,))
    source = render_data(data)
    assert "<h4>Confusion of digits</h4>" in source
    assert "Best: trial 1, validation cross-entropy 0.1000." in source
    (tmp_path / "page.html").write_text(source, encoding="utf-8")
    assert read_report_data(tmp_path / "page.html").files == (found,)

    for t in record.trials:
        clear_pictures(store, storage, t.trial_id)
    assert trial_files(record, storage, store) == ()
