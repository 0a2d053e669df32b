"""The notes beside a study of ours and its trials, as Markdown in which all texts are escaped."""

import re
from collections.abc import Iterator
from dataclasses import replace

from optuna.trial import TrialState

from storage import attrs
from storage.records import StudyRecord, TrialRecord
from storage.urls import redact
from study.analysis import (
    data_of,
    is_own,
    is_search,
    kind_of,
    min_accuracy_of,
    ranked_by_constraint,
    word_for,
)
from study.analysis.provenance import describe_code
from study.formats import (
    capitalised,
    format_count,
    format_data,
    format_duration,
    format_measured,
    format_sampler,
    format_state,
    plural,
)
from study.kind_info import KindInfo
from study.shell import join

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$^:@]|(?<=www)\.)", re.IGNORECASE)
_GLOSSARY = {
    attrs.VALIDATION_MSE: "lowest error on the validation images, the objective",
    attrs.BEST_EPOCH: "{step} that reached it, counted from 1; its weights are the trial's",
    attrs.VALIDATION_ACCURACY: "share of the validation images that these weights classify "
    "correctly",
    attrs.VALIDATION_BALANCED_ACCURACY: "mean over the classes of that share",
    attrs.LATENT_ATTRIBUTE_AUC: "how well attribute vectors tell who carries an attribute, 0 to 1",
    attrs.LATENT_ANALOGY_RANK: "mean of 1 / rank of the right emoji over analogies",
    attrs.LATENT_PATH_SMOOTHNESS: "how evenly pictures change on straight paths, 0 to 1",
    attrs.LATENT_PROBE_ACCURACY: "share of the validation images whose class a linear model of "
    "the latents tells",
    attrs.LATENT_VARIANCE_USED: "directions that the latents fill, of those that they could",
    attrs.INFEASIBLE: "the trial breaks the study's constraint on {second}",
    attrs.LAST_VALIDATION_MSE: "error after the last {step}",
    attrs.EPOCHS_RUN: "{steps} that were trained; 0 for a trial answered from another one's curve",
    attrs.TRAINING_SECONDS: "time in these {steps}",
    attrs.PARAMETER_COUNT: "weights of the model",
    attrs.SEED: "of weights, batches and augmentation",
    attrs.REUSED_FROM: "number of the trial whose curve answered this one",
    attrs.RETRY_OF: "number of the failed trial that this one repeats",
    attrs.FAILURE: "why a trial failed; without it, its worker died",
}
"""Meanings of names on disk."""
_MEASURED = {name for name in _GLOSSARY if name.startswith(("validation_", "latent_", "last_"))}
"""Those that not every kind has."""
_FILES = {
    attrs.RECONSTRUCTIONS_FILE: "originals over reconstructions: three images that all trials "
    "show, then the trial's lowest, median and highest error",
    attrs.LEARNING_CURVE_FILE: "",
}
"""Files that have another description than their label."""
MAX_NOTED = 1000
"""Ended trials up to which all have notes. For every trial that it sends, the dashboard looks
through the notes of all, so ten times as many notes take it a hundred times as long.
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

    ``study_id`` is the database's key; a password in ``url`` is masked.
    """
    place, kind = place_of(record, url), kind_of(record)
    code = describe_code(record)
    shown = [(file.name, _FILES.get(file.name, escape(file.label))) for file in kind.files]
    shown.append((attrs.CURVES_FILE, f"all numbers of all {plural(kind.step)}"))
    files = ", ".join(f"`{name}`" + (f" ({text})" if text else "") for name, text in shown)
    lines = [
        f"## {escape(record.name)}",
        _what(record),
        *_judged(record),
        *([code] if code else []),
        *report_of(study_id, place),
        "### What you see",
        "- **History**: a dot per trial; the line is the best so far. Charts below it are "
        "refreshed every few trials.\n"
        f"- **Intermediate values**: {_reported(kind)} of each {kind.step}, counted from 0. "
        "Pruned trials end early.\n"
        f"- **Artifacts** of every trial: {files}. Grey ones say that a trial "
        f"ended before its first {kind.step}, or that its pictures were cleaned away.\n"
        "- **Failed** trials whose worker died or was stopped are tried again under a new number.",
        "### User attributes",
        "\n".join(f"- `{name}`: {text}" for name, text in _glossary(record)),
    ]
    if is_search(record):
        commands = code_block(
            f"emoji-study status {place} --watch",
            f"emoji-study confirm {place}",
            f"emoji-study train {place} --trial best",
        )
        lines += ["### Go on", commands]
    return "\n\n".join(lines) + "\n"


