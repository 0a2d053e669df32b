"""The first screen of a report: what was found, what to use, how sure that is, what to do next."""

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from optuna.trial import TrialState

from storage.attrs import DATA_REMARKS, MEASURED_ON, SETTINGS
from study.analysis import (
    data_of,
    is_own,
    min_accuracy_of,
    ranked,
    sampler_of,
    word_for,
)
from study.analysis.ablation import describe_ablation
from study.analysis.checks import Level
from study.analysis.confirmation import DEFAULT, MIDDLE, TOP, ConfirmationInfo, Confirmed
from study.analysis.confirmation_text import (
    describe_confirmation,
    describe_seeds,
    describe_tied,
    describe_worse,
)
from study.analysis.curve_checks import LENGTH
from study.analysis.effects import EffectsInfo, describe_effect
from study.analysis.estimates import Estimate
from study.analysis.failures import describe_failures
from study.analysis.front import comparable
from study.analysis.provenance import describe_code
from study.analysis.spent import training_seconds
from study.analysis.to_confirm import mean_seconds
from study.formats import (
    capitalised,
    counted,
    format_change,
    format_count,
    format_data,
    format_list,
    format_measured,
    format_number,
    format_percent,
    format_sampler,
)
from study.metrics import Metric
from study.report.experiment_answer import answer_experiment
from study.report.findings import Findings
from study.report.scale import get_ruler
from study.report.sentences import Answer, Step, Use, describe_lacking, lasting, parted
from study.requests import CONFIRM_SEEDS, CONFIRM_TOP
from study.sampling.names import ADAPTIVE_SAMPLERS
from study.settings import IMPORTED

MAX_STEPS, MAX_EFFECTS, MAX_FAILED = 3, 3, 0.05


def get_answer(found: Findings) -> Answer:
    """Say what a study found, most important first."""
    keep = (*describe_lacking(found.data), *_to_keep_in_mind(found))
    if not found.search:
        if found.experiment is not None:
            told = answer_experiment(found, found.experiment)
        else:
            first, *others = _of_arms(found) or ["Nothing has been found yet."]
            headline, doubt = parted(first)
            told = Answer(headline=headline, doubt=doubt, sure=tuple(others))
        return replace(told, about=_about(found), sure=(*told.sure, *keep))
    return Answer(
        headline=_headline(found),
        doubt=tuple(_doubt(found)),
        about=_about(found),
        use=_use(found),
        sure=(*_sure(found), *keep),
        open=tuple(_open(found)),
        described=not found.effects.independent and bool(found.effects.clear),
        next=tuple(_next_steps(found))[:MAX_STEPS],
        ruler=get_ruler(found),
    )


def winner_of(found: Findings) -> Confirmed | None:
    """Return the confirmed configuration with the best mean, if there is a confirmation.

    Beside trials that somebody named the default may be the best, but not of the search.
    """
    info = found.at_home
    if info is None or info.best is None or not info.enough:
        return None
    best = info.get(info.best)
    return best if info.by_choice or best.role != DEFAULT else None


def _of_arms(found: Findings) -> list[str]:
    said = [text for c in found.confirmations for text in describe_confirmation(c, found.at_home)]
    return said + [text for a in found.ablations for text in describe_ablation(a)]


def _headline(found: Findings) -> str:
    kind, summary = found.kind, found.summary
    if not summary.n_trials:
        return "No trial has been run yet."
    if not found.unbeaten:
        if summary.n_infeasible:
            return "No complete trial keeps the constraint yet, so none is the best."
        if summary.by_state[TrialState.COMPLETE]:
            return "No complete trial has a value."
        return "No trial is complete yet."
    if summary.best is None:
        return _together(found)
    objective, winner, best = kind.objective, winner_of(found), summary.best
    if winner is not None and winner.validation is not None:
        what = winner.name if winner.role == DEFAULT else _named(found, winner.name)
        mean = format_measured(winner.validation.mean, objective)
        return (
            f"{capitalised(what)}: {objective.label} {mean} in the mean of "
            f"{counted(winner.validation.n, 'fresh seed')}."
        )
    value, name = format_measured(best.value, objective), _named(found, f"trial {best.number}")
    return f"Best so far: {name}, {objective.label} {value}{_judged(found)}."


