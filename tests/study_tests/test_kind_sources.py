"""Kinds of one's own: found by path or module, checked, imported only if they are unchanged."""

import sys
from pathlib import Path

import pytest

from study.emoji import AUTOENCODER
from study.errors import StudyError
from study.kind_info import KindInfo
from study.kind_sources import find_kind, find_stored, make_trainer, require_same_code
from tests.study_tests.toy import TOY


def test_a_kind_is_found(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, by its file, which may import what lies beside it, or by its module."""
    found = find_kind("autoencoder")
    assert (found.kind, found.source) == (AUTOENCODER, None)

    monkeypatch.chdir(toy.parent)
    found = find_kind("toy_kind.py:TOY")
    assert found.kind.name == "toy"
    assert (found.source.reference, found.source.text) == (f"{toy}:TOY", TOY)
    assert type(make_trainer(found.kind)).__name__ == "ToyTrainer"

    (toy.parent / "beside.py").write_text("SIZE = 3\n")
    other = toy.with_name("other.py")
    other.write_text(TOY + "\nfrom beside import SIZE\nassert SIZE == 3\n")
    assert find_kind(f"{other}:TOY").kind.name == "toy"
    assert sys.path[-1] == str(toy.parent)

    package = toy.parent / "some_package"
    package.mkdir()
    (package / "__init__.py").touch()
    toy.rename(package / "kinds.py")
    monkeypatch.syspath_prepend(str(toy.parent))
    found = find_kind("some_package.kinds:TOY")
    assert found.kind.name == "toy"
    assert found.source.reference == "some_package.kinds:TOY"


@pytest.mark.parametrize(
    ("reference", "text", "message"),
    [
        ("my_model", TOY, r"must be one of autoencoder, multitask, or name your own as path/to"),
        ("{folder}/none.py:TOY", TOY, r"none\.py: No such file"),
        ("no.such.module:TOY", TOY, r"There is no module 'no\.such\.module'"),
        ("{toy}:TOYS", TOY, r"`TOYS` of .*toy_kind\.py must be .*none of that name; it has: TOY"),
        ("{toy}:SPACE", TOY, r"`SPACE` of .* but it is a SearchSpace; it has: TOY"),
        ("{toy}:TOY", "TOY = 1 / 0\n", r"toy_kind\.py cannot be imported \(line 1\): ZeroDiv"),
        ("{toy}:TOY", "def TOY(:\n", r"toy_kind\.py cannot be imported \(line 1\): SyntaxError"),
        ("{toy}:TOY", "import no_such\n", r"\(line 1\): ModuleNotFoundError: No module named"),
    ],
)
def test_what_is_no_kind_is_one_line(toy: Path, reference: str, text: str, message: str) -> None:
    """What names no kind, or cannot be imported, is refused with place and reason."""
    toy.write_text(text)
    with pytest.raises(StudyError, match=message):
        find_kind(reference.format(toy=toy, folder=toy.parent))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name="toy"', 'name="my toy"', r"`name` must be letters"),
        ('name="toy"', 'name="multitask"', r"`name` must not be that of a kind of this package"),
        ('"line": SPACE, "few": FEW', "", r"`spaces` must be search spaces by name, at least one"),
        ('"line": SPACE', '"curve": SPACE', r"`spaces` must have each space under its own"),
        ('fidelity="rounds"', 'fidelity="epoch"', r"`fidelity` must be the name of a parameter"),
        ("trainer=ToyTrainer", "trainer=3", r"`trainer` must be a function that returns one"),
        ('"rounds": 5}', "}", r"`default` has no value of `rounds`"),
        ('direction="maximize"', 'direction="up"', r"`direction` of a metric must be"),
        ('"rate": 0.5', '"rate": "0.5"', r"`default`: `rate` must be .* 0.01 to 4, but is '0\.5'"),
        ('"rounds": 5', '"rounds": 6', r"`default`: `rounds` must be .* from 3 to 5, but is 6"),
        ('"start", distr', '"rate", distr', r"The line space has two parameters named `rate`"),
        ("FloatDistribution(-1.0, 1.0)", "CategoricalDistribution(('1', 1))", r".* alike: '1', 1"),
        ("(3, 5))", "(3, 5), when={'end': (1,)})", r".* names 'end', which is no earlier param"),
        ("(3, 5))", "(3, 5), when={'start': ('1',)})", r".* '1', but `start` must be a number fr"),
    ],
)
def test_a_broken_protocol_is_one_line(toy: Path, old: str, new: str, message: str) -> None:
    """A kind that lacks what every kind must have is refused when it is found."""
    assert old in TOY
    toy.write_text(TOY.replace(old, new))
    with pytest.raises(StudyError, match=f"breaks the protocol: {message}"):
        find_kind(f"{toy}:TOY")


def test_a_trainer_is_a_trainer(toy: Path) -> None:
    """What a kind gives as its trainer must be one."""
    toy.write_text(TOY.replace("trainer=ToyTrainer", "trainer=dict"))
    kind = find_kind(f"{toy}:TOY").kind
    with pytest.raises(StudyError, match=r"`trainer` of the kind 'toy' must return a .* a dict"):
        make_trainer(kind)
    toy.write_text(TOY.replace("def test(", "def check(").replace("def load(", "def read("))
    sys.modules.pop("toy_kind")
    kind = find_kind(f"{toy}:TOY").kind
    with pytest.raises(StudyError, match=r"class ToyTrainer, lacks `load` and `test`\.$"):
        make_trainer(kind)


@pytest.mark.parametrize("name", ["storage.py", "study/__init__.py"])
def test_a_module_of_our_name_beside_the_file_is_named(toy: Path, name: str) -> None:
    """A file's neighbour that would be taken for a part of this package is refused."""
    rival = toy.parent / name
    rival.parent.mkdir(exist_ok=True)
    rival.write_text("")
    with pytest.raises(StudyError, match=rf"{rival} bears the name of .*a part of emoji-study"):
        find_kind(f"{toy}:TOY")


def stored(toy: Path) -> KindInfo:
    """Return what a study made by the file says of its kind."""
    found = find_kind(f"{toy}:TOY")
    info = KindInfo.of_kind(found.kind, found.kind.spaces["line"], found.source)
    sys.modules.pop("toy_kind")
    assert KindInfo.from_dict(info.to_dict()) == info
    return info


def test_changed_code_is_refused_by_its_line_and_not_run(toy: Path) -> None:
    """Other code runs only if it is accepted; the same code may lie elsewhere."""
    info = stored(toy)
    assert [parameter.name for parameter in info.space.parameters] == ["rate", "start", "rounds"]
    assert (info.objective.label, info.second.label) == ("distance", "size")
    trace = toy.parent / "trace"
    changed = TOY.replace("0.5, ", "0.6, ").replace(
        "SPACE = Search", f"Path({str(trace)!r}).touch()\nSPACE = Search"
    )
    toy.write_text(changed)
    with pytest.raises(StudyError, match=r"has changed since study 's' was made: line \d+ was `"):
        find_stored(info, study="s")
    assert not trace.exists()
    accepted = find_stored(info, study="s", accept_change=True)
    assert accepted.kind.default["rate"] == 0.6
    assert trace.exists()

    moved = toy.rename(toy.with_name("moved.py"))
    moved.write_text(TOY)
    with pytest.raises(StudyError, match=r"toy_kind\.py: No such file"):
        find_stored(info, study="s")
    assert find_stored(info, study="s", where=f"{moved}:TOY").kind.name == "toy"
    with pytest.raises(StudyError, match=r"study 's' is not where it lay .*toy_kind.* --kind FIL"):
        find_stored(info, study="s")


def test_another_kind_is_not_that_of_the_study(toy: Path) -> None:
    """Nor is one with another digest, where the source is too long to be stored, or unknown."""
    toy.write_text(TOY + "#" * 300_000)
    info = stored(toy)
    assert info.source.text == ""
    with pytest.raises(StudyError, match=r"'s' is of the kind 'toy', not of 'autoencoder'"):
        require_same_code(info, find_kind("autoencoder"), study="s")
    toy.write_text(TOY)
    with pytest.raises(StudyError, match=r"its digest is \w{12} and was \w{12}"):
        find_stored(info, study="s")
    foreign = KindInfo(name="", metrics=AUTOENCODER.metrics)
    with pytest.raises(StudyError, match=r"was not made by emoji-study, or its kind"):
        find_stored(foreign, study="s")
