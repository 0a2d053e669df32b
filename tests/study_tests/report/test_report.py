"""The report as a file: sections, numbers, escaping, self-containment."""

import base64
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from search_spaces import Parameter, SearchSpace
from storage.attrs import KIND, REUSED_FROM
from storage.records import Scalar, StudyRecord, TrialRecord
from study.analysis.correlation import get_correlations
from study.analysis.distribution import get_distribution
from study.analysis.expected_best import get_expected_best
from study.analysis.fidelity import get_fidelity, replay_pruners, suggest_pruner
from study.analysis.isolation import get_isolation
from study.analysis.tables import get_all_groups, get_groups, get_top_families
from study.formats import (
    format_accuracy,
    format_coefficient,
    format_duration,
    format_mse,
    format_p_value,
    format_percent,
    format_value,
)
from study.kind_info import KindInfo, KindSource
from study.kinds import File
from study.metrics import Metric
from study.report.pictures import DrawnImages, Picture, Pictures
from tests.study_tests import pages
from tests.study_tests.pages import render_report
from tests.study_tests.synthetic import (
    MARKUP,
    MULTITASK_SETTINGS,
    SETTINGS,
    START,
    VALIDATION_ACCURACY,
    VALIDATION_MSE,
    classified,
    multitask,
    planted,
    planted_multitask,
    study,
    trial,
    with_choice,
)

SECTIONS = [
    *("verdict", "checks", "key-numbers", "best-configuration", "confirmation", "pictures"),
    *("importance", "correlations", "isolation", "history", "incumbents", "learning-curves"),
    *("timeline", "distribution", "expected-best", "families", "cost", "latent-space"),
    *("fidelity", "ablation", "tables", "failures", "best-trials", "trials", "reproduce"),
]
CHARTS = [
    *("importance", "correlations", "isolation", "history"),
    *("learning-curves", "learning-curves-seconds"),
    *("timeline", "distribution", "expected-best", "cost", "fidelity"),
]
MULTITASK_SECTIONS = [*SECTIONS[:16], "branches", "trade-off", "cost", "classes", *SECTIONS[17:]]
MULTITASK_CHARTS = [
    *("importance", "importance-validation_accuracy"),
    *("correlations", "correlations-validation_accuracy"),
    *("isolation", "isolation-validation_accuracy"),
    *CHARTS[3:-2],
    *("front", "cost", "fidelity"),
]
N_TABLES = 4
"""Parameters of the planted studies, of either kind, that have a table of their values."""

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
        self.section = "header"
        self.feed(source)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs).get("id") or ""
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attrs, text = self.scripts.pop()
            self.scripts.append((attrs, text + data))
        elif self.open and self.open[-1] != "style":
            self.text_by_section[self.section] = self.text(self.section) + data

    def text(self, *sections: str) -> str:
        """Return the visible text of sections."""
        return "".join(self.text_by_section.get(section, "") for section in sections)

    def ids(self, tag: str) -> list[str | None]:
        """Return the ids of all elements of a kind, in order."""
        return [attrs.get("id") for name, attrs in self.tags if name == tag]

    def check(self, sections: list[str], charts: list[str]) -> None:
        """Check which sections and charts there are, the contents, and that ids differ."""
        assert self.ids("section") == sections
        links = [attrs["href"] for tag, attrs in self.tags if tag == "a"]
        assert links == ["#main", *(f"#{section}" for section in sections)]
        assert self.charts == charts
        ids = [attrs["id"] for _, attrs in self.tags if "id" in attrs]
        assert len(ids) == len(set(ids))

    @property
    def n_details(self) -> int:
        """Return how many parts can be opened, the filters of trials left out."""
        kinds = [attrs.get("class") for tag, attrs in self.tags if tag == "details"]
        return len(kinds) - kinds.count("filters")

    @property
    def charts(self) -> list[str]:
        """Return the keys of the charts that the page draws."""
        found = [i for i in self.ids("div") if i and i.startswith("chart-")]
        return [name.removeprefix("chart-") for name in found]

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


def of_curves(curves: Sequence[Sequence[float]]) -> StudyRecord:
    """Return a study of complete trials with these curves, valued by their lowest error."""
    return study(
        *(
            trial(i, value=float(min(curve)), params=CNN, curve=tuple(map(float, curve)))
            for i, curve in enumerate(curves)
        ),
        settings=SETTINGS,
    )


@pytest.fixture(scope="module")
def record() -> StudyRecord:
    """120 trials with a planted answer."""
    return planted()