def _together(found: Findings) -> str:
    """Say how many trials are the best in several objectives."""
    labels = [metric.label for metric in found.objectives]
    n_best, n = len(found.unbeaten), len(comparable(found.record))
    are = "is" if n_best == 1 else "are"
    all_of_them = "both" if len(labels) == 2 else "all of them"
    return (
        f"{format_count(n_best)} of {counted(n, 'trial')} {are} the best in {format_list(labels)} "
        f"together: no other is as good in {all_of_them} and better in one."
    )


def _named(found: Findings, name: str) -> str:
    """Name a trial by its family where the study has one."""
    best = next((t for t in found.record.trials if f"trial {t.number}" == name), None)
    family = None if best is None else best.params.get(found.kind.family or "")
    return name if family is None else f"{family} ({name})"


def _judged(found: Findings) -> str:
    n = _parts(found).get("v", 0)
    return f" on {format_count(n)} validation {data_of(found.record)}" if n else ""


def _parts(found: Findings) -> dict[str, int]:
    """Count the data of each side of the split: t, v, and others; empty where that is unknown."""
    settings = SETTINGS.of(found.record)
    return {} if settings is None else Counter(settings.sides)


def _doubt(found: Findings) -> Iterator[str]:
    """Say whether the headline can be trusted."""
    summary, info, winner = found.summary, found.at_home, winner_of(found)
    if summary.best is None:
        return
    if winner is not None and info is not None:
        yield from _confirmed(found, winner, info)
    else:
        n = len(comparable(found.record))
        yield _single(found, n)
    length = next((c for c in found.checks if c.name in LENGTH.values()), None)
    # Where a command trains longer, "Next" says so.
    if length is not None and length.level == Level.WARN and length.command is None:
        yield length.sentence


def _single(found: Findings, n: int) -> str:
    """Say what the best of so many single trials is worth."""
    best, data = found.kind.objective.best, data_of(found.record)
    if not found.ours:
        if n == 1:
            kept = " that keeps the constraint" if found.summary.n_infeasible else ""
            return f"It is the only complete trial{kept}."
        luck = "where values scatter, that is partly luck"
        kept = " that keep the constraint" if found.summary.n_infeasible else ""
        return f"It is the {best} of {format_count(n)} complete trials{kept}; {luck}."
    if n == 1:
        return "Not confirmed yet: it is the only complete trial."
    few = found.at_home is not None and not found.at_home.enough
    how = "Confirmed with too few seeds to tell" if few else "Not confirmed yet"
    return (
        f"{how}: it is the {best} of {format_count(n)} single trainings on the "
        f"{data} that chose it, so partly luck."
    )


def _confirmed(found: Findings, winner: Confirmed, info: ConfirmationInfo) -> Iterator[str]:
    objective = found.kind.objective
    assert winner.validation is not None
    text = f"Confirmed over {describe_seeds(info)}"
    interval = _interval(winner.validation, objective)
    text += f" ({interval})" if interval else ""
    if winner.difference is not None and winner.difference.mean is not None:
        default = None if info.default is None else info.default.validation
        of = f"’s {format_measured(default.mean, objective)}" if default is not None else ""
        text += f", {format_change(winner.difference.mean)} against the default{of}"
        n_pairs = winner.difference.n_pairs
        text += f", {objective.better} with {winner.n_wins} of {counted(n_pairs, 'seed')}"
    yield f"{text}."
    if winner.test is not None:
        interval = _interval(winner.test, objective)
        mean = format_measured(winner.test.mean, objective)
        tested = None if info.default is None else info.default.test
        n = f"{n} " if (n := _parts(found).get("x")) else ""
        text = f"On the {n}test {info.data}, by which nothing was chosen: {mean}"
        text += f" ({interval}, of these {info.data} alone)" if interval else ""
        if tested is not None and winner.role != DEFAULT:
            text += f", the default {format_measured(tested.mean, objective)}"
        yield f"{text}."
    yield from describe_tied(info)
    yield from describe_worse(info)


def _interval(found: Estimate, metric: Metric) -> str:
    if found.interval is None:
        return ""
    ends = found.interval.written(lambda end: format_measured(end, metric))
    return f"95\N{NO-BREAK SPACE}% interval {ends}"


