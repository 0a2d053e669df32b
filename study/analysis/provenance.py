"""How a study came about: the command that made it, and what its trials ran on."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from search_spaces import Scalar
from storage import attrs
from storage.records import StudyRecord, TrialRecord
from storage.values import Settings, Stored
from study.analysis import is_search, kind_of, reference_of
from study.formats import counted
from study.kind_info import own_kind
from study.metrics import Metric
from study.requests import DEFAULT_DATA_SEED
from study.settings import IMPORTED
from study.shell import join

OPTIONS = ("space", "sampler", "pruner", "seed", "data", "split", "data_seed")
WEIGHT = "classification_lambda"
"""What arms differ in that have been given by ``--lambda``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceInfo:
    """How a study came about.

    Args:
        command: What to type for another study like it, None where nothing was run: of an
            import, what follows a search, or a study made by other means.
        environments, devices: Versions and system, device and threads, each with the number of
            trials that ran on it.
    """

    command: str | None
    environments: tuple[tuple[str, int], ...]
    devices: tuple[tuple[str, int], ...]
    n_hosts: int


def get_provenance(record: StudyRecord) -> ProvenanceInfo:
    """Collect how a study came about; trials that stored nothing of it are not counted."""
    hosts = {worker.partition("/")[0] for worker in _stored(record, attrs.WORKER)}
    return ProvenanceInfo(
        command=_command(record),
        environments=_counted(_stored(record, attrs.ENVIRONMENT)),
        devices=_counted(filter(None, map(_device, record.trials))),
        n_hosts=len(hosts),
    )


def describe_code(record: StudyRecord) -> str | None:
    """Say from which trial on another version of the kind's code trained, None if none did."""
    digests = {t.number: attrs.KIND_DIGEST.of(t) for t in record.trials if t.finished}
    known = {number: digest for number, digest in digests.items() if digest is not None}
    first = next(iter(known.values()), None)
    other = next((number for number, digest in known.items() if digest != first), None)
    if other is None:
        return None
    return (
        f"From trial {other} on, another version of the kind's code trained; whether its results "
        "compare with those before is open."
    )


def again(
    record: StudyRecord, *, n_pairs: int | None = None, changes: Mapping[str, Scalar] = {}
) -> str | None:
    """Return the command that runs an experiment again as another study, None if it is none.

    Args:
        n_pairs: Of fresh seeds and splits; None for as many as it has, of the same.
        changes: Of what all arms share.
    """
    settings, made = attrs.SETTINGS.of(record), attrs.EXPERIMENT.of(record)
    if settings is None or made is None or made.follows or settings.sampler == IMPORTED:
        return None
    if n_pairs is not None:
        first = settings.data_seed + made.n_pairs
        settings = replace(settings, seed=settings.seed + 1, data_seed=first)
    default, shared = kind_of(record).default or {}, {**settings.fixed, **changes}
    fixed = {k: v for k, v in shared.items() if k not in default or default[k] != v}
    name = f"{record.name}-{'again' if n_pairs is None else 'longer' if changes else 'fresh'}"
    words = ["emoji-study", "experiment", made.name, "--study", name]
    words += ["--pairs", str(n_pairs or made.n_pairs)]
    weights = {arm.params.get(WEIGHT): None for arm in made.arms if WEIGHT in arm.params}
    if len(weights) > 1:
        words += [word for weight in weights for word in ("--lambda", str(weight))]
    options = _options(replace(settings, fixed=fixed), ("seed", "data", "data_seed"), None)
    return join([*words, *options])


def keeping(record: StudyRecord, options: str) -> str:
    """Return the options of another study with those of this one that they leave as they are.

    These are its data and their split, its space, what is fixed and what is demanded.
    """
    settings, kind, words = attrs.SETTINGS.of(record), kind_of(record), shlex.split(options)
    if settings is None:
        return options
    own = own_kind(kind.name) if kind.source is None else None
    usual: dict[str, object] = {"data_seed": DEFAULT_DATA_SEED}
    if own is not None:
        usual |= {"space": next(iter(own.spaces)), "split": own.splits[0]}
    names = [
        name
        for name in ("space", "data", "split", "data_seed")
        if f"--{name.replace('_', '-')}" not in words
        and getattr(settings, name) not in (None, "", usual.get(name))
    ]
    fixed = dict(settings.fixed)
    for word in words:
        fixed.pop(word.partition("=")[0], None)
    if kind.fidelity is not None and "--epochs" in words:
        fixed.pop(kind.fidelity, None)
    if own is not None and "--space" in words:
        space = own.spaces[words[words.index("--space") + 1]]
        there = {parameter.name for parameter in space.parameters}
        fixed = {name: value for name, value in fixed.items() if name in there}
    kept = _options(replace(settings, fixed=fixed), names, kind.second)
    return join([*kept, *words])


def _command(record: StudyRecord) -> str | None:
    settings, kind = attrs.SETTINGS.of(record), reference_of(record)
    if (experiment := again(record)) is not None:
        return experiment
    if settings is None or kind is None or settings.sampler == IMPORTED or not is_search(record):
        return None
    n_finished = sum(trial.finished for trial in record.trials)
    words = ["emoji-study", "run", kind, "--study", f"{record.name}-again"]
    words += [
        "--trials",
        str(max(1, n_finished)),
        *_options(settings, OPTIONS, kind_of(record).second),
    ]
    return join(words)


def _options(settings: Settings, names: Sequence[str], second: Metric | None) -> Iterator[str]:
    """Yield the options that give these settings, of some by their names."""
    for name in names:
        if (value := getattr(settings, name)) is not None:
            yield from (f"--{name.replace('_', '-')}", str(value))
    needed = settings.min_accuracy
    if needed is not None and second is not None and not (second.maximise and 0 <= needed <= 1):
        option = "--at-least" if second.maximise else "--at-most"
        yield from (option, f"{second.name}={needed}")
    elif needed is not None:
        yield from ("--min-accuracy", str(needed))
    if settings.vendors:
        yield from ("--vendors", ",".join(settings.vendors))
    if settings.pareto:
        yield "--pareto"
    for name, value in settings.fixed.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield from ("--set", f"{name}={text}")


def _device(trial: TrialRecord) -> str | None:
    device, threads = attrs.DEVICE.of(trial), attrs.THREADS.of(trial)
    return f"{device}, {counted(threads, 'thread')}" if device and threads else device


def _stored(record: StudyRecord, name: Stored[str]) -> Iterator[str]:
    return filter(None, map(name.of, record.trials))


def _counted(texts: Iterator[str]) -> tuple[tuple[str, int], ...]:
    """Return each text with how often it occurs, the most frequent first."""
    return tuple(sorted(Counter(texts).items(), key=lambda item: (-item[1], item[0])))
