"""The report as a file: sections, numbers, escaping, self-containment."""

import base64
import gzip
import html
import json
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces import Parameter, Scalar, SearchSpace
from storage.attrs import KIND, REUSED_FROM
from storage.records import StudyRecord
from study.analysis.distribution import get_distribution
from study.formats import (
    format_accuracy,
    format_count,
    format_duration,
    format_number,
    format_p_value,
    format_value,
    with_article,
)
from study.kind_info import KindInfo, KindSource
from study.kinds import File
from study.metrics import Metric
from study.report import ReportData, render_data
from study.report.pictures import DrawnImages, Picture, Pictures
from study.report.trials import get_columns
from tests.study_tests.analysis.test_isolation import with_param
from tests.study_tests.pages import render_report
from tests.study_tests.synthetic import (
    MARKUP,
    MULTITASK_SETTINGS,
    SETTINGS,
    START,
    classified,
    multitask,
    planted,
    planted_multitask,
    study,
    trial,
    with_choice,
)

GROUPS = ["holds", "mattered", "search", "models", "all", "again"]
SECTIONS = [
    *("isolation", "pair", "families", "parallel", "importance", "correlations"),
    *("history", "learning-curves", "distribution", "expected-best", "fidelity"),
    *("best-configuration", "cost", "trials", "failures"),
    *("reproduce", "key-numbers", "timeline", "tables"),
]
MISSING = ["confirmation", "ablation", "pictures", "latent-space"]
"""Sections that say why they are not there."""
CHARTS = [
    *("isolation", "pair", "parallel", "importance", "correlations", "history"),
    *("learning-curves", "distribution", "expected-best", "fidelity", "cost", "timeline"),
]
MULTITASK_SECTIONS = [
    *(*SECTIONS[:3], "branches", *SECTIONS[3:12], "trade-off", "metrics", "cost", "classes"),
    *SECTIONS[13:],
]
MULTITASK_CHARTS = [
    *("isolation", "isolation-validation_accuracy", "pair", "parallel"),
    *("importance", "importance-validation_accuracy"),
    *("correlations", "correlations-validation_accuracy"),
    *(*CHARTS[5:-2], "front", "metrics", "cost", "timeline"),
]
RECORD, CLASSIFYING = planted(), planted_multitask()
CNN = {"auto_encoder": "CNN", "epoch": 10, "learning_rate": 0.01}
VOID = {"meta", "link", "img", "br"}
EVIL = "</script><!--<img src=x onerror=alert(1)>'\""
"""A text that would end its script, its attribute or its comment where nobody escapes it."""
EVIL_BRANCHES = (f"{EVIL}0", f"{EVIL}1")


class Page(HTMLParser):
    """The parts of a page that the tests ask about."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text_by_section: dict[str, str] = {}
        self.inside = ["header"]
        self.feed(source)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.inside.append(dict(attrs).get("id") or "")
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "section":
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attrs, text = self.scripts.pop()
            self.scripts.append((attrs, text + data))
        elif self.open and self.open[-1] != "style":
            self.text_by_section[self.inside[-1]] = self.text(self.inside[-1]) + data

    def text(self, *sections: str) -> str:
        """Return the visible text of sections."""
        return "".join(self.text_by_section.get(section, "") for section in sections)

    def says(self, sections: str, *expected: str) -> None:
        """Check that some sections hold texts, whatever the spaces in these."""
        assert expected
        text = plain(self.text(*sections.split()))
        for one in expected:
            assert plain(one) in text

    def ids(self, tag: str) -> list[str | None]:
        """Return the ids of all elements of a kind, in order."""
        return [attrs.get("id") for name, attrs in self.tags if name == tag]

    def check(self, sections: list[str], charts: list[str]) -> None:
        """Check which sections and charts there are, the contents, and that ids differ."""
        assert [name for name in self.ids("section") if name not in GROUPS] == sections
        links = [attrs["href"] for tag, attrs in self.tags if tag == "a" and "class" not in attrs]
        assert links == [f"#{name}" for name in self.ids("section")]
        assert self.charts == charts
        assert "could not be made" not in self.source
        ids = [attrs["id"] for _, attrs in self.tags if "id" in attrs]
        assert len(ids) == len(set(ids))

    @property
    def commands(self) -> list[str]:
        """Return the commands that can be copied."""
        found = re.findall(r'<div class="command"><code>(.*?)</code>', self.source, re.DOTALL)
        return [html.unescape(text) for text in found]

    @property
    def charts(self) -> list[str]:
        """Return the keys of the charts that the page draws; charts beside each other have one."""
        found = (re.sub(r"-\d+$|(?<=-cost)-.*", "", place) for place in self.places)
        return [name.removeprefix("chart-") for name in dict.fromkeys(found)]

    @property
    def places(self) -> list[str]:
        """Return the ids of all charts."""
        return [i for i in self.ids("div") if i and i.startswith("chart-")]

    @property
    def figures(self) -> dict[str, Any]:
        """Return what scripts hold as JSON, by id."""
        return {
            str(attrs["id"]): json.loads(text)
            for attrs, text in self.scripts
            if attrs.get("type") == "application/json"
        }


def plain(text: str) -> str:
    """Return a text with one space wherever it has any."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def page(search_page: str) -> Page:
    """The report of the planted trials."""
    return Page(search_page)


