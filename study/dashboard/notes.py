"""The notes that optuna-dashboard shows beside a study and each of its trials, as Markdown.

Must not write them anywhere. Names and messages come from anywhere, so all of them are escaped.
"""

import re
import shlex
from collections.abc import Iterator, Mapping

from optuna.trial import TrialState

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from storage.urls import redact
from study.analysis import (
    is_multitask,
    is_search,
    min_accuracy_of,
    ranked_by_constraint,
    settings_of,
)
from study.formats import (
    format_accuracy,
    format_configuration,
    format_count,
    format_data,
    format_duration,
    format_mse,
    format_sampler,
    format_state,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$^:@]|(?<=www)\.)", re.IGNORECASE)
_GLOSSARY = {
    attrs.VALIDATION_MSE: "lowest error on the validation images, the objective",
    attrs.BEST_EPOCH: "epoch that reached it, counted from 1; its weights are the trial's",
    attrs.VALIDATION_ACCURACY: "share of the validation images that these weights classify "
    "correctly",
    attrs.VALIDATION_BALANCED_ACCURACY: "mean over the classes of that share",
    attrs.LATENT_ATTRIBUTE_AUC: "how well attribute vectors tell who carries an attribute, 0 to 1",
    attrs.LATENT_ANALOGY_RANK: "mean of 1 / rank of the right emoji over analogies",
    attrs.LATENT_PATH_SMOOTHNESS: "how evenly pictures change on straight paths, 0 to 1",
    attrs.LATENT_PROBE_ACCURACY: "share of the validation images whose class a linear model of "
    "the latents tells",
    attrs.LATENT_VARIANCE_USED: "directions that the latents fill, of those that they could",
    attrs.INFEASIBLE: "the trial breaks the study's constraint on accuracy",
    attrs.LAST_VALIDATION_MSE: "error after the last epoch",
    attrs.EPOCHS_RUN: "epochs that were trained; 0 for a trial answered from another one's curve",
    attrs.TRAINING_SECONDS: "time in these epochs",
    attrs.PARAMETER_COUNT: "numbers that the model learns",
    attrs.SEED: "of weights, batches and augmentation",
    attrs.REUSED_FROM: "number of the trial whose curve answered this one",
    attrs.RETRY_OF: "number of the failed trial that this one repeats",
    attrs.FAILURE: "why a trial failed; without it, its worker died",
}


MAX_NOTED = 1000
"""Ended trials up to which all of them have notes.

For every trial that it sends, the dashboard looks through the notes of all, so ten times as many
notes take it a hundred times as long.
"""

BEST_NOTED, LATEST_NOTED = 100, 400
"""Trials of a larger study that have notes."""


def noteworthy(record: StudyRecord) -> list[TrialRecord]:
    """Return the ended trials that are to have notes: of a large study the best and the latest."""
    ended = [trial for trial in record.trials if trial.state.is_finished()]
    if len(ended) <= MAX_NOTED:
        return ended
    best = {trial.number for _, trial in ranked_by_constraint(record)[:BEST_NOTED]}
    latest = {trial.number for trial in ended[-LATEST_NOTED:]}
    return [trial for trial in ended if trial.number in best | latest]


def study_note(record: StudyRecord, *, study_id: int, url: str) -> str:
    """Say what a study is, how its trials are judged, and what the dashboard's pages mean.

    Args:
        record: The study.
        study_id: The database's key, under which the server offers its report.
        url: Of the storage; a password is masked.
    """
    place = _place(record, url)
    lines = [
        f"## {escape(record.name)}",
        _what(record),
        *_judged(record),
        f"[Report of this study](/report/{study_id}), as `emoji-study dashboard` offers it; as a "
        "file to keep and to send:",
        code_block(f"emoji-study report {place}"),
        "### What you see",
        "- **History**: a dot per trial; the line is the best so far. Charts below it are "
        "refreshed every few trials.\n"
        "- **Intermediate values**: validation error of each epoch, counted from 0. Pruned trials "
        "end early.\n"
        "- **Artifacts** of every trial: `reconstructions.png` (originals over reconstructions: "
        "three images that all trials show, then the trial's lowest, median and highest error), "
        "`learning_curve.png`, `curves.csv` (all numbers of all epochs). Grey ones say that a "
        "trial ended before its first epoch, or that its pictures were cleaned away.\n"
        "- **Failed** trials whose worker died or was stopped are tried again under a new number.",
        "### User attributes",
        "\n".join(f"- `{name}`: {text}" for name, text in _glossary(record)),
    ]
    if is_search(record):
        lines += ["### Go on", code_block(*_commands(place))]
    return "\n\n".join(lines) + "\n"


def trial_note(record: StudyRecord, trial: TrialRecord, *, url: str) -> str:
    """Say what an ended trial was, what it reached, why it ended, and how to train it again.

    Args:
        record: The study.
        trial: One of its trials that has ended.
        url: Of the storage; a password is masked.
    """
    lines = [f"**{format_state(trial.state).capitalize()}**: {_result(trial)}"]
    if trial.params:
        words = format_configuration(trial.params)
        lines.append(f"{escape(words[:1].upper() + words[1:])}.")
    lines.append("\n".join(f"- {fact}" for fact in _facts(record, trial)))
    if trial.given and attrs.MEASURED_ON not in trial.user_attrs:
        lines += [
            "Train it again for good, and measure it once on the test images:",
            code_block(f"emoji-study train {_place(record, url)} --trial {trial.number}"),
        ]
    return "\n\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Write a text so that Markdown shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code_block(*lines: str) -> str:
    """Write lines as code, which Markdown leaves alone."""
    return "\n".join(f"    {part}" for line in lines for part in line.split("\n"))


