"""Checkpoints: what comes back, and what a file that is none is answered with."""

import contextlib
import os
import pickle
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoji_ae.checkpoint import Checkpoint, load_checkpoint, load_training, save_checkpoint
from emoji_ae.config import AutoencoderConfig, multitask_config
from emoji_ae.curve import EpochMetrics
from emoji_ae.dataset import LabelledImages
from emoji_ae.errors import CheckpointError, EmojiAEError
from emoji_ae.evaluation import reconstruct
from emoji_ae.models import MultitaskAutoencoder, build_model
from emoji_ae.training import train_model
from tests.emoji_ae_tests.reference import train_autoencoder, with_fields

CONFIG = AutoencoderConfig(
    width=3, depth=3, latent_channels=4, normalization="batch", epoch=2, batch_size=4
)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """``(6, 3, 64, 64)`` uint8."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (6, 3, 64, 64), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def checkpoint(images: torch.Tensor) -> Checkpoint:
    """A small trained autoencoder."""
    result = train_autoencoder(CONFIG, images, images[:2], seed=3)
    return Checkpoint(
        model=result.model,
        config=CONFIG,
        seed=2**63 - 1,
        data_fingerprint="0123456789abcdef",
        curve=result.curve,
    )


@pytest.fixture
def path(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """The file of ``checkpoint``."""
    file = tmp_path / "model.pt"
    save_checkpoint(checkpoint, file)
    return file


def assert_unreadable(path: Path, reason: str) -> None:
    """Check that loading raises one line that names the file and matches ``reason``."""
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_checkpoint(path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)


def assert_unwritable(checkpoint: Checkpoint, path: Path) -> None:
    """Check that saving raises one line that names the file."""
    with pytest.raises(CheckpointError, match=r"^Checkpoint .* cannot be written: .") as caught:
        save_checkpoint(checkpoint, path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)


def test_round_trip(checkpoint: Checkpoint, path: Path, images: torch.Tensor) -> None:
    """Configuration, seed, fingerprint, curve and weights come back, and so do pictures."""
    back = load_checkpoint(path)
    assert back.config == checkpoint.config
    assert back.seed == checkpoint.seed
    assert back.data_fingerprint == checkpoint.data_fingerprint
    assert back.curve == checkpoint.curve
    assert len(back.curve) == 2
    assert not back.model.training
    mine, theirs = back.model.state_dict(), checkpoint.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(reconstruct(back.model, images), reconstruct(checkpoint.model, images))
    with torch.no_grad():
        assert torch.equal(back.model(images / 255), checkpoint.model(images / 255))


@pytest.mark.parametrize(
    "config",
    [
        AutoencoderConfig(auto_encoder="linear", bottleneck_dim=3, learning_rate=1),
        with_fields(CONFIG, normalization="group", activation="gelu", schedule="cosine"),
        with_fields(CONFIG, normalization="none", depth=5, weight_decay=0.0),
    ],
)
def test_round_trip_of_any_architecture(config: AutoencoderConfig, tmp_path: Path) -> None:
    """Every architecture can be saved, an unfinished training and a diverged epoch too."""
    model = build_model(config).eval()
    epoch = EpochMetrics(epoch=0, train_mse=float("inf"), validation_mse=0.1 + 0.2, seconds=1e-9)
    for curve in ((), (epoch,)):
        saved = Checkpoint(model=model, config=config, seed=0, data_fingerprint="", curve=curve)
        save_checkpoint(saved, tmp_path / "model.pt")
        back = load_checkpoint(tmp_path / "model.pt")
        assert (back.config, back.curve, back.seed) == (config, curve, 0)
    assert all(map(torch.equal, back.model.state_dict().values(), model.state_dict().values()))


MULTITASK = multitask_config(
    width=3,
    depth=3,
    latent_channels=4,
    normalization="batch",
    epoch=2,
    batch_size=4,
    classification_layer_num=2,
    classification_width=8,
)


@pytest.mark.parametrize(
    "config",
    [
        MULTITASK,
        with_fields(MULTITASK, strategy="branched", branch_point=2, patience=1),
        with_fields(MULTITASK, strategy="sequential", class_weights=True),
        with_fields(MULTITASK, classification_lambda=0, classification_layer_num=3),
    ],
    ids=["joint", "branched", "sequential", "without"],
)
def test_round_trip_of_multitask(
    config: AutoencoderConfig, images: torch.Tensor, tmp_path: Path
) -> None:
    """A multitask model comes back as one, with its configuration, metrics and predictions."""
    data = LabelledImages(images=images, labels=torch.tensor([0, 1, 2, 3, 3, 3]))
    result = train_model(config, data, data, seed=3)
    curve = (*result.curve, *result.classifier_curve)
    saved = Checkpoint(
        model=result.model, config=config, seed=3, data_fingerprint="0123", curve=curve
    )
    save_checkpoint(saved, tmp_path / "model.pt")
    back = load_checkpoint(tmp_path / "model.pt")
    assert back.config.classification is not None
    assert back.config == config
    assert (back.seed, back.data_fingerprint) == (3, "0123")
    assert back.curve == curve
    assert [type(metrics) for metrics in back.curve] == [type(metrics) for metrics in curve]
    assert type(back.model) is type(result.model) is MultitaskAutoencoder
    assert not any(module.training for module in back.model.modules())
    mine, theirs = back.model.state_dict(), result.model.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    with torch.no_grad():
        found, expected = (
            model.forward_tasks(images / 255) for model in (back.model, result.model)
        )
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": "branched"},
        {"classification_layer_num": 1},
        {"classification_width": 16},
        {"dropout": 1.5},
        {"strategy": "other"},
    ],
)
def test_multitask_parts_that_do_not_fit(change: dict[str, Any], tmp_path: Path) -> None:
    """Weights of another classifier or strategy are refused, and so are broken rules."""
    path = tmp_path / "model.pt"
    saved = Checkpoint(
        model=build_model(MULTITASK), config=MULTITASK, seed=0, data_fingerprint="", curve=()
    )
    save_checkpoint(saved, path)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"config": content["config"] | change}, path)
    assert_unreadable(path, r"does not fit its model: .")


def test_one_kinds_weights_are_not_the_others(checkpoint: Checkpoint, path: Path) -> None:
    """An autoencoder's weights are no multitask model's, and the other way round."""
    content = torch.load(path, weights_only=True)
    torch.save(content | {"config": MULTITASK.to_dict()}, path)
    assert_unreadable(path, r"does not fit its model: .*Missing key.*classifier")
    weights = build_model(MULTITASK).state_dict()
    torch.save(content | {"weights": weights}, path)
    assert_unreadable(path, r"does not fit its model: .*Unexpected key.*classifier")


def test_loading_draws_no_weights_from_outside(path: Path) -> None:
    """What is loaded does not depend on the global random state."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = load_checkpoint(path).model.state_dict()
        torch.manual_seed(2)
        second = load_checkpoint(path).model.state_dict()
    assert all(map(torch.equal, first.values(), second.values()))