@pytest.fixture(scope="module")
def classifying_page(multitask_page: str) -> Page:
    """The report of those that classify."""
    return Page(multitask_page)


def test_sections_are_complete_and_in_order(page: Page, classifying_page: Page) -> None:
    """Sections stand under a reader's questions; what a kind has not is not spoken of."""
    page.check(SECTIONS, CHARTS)
    classifying_page.check(MULTITASK_SECTIONS, MULTITASK_CHARTS)
    assert [name for name in page.ids("li") if name] == MISSING
    tags = [tag for tag, _ in page.tags]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert ("html", {"lang": "en"}) in page.tags
    text = " ".join(page.text_by_section.values())
    for word in ("accuracy", "constraint", "objectives", "Trade-off", "Strategies", "Classes"):
        assert word not in text


def test_tables_and_charts_have_names_of_their_own(classifying_page: Page) -> None:
    """Every table can be reached and scrolled by keyboard and told from the others."""
    roles = [attrs for _, attrs in classifying_page.tags if "role" in attrs]
    n_tables = [tag for tag, _ in classifying_page.tags].count("table")
    for role, n in (("region", n_tables), ("img", len(classifying_page.places) + 1)):
        labels = [attrs["aria-label"] for attrs in roles if attrs["role"] == role]
        assert len(labels) == len(set(labels)) == n
    assert {attrs.get("tabindex") for attrs in roles if attrs["role"] == "region"} == {"0"}


def test_the_first_screen_answers(page: Page) -> None:
    """What was found, on how much, what to use, how sure that is and what to do next."""
    best = RECORD.best
    header = plain(page.text("header"))
    page.says(
        "header",
        f"Best so far: CNN (trial {best.number}), validation MSE {format_number(best.value)} on "
        "35 validation images.",
        "Not confirmed yet: it is the lowest of 102 single trainings",
        "120 trainings of small autoencoders on 105 images, judged on 35 others: 102 complete, 12 "
        "pruned early; 6 of 120 trials failed. TPE, which learns from earlier trials, chose "
        "the settings in the extended space.",
        "Auto encoder CNN instead of linear: error × 0.32, medians 0.02492 and "
        "0.07831 of 53 and 49 trials.",
        "Learning rate 4.34e-3 to 0.0293 instead of up to 6.98e-4: error × 0.20, medians",
        "102 trials do not tell whether batch size",
        f"emoji-study train --study planted --trial {best.number}",
        "emoji-study confirm --study planted",
        "checks need a look: failed trials, length of the training",
    )
    for name, value in best.params.items():
        told = "a CNN" if value == "CNN" else f"{name.replace('_', ' ')} {format_value(value)}"
        told = f"{value} epochs" if name == "epoch" else told
        assert told in header
        page.says("best-configuration", name.replace("_", " "), format_value(value))
    marks = [attrs.get("class") for tag, attrs in page.tags if tag == "svg" and "x" in attrs]
    assert [str(c).split()[-1] for c in marks].count("pruned") == 12
    for key, value in SETTINGS.items():
        if key in ("sides", "min_accuracy", "pareto"):  # of every image; of other studies
            assert key.replace("_", " ") not in page.text("reproduce")
            continue
        told = "" if isinstance(value, dict) or value is None else str(value)
        page.says("reproduce", key.replace("_", " "), told)
    assert not any(tag == "img" for tag, _ in page.tags)


