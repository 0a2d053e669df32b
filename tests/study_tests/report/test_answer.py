"""What the first screen says of studies of every kind, and what it asks the reader to do next."""

from dataclasses import replace
from typing import Any

import pytest

from storage.attrs import DATA_REMARKS
from storage.records import StudyRecord
from study.analysis.confirmation import CHOSEN
from study.emoji import AUTOENCODER
from study.report import ReportData
from study.report.answer import get_answer
from study.report.findings import Findings
from study.report.sentences import Answer
from tests.study_tests.analysis import test_ablation, test_confirmation, test_experiment
from tests.study_tests.analysis.test_latents import with_area
from tests.study_tests.synthetic import SETTINGS, Values, classified, planted, study, trial

SEARCH = planted(24)
VALUES: dict[str, Values] = {
    "default": test_confirmation.BASE,
    "trial 10": test_confirmation.BETTER,
    "trial 20": [v + 0.001 * (-1) ** i for i, v in enumerate(test_confirmation.BETTER)],
}


def answer(record: StudyRecord, *followups: StudyRecord, n_left_out: int = 0) -> Answer:
    """Return what a study and what followed it say first."""
    data = ReportData(studies=(record,), followups=followups, n_left_out=n_left_out)
    return get_answer(Findings(data))


def confirmed(values: dict[str, Values], *more: StudyRecord, of: StudyRecord = SEARCH) -> Answer:
    """Return the answer of a search whose trial ``10 * i`` is the arm in place ``i``."""
    seconds = {name: 60.0 / (1 + i) for i, name in enumerate(values)}
    promised = dict.fromkeys(list(values)[1:], 0.02)
    made = test_confirmation.record(values, promised=promised, seconds=seconds)
    return answer(of, made, *more, n_left_out=len(SEARCH.trials) - len(of.trials))


def test_a_confirmed_winner() -> None:
    """What is as good is told, its settings are the trial's, what is not done yet comes next."""
    found = confirmed(VALUES)
    mean = "validation MSE 0.08705 in the mean of 5 fresh seeds."
    assert found.headline == f"Linear (trial 10): {mean}"
    sure, tied = found.doubt
    assert sure.endswith("% against the default’s 0.1091, lower with 5 of 5 seeds.")
    assert tied == "As good as trial 10, within 10\N{NO-BREAK SPACE}%: trial 20."
    assert found.use.settings.startswith("trial 10: a linear autoencoder with 20 epochs, ")
    assert found.use.expected == "in the search: validation MSE 0.07765"
    again = "emoji-study train --study planted --trial 10"
    assert found.use.command == again
    assert found.next[-1].command == "emoji-study ablate --study planted"
    last = confirmed(VALUES, test_ablation.record()).next[-1]
    assert (last.command, "50.0 s of training" in last.why) == (again, True)
    third = [value + 0.0005 for value in VALUES["trial 20"]]
    _, tied = confirmed({**VALUES, "trial 30": third}).doubt
    assert tied.endswith("%: trial 20 and trial 30.")
    assert [s.check for s in found.next] == ["length of the training", ""]  # said there alone
    # A page that holds a part of the trials knows its number alone.
    part = confirmed(VALUES, of=replace(SEARCH, trials=SEARCH.trials[:5]))
    assert (part.headline, part.use.settings) == (f"Trial 10: {mean}", "trial 10")
    assert "which held 5 of 24 trials" in part.sure[-1]


def test_a_setting_that_only_the_confirmation_tells() -> None:
    """The trials do not tell it, but two confirmed ones differ in it alone: both are said."""
    trials = list(SEARCH.trials)
    size = 48 - int(trials[10].params["batch_size"]) % 48
    trials[20] = replace(trials[20], params={**trials[10].params, "batch_size": size})
    worse = {**VALUES, "trial 20": [v * 1.5 for v in VALUES["trial 10"]]}
    (said,) = confirmed(worse, of=replace(SEARCH, trials=tuple(trials))).open
    assert "trials do not tell whether" in said
    assert said.endswith("; beside trial 10 batch size does: trial 20, with another, is worse.")


def test_what_a_confirmation_will_train() -> None:
    """The next step names and counts what the command trains, at the times these took."""
    trials = [
        replace(t, user_attrs={**t.user_attrs, "training_seconds": 500.0 if linear else 10.0})
        for t in SEARCH.trials
        for linear in [t.params["auto_encoder"] == "linear"]
    ]
    found = answer(replace(SEARCH, trials=tuple(trials)))
    told = "and trial 3, drawn from the middle third, again, 6 fresh seeds each (about"
    # Trial 3 alone is linear; the default takes the mean of the six: 42 * 550 / 6 seconds.
    assert found.next[-1].why == f"Train the best 5, the default {told} 1 h 4 min of training)."
    best = max(trials, key=lambda t: -(t.value or 1.0))
    default = {**AUTOENCODER.default, "epoch": 20}
    trials[best.number] = replace(best, params={k: default[k] for k in best.params})
    found = answer(replace(SEARCH, trials=tuple(trials)))
    told = f"Train the best 5, the default among them, {told} 55 min 0 s of training)."
    assert found.next[-1].why == told