def test_path_of_any_name(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Folders are created, names may have any letters, and an old file is replaced."""
    path = tmp_path / "a" / "b c" / "gesicht 😀.pt"
    for seed in (1, 2):
        save_checkpoint(replace(checkpoint, seed=seed), path)
        assert load_checkpoint(path).seed == seed
    assert os.listdir(path.parent) == [path.name]


def test_missing_file(tmp_path: Path) -> None:
    """A file that does not exist is named."""
    assert_unreadable(tmp_path / "none.pt", r"none\.pt does not exist\.$")
    assert_unreadable(tmp_path, "cannot be read: Is a directory")


def test_empty_file(tmp_path: Path) -> None:
    """An empty file is damaged."""
    (tmp_path / "empty.pt").touch()
    assert_unreadable(tmp_path / "empty.pt", "cannot be read: it is damaged or no checkpoint")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_truncated_file(path: Path, share: float) -> None:
    """A file of which the end is missing is damaged, wherever it was cut."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert_unreadable(path, "cannot be read: it is damaged or no checkpoint")


@given(content=st.binary(min_size=1, max_size=300), place=st.floats(0, 1))
@settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_random_bytes(path: Path, content: bytes, place: float) -> None:
    """Bytes of any kind are refused; within a checkpoint they raise no other error."""
    broken = path.with_name("broken.pt")
    broken.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.pt"):
        load_checkpoint(broken)
    good = path.read_bytes()
    cut = int(place * len(good))
    broken.write_bytes(good[:cut] + content + good[cut + len(content) :])
    with contextlib.suppress(CheckpointError):
        load_checkpoint(broken)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("way", ["torch", "legacy", "pickle", "inside"])
def test_code_in_a_file_is_not_run(path: Path, tmp_path: Path, way: str) -> None:
    """A file whose unpickling would do something is refused, and does not do it."""
    bomb = Bomb(tmp_path / "exploded")
    evil = tmp_path / "evil.pt"
    match way:
        case "torch":
            torch.save(bomb, evil)
        case "legacy":
            torch.save(bomb, evil, _use_new_zipfile_serialization=False)
        case "pickle":
            evil.write_bytes(pickle.dumps(bomb))
        case "inside":
            content = torch.load(path, weights_only=True)
            torch.save({**content, "weights": bomb}, evil)
    assert_unreadable(evil, "cannot be read: it is damaged or no checkpoint")
    assert not bomb.path.exists()
    if way == "pickle":  # the bomb is a real one
        pickle.loads(evil.read_bytes())
        assert bomb.path.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"weights": {}},
        {"format": "emoji-study autoencoder 2"},
        {"format": None},
        {},
        [1, 2],
        "emoji-study autoencoder 1",
        torch.zeros(3),
    ],
)
def test_other_formats(tmp_path: Path, content: object) -> None:
    """Whatever else torch has saved is no checkpoint."""
    torch.save(content, tmp_path / "other.pt")
    assert_unreadable(tmp_path / "other.pt", "is not one of emoji-study's autoencoders")