def test_commands_name_the_storage() -> None:
    """Each command is for the storage in which the report found the study, whatever its name."""
    record = replace(planted(24), name="it's mine")
    data = ReportData(studies=(record,), storage="sqlite:///a folder/study.db")
    page = Page(render_data(data))
    commands = [text for text in page.commands if "--study" in text]
    assert len(commands) > 5
    for text in commands:
        words = shlex.split(text)
        assert words[words.index("--storage") + 1] == "sqlite:///a folder/study.db", text
        assert words[words.index("--study") + 1] in [
            record.name + end for end in ("", "-wider", "-longer", "-again")
        ]
    where = "Commands are for the folder in which the report was made."
    page.says("header", where)
    plain = replace(study(trial(0, value=0.1)), user_attrs={})  # has no command
    assert where not in render_data(ReportData(studies=(plain,), storage="sqlite:///a/b.db"))


def test_choices_of_the_table_are_in_order() -> None:
    """Numbers stand by size, whole ones among the others."""
    values = [10.5, 10, 9, "a", True]
    made = with_param(values, [0.1] * 5, CategoricalDistribution(tuple(values)))
    assert (True, 9, 10, 10.5, "a") in {column.choices for column in get_columns(made)}


def test_trials_that_are_no_ordinary_ones_are_counted(page: Page) -> None:
    """What was taken up again is told from what was lost, answers from trainings."""
    failed = [trial(i, state=TrialState.FAIL, params=CNN) for i in range(3)]
    timed = {"retry_of": 0, "training_seconds": 9.0}
    again = [
        trial(3, value=0.1, params=CNN, curve=(0.3, 0.1), attrs=timed),
        trial(4, value=0.2, params=CNN, curve=(0.4, 0.2), attrs={"retry_of": 1}),
    ]
    reused = trial(5, value=0.1, params=CNN, attrs={REUSED_FROM: 3})
    odd = Page(render_report(study(*failed, *again, reused, settings=SETTINGS)))
    odd.says("header", "3 of 6 trials failed, 2 of which were made up for: 25 % of all settings")
    odd.says("trials", "Each training once")
    assert "Each training once" not in page.text("trials")
    odd.says("key-numbers", "1answered from another one’s")
    untimed = "1 curve is left out there, of a trial that stored no time"
    odd.says("learning-curves", untimed, "0.30000.10000.10009.04.5")
    page.says("learning-curves", "each of its epochs is taken to have lasted equally long.")


def test_tables_hold_the_numbers_behind_the_charts(page: Page) -> None:
    """Behind each chart is a table with its values."""
    for section in ("history", "learning-curves", "families", "trials", "isolation"):
        page.says(section, format_number(RECORD.best.value))
    assert re.search(r"learning rate\d\.\d\d", page.text("importance"))
    assert re.search(r"CNNlearning ratelog10\d+", page.text("correlations"))
    page.says("timeline", "100 % of the time.", "worker 2 (host)600.0 s1 h 0 min1 h 0 min100 %")
    for family in get_distribution(RECORD).families:
        quartiles = (family.lower_quartile, family.median, family.upper_quartile)
        page.says("distribution", "".join(map(format_number, quartiles)))


def test_many_trials_are_thinned_and_counted(search_page: str) -> None:
    """Charts say how many marks they show, long tables name the command that writes all rows."""
    many = [
        trial(i, value=1.0 + i, params=CNN, attrs=classified((i % 4, i % 19, i % 5, i % 9)))
        for i in range(2100)
    ]
    source = render_report(multitask(*many))
    page = Page(source)
    page.says(
        "history",
        "Shown are 2,000 of 2,100 trials with a value",
        "The table shows 200 of 2,100 rows",
        "emoji-study export --study multitask",
    )
    page.says("trade-off", "Shown are 2,000 of 2,100 trials")
    assert len(source.encode()) < 4_200_000
    assert len(search_page.encode()) < 2_600_000