def test_a_confirmed_default_and_one_seed_too_few() -> None:
    """The default is told as it was trained; two seeds confirm nothing, so more are next."""
    found = confirmed({"default": test_confirmation.BETTER, "trial 10": test_confirmation.BASE})
    assert found.headline.startswith("Default: validation MSE 0.08705")
    assert "against the default" not in found.doubt[0]
    assert found.use.settings == "the default: with learning rate 0.01"
    assert found.use.command is None
    # Beside trials that somebody named it may be the best, but then not of the search.
    arms = {"default": test_confirmation.BETTER, "trial 10": test_confirmation.BASE}
    made = test_confirmation.record(arms, roles={"trial 10": CHOSEN})
    found = answer(SEARCH, made)
    assert found.headline.startswith("Best so far: CNN (trial 18)")
    assert found.next[-1].command == "emoji-study confirm --study planted"
    found = confirmed({name: values[:2] for name, values in VALUES.items()})
    assert found.headline.startswith("Best so far: CNN (trial 18)")
    assert found.doubt[0].startswith(
        "Confirmed with too few seeds to tell: it is the lowest of 20"
    )
    assert found.next[-1].command == "emoji-study confirm --study planted"


ONE = trial(0, value=0.5, params={"auto_encoder": "CNN"}, attrs=classified((2, 18, 4, 8)))


@pytest.mark.parametrize(
    ("settings", "about", "kept"),
    [
        (
            {"sampler": "imported", "sides": ""},
            "2 trainings of small autoencoders: 2 complete. They were imported from a file.",
            "If the imported errors were measured on a test split, that split chose the best ",
        ),
        (
            {"split": "random", "vendors": ["google", "apple"]},
            "embedded images of google, with extra training images of apple. TPE, which learns",
            "The random split has variants of one emoji on both sides: errors look lower than ",
        ),
    ],
)
def test_where_the_numbers_come_from(settings: dict[str, Any], about: str, kept: str) -> None:
    """Imported results, other images and leaking splits are told where they change the meaning."""
    found = answer(study(ONE, trial(1, value=0.4), settings={**SETTINGS, **settings}))
    assert about in found.about
    assert found.sure[-1].startswith(kept)


def test_data_that_lost_rows() -> None:
    """What was left out of the data, or changed, is to be kept in mind."""
    told = {DATA_REMARKS: ["14 rows without the word “face” left out", "2 images all white"]}
    lost = replace(SEARCH, user_attrs={**SEARCH.user_attrs, **told})
    (more,) = set(answer(lost).sure).difference(answer(SEARCH).sure)
    assert more == "Of its data: 14 rows without the word “face” left out, 2 images all white."


def test_what_is_no_search_of_ours() -> None:
    """One trial is no sample, another program's study has no commands, arms are told as arms."""
    found = answer(study(ONE, settings=SETTINGS))
    assert found.about.startswith("1 training of small autoencoders on 105 images, judged on 35 ")
    assert found.doubt == ("Not confirmed yet: it is the only complete trial.",)
    assert found.ruler is None
    found = answer(study(ONE, trial(1, value=0.4)))
    assert found.headline == "Best so far: trial 1, objective value 0.4000."
    assert (found.use.command, found.next) == (None, ())


def test_an_experiment() -> None:
    """It leads with what is told, in whichever metric; what is not told is no part of the sure."""
    base, scattered = [0.1] * 7, [0.1, 0.2, 0.1, 0.09, 0.1, 0.3, 0.1]
    found = answer(test_experiment.record({"base": base, "arm": [0.2] * 7}), n_left_out=3)
    assert found.headline.startswith("Arm: the validation MSE is higher than with base by 100")
    assert "which held 14 of 17 trials" in found.sure[-1]
    found = answer(test_experiment.record({"base": base, "arm": [None] * 7}, follows=""))
    assert (found.headline, found.use) == ("Nothing has been found yet.", None)
    (step,) = found.next
    assert step.why == "Train what is missing."
    assert step.command == "emoji-study experiment test --study search-test --pairs 7"
    accuracies = {"base": scattered, "arm": [0.5 + x for x in scattered]}
    values = {"base": base, "arm": scattered}
    found = answer(test_experiment.record(values, accuracies=accuracies, follows=""))
    assert found.headline.startswith("Arm: the validation accuracy is higher than with base by 50")
    assert [text.partition(" (")[0] for text in found.sure] == [
        "Arm: the balanced accuracy is higher than with base by 50.0\N{NO-BREAK SPACE}points"
    ]
    assert found.open[0].startswith("Arm: cannot be told from base in validation MSE (")
    found = answer(test_experiment.record(values, follows=""))
    assert found.headline == (
        "Arm: validation MSE +27.2\N{NO-BREAK SPACE}% against base, "
        "which 7 pairs do not tell from chance."
    )
    same = dict.fromkeys(values, scattered)
    repeated = answer(test_experiment.record(same, follows=""))
    assert [step.why for step in repeated.next] == [
        "Pairs of seeds and splits that are new show whether it comes out once more."
    ]
    # A short training comes first; what is measured on request is told in one sentence.
    made = test_experiment.record(values, follows="")
    curve = {step: 2.0 - step / 40 for step in range(20)}
    trials = (
        with_area(replace(t, params={"epoch": 20}, intermediate_values=curve), 0.5 + t.number / 50)
        for t in made.trials
    )
    short = answer(replace(made, trials=tuple(trials)))
    assert "in twice as many epochs" in short.next[0].why
    assert "--study search-test-longer --pairs 7 --seed 1 --data-seed 49" in short.next[0].command
    assert short.next[0].command.endswith("--set epoch=40")
    n = int(found.open[0].rpartition("about ")[2].split()[0])
    assert f", about {n}, would tell such a difference of arm" in found.next[0].why
    assert f"--pairs {n} --seed 1 --data-seed 49" in found.next[0].command