def _what(record: StudyRecord) -> str:
    """Say what is searched, and on which data."""
    settings = settings_of(record)
    if not settings:
        return "A study that was not made by emoji-study."
    purpose = "A search" if is_search(record) else "An experiment"
    kind, space = escape(str(settings["kind"])), escape(str(settings["space"]))
    data = escape(format_data(settings["data"], settings.get("vendors", ())))
    text = f"{purpose} of kind **{kind}**, {space} space"
    if is_search(record):
        text += f"; {escape(format_sampler(str(settings['sampler'])))} sampler, "
        text += f"{escape(str(settings['pruner']))} pruner"
    return (
        f"{text}. Data: {data}, {escape(str(settings['split']))} split, fingerprint "
        f"`{str(settings['data_fingerprint'])[:12]}`; the study's seed is {settings['seed']}."
    )


def _judged(record: StudyRecord) -> Iterator[str]:
    """Say what the objective is, and what the dashboard does not know of it."""
    yield (
        "Lower is better: the objective is the mean reconstruction error (MSE, pixels in 0 to 1) "
        "of the validation images, at the epoch where it is lowest. The test images play no part."
    )
    needed = min_accuracy_of(record)
    if needed is not None:
        yield (
            f"A trial is a candidate for the best only if it classifies at least "
            f"{format_accuracy(needed)} of the validation images correctly. Others carry the "
            f"attribute `{attrs.INFEASIBLE}`, and say so in their notes."
        )
    if is_multitask(record) and len(record.directions) > 1:
        yield "The second objective, validation accuracy of the same weights, is to be high."


def _glossary(record: StudyRecord) -> Iterator[tuple[str, str]]:
    """Yield the attributes that the trials of a study carry, with their meanings."""
    present = {name for trial in record.trials for name in trial.user_attrs}
    for name, text in _GLOSSARY.items():
        if name in present or not record.trials:
            yield name, text


def _commands(place: str) -> Iterator[str]:
    """Yield what to type next."""
    yield f"emoji-study status {place} --watch"
    yield f"emoji-study confirm {place}"
    yield f"emoji-study train {place} --trial best"


def _place(record: StudyRecord, url: str) -> str:
    """Return the options that name a study."""
    return shlex.join(["--storage", redact(url), "--study", record.name])


def _result(trial: TrialRecord) -> str:
    """Say what a trial reached."""
    found: Mapping[str, object] = trial.user_attrs
    mse = found.get(attrs.VALIDATION_MSE, trial.value)
    if not isinstance(mse, int | float):
        return "no epoch was finished." if trial.state == TrialState.FAIL else "no value."
    text = f"validation MSE {format_mse(float(mse))}"
    if attrs.BEST_EPOCH in found:
        text += f" in epoch {found[attrs.BEST_EPOCH]}"
    accuracy = found.get(attrs.VALIDATION_ACCURACY)
    if isinstance(accuracy, int | float):
        text += f", validation accuracy {format_accuracy(float(accuracy))}"
    return f"{text}."


def _facts(record: StudyRecord, trial: TrialRecord) -> Iterator[str]:
    """Say why a trial ended, and what else a reader must know of it."""
    found = trial.user_attrs
    yield f"Why it ended: {_end(record, trial)}"
    if not trial.feasible:
        needed = min_accuracy_of(record)
        than = "" if needed is None else f" of {format_accuracy(needed)}"
        yield f"**Infeasible**: it misses the validation accuracy{than} that the study demands."
    if attrs.ARM in found:
        yield f"Arm {escape(str(found[attrs.ARM]))}, pair {found.get(attrs.PAIR)}."
    size = []
    if attrs.PARAMETER_COUNT in found:
        size.append(f"{format_count(int(found[attrs.PARAMETER_COUNT]))} learned numbers")
    if found.get(attrs.TRAINING_SECONDS):
        size.append(f"{format_duration(float(found[attrs.TRAINING_SECONDS]))} of training")
    if attrs.SEED in found:
        size.append(f"seed {found[attrs.SEED]}")
    if size:
        yield f"{', '.join(size)}."
    if attrs.RETRY_OF in found:
        yield f"A second attempt at trial {found[attrs.RETRY_OF]}."


def _end(record: StudyRecord, trial: TrialRecord) -> str:
    """Say why a trial ended."""
    found = trial.user_attrs
    if trial.state == TrialState.FAIL:
        again = [
            t.number for t in record.trials if t.user_attrs.get(attrs.RETRY_OF) == trial.number
        ]
        later = (
            f" It was queued again as trial {again[0]}." if again else " It was not tried again."
        )
        return f"{escape(str(found.get(attrs.FAILURE, 'its worker died')))}.{later}"
    if attrs.REUSED_FROM in found:
        return (
            f"trial {found[attrs.REUSED_FROM]} had done the same training, so its curve is the "
            "answer; nothing was trained."
        )
    if attrs.MEASURED_ON in found:
        return f"its result was imported, as measured on the {found[attrs.MEASURED_ON]} split."
    n_epochs = len(trial.intermediate_values) or found.get(attrs.EPOCHS_RUN)
    asked = trial.params.get("epoch")
    if trial.state == TrialState.PRUNED:
        pruner = escape(str(settings_of(record).get("pruner", "")))
        return f"the {pruner} pruner stopped it after {n_epochs} of {asked} epochs."
    if found.get(attrs.EARLY_STOPPED):
        return f"its validation error had stopped falling after {n_epochs} epochs."
    return "all of its epochs were trained."
