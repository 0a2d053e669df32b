"""Files that are whole or not there at all."""

import errno
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.files import atomic_path, atomic_paths, require_writable, write_bytes

OLD = pytest.mark.parametrize("old", [b"old", None])


@OLD
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, None])
def test_block(tmp_path: Path, error: type[BaseException] | None, old: bytes | None) -> None:
    """The file appears with the block's end; whatever ends that early leaves what was there."""
    path = tmp_path / "new" / "folder" / "ünï 😀.txt"
    if old is not None:
        write_bytes(path, old)

    def write(*, begun: bool) -> None:
        with atomic_path(path) as partial:
            if begun:
                partial.write_text("content")
            assert (path.read_bytes() if path.exists() else None) == old
            if error is not None:
                raise error("stop")

    for begun in (False, error is not None):
        with pytest.raises(error or FileNotFoundError, match=r"stop|😀\.txt"):
            write(begun=begun)
        assert [file.read_bytes() for file in path.parent.iterdir()] == [old] * (old is not None)
    if error is None:
        write(begun=True)
        assert os.listdir(path.parent) == [path.name]
        assert path.read_bytes() == b"content"


def test_what_is_in_the_way(tmp_path: Path) -> None:
    """No folder, file above or link to itself is replaced; trying says so and changes nothing."""
    write_bytes(tmp_path / "file", b"old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("link")
    for path, name, wrong in (
        ("folder", "folder", errno.EISDIR),
        ("file/below.txt", "file", errno.EEXIST),
        ("link", "link", errno.ELOOP),
    ):
        for write in (lambda path: write_bytes(path, b"content"), require_writable):
            with pytest.raises(OSError, match=rf"/{name}\b") as caught:
                write(tmp_path / path)
            assert caught.value.errno == wrong
    for path in ("file", "folder/new/file"):
        require_writable(tmp_path / path)
    with pytest.raises(OSError, match=r"/proc/file'$"):
        require_writable(Path("/proc/file"))
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path / "folder" / "new") == []
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]


@OLD
def test_links_are_followed(tmp_path: Path, old: bytes | None) -> None:
    """What links lead to is replaced or created, with the folder above it; the links stay."""
    target, link = tmp_path / "there" / "target", tmp_path / "first"
    link.symlink_to("second")
    (tmp_path / "second").symlink_to(target)
    if old is not None:
        write_bytes(target, old)
    write_bytes(link, b"new")
    assert target.read_bytes() == b"new"
    assert (os.readlink(link), os.readlink(tmp_path / "second")) == ("second", str(target))
    with pytest.raises(FileNotFoundError, match="first"), atomic_path(link):
        pass
    assert os.listdir(target.parent) == ["target"]


def test_replaced_files(tmp_path: Path) -> None:
    """They keep who may read them; of two that write one at once each writes a whole one."""
    path, usual = tmp_path / "file", tmp_path / "usual"
    usual.touch()
    for mode in (usual.stat().st_mode, stat.S_IFREG | 0o600):
        write_bytes(path, b"content")
        assert path.stat().st_mode == mode
        path.chmod(0o600)
    with atomic_path(path) as one, atomic_path(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert sorted(os.listdir(tmp_path)) == ["file", "usual"]


def test_pipe_and_device(tmp_path: Path) -> None:
    """A pipe or a device gets the content and stays what it is; a full one is named."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(path.read_bytes)
        write_bytes(path, b"content" * 100_000)
        assert reading.result() == b"content" * 100_000
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]
    path = tmp_path / "full"
    try:  # one of our own, so that nobody's is ever in danger
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        path.open("wb").close()
    except PermissionError:
        path = Path("/dev/full")  # not to be replaced by who may make no device
    with pytest.raises(OSError, match="full") as caught:
        write_bytes(path, b"content")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert stat.S_ISCHR(path.stat().st_mode)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's /proc")
def test_open_files_of_the_shell(tmp_path: Path) -> None:
    """Links like ``/dev/stdout`` are written where they stand, be it a pipe or a file."""
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")  # the machine's own is in no danger
    program = "import sys, pathlib, storage.files as f; f.write_bytes(pathlib.Path(sys.argv[1]), "
    command = f"{sys.executable} -c '{program}sys.argv[2].encode())'"
    script = f"""
    echo before > file
    ({command} stdout 'one ' && echo after) >> file
    {command} /dev/fd/3 'two ' 3>> file
    {command} stdout 'three' | cat >> file
    {command} >(cat > other) 'four'; wait $!
    """
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "file").read_text() == "before\none after\ntwo three"
    assert (tmp_path / "other").read_text() == "four"
    assert (tmp_path / "stdout").is_symlink()


def test_files_that_belong_together(tmp_path: Path) -> None:
    """All are old until all are written; where the last one is, all are of one writing."""
    paths = [tmp_path / name for name in ("first", "second", "last")]

    def write(content: str, n: int = 3) -> None:
        with atomic_paths(paths) as partials:
            for partial in partials[:n]:
                partial.write_text(content)
            assert {path.read_text() for path in paths if path.exists()} <= {"old"}
            if n == 0:
                raise ValueError("stop")

    write("old")
    with pytest.raises(ValueError, match="stop"):
        write("new", 0)
    assert [path.read_text() for path in paths] == ["old"] * 3
    with pytest.raises(FileNotFoundError, match="second"):
        write("new", 1)  # its place cannot be taken after that of the first
    there = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert there == {"first": "new", "second": "old"}
    (tmp_path / "first").write_text("old")
    write("old")  # the last one is not there any more