def _about(found: Findings) -> str:
    """Say what was done, with how many trials and data."""
    record, summary = found.record, found.summary
    settings, parts, data = SETTINGS.of(record), _parts(found), data_of(record)
    models = {"autoencoder": "small autoencoders", "multitask": "small multitask autoencoders"}
    what = models.get(found.kind.name, "models") if is_own(record) else "models"
    n_started = summary.n_trials - summary.by_state[TrialState.WAITING]
    noun = "trial" if summary.n_reused or not found.ours else "training"
    asked = "" if found.experiment is None else f"{found.experiment.made.question} "
    text = f"{asked}{counted(n_started, noun)}"
    text += f" of {what}" if found.ours else ""
    if parts.get("v") and (found.experiment is None or len(found.experiment.made.sides) == 1):
        n_train, n_validation = (format_count(parts.get(side, 0)) for side in "tv")
        text += f" on {n_train} {data}, judged on {n_validation} others"
    ended = {
        "pruned early": summary.by_state[TrialState.PRUNED],
        "running": summary.by_state[TrialState.RUNNING],
    }
    told = [f"{format_count(n)} {how}" for how, n in ended.items() if n]
    n_complete = summary.by_state[TrialState.COMPLETE]
    text += f": {', '.join([f'{format_count(n_complete)} complete', *told])}"
    text += f"; {describe_failures(summary.failures)}." if summary.failures.trials else "."
    if summary.n_reused:
        text += f" {counted(summary.n_reused, 'trial')} took the result of another one's training."
    sampler = "" if settings is None else settings.sampler
    if found.search and sampler == IMPORTED:
        return f"{text} They were imported from a file."
    if settings is not None and settings.vendors:
        text += f" The data are {format_data(settings.data, settings.vendors)}."
    if settings is not None and found.search:
        space = f" in the {settings.space} space"
        learns = ", which learns from earlier trials," if sampler in ADAPTIVE_SAMPLERS else ""
        name = format_sampler(sampler)
        text += (
            f" The settings are a grid{space}."
            if sampler == "grid"
            else f" {capitalised(name)}{learns} chose the settings{space}."
        )
    return text


def _use(found: Findings) -> Use | None:
    """Say which settings to use, and what can be expected of them."""
    best, winner, kind = found.summary.best, winner_of(found), found.kind
    if best is None:
        return None
    family = kind.family if is_own(found.record) else None
    number = best.number if winner is None else winner.trial
    if number is None:
        default = found.confirmed_default or kind.default or {}
        return Use(
            settings=f"the default: {kind.wording.configuration(default, family, kind.fidelity)}",
            expected="nothing that was tried is better",
            command=None,
        )
    command = None if found.reference is None else found.command("train", f"--trial {number}")
    trial = next((t for t in found.record.trials if t.number == number), None)
    if trial is None:  # of a page that holds a part of the trials
        return Use(settings=f"trial {number}", expected="", command=command)
    others = [
        f"{metric.label} {format_measured(value, metric)}"
        for metric in kind.further
        if (value := metric.of(trial)) is not None
    ]
    expected = (
        f"in the search: {kind.objective.label} {format_measured(trial.value, kind.objective)}"
    )
    told = kind.wording.configuration(trial.params, family, kind.fidelity)
    return Use(
        settings=f"trial {number}: {told}" if told else f"trial {number}",
        expected=", ".join([expected, *others]),
        command=command,
    )