def test_a_section_that_fails_costs_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its analysis or its template fails, all others stand."""
    monkeypatch.setattr("study.report.sections.history.get_history", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("study.report.sections.cost.get_costs", lambda _: [object()])
    monkeypatch.setattr("study.report.sections.cost.plot_costs", lambda *_: object())
    page = Page(render_report(planted(24)))
    page.says("history", "could not be made (ZeroDivisionError: division by zero).")
    page.says("cost", "could not be made (AttributeError: ")
    assert {"distribution", "trials", "reproduce"} <= set(page.ids("section"))


def test_importance_leads_with_one_method(page: Page) -> None:
    """A test is its check, PED-ANOVA stands folded, direction and size are told."""
    text = page.text("importance")
    assert "The test of each setting by itself agrees on auto encoder and learning rate." in text
    assert "A sampler that may have learned from earlier trials chose these, so there are" in text
    assert "Auto encoder CNN instead of linear: error × 0.32" in text
    assert text.count("By another method: PED-ANOVA") == 1
    assert "Hardly varied" not in text
    Page(render_report(replace(with_choice(3), user_attrs={"settings": SETTINGS}))).says(
        "importance",
        "Hardly varied, so importances say next to nothing of them: batch normalization (on in "
        "37 of 40 trials); emoji-study ablate measures",
    )


def test_an_experiment_is_no_search() -> None:
    """Neither an expected best nor a pruner is said of chosen arms."""
    experiment = {
        "name": "test",
        "question": "Which?",
        "arms": [{"name": arm, "params": {}, "split": "group"} for arm in "ab"],
        "sides": {"group": ["tvx"] * 12},
    }
    values = np.random.default_rng(0).random((12, 2)).tolist()
    trials = []
    for pair, arm in np.ndindex(12, 2):
        number, value, own = 2 * pair + arm, values[pair][arm], {"arm": "ab"[arm], "pair": pair}
        trials.append(trial(number, value=value, params=CNN, curve=(2.0, value), attrs=own))
    experiment["arms"][1]["split"] = "random"
    experiment["sides"]["random"] = ["ttvx"] * 6 + ["tvvx"] * 6
    attrs = {"settings": SETTINGS, "experiment": experiment}
    page = Page(render_report(replace(study(*trials), user_attrs=attrs)))
    page.says("experiment", "group 1 training, 1 validation and 1 test images; random 1 to 2 tr")
    page.says("reproduce", "group or random, by arm")
    sections = ["experiment", "trials", "reproduce", "key-numbers"]
    page.check(sections, ["experiment-validation-mse"])
    page.says("experiment", "Pair by pair", f"0{values[0][0]:.4f}{values[0][1]:.4f}")
    columns = [column["label"] for column in page.figures["trial-reading"]["columns"]]
    assert columns[:4] == ["trial", "state", "arm", "pair"]


def test_nothing_is_fetched(page: Page) -> None:
    """The library is there once, nothing names an address, and the policy forbids requests."""
    figures = page.figures
    assert figures.pop("trial-reading")
    assert set(figures) == {f"{place}-data" for place in page.places}
    assert all(figure["data"] for figure in figures.values())
    (library,) = [text for attrs, text in page.scripts if attrs.get("id") == "plotly"]
    assert gzip.decompress(base64.b64decode(library)).count(b"* plotly.js v") == 1
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attrs.get(name) or ""
            assert value == "" or value.startswith(("#", "data:")), (tag, name, value)
    style = page.source[page.source.index("<style>") : page.source.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    (policy,) = [
        attrs["content"]
        for tag, attrs in page.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert str(policy).startswith("default-src 'none'")
    assert "http" not in str(policy)


def test_markup_is_shown_and_never_run(page: Page) -> None:
    """Every failed trial is listed, and a failure message with tags appears as text."""
    failures = page.text("failures")
    found = [int(n) for n in re.findall(rf"(\d+)\s*{re.escape(MARKUP)}", failures)]
    assert found == [19, 39, 59, 79, 99, 119]
    assert MARKUP not in page.source
    assert "alert('x')" not in "".join(text for _, text in page.scripts)


def evil_kind() -> KindInfo:
    """Return a user's kind of whose texts each may hold anything."""
    accuracies = ("validation_accuracy", "validation_balanced_accuracy")
    names, branches = CategoricalDistribution([EVIL]), CategoricalDistribution(EVIL_BRANCHES)
    when = {"strategy": EVIL_BRANCHES[:1]}
    return KindInfo(
        name=EVIL,
        metrics=(
            Metric(name="validation_mse", label=f"{EVIL} 0", low=0, place=0),
            *(
                Metric(name=name, label=f"{EVIL} {name}", direction="maximize", low=0, high=1)
                for name in accuracies
            ),
        ),
        space=SearchSpace(
            name=EVIL,
            parameters=(
                Parameter(name="auto_encoder", distribution=names),
                Parameter(name="strategy", distribution=branches),
                Parameter(name="depending", distribution=IntDistribution(0, 1), when=when),
            ),
        ),
        fidelity="epoch",
        family="auto_encoder",
        files=(File(name="reconstructions.png", label=EVIL, picture=True),),
        source=KindSource(reference=EVIL, digest=EVIL),
    )


