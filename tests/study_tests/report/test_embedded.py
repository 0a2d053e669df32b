"""What a page carries: enough to make the same page again, bounded, and told when damaged."""

import base64
import gzip
import itertools
import json
import math
import re
from collections.abc import Callable
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
from tests.study_tests.report.test_report import pictures_of
from tests.study_tests.synthetic import MARKUP, planted, planted_multitask, study, trial

NAME = '</script><script id="report-data">alert(1)'
"""A name of a study that would end the element of the data."""


def element(text: str) -> str:
    """Return the element that holds the data of a page."""
    return f'<script type="application/gzip" id="report-data">{text}</script>'


def zipped(values: object) -> str:
    """Return values as a page holds them."""
    return base64.b64encode(gzip.compress(json.dumps(values).encode(), mtime=0)).decode()


def test_a_page_makes_itself_anew(tmp_path: Path) -> None:
    """From a page alone comes the same page, byte for byte, and it says what it lacks."""
    diverged = trial(16, state=TrialState.FAIL, curve=(0.1, math.inf), attrs={"seed": 2**62 + 1})
    searched = planted_multitask(16)
    data = ReportData(
        studies=(replace(searched, name=NAME, trials=(*searched.trials, diverged)),),
        followups=(replace(planted(4), name="other"),),
        pictures=pictures_of(MARKUP, "nerd face", ""),
        correlated="independent",
        n_left_out=1_983,
        thinned=True,
    )
    path = tmp_path / "report.html"
    source = render_data(data)
    path.write_text(source)
    assert read_report_data(path) == data
    assert render_data(read_report_data(path)) == source
    assert "made from an older one, which held 17 of 2,000 trials" in source
    assert "a part of the intermediate values" in source
    assert source.count(element("")[: -len("</script>")]) == 1
    found = re.search(r'id="report-data">([^<]*)<', source)
    content = gzip.decompress(base64.b64decode(found[1]))
    assert content.startswith(b'{"format":"emoji-study')
    assert json.loads(content)["studies"][0]["name"] == NAME
    # What the page shows stands in it once; a picture that is gone is damage.
    assert b"$shown" in content
    shown = base64.b64encode(data.pictures.originals[0]).decode()
    assert shown in source
    path.write_text(source.replace(shown, ""))
    with pytest.raises(StudyError, match="are damaged"):
        read_report_data(path)


def test_of_too_many_trials_the_best_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an even selection of the others; the original's 1,944 trials are below all bounds."""
    whole = ReportData(studies=(planted(),), followups=(planted(5),))
    assert bounded(whole) == whole
    assert MAX_TRIALS >= 1944
    assert MAX_REPORTS >= 1944 * 100
    monkeypatch.setattr("study.report.embedded.MAX_TRIALS", 50)
    monkeypatch.setattr("study.report.embedded._BEST", 20)
    record = planted(300)
    data = bounded(ReportData(studies=(record,)))
    (kept,) = data.studies
    numbers = [t.number for t in kept.trials]
    assert (len(numbers), data.n_left_out, data.thinned) == (50, 250, False)
    assert numbers == sorted(set(numbers))
    ranked = sorted((t for t in record.trials if t.value is not None), key=lambda t: t.value or 0)
    best = {t.number for t in ranked[:20]}
    assert best <= set(numbers)
    others = [n for n in numbers if n not in best]
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


def changed(**changes: Any) -> str:
    """Return a page whose data were tampered with."""
    values = json.loads(gzip.decompress(base64.b64decode(pack(ReportData(studies=(study(),))))))
    return element(zipped(values | changes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (str, "holds no data of a report"),
        (lambda: "<html></html>", "holds no data of a report"),
        (lambda: element("!!"), "damaged"),
        (lambda: element("aGVsbG8="), "damaged"),
        (lambda: element(""), "damaged.*end too early"),
        (lambda: element(pack(ReportData(studies=(planted(30),)))[:2000]), "damaged"),
        (lambda: changed(format="report 9"), "another version.*'report 9'"),
        (lambda: changed(studies=None), "damaged"),
        (lambda: changed(studies=[]), "damaged.*no study"),
        (lambda: changed(studies=[{"name": "x"}]), "damaged"),
        (lambda: changed(pictures={"caption": 1}), "damaged"),
        (lambda: changed(pictures="none"), "damaged"),
        (lambda: changed(n_left_out="many"), "damaged"),
    ],
)
def test_what_is_no_report(tmp_path: Path, content: Callable[[], str], message: str) -> None:
    """Each file gets one line that names it."""
    path = tmp_path / "old.html"
    path.write_text(content())
    with pytest.raises(StudyError, match=message) as caught:
        read_report_data(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