@pytest.fixture(scope="module")
def page() -> Page:
    """Their report."""
    return Page(pages.search_page())


@pytest.fixture(scope="module")
def classifying() -> StudyRecord:
    """120 trials that classify, with a constraint."""
    return planted_multitask()


@pytest.fixture(scope="module")
def multitask_page() -> Page:
    """Their report."""
    return Page(pages.multitask_page())


def test_sections_are_complete_and_in_order(page: Page, multitask_page: Page) -> None:
    """Sections stand in a reader's order; what a kind has not is not spoken of."""
    page.check(SECTIONS, CHARTS)
    multitask_page.check(MULTITASK_SECTIONS, MULTITASK_CHARTS)
    tags = [tag for tag, _ in page.tags]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1] * 5
    assert ("html", {"lang": "en"}) in page.tags
    text = " ".join(page.text_by_section.values())
    for word in ("accuracy", "constraint", "objectives", "trade-off", "Strategies", "Classes"):
        assert word not in text


def test_summary_says_what_was_run_and_found(page: Page, record: StudyRecord) -> None:
    """Numbers stand in plain sentences, and so do the best parameters and how to train again."""
    text = page.text("header", "verdict")
    best = record.best
    assert best is not None
    saved = sum(20 - len(t.intermediate_values) for t in record.trials if t.value is None)
    failed = 6 * (20 - 3)
    for expected in (
        "holds 120 trials of the extended space, chosen by the TPE sampler: "
        "102 complete, 12 pruned, 6 failed.",
        f"The lowest validation MSE is {format_mse(best.value)}, reached by trial ",
        f"trial {best.number}, a CNN autoencoder with epoch 20, batch size",
        "others is learning rate, with",
        f"Pruning saved {saved - failed} of 2,280 epochs",
        "The TPE sampler chose trials by earlier results",
        "6 of 120 trials failed",
    ):
        assert expected in text
    text = page.text("best-configuration")
    for name, value in best.params.items():
        assert name.replace("_", " ") in text
        assert format_value(value) in text
    text = page.text("reproduce")
    command = f"emoji-study train --study planted --trial {best.number}"
    assert command in text
    for key, value in SETTINGS.items():
        if key in ("sides", "min_accuracy", "pareto"):  # of every image; of other studies
            assert key.replace("_", " ") not in text
            continue
        assert key.replace("_", " ") in text
        assert isinstance(value, dict) or value is None or str(value) in text
    assert not any(tag == "img" for tag, _ in page.tags)
    assert plain(page.text("pictures")).endswith(f"are not stored. {command} makes them.")


def test_interrupted_trials_are_no_failed_ones() -> None:
    """What another trial took up again is told apart from what was lost."""
    failed = [trial(i, state=TrialState.FAIL, params=CNN) for i in range(3)]
    again = [trial(3 + i, value=0.1, params=CNN, attrs={"retry_of": i}) for i in range(2)]
    text = Page(render_report(study(*failed, *again))).text("verdict")
    assert "1 of 5 trials failed and count in no statistic." in text
    assert "2 of 5 trials were interrupted or failed and begun again" in text
    text = Page(render_report(study(failed[0], again[0]))).text("verdict")
    assert "1 of 2 trials was interrupted or failed and begun again" in text
    assert "trials failed and count" not in text


def test_best_trials_say_what_they_leave_out(page: Page) -> None:
    """Where trials were answered from another one's training, the table says so."""
    reused = trial(1, value=0.1, attrs={REUSED_FROM: 0})
    twins = Page(render_report(study(trial(0, value=0.1), reused)))
    assert "Each training once" in twins.text("best-trials")
    assert "1answered from another one’s" in plain(twins.text("key-numbers"))
    assert "Each training once" not in page.text("best-trials")


def test_tables_hold_the_numbers_behind_the_charts(page: Page, record: StudyRecord) -> None:
    """Behind each chart is a table with its values; of isolation a row for every value."""
    assert page.n_details == len(CHARTS) - 1 + N_TABLES  # both charts of curves share a table
    assert record.best is not None
    best = format_mse(record.best.value)
    for section in ("history", "learning-curves", "families", "best-trials"):
        assert best in page.text(section)
    assert re.search(r"learning rate0\.\d{3}", page.text("importance"))
    assert re.search(r"CNNlearning ratelog10\d+", page.text("correlations"))
    text = plain(page.text("isolation"))
    assert "The TPE sampler was adaptive" in text
    for parameter in get_isolation(record).parameters:
        for value in parameter.values:
            name = format_value(value.value)
            if value.low is not None:
                name = f"{format_value(value.low)} to {format_value(value.high)}"
            numbers = f"{value.n_trials}{format_mse(value.best)}{value.best_number}"
            others = "".join(map(format_mse, (value.second, value.median, value.expected)))
            row = f"{parameter.name.replace('_', ' ')}{name}{numbers}{others}{parameter.n_equal}"
            assert row in text


