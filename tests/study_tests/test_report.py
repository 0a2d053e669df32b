"""The report as a file: sections, numbers, escaping, self-containment, determinism."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from optuna.trial import TrialState

from storage.records import StudyRecord
from study.formats import format_duration, format_mse, format_p_value, format_value
from study.report import Picture, Pictures, render_report, write_report
from tests.study_tests.synthetic import MARKUP, SETTINGS, planted, study, trial

SECTIONS = [
    "key-numbers",
    "best-configuration",
    "pictures",
    "importance",
    "correlations",
    "history",
    "learning-curves",
    "families",
    "best-trials",
    "failures",
    "reproduce",
]
CHARTS = ["importance", "correlations", "history", "learning-curves"]
CNN = {"auto_encoder": "CNN", "epoch": 10, "learning_rate": 0.01}
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """The parts of a page that the tests ask about."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text_by_section: dict[str, str] = {}
        self.section = "header"
        self.feed(source)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs).get("id") or ""
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attrs, text = self.scripts.pop()
            self.scripts.append((attrs, text + data))
        elif self.open and self.open[-1] != "style":
            self.text_by_section[self.section] = self.text(self.section) + data

    def text(self, section: str) -> str:
        """Return the visible text of a section."""
        return self.text_by_section.get(section, "")

    def ids(self, tag: str) -> list[str | None]:
        """Return the ids of all elements of a kind, in order."""
        return [attrs.get("id") for name, attrs in self.tags if name == tag]

    @property
    def charts(self) -> list[str]:
        """Return the keys of the charts that the page draws."""
        found = [i for i in self.ids("div") if i and i.startswith("chart-")]
        return [name.removeprefix("chart-") for name in found]


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    """120 trials with a planted answer."""
    return planted()


@pytest.fixture(scope="module")
def source(record: StudyRecord) -> str:
    """The report of these trials."""
    return render_report(record)


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    """The same, parsed."""
    return Page(source)


def test_sections_are_complete_and_in_order(page: Page) -> None:
    """Every section is there, in the order of a reader's questions, and in the contents."""
    assert page.ids("section") == SECTIONS
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == ["#main", *(f"#{section}" for section in SECTIONS)]


def test_ids_are_unique(page: Page) -> None:
    """No two elements share an id."""
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_page_has_landmarks_and_one_title(page: Page) -> None:
    """Header, navigation, main part and footer each exist once, with one first heading."""
    tags = [tag for tag, _ in page.tags]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert ("html", {"lang": "en"}) in page.tags


def test_summary_says_what_was_run_and_found(page: Page, record: StudyRecord) -> None:
    """The first paragraph holds the numbers of the study in plain sentences."""
    text = page.text("header")
    assert record.best is not None
    assert (
        "holds 120 trials of the extended space, chosen by the TPE sampler: "
        "102 complete, 12 pruned, 6 failed." in text
    )
    assert (
        f"The lowest validation MSE is {format_mse(record.best.value)}, reached by trial " in text
    )
    assert f"trial {record.best.number}, a CNN autoencoder with epoch 20, batch size" in text
    assert "others is learning rate, with" in text
    saved = sum(20 - len(t.intermediate_values) for t in record.trials if t.value is None)
    failed = 6 * (20 - 3)
    assert f"Pruning saved {saved - failed} of 2,280 epochs" in text
    assert "The TPE sampler chose trials by earlier results" in text
    assert "6 of 120 trials failed" in text


def test_best_configuration_shows_its_parameters(page: Page, record: StudyRecord) -> None:
    """Each parameter of the best trial stands with its value."""
    text = page.text("best-configuration")
    assert record.best is not None
    for name, value in record.best.params.items():
        assert name.replace("_", " ") in text
        assert format_value(value) in text


def test_tables_hold_the_numbers_behind_the_charts(page: Page, record: StudyRecord) -> None:
    """Behind each chart is a table with its values."""
    assert [tag for tag, _ in page.tags].count("details") == len(CHARTS)
    assert record.best is not None
    best = format_mse(record.best.value)
    for section in ("history", "learning-curves", "families", "best-trials"):
        assert best in page.text(section)
    assert re.search(r"learning rate0\.\d{3}", page.text("importance"))
    assert re.search(r"CNNlearning ratelog10\d+", page.text("correlations"))