def _sure(found: Findings) -> Iterator[str]:
    """Say which settings made a difference, how large, and of which nothing can be said."""
    info = found.effects
    front, kind, wording = found.front, found.kind, found.kind.wording
    if front is not None and front.joined:
        low, high = front.best_in_first, front.best_in_second
        first, second = front.first, front.second
        if low and high and low.trial != high.trial:
            yield (
                f"{first.best.capitalize()} {first.short_label} and "
                f"{second.best} {second.short_label} are of different trials: "
                f"{low.trial.number} with {format_measured(low.first, first)} and "
                f"{format_measured(low.second, second)}, {high.trial.number} with "
                f"{format_measured(high.first, first)} and "
                f"{format_measured(high.second, second)}."
            )
    if n := found.summary.n_infeasible:
        demanded, what = min_accuracy_of(found.record), ""
        if kind.second is not None and demanded is not None:
            bound = "least" if kind.second.maximise else "most"
            value = format_measured(demanded, kind.second)
            what = f", a {kind.second.label} of at {bound} {value},"
        trials = f"{counted(n, 'complete trial')} {'breaks' if n == 1 else 'break'}"
        yield f"{trials} the constraint{what} and cannot be the best."
    if not info.n_trials:
        return
    infos, several = _effects_of(found), len(found.objectives) > 1
    for told in infos:
        lead = f"{told.metric.label}: " if several else ""
        for effect in told.clear[: 1 if len(infos) > 2 else 2 if several else MAX_EFFECTS]:
            text = describe_effect(effect, told.metric, wording)
            yield f"{wording.heading(lead) + text if lead else wording.begin(text)}."
    more = []
    for effect in info.clear[MAX_EFFECTS:]:
        size = () if effect.size is None else (f"× {format_number(effect.size, 2)}",)
        aside = "; ".join((*size, *effect.turning))
        more.append(wording.label(effect.name) + (f" ({aside})" if aside else ""))
    if more and len(infos) == 1:
        yield f"Clear as well: {format_list(more)}."
    for pair in found.explained.acting[:1]:
        yield (
            f"{wording.begin(wording.label(pair.first))} and {wording.label(pair.second)} act "
            "together: what one of them is worth depends on the other."
        )
    if any(told.clear for told in infos) and not info.independent:
        sampler = sampler_of(found.record)
        how = "How trials were chosen is unknown"
        if sampler in ADAPTIVE_SAMPLERS:
            how = f"{format_sampler(str(sampler))} chose trials by earlier results"
        yield (
            f"{how}, so these sizes are of trials whose other settings changed as well"
            f"{'; the command ablate changes one at a time' if found.ours else ''}."
        )
    if found.baseline is not None and len(found.record.directions) == 1:
        objective, constant = found.kind.objective, format_measured(found.baseline, info.metric)
        values = [value for value, _ in ranked(found.record)]
        n = sum(not objective.is_better(value, found.baseline) for value in values)
        if n:
            yield (
                f"{format_count(n)} of {counted(len(values), 'complete trial')} "
                f"{'is' if n == 1 else 'are'} no better than a constant prediction, {constant}."
            )


def _effects_of(found: Findings) -> list[EffectsInfo]:
    """Return the effects on each of several objectives, or on the one."""
    several = found.objectives if len(found.objectives) > 1 else ()
    return [found.all_effects[metric] for metric in several] or [found.effects]


def _open(found: Findings) -> Iterator[str]:
    """Say of which settings nothing can be told, and where they made a difference all the same."""
    info, infos, wording = found.effects, _effects_of(found), found.kind.wording
    if not info.n_trials:
        return
    named = {name for pair in found.explained.acting[:1] for name in (pair.first, pair.second)}
    unclear = [
        name
        for name in info.unclear
        if name not in named and all(name in told.unclear for told in infos)
    ]
    forest = found.explained.forests.get(info.metric)
    told_of = {effect.name for effect in info.effects}
    needed = [name for name in unclear if forest and name in forest.needed and name in told_of]
    if needed:
        names = format_list(list(map(wording.label, needed)))
        without = "it" if len(needed) == 1 else "them"
        yield (
            f"{wording.begin(names)}: trials are predicted worse without {without}, though no "
            "value or part of a range is surely better than another; the charts show where the "
            "best trials lie."
        )
    unclear = [name for name in unclear if name not in needed]
    matters = "matters" if len(unclear) == 1 else "matter"
    if unclear:
        names = format_list(list(map(wording.label, unclear)))
        over = f"{format_count(info.n_trials)} trials do not tell"
        yield f"{over} whether {names} {matters}{_but(found, unclear)}."


def _but(found: Findings, unclear: Sequence[str]) -> str:
    """Say of such a setting that it was told to matter beside the confirmed best, if it was."""
    info, trials = found.at_home, {t.number: t for t in found.record.trials}
    if info is None or info.best is None:
        return ""
    found_again = {c.name: trials[c.trial] for c in info.confirmed if c.trial in trials}
    best = found_again.get(info.best)
    for other in info.confirmed:
        trial = found_again.get(other.name)
        if best is None or trial is None or other.from_best is None or not other.from_best.told:
            continue
        names = best.params.keys() | trial.params.keys()
        apart = [n for n in names if best.params.get(n) != trial.params.get(n)]
        if len(apart) == 1 and apart[0] in unclear:
            label = found.kind.wording.label(apart[0])
            return f"; beside {info.best} {label} does: {other.name}, with another, is worse"
    return ""