def test_weights_alone_are_no_checkpoint(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A plain ``state_dict`` does not say what it belongs to."""
    torch.save(checkpoint.model.state_dict(), tmp_path / "weights.pt")
    assert_unreadable(tmp_path / "weights.pt", "is not one of emoji-study's autoencoders")
    torch.save(checkpoint.model, tmp_path / "model_object.pt")
    assert_unreadable(tmp_path / "model_object.pt", "damaged or no checkpoint")


@pytest.mark.parametrize(
    "change",
    [
        {"config": {**CONFIG.to_dict(), "width": 5}},
        {"config": {**CONFIG.to_dict(), "depth": 4}},
        {"config": {**CONFIG.to_dict(), "normalization": "none"}},
        {"config": {**CONFIG.to_dict(), "auto_encoder": "linear"}},
        {"config": {**CONFIG.to_dict(), "depth": 9}},
        {"config": {**CONFIG.to_dict(), "size": 9}},
        {"config": None},
        {"weights": {}},
        {"weights": None},
        {"weights": {"encoder.0.weight": torch.zeros(1)}},
        {"curve": None},
        {"curve": [{"epoch": 0}]},
        {"curve": [1]},
        {"seed": None},
        {"seed": "many"},
    ],
)
def test_parts_that_do_not_fit(path: Path, change: dict[str, Any]) -> None:
    """Weights of another shape, rules that are broken, values of another type: all refused."""
    content = torch.load(path, weights_only=True)
    torch.save({**content, **change}, path)
    assert_unreadable(path, r"does not fit its model: .")


@pytest.mark.parametrize("name", ["config", "seed", "data_fingerprint", "curve", "weights"])
def test_parts_that_are_missing(path: Path, name: str) -> None:
    """A checkpoint without one of its parts is refused with the part's name."""
    content = torch.load(path, weights_only=True)
    del content[name]
    torch.save(content, path)
    assert_unreadable(path, f"does not fit its model: '{name}'")


def test_path_under_a_file(checkpoint: Checkpoint, path: Path) -> None:
    """Where a file stands in the way of a folder nothing is written and the file stays."""
    before = path.read_bytes()
    assert_unwritable(checkpoint, path / "below.pt")
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_path_of_a_folder(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A folder is not replaced, and no temporary file is left beside it."""
    (tmp_path / "model.pt").mkdir()
    assert_unwritable(checkpoint, tmp_path / "model.pt")
    assert os.listdir(tmp_path) == ["model.pt"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux's /proc")
def test_unwritable_folder(checkpoint: Checkpoint) -> None:
    """Where not even an administrator can create files the error says so."""
    assert_unwritable(checkpoint, Path("/proc/model.pt"))
    assert_unwritable(checkpoint, Path("/proc/folder/model.pt"))


@pytest.mark.parametrize("limit", [0, 1000, 5000])
def test_failed_write_leaves_the_old_file(checkpoint: Checkpoint, path: Path, limit: int) -> None:
    """When the disk takes only a part the old checkpoint stays, with nothing beside it."""
    before = path.read_bytes()
    assert len(before) > limit
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # no file may grow beyond
    try:
        assert_unwritable(replace(checkpoint, seed=1), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert load_checkpoint(path).seed == checkpoint.seed


def test_errors_belong_to_the_package() -> None:
    """The error is caught as the package's and as a ValueError."""
    assert issubclass(CheckpointError, EmojiAEError)
    assert issubclass(CheckpointError, ValueError)


def test_a_changed_weight_is_noticed(checkpoint: Checkpoint, path: Path) -> None:
    """One flipped bit within the weights makes a checkpoint damaged."""
    content = bytearray(path.read_bytes())
    _, bias, *_ = checkpoint.model.parameters()
    weight = bias.detach().numpy().tobytes()
    content[content.index(weight)] ^= 64
    path.write_bytes(content)

    assert_unreadable(path, "damaged")


@pytest.mark.parametrize(
    ("key", "value"), [("weights", {1: torch.zeros(1)}), ("seed", float("inf"))]
)
def test_crafted_content_is_refused(path: Path, key: str, value: object) -> None:
    """Content of the wrong kind under the right name is an error of one line."""
    content = torch.load(path, weights_only=True)
    torch.save(content | {key: value}, path)

    assert_unreadable(path, "does not fit its model: .*[^:]$")


def test_paths_that_name_no_file(checkpoint: Checkpoint) -> None:
    """A path without a name cannot be written, one that is too long not read."""
    assert_unwritable(checkpoint, Path("."))
    assert_unreadable(Path("a" * 300), "cannot be read: File name too long")


@pytest.mark.parametrize(
    "change",
    [{"seed": 3}, {"data_fingerprint": "0123"}, {"config": with_fields(CONFIG, epoch=3)}],
    ids=["seed", "data", "config"],
)
def test_the_model_of_another_training_is_refused(
    checkpoint: Checkpoint, path: Path, change: dict[str, Any]
) -> None:
    """Whoever wants a certain training's model does not get another seed's, data's or length's."""
    asked: dict[str, Any] = {
        "config": checkpoint.config,
        "seed": checkpoint.seed,
        "data_fingerprint": checkpoint.data_fingerprint,
    }
    assert load_training(path, **asked).curve == checkpoint.curve
    with pytest.raises(CheckpointError, match=r"^Checkpoint .* is of another training\.$"):
        load_training(path, **(asked | change))
