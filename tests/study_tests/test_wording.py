"""Names and choices as words or as stored, told apart; commands as a shell reads them."""

import shutil
import subprocess

import pytest
from optuna.distributions import CategoricalDistribution

from study.shell import at_storage, join
from study.wording import OURS, Wording
from tests.study_tests.synthetic import trial

CHOICES = (None, "None", 10, "10", 10.5, True, "", "a\nb", "a b", "svm_c")


def test_stored_and_ours() -> None:
    """Only what looks alike, or like nothing, is quoted; a choice of no trial reads as ours."""
    made = trial(0)
    made.distributions["my_choice"] = CategoricalDistribution(CHOICES)
    theirs = Wording([made], named=True)
    told = [theirs.value(choice, "my_choice") for choice in CHOICES]
    assert told[:6] == ["None", '"None"', "10", '"10"', "10.5", "True"]
    assert told[6:] == ['""', '"a\\nb"', '"a b"', "svm_c"]
    assert theirs.of("my_choice", {"my_choice": None}) == "None"
    assert theirs.of("my_choice", {}) == "–"
    assert theirs.settings({"my_choice": True, "x_1": 0.001}) == "my_choice True, x_1 1e-3"
    assert OURS.settings({"my_choice": True, "x_1": 0.001}) == "my choice on, x 1 1e-3"
    assert OURS.value("10", "my_choice") == "10"


@pytest.mark.parametrize(
    ("wording", "written"),
    [
        (OURS, ("Learning rate 1", "Val loss", "two lines")),
        (Wording([], named=True), ("learning_rate 1", "val_loss", "two lines")),
        (Wording([], named=False), ("learning_rate 1", "Objective value", "two lines")),
    ],
)
def test_sentences(wording: Wording, written: tuple[str, str, str]) -> None:
    """A name that another program gave begins no sentence with a capital, and takes one line."""
    begun = wording.begin(f"{wording.label('learning_rate')} 1")
    metric = "val loss" if wording is OURS else "val_loss" if wording.named else "objective value"
    found = begun, wording.heading(metric), wording.label("two\nlines").replace("\n", " ")
    assert found == written


BASH = shutil.which("bash")
WORDS = ("plain", "a b", "", "it's", "two\nlines\t\\n", "\x1b[31m", "\x07'\\", "\u202e\U0001f600é")


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_pasted() -> None:
    """A shell reads back each word, of which none holds what does not print."""
    line = at_storage(join(["printf", "%s\\0", *WORDS, "--x"]), "sqlite:///it's a.db")
    assert line.isprintable()
    shell = subprocess.run([str(BASH), "-c", line], capture_output=True, check=True)
    words = [*WORDS, "--storage", "sqlite:///it's a.db", "--x"]
    assert shell.stdout.decode().split("\0")[:-1] == words