def _to_keep_in_mind(found: Findings) -> Iterator[str]:
    """Say what changes what the numbers mean."""
    record, summary, settings = found.record, found.summary, SETTINGS.of(found.record)
    if (code := describe_code(record)) is not None:
        yield code
    if remarks := DATA_REMARKS.of(record):
        yield f"Of its data: {', '.join(remarks)}."
    if (share := summary.failures.share_lost) > MAX_FAILED:
        told = describe_failures(summary.failures)
        yield f"{told}: {format_percent(share)} of all settings that were tried have no result."
    odd = [t for t in record.complete if any(not math.isfinite(value) for value in t.values)]
    if odd:
        have = f"{counted(len(odd), 'complete trial')} {'has' if len(odd) == 1 else 'have'}"
        yield f"{have} an infinite value, which charts and analyses leave out."
    if "not_set" in record.directions:
        yield (
            "The study does not say whether low or high values are better; here, as in Optuna, "
            "low ones are."
        )
    splits = {MEASURED_ON.of(trial) for trial in record.trials}
    if settings is not None and settings.sampler == IMPORTED and splits != {"validation"}:
        yield (
            f"If the imported {word_for(found.kind.objective)}s were measured on a test split, "
            "that split chose the best trial and is no test any more."
        )
    elif settings is not None and settings.split == "random" and is_own(record) and found.search:
        yield (
            "The random split has variants of one emoji on both sides: errors look lower than "
            "they would on new emoji."
        )


def _next_steps(found: Findings) -> Iterator[Step]:
    """Say what to do next: what checks ask for, confirmation, ablation, the final training."""
    summary, record = found.summary, found.record
    if not summary.n_trials or found.reference is None:
        return
    seconds = [training_seconds(t) for t in record.complete if training_seconds(t) > 0]
    complete_s = sum(seconds) / len(seconds) if seconds else None
    spent_s, n_finished = summary.spent.training_seconds, sum(t.finished for t in record.trials)
    any_s = spent_s / n_finished if spent_s and n_finished else None

    urgent = [c for c in found.checks if c.level >= Level.WARN and c.command is not None]
    # What its own sentence in the headline's doubts asks for comes first.
    urgent.sort(key=lambda check: check.name not in LENGTH.values())
    said: set[str] = set()
    for check in urgent[: MAX_STEPS - 1]:
        assert check.command is not None
        if check.command in said or check.command.startswith("emoji-study status"):
            continue
        said.add(check.command)
        time = lasting(_trials_of(check.command), any_s)
        why = f"{check.sentence.rstrip('.')}{time}." if time else check.sentence
        yield Step(why=why, command=found.placed(check.command), check=check.name)
    if summary.best is None:
        return
    winner = winner_of(found)
    number = summary.best.number if winner is None or winner.trial is None else winner.trial
    if winner is None:
        yield Step(why=_confirming(found), command=found.command("confirm"))
    elif not found.ablations:
        yield Step(
            why="Find out which of its settings the winner needs.", command=found.command("ablate")
        )
    else:
        yield Step(
            why=f"Train the winner for good and keep its weights{lasting(1, complete_s)}.",
            command=found.command("train", f"--trial {number}"),
        )


def _confirming(found: Findings) -> str:
    """Say what ``confirm`` trains, and how long that takes."""
    arms = found.to_confirm
    n_top = sum(arm.role == TOP for arm in arms)
    default = next((arm for arm in arms if arm.role == DEFAULT), None)
    # One that the search has tried stands beside the best only if it is none of them.
    among = default is not None and default.trial is not None and n_top < CONFIRM_TOP
    best = f"the best {format_count(n_top + among)}" if n_top + among > 1 else "the best"
    told = [f"{best}, the default among them," if among and n_top else best]
    told += ["the default"] if default is not None and not among else []
    told += [
        f"trial {arm.trial}, drawn from the middle third," for arm in arms if arm.role == MIDDLE
    ]
    n_done = 0 if found.begun is None else len(found.begun.complete)
    each_s, n = mean_seconds(found.record, arms), CONFIRM_SEEDS * len(arms) - n_done
    time = lasting(n, each_s) if n > 0 else ""
    return f"Train {format_list(told)} again, {CONFIRM_SEEDS} fresh seeds each{time}."


def _trials_of(command: str) -> int | None:
    """Return how many trials a command asks for, None if it says no number."""
    words = shlex.split(command)
    return int(words[words.index("--trials") + 1]) if "--trials" in words else None