def trial_note(record: StudyRecord, trial: TrialRecord, *, url: str) -> str:
    """Say what an ended trial was, what it reached, why it ended, and how to train it again."""
    kind = kind_of(record)
    lines = [f"**{format_state(trial.state).capitalize()}**: {_result(kind, trial)}"]
    if trial.params:
        words = kind.wording.configuration(
            trial.params, kind.family if is_own(record) else None, kind.fidelity
        )
        lines.append(f"{escape(capitalised(words))}.")
    lines.append("\n".join(f"- {fact}" for fact in _facts(record, trial)))
    if trial.params and attrs.MEASURED_ON.of(trial) != "test":
        lines += [
            f"Train it again for good, and measure it once on the test {data_of(record)}:",
            code_block(f"emoji-study train {place_of(record, url)} --trial {trial.number}"),
        ]
    return "\n\n".join(lines) + "\n"


def place_of(record: StudyRecord, url: str) -> str:
    """Return the options that name a study."""
    return join(["--storage", redact(url), "--study", record.name])


def report_of(study_id: int, place: str) -> list[str]:
    """Say where the report of a study is, and which command writes it to a file."""
    return [
        f"[Report of this study](/report/{study_id}), as `emoji-study dashboard` offers it; as a "
        "file to keep and to send:",
        code_block(f"emoji-study report {place}"),
    ]


