"""Files that are whole or not there at all."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoji_ae.files import atomic_path, write_bytes


def test_block_that_succeeds(tmp_path: Path) -> None:
    """The file appears with the block's end, under its name only, in folders made for it."""
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic_path(path) as partial:
        assert partial.parent == path.parent
        assert partial != path
        partial.write_text("content")
        assert not path.exists()
    assert path.read_text() == "content"
    assert os.listdir(path.parent) == ["file.txt"]


def test_old_file_stays_until_the_end(tmp_path: Path) -> None:
    """Until the block has succeeded a reader finds the old file."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    with atomic_path(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", ["old", None])
@pytest.mark.parametrize("begun", [True, False])
def test_block_that_fails(
    tmp_path: Path, error: type[BaseException], old: str | None, begun: bool
) -> None:
    """Whatever ends the block early leaves what was there before, and nothing beside it."""
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)

    def write() -> None:
        with atomic_path(path) as partial:
            if begun:
                partial.write_text("half of the n")
            raise error("stop")

    with pytest.raises(error, match="stop"):
        write()
    assert os.listdir(tmp_path) == ([] if old is None else ["file.txt"])
    assert old is None or path.read_text() == old


def test_block_that_writes_nothing(tmp_path: Path) -> None:
    """A block that forgot its file is an error, not an empty file."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError, match=r"file\.txt"), atomic_path(path):
        pass
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_folder_in_the_way(tmp_path: Path) -> None:
    """A folder of that name is not replaced, and no temporary file is left beside it."""
    path = tmp_path / "file.txt"
    path.mkdir()
    with pytest.raises(OSError, match=r"file\.txt"):
        write_bytes(path, b"content")
    assert path.is_dir()
    assert os.listdir(tmp_path) == ["file.txt"]


def test_file_in_the_way(tmp_path: Path) -> None:
    """A path under a file cannot be written, and the file stays."""
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="file"):
        write_bytes(tmp_path / "file" / "below.txt", b"content")
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@given(content=st.binary(max_size=200), old=st.binary(max_size=200))
def test_write_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes, old: bytes) -> None:
    """Exactly the bytes are in the file, whatever was there before."""
    path = tmp_path_factory.mktemp("files") / "ünï 😀.bin"
    for expected in (old, content):
        write_bytes(path, expected)
        assert path.read_bytes() == expected
    assert os.listdir(path.parent) == [path.name]


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is written to the working folder."""
    monkeypatch.chdir(tmp_path)
    write_bytes(Path("file.bin"), b"content")
    assert os.listdir(tmp_path) == ["file.bin"]
