"""How names and values of settings are written: ours as words, another program's as stored."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from optuna.distributions import CategoricalDistribution

from storage.records import TrialRecord
from study.formats import MISSING, capitalised, format_label, format_value, in_line, plural


@dataclass(frozen=True)
class Wording:
    """The words of one study, each in one line.

    Args:
        trials: Of another program's study; None for ours.
        named: Whether that program named its objectives.
        nones: Parameters of our study that have None as a choice; of others it is no value.
    """

    trials: Sequence[TrialRecord] | None = None
    named: bool = False
    nones: Collection[str] = ()

    def label(self, name: str) -> str:
        """Write the name of a setting."""
        return format_label(name) if self.trials is None else in_line(name) or _quoted(name)

    def begin(self, text: str) -> str:
        """Begin a sentence with the name of a setting, which only ours begin with a capital."""
        return capitalised(text) if self.trials is None else text

    def heading(self, label: str) -> str:
        """Begin a sentence with the label of a metric."""
        return label if self.named else capitalised(label)

    def value(self, value: object, name: str) -> str:
        """Write a value of a setting; choices of another program that look alike are quoted."""
        told = None if self.trials is None else self._choices.get((name, type(value), value))
        if value is None and name in self.nones:
            return str(None)
        return told or format_value(value)

    def holds(self, name: str, params: Mapping[str, object]) -> bool:
        """Say whether a trial has a setting: among ours a stored None was once the lack of one."""
        own = self.trials is None and name not in self.nones
        return name in params and not (own and params[name] is None)

    def of(self, name: str, params: Mapping[str, object]) -> str:
        """Write the value of a setting among those of a trial, which may lack it."""
        return self.value(params[name], name) if self.holds(name, params) else MISSING

    def settings(self, params: Mapping[str, object]) -> str:
        """Write settings with their values."""
        return ", ".join(f"{self.label(n)} {self.value(v, n)}" for n, v in params.items())

    def configuration(
        self, params: Mapping[str, object], family: str | None = None, fidelity: str | None = None
    ) -> str:
        """Describe parameters in words.

        The value of ``family`` names what the others are of, that of ``fidelity`` counts steps.
        """
        others = dict(params)
        value = None if family is None else others.pop(family, None)
        steps = others.pop(fidelity, None) if fidelity else None
        told = [self.settings(others)] if others else []
        if fidelity and steps is not None:
            told.insert(0, f"{format_value(steps)} {plural(fidelity)}")
        words = [] if family is None or value is None else [f"a {value} {family.replace('_', '')}"]
        return " ".join([*words, f"with {', '.join(told)}"] if told else words)

    @cached_property
    def _choices(self) -> Mapping[tuple[str, type, object], str]:
        """Return how each choice is written, by its parameter's name, type and value."""
        ranges = chain.from_iterable(trial.distributions.items() for trial in self.trials or ())
        found: dict[str, dict[tuple[type, object], None]] = {}
        for name, known in {(name, id(known)): known for name, known in ranges}.items():
            if isinstance(known, CategoricalDistribution):
                keys = ((type(choice), choice) for choice in known.choices)
                found.setdefault(name[0], {}).update(dict.fromkeys(keys))
        return {
            (name, *choice): text
            for name, choices in found.items()
            for choice, text in zip(choices, _told([c for _, c in choices]), strict=True)
        }


OURS = Wording()


def _told(choices: Sequence[object]) -> list[str]:
    """Write different choices; texts that are blank, or look like another choice, in quotes."""
    plain = [in_line(str(choice)) for choice in choices]
    times = Counter(plain)
    return [
        _quoted(choice) if isinstance(choice, str) and (not text or times[text] > 1) else text
        for choice, text in zip(choices, plain, strict=True)
    ]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
