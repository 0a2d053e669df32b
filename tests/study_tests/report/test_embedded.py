"""What a page carries: enough to make the same page again, bounded, and told when damaged."""

import base64
import gzip
import itertools
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from study.errors import StudyError
from study.report import ReportData, read_report_data, render_data
from study.report.embedded import MAX_REPORTS, MAX_TRIALS, bounded, pack
from study.report.pictures import DrawnImages, Picture, Pictures
from tests.study_tests.pages import render_report
from tests.study_tests.synthetic import MARKUP, SETTINGS, planted, planted_multitask, study, trial

PICTURES = Pictures(
    caption="By trial 3",
    drawn_by=3,
    ranked=(
        Picture(
            text=MARKUP,
            role="lowest",
            original=b"\x89PNG\x00\xff",
            reconstruction=b"two",
            error_map=b"three",
            mse=0.1 + 0.2,
        ),
    ),
    full_difference=0.5,
    texts=("nerd face",),
    originals=(b"",),
    trials=(DrawnImages(caption="best", drawn_by=3, reconstructions=(b"x",), errors=(1e-3,)),),
    n_trials=7,
)


def page_of(data: ReportData, folder: Path) -> Path:
    """Write a page that holds nothing but its data."""
    path = folder / "page.html"
    path.write_text(f'<script type="application/gzip" id="report-data">{pack(data)}</script>')
    return path


def changed(folder: Path, **changes: Any) -> Path:
    """Write a page whose data were tampered with."""
    values = json.loads(gzip.decompress(base64.b64decode(pack(ReportData(studies=(study(),))))))
    text = base64.b64encode(gzip.compress(json.dumps(values | changes).encode())).decode()
    path = folder / "changed.html"
    path.write_text(f'<script type="application/gzip" id="report-data">{text}</script>')
    return path


def test_a_page_makes_itself_anew(tmp_path: Path) -> None:
    """From a page alone comes the same page, byte for byte, pictures and follow-ups included."""
    data = ReportData(
        studies=(planted_multitask(40),),
        followups=(replace(planted(12), name="other"),),
        pictures=PICTURES,
        correlated="independent",
    )
    path = tmp_path / "report.html"
    path.write_text(render_data(data))
    assert read_report_data(path) == data
    assert render_data(read_report_data(path)) == path.read_text()


def test_data_are_the_same_for_the_same_study() -> None:
    """Neither the clock nor the machine gets into them."""
    data = ReportData(studies=(planted(),), pictures=PICTURES)
    assert pack(data) == pack(data)
    assert gzip.decompress(base64.b64decode(pack(data))).startswith(b'{"format":"emoji-study')


def test_markup_in_the_data_cannot_end_their_element() -> None:
    """The page has one element of data, whatever texts the study holds."""
    name = '</script><script id="report-data">alert(1)'
    source = render_report(replace(planted(10), name=name))
    assert source.count('<script type="application/gzip" id="report-data">') == 1
    found = re.search(r'id="report-data">([^<]*)<', source)
    assert found is not None
    values = json.loads(gzip.decompress(base64.b64decode(found[1])))
    assert values["studies"][0]["name"] == name


def test_a_small_study_is_held_whole() -> None:
    """Nothing is left out below the bounds."""
    data = ReportData(studies=(planted(),), followups=(planted(5),))
    assert bounded(data) == data