def test_timeline_and_distribution_say_their_numbers(page: Page, record: StudyRecord) -> None:
    """Workers, time, utilisation and quartiles are those of the analyses."""
    text = plain(page.text("timeline"))
    assert "2 worker processes ran 120 trials in 1 h 0 min; between first start and last" in text
    assert "busy 100 % of the time." in text
    assert "worker 2 (host)600.0 s1 h 0 min1 h 0 min100 %0.0 s" in text
    text = page.text("distribution")
    for family in get_distribution(record).families:
        quartiles = (family.lower_quartile, family.median, family.upper_quartile)
        lowest = format_mse(family.steps[0].value)
        assert f"{family.family}{family.n_trials}{lowest}" in text
        assert "".join(map(format_mse, quartiles)) in text


def test_curves_over_time_say_what_they_suppose(page: Page) -> None:
    """Equal epochs are supposed, and curves without a time are counted."""
    supposed = "each of its epochs is taken to have lasted equally long."
    assert supposed in page.text("learning-curves")
    timed = trial(0, value=0.1, params=CNN, curve=(0.3, 0.1), attrs={"training_seconds": 9.0})
    bare = trial(1, value=0.2, params=CNN, curve=(0.4, 0.2))
    text = plain(Page(render_report(study(timed, bare))).text("learning-curves"))
    assert "Left out are 1 curves" not in text
    assert "Left out is 1 curve of a trial that stored no time" in text
    assert "0.30000.10000.10009.04.5" in text


def test_many_trials_are_thinned_in_charts_and_counted() -> None:
    """Captions say how many of how many marks are shown, and the page stays bounded."""
    attrs = [classified((i % 4, i % 19, i % 5, i % 9)) for i in range(2100)]
    many = [trial(i, value=1.0 + i, params=CNN, attrs=own) for i, own in enumerate(attrs)]
    source = render_report(multitask(*many))
    page = Page(source)
    assert "Shown are 2,000 of 2,100 trials with a value" in page.text("history")
    assert "Shown are 2,000 of 2,100 trials" in page.text("trade-off")
    assert len(source.encode()) < 6_500_000
    assert len(pages.search_page().encode()) < 5_200_000


@pytest.mark.slow
def test_size_of_a_long_search_is_bounded() -> None:
    """Almost all of the file is the drawing library, whatever the number of trials."""
    assert len(render_report(planted(1000)).encode()) < 6_500_000


def test_long_tables_say_what_they_leave_out() -> None:
    """Above 500 rows the page names the command that writes all of them."""
    trials = [trial(i, value=0.1 + i, params=CNN) for i in range(501)]
    text = Page(render_report(study(*trials))).text("history")
    assert "The table shows 500 of 501 rows" in text
    assert "emoji-study export --study study" in text


def test_correlations_show_intervals_and_adjusted_p_values(
    page: Page, multitask_page: Page
) -> None:
    """Every coefficient has its interval, partial coefficient and adjusted p-value in a row."""
    text = page.text("correlations")
    number = "[+\N{MINUS SIGN}]\\d\\.\\d\\d"
    p = "(<\N{NO-BREAK SPACE}0\\.001|[01]\\.\\d{3})"
    row = f"CNNweight decaylog10\\d+({number}){number} to {number}{p}{p}{number}\\d+{number}"
    assert re.search(row, text)
    assert "1,000 bootstrap resamples" in text
    assert re.search("Of 102 complete trials, 9 were drawn before results could guide", text)
    assert "Adaptive search." in text
    assert "--independent shows the coefficients of these alone" in plain(text)
    assert "Parameters without an order" not in text
    text = multitask_page.text("correlations")
    assert text.count("Parameters without an order") == 2
    assert re.search(r"CNNstrategybranched 0\.0\d+ \(\d+\), joint 0\.0\d+ \(\d+\)", text)
    assert re.search(r"CNNstrategybranched \d\d\.\d.% \(\d+\), joint", text)


