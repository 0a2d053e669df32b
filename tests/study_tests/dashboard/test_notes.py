"""The notes beside a study and its trials: what they say, and that foreign text stays text."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from optuna.trial import TrialState

from storage.records import TrialRecord
from study.dashboard.notes import code_block, escape, noteworthy, study_note, trial_note
from tests.study_tests.synthetic import (
    MULTITASK_SETTINGS,
    SETTINGS,
    classified,
    multitask,
    planted,
    study,
    trial,
)

URL = "sqlite:///runs/study.db"
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
PARAMS = {"auto_encoder": "CNN", "epoch": 20, "learning_rate": 0.001, "batch_size": 16}


def note(*trials: TrialRecord) -> str:
    """Return the note of the first of these trials of a study."""
    return trial_note(study(*trials, settings=SETTINGS), trials[0], url=URL)


@given(st.text(max_size=60))
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    """Whatever a text holds, Markdown shows its words and makes nothing else of them."""
    words = " ".join(text.replace("\0", "").split())
    (block,) = [t for t in MARKDOWN.parse(f"x {escape(words)}") if t.type == "inline"]
    found = [(token.type, token.content) for token in block.children or ()]
    assert {kind for kind, _ in found} == {"text"}
    assert "".join(content for _, content in found) == f"x {words}".rstrip()


@given(st.text(st.characters(exclude_categories=("Cc", "Zl", "Zp", "Cs")), min_size=1))
def test_code_is_shown_as_it_is(text: str) -> None:
    """A block of code holds its line exactly; fences and quotes end nothing."""
    tokens = MARKDOWN.parse(f"before\n\n{code_block(f'x{text}x')}\n\nafter")
    assert [t.content for t in tokens if t.type == "code_block"] == [f"x{text}x\n"]


def test_note_of_a_complete_trial() -> None:
    """Result, configuration, end and the command that trains it again."""
    found = {"validation_mse": 0.01264, "best_epoch": 18, "epochs_run": 20, "seed": 7}
    found |= {"parameter_count": 312_451, "training_seconds": 3.14}
    text = note(trial(0, value=0.01264, params=PARAMS, attrs=found))
    assert text == (
        "**Complete**: validation MSE 0.01264 in epoch 18.\n\n"
        "A CNN autoencoder with 20 epochs, learning rate 1e-3, batch size 16.\n\n"
        "- Why it ended: all of its epochs were trained.\n"
        "- 312,451 weights, 3.1 s of training, seed 7.\n\n"
        "Train it again for good, and measure it once on the test images:\n\n"
        "    emoji-study train --storage sqlite:///runs/study.db --study study --trial 0\n"
    )


def test_note_of_a_failed_trial() -> None:
    """It says why, and under which number the trial was tried again, if it was."""
    for attrs, expected in (
        ({}, "its worker died."),
        ({"failure": "![x](https://example.org/x.png)"}, r"!\[x\](https\://example.org/x.png)."),
    ):
        failed = trial(0, state=TrialState.FAIL, params=PARAMS, attrs=attrs)
        assert f"{expected} It was not tried again." in note(failed)
        again = note(failed, trial(1, value=0.1, params=PARAMS, attrs={"retry_of": 0}))
        assert f"{expected} It was queued again as trial 1." in again
        assert "**Failed**: no epoch was finished." in again
    bare = note(trial(0, state=TrialState.FAIL))
    assert "emoji-study" not in bare
    assert "autoencoder" not in bare


def test_notes_of_reused_stopped_and_repeated_trials() -> None:
    """Who stopped a trial and when, whose training it repeats, where it was measured."""
    found = {"validation_mse": 0.05, "best_epoch": 3, "epochs_run": 4}
    text = note(trial(0, state=TrialState.PRUNED, params=PARAMS, curve=(0.3,) * 4, attrs=found))
    assert "**Pruned**: validation MSE 0.05000 in epoch 3." in text
    assert "Why it ended: the median pruner stopped it after 4 of 20 epochs." in text
    for own, expected in (
        ({"reused_from": 3}, "trial 3 had done the same training"),
        ({"early_stopped": True}, "had stopped falling after 2 epochs"),
        ({"retry_of": 9}, "A second attempt at trial 9."),
        ({"measured_on": "test"}, "imported, as measured on the test split"),
    ):
        text = note(trial(0, value=0.1, params=PARAMS, curve=(0.2, 0.1), attrs=own))
        assert expected in text
        assert ("emoji-study train" in text) == ("measured_on" not in own)


def test_an_infeasible_trial_says_so() -> None:
    """The dashboard's reader sees which accuracy is missing, and the one reached."""
    found = classified([4, 10, 0, 5], min_accuracy=0.7)
    record = multitask(trial(0, value=0.02, params=PARAMS, attrs=found))
    text = trial_note(record, record.trials[0], url=URL)
    assert "**Infeasible**: it misses the validation accuracy of 70.0\xa0%" in text
    assert "validation accuracy 47.5\xa0%" in text


def test_large_studies_have_notes_of_the_best_and_the_latest() -> None:
    """Up to a thousand trials all that ended have one; of more, some hundreds."""
    running = trial(1000, state=TrialState.RUNNING)
    small = study(*(trial(i, value=1.0 + i) for i in range(1000)), running)
    assert [t.number for t in noteworthy(small)] == list(range(1000))
    large = study(*(trial(i, value=1.0 + i) for i in range(3000)))
    assert [t.number for t in noteworthy(large)] == [*range(100), *range(2600, 3000)]


def test_note_of_a_study() -> None:
    """What it is, how it is judged and what to type; its name makes no link, and is quoted."""
    name = "[x](javascript:alert(1)) ![y](http://example.org/y.png) `z`"
    url = "postgresql+psycopg://me:secret@db/studies"
    text = study_note(replace(planted(20), name=name), study_id=7, url=url)
    for expected in (
        "A search of kind **autoencoder**, extended space; TPE sampler, median pruner.",
        "    emoji-study report --storage 'postgresql+psycopg://me:***@db/studies' --study '[x]",
        "`reconstructions.png`",
        "- `best_epoch`: ",
        "The test images play no part.",
        f"--study '{name}' --watch",
    ):
        assert expected in text
    assert "`validation_accuracy`" not in text  # no trial has it
    children = [child for token in MARKDOWN.parse(text) for child in token.children or ()]
    links = [c.attrs["href"] for c in children if c.type in ("link_open", "image")]
    assert links == ["/report/7"]


def test_notes_of_other_studies() -> None:
    """They say what a constraint or a second objective is, and of which data and extra images."""
    both = {**MULTITASK_SETTINGS, "pareto": True, "min_accuracy": None}
    own = {**SETTINGS, "data": "faces.parquet", "vendors": ["google"]}
    for record, expected in (
        (multitask(), "at least 70.0\xa0% of the validation images"),
        (multitask(settings=both), "second objective"),
        (planted(1), ". Data: the embedded images, group split, fingerprint "),
        (study(settings=own), ". Data: faces.parquet, with extra training images of google, "),
    ):
        assert expected in study_note(record, study_id=1, url=URL)