def test_markup_in_every_text_of_a_study_is_shown_as_text() -> None:
    """Names, parameters, settings, captions, classes, families and strategies hold anything."""
    trials = []
    for i in range(12):
        params: dict[str, Scalar] = {"auto_encoder": EVIL, "strategy": EVIL_BRANCHES[i % 2]}
        params["learning_rate"] = 0.001 * (i + 1)
        made = trial(
            i,
            value=0.1 + 0.01 * i,
            params=params,
            curve=(0.5, 0.1 + 0.01 * i),
            attrs=classified((i % 4, i, i % 5, i % 9), min_accuracy=0.1)
            | {"worker": f"{EVIL}:{i}"},
            started=START,
            completed=START + timedelta(minutes=1 + i),
        )
        own = {**made.distributions, "strategy": CategoricalDistribution(EVIL_BRANCHES)}
        trials.append(replace(made, distributions=own))
    counts = {f"{EVIL}{i}": n for i, n in enumerate((4, 20, 6, 10))}
    wrong = dict.fromkeys(("kind", "space", "sampler", "data", EVIL), EVIL)
    record = multitask(
        *trials,
        name=EVIL,
        settings={**MULTITASK_SETTINGS, **wrong},
        class_counts={"train": counts, "validation": counts},
    )
    record = replace(record, user_attrs={**record.user_attrs, KIND: evil_kind().to_dict()})
    page = Page(render_report(record, pictures=pictures_of(EVIL, EVIL, EVIL)))
    charts = [name for name in MULTITASK_CHARTS if not name.startswith("importance")]
    page.check(EVIL_SECTIONS, charts)
    assert page.text("classes").count(EVIL) >= 9
    assert EVIL in page.text("branches")
    assert [tag for tag, _ in page.tags].count("img") == 21
    assert all("onerror" not in attrs for _, attrs in page.tags)
    assert page.figures


PRUNED = trial(0, state=TrialState.PRUNED, params=CNN, curve=(0.5, 0.4))
FAILED = trial(0, state=TrialState.FAIL, attrs={"failure": "no memory"})
BARE, BROKEN = trial(0, value=0.2), trial(0, value=0.2, attrs=classified((0,) * 4, min_accuracy=1))
NOT_FINITE = (
    trial(0, value=math.inf, params=CNN, curve=(math.nan, math.inf)),
    trial(1, state=TrialState.RUNNING, params=CNN, curve=(math.nan, 0.3)),
)
CURVES = ["history", "learning-curves"]
BOTH = ["history", "history-validation_accuracy"]
EVIL_SECTIONS = [name for name in MULTITASK_SECTIONS if name != "failures"]
EVIL_SECTIONS.insert(1 + EVIL_SECTIONS.index("best-configuration"), "pictures")
PARETO = {**MULTITASK_SETTINGS, "pareto": True}
NONE = "No complete trial keeps the constraint yet, so none is the best."