def test_importance_compares_methods_by_branch(page: Page) -> None:
    """Beside PED-ANOVA stand permutation and fANOVA; what hardly varied is told."""
    text = page.text("importance")
    for family in ("CNN", "linear"):
        assert f"Other methods: {family}" in text
    assert text.count("of trials that it has not seen with R2 = +0.9") == 2
    assert text.count("PED-ANOVA, fANOVA and permutation put learning rate first.") == 2
    assert text.count("No interaction of the most important parameters") == 2
    assert "parameterpermutation95 % intervalplacesPED-ANOVA" in text
    assert (
        "Within the best tenth: region, the best 10\N{NO-BREAK SPACE}% of the complete and" in text
    )
    assert "Hardly varied" not in text
    text = plain(Page(render_report(with_choice(3))).text("importance"))
    assert (
        "Hardly varied, so their shares say next to nothing of them: batch normalization (on in "
        "37 of 40 trials); emoji-study ablate measures" in text
    )


def test_few_trials_and_independent_ones(record: StudyRecord) -> None:
    """Few trials are left to PED-ANOVA; correlations can be had of those drawn at random."""
    few = replace(record, trials=record.trials[:40])
    page = Page(render_report(few, correlated="independent"))
    text = page.text("importance")
    assert re.search(r"Other methods: CNN\s+Too few trials: \d+ of at least 30\.", text)
    assert "PED-ANOVA stands alone." in text
    assert "there are no shares. The best 10\N{NO-BREAK SPACE}% of 38 complete and" in text
    assert "R2 =" not in text
    own = get_correlations(few, trials="independent")
    text = plain(page.text("correlations"))
    assert own.n_trials == 9
    assert "Only the 9 complete trials that were drawn before results" in text
    assert "Adaptive search." not in text
    spearman = [p.spearman.value for f in own.families for p in f.parameters if p.spearman.value]
    assert spearman
    assert all(format_coefficient(value) in text for value in spearman)


def test_expected_best_says_how_many_trials_come_close(page: Page, record: StudyRecord) -> None:
    """Sentence, caution and table hold the numbers of the analysis."""
    info = get_expected_best(record)
    text = plain(page.text("expected-best"))
    first, last = info.points[0], info.points[-1]
    assert info.n_close is not None
    assert info.seconds_per_trial == 50
    assert (
        f"expected to reach a validation MSE of {format_mse(first.value)}, the best of all 102 is "
        f"{format_mse(last.value)}. The best of {info.n_close} is expected to come within 5 % of "
        f"that, after {format_duration(info.n_close * 50)} of training at 50.0 s a trial." in text
    )
    assert info.caution is not None
    assert info.caution in text
    assert "beyond about 20 trials it is too short" in text
    for p in (first, last):
        interval = f"{format_mse(p.low)} to {format_mse(p.high)}"
        time = f"{format_duration(p.seconds)}{50 * p.n:,}"
        assert f"{p.n}{format_mse(p.value)}{interval}{time}" in text


def test_fidelity_says_when_the_order_shows(page: Page, record: StudyRecord) -> None:
    """Sentence, caution and table hold the numbers of the analysis."""
    info = get_fidelity(record)
    text = plain(page.text("fidelity"))
    first, last = info.points[0], info.points[-1]
    assert first.low is not None
    assert (
        f"with the final one by a rank correlation of {format_coefficient(first.spearman)} (95 % "
        f"interval {format_coefficient(first.low)} to {format_coefficient(first.high)})" in text
    )
    assert "All of them reached epoch 20, the longest 20." in text
    assert info.caution is not None
    assert info.caution in text
    assert "had all of them ended worse than every complete one" in text
    cells = [
        *("20", "102", format_coefficient(last.spearman)),
        f"{format_coefficient(last.low)} to {format_coefficient(last.high)}",
        *("12", "11 %", format_coefficient(last.pruned_worst)),
        format_coefficient(last.pruned_best),
    ]
    assert "".join(cells) in text


def test_an_order_that_shows_late_or_never_is_said_to() -> None:
    """Beginnings that know nothing are followed by an epoch that does, or by none."""
    levels = np.random.default_rng(0).permutation(30) / 30
    late = of_curves([[5.0, 5.0, 4.5, level] for level in levels])
    text = Page(render_report(late)).text("fidelity")
    assert "by a rank correlation of –; from epoch 4 on, by at least +0.90" in text
    never = [replace(t, intermediate_values={0: 5.0 + t.number % 3, 1: 5.0}) for t in late.trials]
    text = Page(render_report(replace(late, trials=tuple(never)))).text("fidelity")
    assert "at no epoch that was looked at does it stay at +0.90 or above" in text