def test_reproduction_names_command_and_settings(page: Page, record: StudyRecord) -> None:
    """The reader learns how to train the best trial again and what all workers shared."""
    text = page.text("reproduce")
    assert record.best is not None
    assert f"emoji-study train --study planted --trial {record.best.number}" in text
    for key, value in SETTINGS.items():
        assert key.replace("_", " ") in text
        assert isinstance(value, dict) or value is None or str(value) in text


def test_charts_are_valid_json_and_the_library_is_there_once(page: Page, source: str) -> None:
    """Four figures share a single copy of plotly.js."""
    assert page.charts == CHARTS
    figures = {
        attrs["id"]: json.loads(text)
        for attrs, text in page.scripts
        if attrs.get("type") == "application/json"
    }
    assert set(figures) == {f"chart-{key}-data" for key in CHARTS}
    assert all(figure["data"] for figure in figures.values())
    assert source.count("* plotly.js v") == 1
    assert len(page.scripts) == len(CHARTS) + 2


def test_nothing_is_fetched(page: Page, source: str) -> None:
    """No attribute or style names an address, and the page's own policy forbids requests."""
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attrs.get(name) or ""
            assert value == "" or value.startswith(("#", "data:")), (tag, name, value)
    style = source[source.index("<style>") : source.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    (policy,) = [
        attrs["content"]
        for tag, attrs in page.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert str(policy).startswith("default-src 'none'")
    assert "http" not in str(policy)


def test_markup_is_shown_and_never_run(page: Page, source: str) -> None:
    """A failure message with tags appears as text."""
    assert MARKUP in page.text("failures")
    assert MARKUP not in source
    assert "alert('x')" not in "".join(text for _, text in page.scripts)


def test_markup_in_every_text_of_a_study_is_shown_as_text() -> None:
    """Names, parameters, settings and captions may hold anything."""
    evil = "</script><!--<img src=x onerror=alert(1)>'\""
    trials = [
        trial(
            i,
            value=0.1 + 0.01 * i,
            params={"auto_encoder": evil, "learning_rate": 0.001 * (i + 1)},
            curve=(0.5, 0.1 + 0.01 * i),
        )
        for i in range(12)
    ]
    settings = {**SETTINGS, "sampler": evil, "kind": evil, "data": evil, evil: evil}
    pictures = Pictures(
        caption=evil, items=(Picture(text=evil, original=b"a", reconstruction=b"b", mse=0.1),)
    )
    page = Page(render_report(study(*trials, name=evil, settings=settings), pictures=pictures))
    assert page.ids("section") == SECTIONS
    assert page.charts == CHARTS
    assert [tag for tag, _ in page.tags].count("img") == 2
    assert all("onerror" not in attrs for _, attrs in page.tags)
    for attrs, text in page.scripts:
        if attrs.get("type") == "application/json":
            json.loads(text)


def test_same_study_gives_the_same_bytes(record: StudyRecord, source: str) -> None:
    """Nothing of the page depends on the time, the machine or chance."""
    assert render_report(record) == source


def test_size_is_bounded(source: str) -> None:
    """Almost all of the file is the drawing library, whatever the number of trials."""
    assert len(source.encode()) < 5_200_000
    assert len(render_report(planted(1000)).encode()) < 6_500_000


def test_long_tables_say_what_they_leave_out() -> None:
    """Above 500 rows the page names the command that writes all of them."""
    trials = [trial(i, value=0.1 + i, params=CNN) for i in range(501)]
    text = Page(render_report(study(*trials))).text("history")
    assert "The table shows 500 of 501 rows" in text
    assert "emoji-study export --study study" in text


def test_pictures_are_embedded(record: StudyRecord) -> None:
    """Originals and reconstructions stand in the file with their captions and errors."""
    pictures = Pictures(
        caption="Trial 60",
        items=(
            Picture(text="nerd face", original=b"one", reconstruction=b"two", mse=0.01234),
            Picture(text="tired face", original=b"one", reconstruction=b"two", mse=0.5),
        ),
    )
    page = Page(render_report(record, pictures=pictures))
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == [
        "nerd face, original",
        "nerd face, reconstruction",
        "tired face, original",
        "tired face, reconstruction",
    ]
    assert images[0]["src"] == "data:image/png;base64,b25l"
    assert "0.01234" in page.text("pictures")


PRUNED = trial(0, state=TrialState.PRUNED, params=CNN, curve=(0.5, 0.4))
FAILED = trial(0, state=TrialState.FAIL, attrs={"failure": "no memory"})


@pytest.mark.parametrize(
    ("trials", "charts", "sentence"),
    [
        ((), [], "has no trials yet"),
        ((PRUNED,), ["history", "learning-curves"], "No trial is complete"),
        ((FAILED,), [], "1 failed"),
        ((trial(0, state=TrialState.WAITING),), [], "1 waiting"),
        ((trial(0, value=0.2, params=CNN),), ["history"], "lowest validation MSE is 0.2000"),
        ((trial(0, value=0.2),), ["history"], "reached by trial 0."),
        (
            (
                trial(0, value=math.inf, params=CNN, curve=(math.nan, math.inf)),
                trial(1, state=TrialState.RUNNING, params=CNN, curve=(math.nan, 0.3)),
            ),
            ["history", "learning-curves"],
            "1 complete, 1 running",
        ),
    ],
    ids=["empty", "pruned", "failed", "waiting", "one", "no parameters", "not finite"],
)
@pytest.mark.parametrize("settings", [None, SETTINGS])
def test_every_unusual_study_has_a_report(
    trials: tuple, charts: list[str], sentence: str, settings: dict | None
) -> None:
    """Whatever is missing, all sections stand and say why they are empty."""
    page = Page(render_report(study(*trials, settings=settings)))
    assert page.ids("section") == SECTIONS
    assert page.charts == charts
    assert sentence in page.text("header")
    assert all(page.text(section).strip() for section in SECTIONS)
    for key in set(CHARTS) - set(charts):
        assert "emoji-study run" in page.text(key)


def test_writing_creates_the_folder_and_leaves_only_the_report(tmp_path: Path) -> None:
    """The file replaces an older one, in a folder made for it, without traces."""
    out = tmp_path / "new" / "report.html"
    record = study(name="älter 😀")
    write_report(record, out=out)
    out.write_text("old", encoding="utf-8")
    write_report(record, out=out)
    assert out.read_text(encoding="utf-8") == render_report(record)
    assert list(out.parent.iterdir()) == [out]


def test_a_failed_write_keeps_the_folder_clean(tmp_path: Path) -> None:
    """Where the target cannot be replaced, the error is raised and nothing is left behind."""
    out = tmp_path / "report.html"
    out.mkdir()
    with pytest.raises(OSError, match=re.escape(out.name)):
        write_report(study(), out=out)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "1e-3"),
        (0.00951, "9.51e-3"),
        (0.01, "0.01"),
        (0.1, "0.1"),
        (0.0, "0"),
        (1e-5, "1e-5"),
        (16, "16"),
        (True, "on"),
        (False, "off"),
        ("CNN", "CNN"),
        (None, "–"),
        ({"epoch": 20, "learning_rate": 0.001}, "epoch 20, learning_rate 1e-3"),
        ({}, "–"),
    ],
)
def test_parameters_are_written_in_short(value: object, text: str) -> None:
    """Orders of magnitude are readable, and nothing looks like a Python literal."""
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.01235"),
        (0.2, "0.2000"),
        (0.0, "0.000"),
        (1.5e-7, "1.500e-07"),
        (math.inf, "inf"),
        (None, "–"),
    ],
)
def test_errors_have_four_digits(value: float | None, text: str) -> None:
    """Errors of one table line up."""
    assert format_mse(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (50, "50.0 s"), (59.97, "1 min 0 s"), (5340, "1 h 29 min"), (None, "–")],
)
def test_durations_have_two_units(seconds: float | None, text: str) -> None:
    """Seconds turn into what a person would say."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0004, "<\N{NO-BREAK SPACE}0.001"), (0.04, "0.040")]
)
def test_small_p_values_are_bounds(value: float, text: str) -> None:
    """No p-value is written as zero."""
    assert format_p_value(value) == text
