"""Checkpoints: what comes back, and what a file that is none is answered with."""

import contextlib
import os
import pickle
import re
import resource
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoji_ae.checkpoint import Checkpoint, load_checkpoint, load_training, save_checkpoint
from emoji_ae.config import AutoencoderConfig, multitask_config
from emoji_ae.curve import EpochMetrics, MultitaskMetrics
from emoji_ae.errors import CheckpointError
from emoji_ae.models import build_model
from tests.emoji_ae_tests.reference import initial_model, pictures, with_fields

CONFIG = AutoencoderConfig(
    width=3, depth=3, latent_channels=4, normalization="batch", epoch=2, batch_size=4
)
BRANCHED = multitask_config(**CONFIG.to_dict(), strategy="branched", branch_point=2)
EPOCH = EpochMetrics(epoch=0, train_mse=float("inf"), validation_mse=0.1 + 0.2, seconds=1e-9)
NAMES = [field.name for field in fields(MultitaskMetrics) if field.name != "epoch"]
BOTH = MultitaskMetrics(epoch=1, **{name: 1 / n for n, name in enumerate(NAMES, start=3)})


def checkpoint_of(config: AutoencoderConfig) -> Checkpoint:
    """Return a model whose batch statistics are not the initial ones."""
    model = initial_model(config, seed=0)
    model.train()(pictures(6, seed=0) / 255)
    named = {"config": config, "seed": 2**63 - 1, "data_fingerprint": "0123"}
    return Checkpoint(model=model.eval(), curve=(EPOCH, BOTH), **named)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """A small autoencoder."""
    return checkpoint_of(CONFIG)


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


def test_round_trip(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Configuration, seed, fingerprint, curve and weights come back, ready for use."""
    for saved in (checkpoint, checkpoint_of(with_fields(BRANCHED, kl_weight=0.1, patience=1))):
        save_checkpoint(saved, tmp_path / "model.pt")
        back = load_checkpoint(tmp_path / "model.pt")
        assert replace(back, model=saved.model) == saved
        assert [type(metrics) for metrics in back.curve] == [EpochMetrics, MultitaskMetrics]
        assert type(back.model) is type(saved.model)
        assert not any(module.training for module in back.model.modules())
        mine, theirs = back.model.state_dict(), saved.model.state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_what_is_no_checkpoint(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """What is missing or a folder, and whatever else torch has saved, weights alone too."""
    assert_unreadable(tmp_path / "none.pt", r"none\.pt does not exist\.$")
    assert_unreadable(tmp_path, "cannot be read: Is a directory")
    later = {"format": "emoji-study autoencoder 2"}
    for content in (later, checkpoint.model.state_dict(), "emoji-study autoencoder 1"):
        torch.save(content, tmp_path / "other.pt")
        assert_unreadable(tmp_path / "other.pt", "is not one of emoji-study's autoencoders")


@given(content=st.binary(min_size=1, max_size=300), place=st.floats(0, 1))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_file(checkpoint: Checkpoint, path: Path, content: bytes, place: float) -> None:
    """Cut anywhere, with one flipped bit of a weight, or other bytes: nothing but one line."""
    whole, broken = path.read_bytes(), path.with_name("broken.pt")
    cut = min(int(place * len(whole)), len(whole) - 1)
    flipped = bytearray(whole)
    _, bias, *_ = checkpoint.model.parameters()
    flipped[flipped.index(bias.detach().numpy().tobytes())] ^= 64
    for damaged in (content, whole[:cut], flipped):
        broken.write_bytes(damaged)
        assert_unreadable(broken, "cannot be read: it is damaged or no checkpoint")
    broken.write_bytes(whole[:cut] + content + whole[cut + len(content) :])
    with contextlib.suppress(CheckpointError):
        load_checkpoint(broken)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_is_not_run(path: Path, tmp_path: Path) -> None:
    """A file whose unpickling would do something is refused, and does not do it."""
    bomb = Bomb(tmp_path / "exploded")
    torch.save(torch.load(path, weights_only=True) | {"weights": bomb}, path)
    alone, plain = tmp_path / "alone.pt", tmp_path / "plain.pt"
    torch.save(bomb, alone)
    plain.write_bytes(pickle.dumps(bomb))
    for evil in (path, alone, plain):
        assert_unreadable(evil, "cannot be read: it is damaged or no checkpoint")
        assert not bomb.path.exists()
    pickle.loads(plain.read_bytes())
    assert bomb.path.exists()  # the bomb is a real one


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"config": CONFIG.to_dict() | {"width": 5}}, "size mismatch"),
        ({"config": CONFIG.to_dict() | {"depth": 9}}, "`depth` must be"),
        ({"config": BRANCHED.to_dict()}, "Missing key.*classifier"),
        ({"weights": build_model(BRANCHED).state_dict()}, "Unexpected key.*classifier"),
        ({"curve": [{"epoch": 0}]}, "missing"),
        ({"seed": float("inf")}, "infinity"),
        *((name, f"'{name}'") for name in ("seed", "data_fingerprint")),
    ],
)
def test_parts_that_do_not_fit(path: Path, change: dict[str, Any] | str, reason: str) -> None:
    """Other weights, broken rules, values of another type and missing ones: one line each."""
    content = torch.load(path, weights_only=True)
    if isinstance(change, str):
        del content[change]
    else:
        content |= change
    torch.save(content, path)
    assert_unreadable(path, rf"does not fit its model: .*{reason}(.*[^:])?$")


def test_writing(checkpoint: Checkpoint, path: Path) -> None:
    """Folders are created and files replaced as a whole; what is in the way stays as it was."""
    named = path.parent / "a" / "b c" / "gesicht 😀.pt"
    for curve in ((EPOCH,), ()):
        save_checkpoint(replace(checkpoint, curve=curve), named)
    assert load_checkpoint(named).curve == ()
    assert os.listdir(named.parent) == [named.name]

    before = path.read_bytes()
    (path.parent / "folder").mkdir()
    paths = [path / "below.pt", path.parent / "folder", Path(".")]
    if Path("/proc/self").is_dir():  # not even an administrator can write there
        paths += [Path("/proc/model.pt"), Path("/proc/folder/model.pt")]
    # The disk takes only a part of the last one.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for wrong in (*paths, path):
        limit = len(before) // 2 if wrong == path else soft
        rule = rf"\ACheckpoint {re.escape(str(wrong))} cannot be written: .+\Z"
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # no file may grow beyond
        try:
            with pytest.raises(CheckpointError, match=rule):
                save_checkpoint(replace(checkpoint, seed=1), wrong)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["a", "folder", path.name]
    assert os.listdir(path.parent / "folder") == []


def test_the_model_of_another_training_is_refused(path: Path) -> None:
    """Whoever wants a certain training's model does not get another seed's, data's or length's."""
    asked: dict[str, Any] = {"config": CONFIG, "seed": 2**63 - 1, "data_fingerprint": "0123"}
    assert load_training(path, **asked).curve == (EPOCH, BOTH)
    longer = with_fields(CONFIG, epoch=3)
    for change in ({"seed": 3}, {"data_fingerprint": "01"}, {"config": longer}):
        with pytest.raises(CheckpointError, match=r"^Checkpoint .* is of another training\.$"):
            load_training(path, **(asked | change))
