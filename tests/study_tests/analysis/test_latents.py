"""What is said of latents: means of the arms, in the report and on the command line."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from emoji_ae.images import captioned_png
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from study.analysis import measured_on_request
from study.analysis.experiment import describe_experiment, get_experiment
from study.analysis.latents import get_latents
from study.formats import format_accuracy
from study.report import ReportData, read_report_data, render_data
from study.report.pictures import LatentGallery
from study.report.trials import get_columns
from tests.study_tests.analysis.test_experiment import record
from tests.study_tests.pages import render_report
from tests.study_tests.report.test_report import Page, plain
from tests.study_tests.synthetic import LATENT_METRICS, VALIDATION_MSE, planted

AUC = next(m for m in LATENT_METRICS if m.name == attrs.LATENT_ATTRIBUTE_AUC)
ERRORS = {"improved": [0.01 + 0.001 * i for i in range(8)], "notebook": [0.02] * 8}
AREAS = {
    "improved": [0.60, 0.62, 0.61, 0.63, 0.60, 0.64, 0.59, 0.61],
    "notebook": [0.50, 0.51, 0.52, 0.50, 0.53, 0.49, 0.51, 0.50],
}


def measured() -> StudyRecord:
    """Return an experiment whose trials have measured how well attributes are told."""
    found = record(ERRORS)
    own = ((t, AREAS[t.user_attrs[attrs.ARM]][t.user_attrs[attrs.PAIR]]) for t in found.trials)
    return replace(found, trials=tuple(with_area(trial, area) for trial, area in own))


def with_area(trial: TrialRecord, area: float) -> TrialRecord:
    """Return a trial that has measured how well attributes are told."""
    return replace(trial, user_attrs={**trial.user_attrs, attrs.LATENT_ATTRIBUTE_AUC: area})


def test_means_of_the_arms() -> None:
    """Each arm has the mean of its trials with the t interval, of what was measured alone."""
    info = get_latents(measured())
    assert info.metrics == (VALIDATION_MSE, AUC)
    for arm, (name, areas) in zip(info.arms, AREAS.items(), strict=True):
        found = info.arms[arm][AUC]
        assert (arm, found.n, found.mean) == (name, 8, pytest.approx(np.mean(areas)))
        ends = stats.t.interval(0.95, 7, np.mean(areas), stats.sem(areas))
        assert found.interval == pytest.approx(ends)
    assert get_latents(planted(12)) is get_latents(record(ERRORS)) is None
    assert measured_on_request(record(ERRORS)) == ()
    # The experiment sums each number up in one sentence; the error is told arm by arm.
    info = get_experiment(measured())
    (comparison,) = info.of_metric(AUC.label)
    *said, summed = describe_experiment(info)
    assert said == [c.verdict for c in info.of_metric(VALIDATION_MSE.label)]
    difference = f"({comparison.found.written(comparison.found.mean)})"
    assert summed == f"{AUC.label}, against improved: lower with notebook {difference}."
    unsure = replace(comparison, found=replace(comparison.found, told=False))
    *_, summed = describe_experiment(replace(info, comparisons=(unsure,)))
    assert summed.endswith(f"cannot be told with notebook {difference}.")


def test_section_of_the_report(tmp_path: Path) -> None:
    """It has every mean and the gallery, or commands; a search explains what it measured, too."""
    caption = "trial 7 of <b>, Größe"
    png = captioned_png(Image.new("RGB", (8, 6), "red"), caption)
    with Image.open(io.BytesIO(png)) as image:
        assert (image.size, image.info["caption"]) == ((8, 6), caption)
    search, gallery = planted(14), LatentGallery(caption=caption, png=png)
    trials = tuple(with_area(t, t.number * 5 % 14 / 14) for t in search.trials)
    studies = (replace(search, trials=trials),)
    data = ReportData(studies=studies, followups=(measured(),), gallery=gallery)
    source = render_data(data)
    page = Page(source)
    text = plain(page.text("latent-space"))
    means = (plain(format_accuracy(np.mean(areas))) for areas in AREAS.values())
    for words in (*means, "Trial 7 of <b>"):
        assert words in text
    assert '<img class="gallery" src="data:image/png;base64,' in source
    for section in ("importance", "correlations", "isolation"):
        assert AUC.label in page.text(section)
    assert f"correlations-{attrs.LATENT_ATTRIBUTE_AUC}" in page.charts
    assert AUC.label in {column.label for column in get_columns(*studies)}
    path = tmp_path / "page.html"
    path.write_text(source)
    assert read_report_data(path) == data
    text = Page(render_report(planted(4))).text("models")
    assert "Latent space: no trial has measured its latents." in plain(text)