def test_the_pruner_to_use_is_named_as_an_option(page: Page, record: StudyRecord) -> None:
    """It saves most of those that hardly ever end the best trial; the table holds all others."""
    text = plain(page.text("fidelity"))
    info = replay_pruners(record)
    best = suggest_pruner(info)
    assert best is not None
    assert best.option == "halving"
    sentence = (
        f"the one that saves most is {best.name}: {format_percent(best.share_saved)} of the "
        f"epochs saved, the best trial ended in {best.n_best_pruned} of 20 orders. "
        "emoji-study run --pruner halving gives it to a new study."
    )
    assert plain(sentence) in text
    for replay in info.replays:
        option = f"--pruner {replay.option}" if replay.option else "–"
        cells = f"{option}{format_percent(replay.share_saved)}{replay.n_best_pruned}"
        assert plain(f"{replay.name}{cells}") in text
    assert "errors of 60 of 102 complete trials, the best and others at random" in text


def test_a_pruner_that_is_not_offered_is_named_beside_one_that_is() -> None:
    """Curves that are in the reverse order at first need more epochs than options give."""
    levels = 1 + np.random.default_rng(0).permutation(40) / 40
    record = of_curves([[9 - level] * 4 + [level] * 50 for level in levels])
    best, offered = (suggest_pruner(replay_pruners(record), offered=o) for o in (False, True))
    assert best is not None
    assert offered is not None
    assert (best.option, offered.option) == (None, "median")
    saved = format_percent(offered.share_saved)
    sentence = f"Of what emoji-study run offers it is --pruner median: {saved}"
    assert plain(sentence) in plain(Page(render_report(record)).text("fidelity"))


def test_where_all_pruners_do_harm_none_is_suggested() -> None:
    """The best trial looks worst until shortly before its end."""
    curves = [[2 + i / 30 + 1 / (1 + e) for e in range(40)] for i in range(30)]
    curves[7] = [*[9.0] * 36, 0.5, 0.5, 0.5, 0.5]
    text = plain(Page(render_report(of_curves(curves))).text("fidelity"))
    assert "No pruner that saves epochs ends the best trial in at most" in text
    assert "emoji-study run --pruner none is the safe choice" in text


def test_tables_of_the_original_hold_its_numbers(page: Page, record: StudyRecord) -> None:
    """Counts, means and medians by parameter, the family first; families among the best 50."""
    text = page.text("tables")
    assert "Families among the best 50" in text
    for f in get_top_families(record).families:
        cells = f"{f.n_top}{f.n_trials}{f.best_number}{format_mse(f.best)}{f.best_rank}"
        assert f"{f.name}{cells}" in text
    groups = get_all_groups(record)
    assert len(groups) == N_TABLES
    places = []
    for info in groups:
        places.append(text.index(f"{info.parameter.replace('_', ' ')}trialsmean"))
        for group in info.groups:
            cells = f"{group.n_trials}{format_mse(group.mean)}{format_mse(group.median)}"
            assert f"{format_value(group.value)}{cells}" in text
    assert places == sorted(places)
    assert "learning rate" not in text


def test_multitask_tables_have_both_orders(multitask_page: Page, classifying: StudyRecord) -> None:
    """The best 50 by error and by accuracy, and groups of both."""
    text = multitask_page.text("tables")
    for metric in (VALIDATION_MSE, VALIDATION_ACCURACY):
        assert f"Families among the best 50 by {metric.label}" in text
        for group in get_groups(classifying, "strategy", metric=metric).groups:
            form = format_accuracy if metric.maximise else format_mse
            assert f"{group.value}{group.n_trials}{form(group.mean)}{form(group.median)}" in text
    top = get_top_families(classifying, metric=VALIDATION_ACCURACY).families[0]
    row = f"{top.name}{top.n_top}{top.n_trials}{top.best_number}{format_accuracy(top.best)}"
    assert row in text
    assert "by validation accuracy, the highest first" in text


def test_tables_of_one_configuration_are_empty() -> None:
    """Nothing varies, so there is no parameter to group by."""
    trials = (trial(i, value=0.1 + i, params=CNN) for i in range(3))
    text = Page(render_report(study(*trials, settings=SETTINGS))).text("tables")
    assert "CNN3300.10001" in text  # among the best, complete, best trial, its error, its place
    assert "No parameter of the complete trials has 2 to 12 values." in text


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
    attrs = {"settings": SETTINGS, "experiment": experiment}
    page = Page(render_report(replace(study(*trials), user_attrs=attrs)))
    of_searches = ("confirmation", "ablation", "cost")
    first, *searched = [name for name in SECTIONS if name not in of_searches]
    assert page.ids("section") == [first, "experiment", *searched]
    assert not {"isolation", "expected-best", "fidelity"} & set(page.charts)
    assert "compares chosen arms, not a sample of a space" in page.text("isolation")
    for section in ("expected-best", "fidelity"):
        assert "compares chosen arms and is no search" in page.text(section)