def escape(text: str) -> str:
    """Write a text so that Markdown shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code_block(*lines: str) -> str:
    """Write lines as code, which Markdown leaves alone."""
    return "\n".join(f"    {part}" for line in lines for part in line.split("\n"))


def _what(record: StudyRecord) -> str:
    settings = attrs.SETTINGS.of(record)
    assert settings is not None  # of a study of ours
    purpose = "A search" if is_search(record) else "An experiment"
    data = escape(format_data(settings.data, settings.vendors))
    text = f"{purpose} of kind **{escape(settings.kind)}**, {escape(settings.space)} space"
    if is_search(record):
        text += f"; {escape(format_sampler(settings.sampler))} sampler, "
        text += f"{escape(settings.pruner)} pruner"
    return (
        f"{text}. Data: {data}, {escape(settings.split)} split, fingerprint "
        f"`{settings.data_fingerprint[:12]}`; the study's seed is {settings.seed}."
    )


def _judged(record: StudyRecord) -> Iterator[str]:
    """Say what the objective is, and what the dashboard does not know of it."""
    kind = kind_of(record)
    objective, second, label = kind.objective, kind.second, kind.objective.label
    if objective.name == attrs.VALIDATION_MSE:
        label = "the mean reconstruction error (MSE, pixels in 0 to 1) of the validation images"
    yield (
        f"{objective.better.capitalize()} is better: the objective is {label}, at the {kind.step} "
        f"where it is {objective.best}. The test {data_of(record)} play no part."
    )
    needed = min_accuracy_of(record)
    if needed is not None and second is not None:
        value = format_measured(needed, second)
        reaches = f"reaches a {second.label} of {value} or {second.better}"
        if second.name == attrs.VALIDATION_ACCURACY:
            reaches = f"classifies at least {value} of the validation images correctly"
        yield (
            f"A trial is a candidate for the best only if it {reaches}. Others carry the "
            f"attribute `{attrs.INFEASIBLE}`, and say so in their notes."
        )
    if second is not None and len(record.directions) > 1:
        high = "high" if second.maximise else "low"
        yield f"The second objective, {second.label} of the same weights, is to be {high}."


def _reported(kind: KindInfo) -> str:
    return kind.objective.label.replace(kind.objective.short_label, word_for(kind.objective))


def _glossary(record: StudyRecord) -> Iterator[tuple[str, str]]:
    """Yield the attributes that the trials of a study carry, with their meanings."""
    kind = kind_of(record)
    present = {name for trial in record.trials for name in trial.user_attrs}
    second = "its second metric" if kind.second is None else kind.second.short_label
    own = {metric.name: escape(metric.label) for metric in kind.metrics}
    for name in dict.fromkeys((*_GLOSSARY, *own)):
        if name in present or (not record.trials and (name in own or name not in _MEASURED)):
            text = _GLOSSARY.get(name, own.get(name, ""))
            yield name, text.format(step=kind.step, steps=plural(kind.step), second=second)


def _result(kind: KindInfo, trial: TrialRecord) -> str:
    objective, second = kind.objective, kind.second
    value = replace(objective, place=None).any_of(trial)  # the lowest, also of a pruned one
    value = trial.value if value is None else value
    if value is None:
        return f"no {kind.step} was finished." if trial.state == TrialState.FAIL else "no value."
    text = f"{escape(objective.label)} {format_measured(value, objective)}"
    if (step := attrs.BEST_EPOCH.of(trial)) is not None:
        text += f" in {kind.step} {step}"
    other = None if second is None else second.of(trial)
    if second is not None and other is not None:
        text += f", {escape(second.label)} {format_measured(other, second)}"
    return f"{text}."


def _facts(record: StudyRecord, trial: TrialRecord) -> Iterator[str]:
    """Say why a trial ended, and what else a reader must know of it."""
    yield f"Why it ended: {_end(record, trial)}"
    if not trial.feasible:
        needed, second = min_accuracy_of(record), kind_of(record).second
        label = "value" if second is None else escape(second.label)
        if needed is not None and second is not None:
            label += f" of {format_measured(needed, second)}"
        yield f"**Infeasible**: it misses the {label} that the study demands."
    if (arm := attrs.ARM.of(trial)) is not None:
        yield f"Arm {escape(arm)}, pair {attrs.PAIR.of(trial)}."
    size = []
    if (n_weights := attrs.PARAMETER_COUNT.of(trial)) is not None:
        size.append(f"{format_count(n_weights)} weights")
    if seconds := attrs.TRAINING_SECONDS.of(trial):
        size.append(f"{format_duration(seconds)} of training")
    if (seed := attrs.SEED.of(trial)) is not None:
        size.append(f"seed {seed}")
    if size:
        yield f"{', '.join(size)}."
    if (failed := attrs.RETRY_OF.of(trial)) is not None:
        yield f"A second attempt at trial {failed}."


def _end(record: StudyRecord, trial: TrialRecord) -> str:
    if trial.state == TrialState.FAIL:
        repeats = (t.number for t in record.trials if attrs.RETRY_OF.of(t) == trial.number)
        again = next(repeats, None)
        later = "not tried again" if again is None else f"queued again as trial {again}"
        return f"{escape(attrs.FAILURE.of(trial) or 'its worker died')}. It was {later}."
    if (source := attrs.REUSED_FROM.of(trial)) is not None:
        return (
            f"trial {source} had done the same training, so its curve is the "
            "answer; nothing was trained."
        )
    if (split := attrs.MEASURED_ON.of(trial)) is not None:
        return f"its result was imported, as measured on the {split} split."
    kind = kind_of(record)
    n_steps = len(trial.intermediate_values) or attrs.EPOCHS_RUN.of(trial)
    asked = None if kind.fidelity is None else trial.params.get(kind.fidelity)
    of = "" if asked is None else f" of {asked}"
    if trial.state == TrialState.PRUNED:
        pruner = escape(settings.pruner) if (settings := attrs.SETTINGS.of(record)) else ""
        return f"the {pruner} pruner stopped it after {n_steps}{of} {plural(kind.step)}."
    if attrs.EARLY_STOPPED.of(trial):
        return f"its {_reported(kind)} had stopped falling after {n_steps} {plural(kind.step)}."
    return f"all of its {plural(kind.step)} were trained."