@pytest.mark.parametrize(
    ("record", "charts", "headline"),
    [
        (study(settings=SETTINGS), [], "No trial has been run yet."),
        (study(), [], "No trial has been run yet."),
        (study(PRUNED, settings=SETTINGS), CURVES, "No trial is complete yet."),
        (study(FAILED, settings=SETTINGS), [], "No trial is complete yet."),
        (study(trial(0, state=TrialState.WAITING)), [], "No trial is complete yet."),
        (study(BARE, settings=SETTINGS), CURVES[:1], "Best so far: trial 0, validation MSE"),
        (study(BARE), CURVES[:1], "Best so far: trial 0, objective value 0.2000."),
        (study(*NOT_FINITE, settings=SETTINGS), CURVES, "Best so far: CNN (trial 0), validation"),
        (study(*NOT_FINITE), CURVES, "Best so far: trial 0, objective value infinity."),
        (multitask(settings=PARETO), [], "No trial has been run yet."),
        (multitask(BARE), CURVES[:1], "Best so far: trial 0, "),
        (multitask(BARE, settings=PARETO), CURVES[:1], "No complete trial has a value."),
        (multitask(BROKEN), ["history", "front"], NONE),
        (multitask(BROKEN, settings=PARETO), [*BOTH, "front"], NONE),
    ],
)
def test_every_unusual_study(record: StudyRecord, charts: list[str], headline: str) -> None:
    """Whatever is missing, the page stands, and sections that are not there say why."""
    page = Page(render_report(record))
    page.says("header", headline)
    missing = {str(name) for name in page.ids("li") if name}
    known = MULTITASK_SECTIONS if record.name == "multitask" else SECTIONS
    of_kinds = {"branches", "classes", "failures", "best-configuration"}
    of_kinds |= {"families", "pictures", "latent-space", "pair", "parallel", "metrics"}
    there = [name for name in known if name in page.ids("section")]
    page.check(there, charts)
    of_ours = set() if record.user_attrs else {"confirmation", "ablation"}
    assert {*known, *MISSING} - {*there, *missing} <= of_kinds | of_ours


def test_multitask_summary_names_accuracy_and_constraint(classifying_page: Page) -> None:
    """The best trial keeps the constraint, and the reader learns how many do not."""
    best = CLASSIFYING.best
    names = ("validation_accuracy", "validation_balanced_accuracy")
    accuracy, balanced = (format_accuracy(best.user_attrs[name]) for name in names)
    n = sum(not t.feasible for t in CLASSIFYING.trials)
    classifying_page.says(
        "header",
        f"validation MSE {format_number(best.value)}, validation accuracy {accuracy}, balanced "
        f"accuracy {balanced}.",
        f"{n} complete trials break the constraint, a validation accuracy of at least "
        f"{format_accuracy(0.7)}, and cannot be the best.",
        f"it is the lowest of {102 - n} single trainings",
    )
    for section in ("key-numbers", "best-configuration", "classes"):
        classifying_page.says(section, accuracy)
    classifying_page.says("branches", "joint", "sequential", "branched", "median accuracy")


def test_classes_say_why_accuracy_alone_misleads() -> None:
    """Counts, recalls and the matrix stand beside what guessing would reach."""
    strategy = {"strategy": "joint"}
    best = trial(3, value=0.3, params=strategy, attrs=classified((2, 18, 4, 8)))
    page = Page(render_report(multitask(best)))
    page.says(
        "classes",
        "Always guessing “human face”, the largest class, would already be right for",
        f"would be {format_accuracy(0.25)} for such a guess",
        f"Trial 3, the best, has an accuracy of {format_accuracy(0.8)}",
        f"human face6020{format_accuracy(0.5)}{format_accuracy(0.9)}",
        "human face01820",
    )
    assert "branches" not in page.ids("section")
    free = {**MULTITASK_SETTINGS, "min_accuracy": None}
    bare = Page(render_report(multitask(best, class_counts=None, settings=free)))
    assert "classes" not in bare.ids("section")
    assert "constraint" not in " ".join(bare.text_by_section.values())