def test_nothing_is_fetched(page: Page) -> None:
    """The library is there once, nothing names an address, and the policy forbids requests."""
    figures = page.figures
    assert figures.pop("trial-reading")
    assert set(figures) == {f"chart-{key}-data" for key in CHARTS}
    assert all(figure["data"] for figure in figures.values())
    assert page.source.count("* plotly.js v") == 1
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
            Metric(name="validation_mse", label=f"{EVIL} 0", low=0, objective=True),
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
            attrs=classified((i % 4, i, i % 5, i % 9), min_accuracy=0.3)
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
    page.check([s for s in MULTITASK_SECTIONS if s != "latent-space"], MULTITASK_CHARTS)
    assert page.text("classes").count(EVIL) >= 9
    assert EVIL in page.text("branches")
    assert [tag for tag, _ in page.tags].count("img") == 21
    assert all("onerror" not in attrs for _, attrs in page.tags)
    assert page.figures


Trials = tuple[TrialRecord, ...]
PRUNED = (trial(0, state=TrialState.PRUNED, params=CNN, curve=(0.5, 0.4)),)
FAILED = (trial(0, state=TrialState.FAIL, attrs={"failure": "no memory"}),)
WAITING = (trial(0, state=TrialState.WAITING),)
ONE = (trial(0, value=0.2, params=CNN),)
NOT_FINITE = (
    trial(0, value=math.inf, params=CNN, curve=(math.nan, math.inf)),
    trial(1, state=TrialState.RUNNING, params=CNN, curve=(math.nan, 0.3)),
)
CURVES = ["history", "learning-curves"]


@pytest.mark.parametrize(
    ("trials", "charts", "sentence", "settings"),
    [
        ((), [], "has no trials yet", SETTINGS),
        ((), [], "has no trials yet", None),
        (PRUNED, CURVES, "No trial is complete", SETTINGS),
        (FAILED, [], "1 failed", SETTINGS),
        (WAITING, [], "1 waiting", None),
        (ONE, ["history"], "lowest validation MSE is 0.2000", SETTINGS),
        (ONE, ["history"], "lowest objective value is 0.2000", None),
        ((trial(0, value=0.2),), ["history"], "reached by trial 0.", SETTINGS),
        ((trial(0, value=0.2),), ["history"], "reached by trial 0.", None),
        (NOT_FINITE, CURVES, "1 complete, 1 running", SETTINGS),
        (NOT_FINITE, CURVES, "1 complete, 1 running", None),
    ],
)
def test_every_unusual_study_has_a_report(
    trials: Trials, charts: list[str], sentence: str, settings: dict[str, Any] | None
) -> None:
    """Whatever is missing, all sections stand and say why they are empty."""
    page = Page(render_report(study(*trials, settings=settings)))
    of_kinds = ("pictures", "families", "latent-space")
    page.check([s for s in SECTIONS if settings or s not in of_kinds], charts)
    assert sentence in page.text("header", "verdict")
    assert all(page.text(str(section)).strip() for section in page.ids("section"))
    for key in set(CHARTS) - set(charts) - {"learning-curves-seconds"}:
        assert "emoji-study run" in page.text(key)


def test_multitask_tables_are_regions_with_names_of_their_own(multitask_page: Page) -> None:
    """Every table can be reached and scrolled by keyboard and told from the others."""
    regions = [attrs for _, attrs in multitask_page.tags if attrs.get("role") == "region"]
    labels = [attrs["aria-label"] for attrs in regions]
    assert len(labels) == len(set(labels)) == [t for t, _ in multitask_page.tags].count("table")
    assert {attrs.get("tabindex") for attrs in regions} == {"0"}
    charts = [
        attrs["aria-label"] for _, attrs in multitask_page.tags if attrs.get("role") == "img"
    ]
    assert len(charts) == len(set(charts)) == len(MULTITASK_CHARTS)
    assert multitask_page.n_details == len(MULTITASK_CHARTS) - 1 + N_TABLES