def test_of_too_many_trials_the_best_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hundred best trials of a large study and an even selection of the others."""
    monkeypatch.setattr("study.report.embedded.MAX_TRIALS", 50)
    monkeypatch.setattr("study.report.embedded._BEST", 20)
    record = planted(300)
    data = bounded(ReportData(studies=(record,)))
    (kept,) = data.studies
    numbers = [t.number for t in kept.trials]
    assert (len(numbers), data.n_left_out, data.thinned) == (50, 250, False)
    assert numbers == sorted(set(numbers))
    ranked = sorted((t for t in record.trials if t.value is not None), key=lambda t: t.value or 0)
    assert {t.number for t in ranked[:20]} <= set(numbers)
    others = [n for n in numbers if n not in {t.number for t in ranked[:20]}]
    assert max(b - a for a, b in itertools.pairwise(others)) < 20
    assert all(record.trials[t.number] == t for t in kept.trials)
    assert bounded(data) == data


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.integers(2, 400))
def test_of_too_many_values_both_ends_stay(lengths: list[int], limit: int) -> None:
    """Curves keep first and last value, stay in order, exact, and within the bound."""
    curves = [tuple(1 / (i + 1 + k) for i in range(n)) for k, n in enumerate(lengths)]
    record = study(*(trial(i, curve=curve) for i, curve in enumerate(curves)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("study.report.embedded.MAX_REPORTS", limit)
        data = bounded(ReportData(studies=(record,)))
    (kept,) = data.studies
    assert data.thinned == (sum(lengths) > limit and kept != record)
    if sum(lengths) > limit:
        total = sum(len(t.intermediate_values) for t in kept.trials)
        assert total <= max(limit, 2 * len(lengths))
    for before, after in zip(record.trials, kept.trials, strict=True):
        items = list(after.intermediate_values.items())
        assert items == sorted(items)
        assert set(items) <= set(before.intermediate_values.items())
        if before.intermediate_values:
            assert min(before.intermediate_values) in after.intermediate_values
            assert max(before.intermediate_values) in after.intermediate_values


def test_bounds_hold_a_real_study_of_the_original_size() -> None:
    """The original's 1,944 multitask trials fit with 100 values each."""
    assert MAX_TRIALS >= 1944
    assert MAX_REPORTS >= 1944 * 100


def test_what_a_page_lacks_is_said() -> None:
    """A page from a page that held a part says how much that was."""
    data = ReportData(studies=(planted(60),), n_left_out=1_940, thinned=True)
    source = render_data(data)
    assert "made from an older one, which held 60 of 2,000 trials" in source
    assert "a part of the intermediate values" in source


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no data of a report"),
        ("<html></html>", "holds no data of a report"),
        ('<script type="application/gzip" id="report-data">!!</script>', "damaged"),
        ('<script type="application/gzip" id="report-data">aGVsbG8=</script>', "damaged"),
        ('<script type="application/gzip" id="report-data"></script>', "damaged.*end too early"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """Each file gets one line that names it."""
    path = tmp_path / "old.html"
    path.write_text(content)
    with pytest.raises(StudyError, match=message) as caught:
        read_report_data(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_that_was_cut_is_refused(tmp_path: Path) -> None:
    """Half of the data is no data."""
    path = page_of(ReportData(studies=(planted(30),)), tmp_path)
    text = path.read_text()
    path.write_text(text[:2000] + "</script>")
    with pytest.raises(StudyError, match="damaged"):
        read_report_data(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "emoji-study report 9"}, "another version.*'emoji-study report 9'"),
        ({"studies": None}, "damaged"),
        ({"studies": []}, "damaged.*no study"),
        ({"studies": [{"name": "x"}]}, "damaged"),
        ({"pictures": {"caption": 1}}, "damaged"),
        ({"pictures": "none"}, "damaged"),
        ({"n_left_out": "many"}, "damaged"),
    ],
)
def test_data_that_were_changed_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """Whatever is wrong with them."""
    with pytest.raises(StudyError, match=message):
        read_report_data(changed(tmp_path, **changes))


def test_special_numbers_are_kept(tmp_path: Path) -> None:
    """A diverged trial and a large seed come back from a page."""
    record = study(
        trial(0, state=TrialState.FAIL, curve=(0.1, math.inf), attrs={"seed": 2**62 + 1}),
        settings=SETTINGS,
    )
    data = ReportData(studies=(record,))
    assert read_report_data(page_of(data, tmp_path)) == data