def test_study_with_two_objectives_says_what_it_lacks(pareto_page: str) -> None:
    """There are no learning curves and no best trial; each objective has its history."""
    page = Page(pareto_page)
    first = MULTITASK_CHARTS.index("history")
    assert page.charts == [
        *(*MULTITASK_CHARTS[:first], *BOTH, "hypervolume"),
        *("distribution", "distribution-validation_accuracy"),
        *("front", "metrics", "cost", "timeline"),
    ]
    page.says("header", "are the best in validation MSE and validation accuracy together")
    page.says("search", "Learning curves: several objectives have no intermediate values.")
    page.says("hypervolume", "The point of reference is the worst value of each")


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (format_value, {0.001: "1e-3", 0.00951: "9.51e-3", 0.01: "0.01", 0.1: "0.1", 0.0: "0"}),
        (format_value, {1e-5: "1e-5", 16: "16", True: "on", False: "off", "CNN": "CNN"}),
        (format_value, {None: "–"}),
        (format_number, {0.0123456: "0.01235", 0.2: "0.2000", 0.0: "0.000"}),
        (format_number, {1.5e-7: "1.500e-7", 9999.7: "1.000e4"}),
        (format_number, {math.inf: "infinity", -math.inf: "minus infinity", None: "–"}),
        (format_count, {1000: "1,000", 1.52: "1.52", None: "–"}),
        (format_duration, {0.04: "0.0 s", 50: "50.0 s", 59.97: "1 min 0 s", 5340: "1 h 29 min"}),
        (format_duration, {None: "–"}),
        (format_p_value, {0.0004: "<\N{NO-BREAK SPACE}0.001", 0.04: "0.040"}),
        (format_accuracy, {0.84567: "84.6\N{NO-BREAK SPACE}%", 1.0: "100.0\N{NO-BREAK SPACE}%"}),
        (format_accuracy, {None: "–"}),
        (with_article, {noun: f"an {noun}" for noun in ("f1", "R2 score", "nll", "rmse", "MSE")}),
        (with_article, {noun: f"a {noun}" for noun in ("value", "loss", "b1", "macro f1")}),
    ],
)
def test_values_are_written_in_short(form: Callable[[Any], str], written: dict[Any, str]) -> None:
    """Orders of magnitude are readable, errors line up, and nothing looks like a literal."""
    assert {value: form(value) for value in written} == written
    assert format_value({"epoch": 20, "learning_rate": 0.001}) == "epoch 20, learning_rate 1e-3"
    assert format_value({}) == "–"


PNG = b"\x89PNG of "


def pictures_of(*texts: str) -> Pictures:
    """Return pictures by the trials 1, 2 and 3, of three images that show these texts."""
    roles = zip(texts, ("lowest", "median", "highest"), (0.005, 0.015, 0.025), strict=True)
    pictured = {name: PNG + name.encode() for name in ("original", "reconstruction", "error_map")}
    return Pictures(
        caption="trial 1, validation MSE 0.01000",
        drawn_by=1,
        ranked=tuple(Picture(text=t, role=role, mse=mse, **pictured) for t, role, mse in roles),
        full_difference=0.5,
        texts=texts,
        originals=tuple(PNG + f"fixed {i}".encode() for i in range(3)),
        trials=tuple(
            DrawnImages(
                caption=f"{role}: trial {number}, validation MSE 0.0{number}000",
                drawn_by=number,
                reconstructions=tuple(PNG + f"{role} {i}".encode() for i in range(3)),
                errors=tuple(0.01 * number + 0.001 * i for i in range(3)),
            )
            for number, role in enumerate(("best", "median", "worst"), start=1)
        ),
    )


def test_pictures_are_described() -> None:
    """Each image has a description, escaped, and beside it stand caption, role and error."""
    texts = (MARKUP, 'a "quote"', "cat face")
    pictures = pictures_of(*texts)
    page = Page(render_report(planted(2), pictures=pictures))
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    parts = ("original", "reconstruction by trial 1", "error map")
    ranked = [f"{text}, {part}" for text in texts for part in parts]
    fixed = [f"{text}, original" for text in texts]
    drawn = [
        f"{text}, reconstruction by trial {number}, MSE 0.0{number}{i}00"
        for number in (1, 2, 3)
        for i, text in enumerate(texts)
    ]
    assert [image["alt"] for image in images] == [*fixed, *drawn, *ranked]
    contents = [base64.b64decode(str(image["src"]).split(",")[1]) for image in images]
    assert contents == [
        *pictures.originals,
        *(png for trial in pictures.trials for png in trial.reconstructions),
        *(p for q in pictures.ranked for p in (q.original, q.reconstruction, q.error_map)),
    ]
    assert "<script>alert" not in page.source
    assert plain(page.text("pictures")).count(MARKUP) == 1
    page.says(
        "pictures",
        "Trial 1, validation MSE 0.01000: the validation images with the lowest",
        'a "quote" median: MSE 0.01500 cat face highest: MSE 0.02500',
        "White is no difference, the darkest blue 0.5 or more",
        "What other trials make of 3 images stands at the top",
    )
    page.says("header", "Best: trial 1, 0.01000", "Worst: trial 3")