def test_multitask_summary_names_accuracy_and_constraint(
    multitask_page: Page, classifying: StudyRecord
) -> None:
    """The best trial keeps the constraint, and the reader learns how many do not."""
    text = multitask_page.text("header", "verdict")
    best = classifying.best
    assert best is not None
    names = ("validation_accuracy", "validation_balanced_accuracy")
    accuracy, balanced = (format_accuracy(best.user_attrs[name]) for name in names)
    n = sum(not t.feasible for t in classifying.trials)
    for expected in (
        f"of the trials that keep the constraint is {format_mse(best.value)}",
        f"Its validation accuracy is {accuracy}, its balanced accuracy {balanced}.",
        f"at least {format_accuracy(0.7)}; {n} of 102 complete trials break this",
        "best tenth of the trials by validation MSE from the others is learning rate",
        "trials by validation accuracy from the others is classification lambda",
        f"Not confirmed yet: the best value is the lowest of {102 - n},",
    ):
        assert expected in text
    assert "Two objectives" not in text
    for section in ("key-numbers", "best-configuration", "classes"):
        assert accuracy in multitask_page.text(section)


def test_trade_off_names_the_ends_of_the_front() -> None:
    """One sentence says what the lowest error and the highest accuracy cost."""
    record = multitask(
        trial(0, value=0.1, attrs=classified((1, 12, 3, 6), min_accuracy=0.7)),
        trial(1, value=0.3, attrs=classified((2, 18, 4, 8), min_accuracy=0.7)),
        trial(2, value=0.4, attrs=classified((1, 12, 3, 6), min_accuracy=0.7)),
    )
    text = Page(render_report(record)).text("trade-off")
    assert (
        f"The lowest validation MSE, 0.1000 of trial 0, comes with a validation accuracy of "
        f"{format_accuracy(0.55)}; the highest validation accuracy, {format_accuracy(0.8)} of "
        "trial 1, with an MSE of 0.3000." in text
    )
    assert "Hollow marks break the constraint" in text
    one = Page(render_report(multitask(record.trials[1]))).text("trade-off")
    assert "Trial 1 has both the lowest validation MSE, 0.3000, and the highest" in one
    assert "Hollow" not in one


def test_classes_say_why_accuracy_alone_misleads() -> None:
    """Counts, recalls and the matrix stand beside what guessing would reach."""
    strategy = {"strategy": "joint"}
    best = trial(3, value=0.3, params=strategy, attrs=classified((2, 18, 4, 8)))
    page = Page(render_report(multitask(best)))
    text = page.text("classes")
    assert "Always guessing “human face”, the largest class, would already be right for" in text
    assert f"would be {format_accuracy(0.25)} for such a guess" in text
    assert f"Trial 3, the best, has an accuracy of {format_accuracy(0.8)}" in text
    assert f"human face6020{format_accuracy(0.5)}{format_accuracy(0.9)}" in text
    assert "human face01820" in text
    assert "do not differ in their strategy" in page.text("branches")
    bare = Page(render_report(multitask(best, class_counts=None)))
    assert bare.ids("section") == [s for s in MULTITASK_SECTIONS if s != "classes"]


def test_infeasible_trials_are_marked_in_words() -> None:
    """The constraint has a column of its own in the tables of trials."""
    kept = trial(0, value=0.3, attrs=classified((4, 20, 6, 10), min_accuracy=0.7))
    broken = trial(1, value=0.1, attrs=classified((1, 12, 3, 6), min_accuracy=0.7))
    page = Page(render_report(multitask(kept, broken)))
    for section in ("best-trials", "trade-off"):
        assert re.search(r"00\.3000\D*100\.0\D*100\.0\D*kept", page.text(section))
        assert re.search(r"10\.1000\D*55\.0\D*48\.8\D*broken", page.text(section))
    assert [attrs.get("class") for tag, attrs in page.tags if tag == "tr"].count("infeasible") == 1
    free = multitask(kept, settings={**MULTITASK_SETTINGS, "min_accuracy": None})
    assert "constraint" not in " ".join(Page(render_report(free)).text_by_section.values())


def test_study_with_two_objectives_says_what_it_lacks(multitask_page: Page) -> None:
    """There are no learning curves; the history shows the first objective."""
    text = multitask_page.text("branches")
    assert all(name in text for name in ("joint", "sequential", "branched", "median accuracy"))
    page = Page(pages.pareto_page())
    curves = ("learning-curves", "learning-curves-seconds", "fidelity")
    assert page.charts == [chart for chart in MULTITASK_CHARTS if chart not in curves]
    assert re.search(
        r"Two objectives were optimised together, validation MSE and validation accuracy; "
        r"\d+ trials are on the trade-off front",
        page.text("header", "verdict"),
    )
    assert "Of the study’s 2 objectives this is the first" in page.text("history")
    assert "reports no intermediate values, so there are no" in page.text("learning-curves")
    assert "reports no intermediate values and prunes nothing" in page.text("fidelity")


BROKEN = (trial(0, value=0.2, attrs=classified((0, 0, 0, 0), min_accuracy=0.7)),)


@pytest.mark.parametrize("pareto", [False, True])
@pytest.mark.parametrize(
    ("trials", "charts", "sentences"),
    [
        (
            (),
            [],
            {
                "trade-off": "No complete trial has both",
                "classes": "there is no best trial yet",
                "branches": "do not differ",
                "history": "emoji-study run",
            },
        ),
        (
            (trial(0, value=0.2),),
            ["history"],
            {"classes": "trial 0, the best, did not store", "trade-off": "No complete trial"},
        ),
        (
            BROKEN,
            ["history", "front"],
            {
                "verdict": "No trial that keeps the constraint is complete",
                "best-configuration": "No complete trial keeps the constraint",
            },
        ),
    ],
    ids=["empty", "one", "broken"],
)
def test_every_unusual_multitask_study_has_a_report(
    trials: Trials, charts: list[str], sentences: dict[str, str], pareto: bool
) -> None:
    """Whatever is missing, all sections stand and say why they are empty."""
    page = Page(
        render_report(multitask(*trials, settings={**MULTITASK_SETTINGS, "pareto": pareto}))
    )
    page.check(MULTITASK_SECTIONS, charts)
    assert all(page.text(name).strip() for name in MULTITASK_SECTIONS)
    for section, sentence in sentences.items():
        assert sentence in page.text(section)


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (format_value, {0.001: "1e-3", 0.00951: "9.51e-3", 0.01: "0.01", 0.1: "0.1", 0.0: "0"}),
        (format_value, {1e-5: "1e-5", 16: "16", True: "on", False: "off", "CNN": "CNN"}),
        (format_value, {None: "–"}),
        (format_mse, {0.0123456: "0.01235", 0.2: "0.2000", 0.0: "0.000", 1.5e-7: "1.500e-07"}),
        (format_mse, {math.inf: "inf", None: "–"}),
        (format_duration, {0.04: "0.0 s", 50: "50.0 s", 59.97: "1 min 0 s", 5340: "1 h 29 min"}),
        (format_duration, {None: "–"}),
        (format_p_value, {0.0004: "<\N{NO-BREAK SPACE}0.001", 0.04: "0.040"}),
        (format_accuracy, {0.84567: "84.6\N{NO-BREAK SPACE}%", 1.0: "100.0\N{NO-BREAK SPACE}%"}),
        (format_accuracy, {None: "–"}),
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
    return Pictures(
        caption="trial 1, validation MSE 0.01000",
        drawn_by=1,
        ranked=tuple(
            Picture(
                text=text,
                role=role,
                original=PNG + b"original",
                reconstruction=PNG + b"reconstruction",
                error_map=PNG + b"error map",
                mse=mse,
            )
            for text, role, mse in roles
        ),
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
        n_trials=1102,
    )


def test_pictures_are_described() -> None:
    """Each image has a description, escaped, and beside it stand caption, role and error."""
    texts = (MARKUP, 'a "quote"', "cat face")
    pictures = pictures_of(*texts)
    page = Page(render_report(planted(12), pictures=pictures))
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    parts = ("original", "reconstruction by trial 1", "error map")
    ranked = [f"{text}, {part}" for text in texts for part in parts]
    fixed = [f"{text}, original" for text in texts]
    drawn = [f"{text}, reconstruction by trial {number}" for number in (1, 2, 3) for text in texts]
    assert [image["alt"] for image in images] == [*ranked, *fixed, *drawn]
    contents = [base64.b64decode(str(image["src"]).split(",")[1]) for image in images]
    assert contents == [
        *(p for q in pictures.ranked for p in (q.original, q.reconstruction, q.error_map)),
        *pictures.originals,
        *(png for trial in pictures.trials for png in trial.reconstructions),
    ]
    assert "<script>alert" not in page.source
    text = plain(page.text("pictures"))
    assert text.count(MARKUP) == 2
    for expected in (
        "Trial 1, validation MSE 0.01000: the validation images with the lowest",
        'a "quote" median: MSE 0.01500 cat face highest: MSE 0.02500',
        "White is no difference, the darkest blue 0.5 or more",
        "of 1,102 complete trials with these validation images.",
        "Best: trial 1, validation MSE 0.01000MSE 0.01000MSE 0.01100MSE 0.01200",
        "Worst: trial 3, validation MSE 0.03000MSE 0.03000MSE 0.03100MSE 0.03200",
    ):
        assert expected in text
