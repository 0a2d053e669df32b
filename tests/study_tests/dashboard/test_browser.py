"""The dashboard in a real browser: its pages show what the study's trials left, live."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import optuna
import pytest
from optuna.trial import create_trial
from playwright.sync_api import Browser, Page, expect

from storage import attrs
from storage.rdb import open_storage
from storage.records import load_study_record
from tests.servers import opened
from tests.study_tests.dashboard.conftest import N_TRIALS
from tests.study_tests.dashboards import Served, serving, url_of
from tests.study_tests.studies import ask

WAIT_MS = 60_000


class Tab:
    """A tab that notes what goes wrong in it."""

    def __init__(self, browser: Browser, served: Served) -> None:
        self._served = served
        self.page: Page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda m: m.type == "error" and self.wrong.append(m.text))
        self.page.on(
            "response", lambda r: r.status >= 400 and self.wrong.append(f"{r.status} {r.url}")
        )

    def open(self, path: str) -> Page:
        """Go to a page of the dashboard, as to the address that it printed."""
        token = f"{'&' if '?' in path else '?'}token={self._served.token}"
        self.page.goto(f"{self._served.address}{path}{token}")
        self.page.wait_for_url(f"{self._served.address}{path}**")
        return self.page


@pytest.fixture
def tab(browser: Browser, served: Served) -> Iterator[Tab]:
    """A tab of its own, in which nothing may go wrong."""
    opened = Tab(browser, served)
    yield opened
    opened.page.context.close()
    assert opened.wrong == []


def expect_pictures(page: Page, selector: str, n: int) -> None:
    """Check that so many pictures are there and really drawn."""
    pictures = page.locator(selector)
    expect(pictures).to_have_count(n, timeout=WAIT_MS)
    drawn = f"""() => [...document.querySelectorAll({selector!r})]
        .every(image => image.complete && image.naturalWidth > 100)"""
    page.wait_for_function(drawn, timeout=WAIT_MS)


def test_study_has_our_charts_and_a_note_that_leads_to_the_report(tab: Tab) -> None:
    """The list leads to it; beside the dashboard's charts stand its own; the note is drawn."""
    page = tab.open("/dashboard")
    page.get_by_text("faces").first.click(timeout=WAIT_MS)
    page.wait_for_url("**/dashboard/studies/1")
    for title in ("Learning curves of the best 10 trials", "Families: lowest, middle half"):
        chart = page.locator(".js-plotly-plot", has_text=title)
        expect(chart).to_be_visible(timeout=WAIT_MS)
        assert chart.locator("path").count() > 5
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    page = tab.open("/dashboard/studies/1/note")
    expect(page.get_by_role("heading", name="What you see")).to_be_visible(timeout=WAIT_MS)
    page.get_by_role("link", name="Report of this study").click()
    expect(page.locator("html")).to_have_attribute("data-charts", "drawn", timeout=WAIT_MS)
    assert page.title() == "faces"


def test_trial_pages(tab: Tab) -> None:
    """Whatever a trial's end, its page says why, and shows its pictures and its curves."""
    page = tab.open("/dashboard/studies/1/trials?numbers=0%2C1%2C2%2C4")
    for number, state, end in (
        (0, "Fail", "its worker died. It was queued again as trial 1."),
        (1, "Complete", "all of its epochs were trained."),
        (2, "Pruned", "the none pruner stopped it after 1 of 2 epochs."),
        (4, "Fail", "interrupted after epoch 1"),
    ):
        title = page.get_by_role("heading", name=f"Trial {number} (")
        expect(title).to_be_visible(timeout=WAIT_MS)
        label = title.locator("xpath=following::*[contains(@class, 'MuiChip-label')][1]")
        expect(label).to_have_text(state)
        expect(page.get_by_text(f"Why it ended: {end}")).to_be_visible()
    expect_pictures(page, 'img[src^="/artifacts/"]', 8)
    card = page.locator(".MuiCard-root", has_text="curves.csv")
    expect(card).to_have_count(4)
    card.nth(1).scroll_into_view_if_needed()
    card.nth(1).get_by_role("button").first.click()
    header = page.get_by_role("columnheader", name="validation_mse")
    expect(header).to_be_visible(timeout=WAIT_MS)
    assert len(page.get_by_role("rowgroup").last.get_by_role("row").all()) == 2


def test_gallery_shows_all_trials(browser: Browser, served: Served, folder: Path) -> None:
    """Below the coordinates stands every ended trial's picture, also where a file is lost."""
    lost = min((folder / "artifacts").glob("00-*"))
    content = lost.read_bytes()
    try:
        lost.unlink()
        opened = Tab(browser, served)
        page = opened.open("/dashboard/studies/1/smartSelection")
        title = page.get_by_role("heading", name="Parallel Coordinate")
        expect(title).to_be_visible(timeout=WAIT_MS)
        expect(page.locator(".parcoords").first).to_be_attached(timeout=WAIT_MS)
        page.get_by_label("Show Artifacts").click()
        # The dead first trial, twelve trained ones, but none of the one that waits.
        expect_pictures(page, 'img[src^="/artifacts/"]', N_TRIALS + 1)
        assert [text for text in opened.wrong if lost.name not in text] == [
            "Failed to load resource: the server responded with a status of 404 (Not Found)"
        ]
        page.context.close()
    finally:
        lost.write_bytes(content)


def test_a_trial_that_ends_appears(browser: Browser, editable: Served, changed: Path) -> None:
    """A page that is open shows a new trial without being loaded again."""
    opened_tab = Tab(browser, editable)
    with opened(url_of(changed), write=True) as storage:
        study = optuna.create_study(storage=storage, study_name="live")
        study.enqueue_trial({})
        page = opened_tab.open(f"/dashboard/studies/{study._study_id}/trials")
        expect(page.get_by_text("1 Trials")).to_be_visible(timeout=WAIT_MS)
        page.evaluate("window.untouched = true")
        study.add_trial(create_trial(value=0.5))
    expect(page.get_by_text("2 Trials")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("Complete").first).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate("window.untouched")
    assert opened_tab.wrong == []
    page.context.close()


@pytest.mark.slow
def test_two_tabs_and_two_workers_on_one_file(
    browser: Browser,
    tmp_path: Path,
    tiny_data: Path,
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    """For a minute two workers write what two tabs read, and neither side meets an error."""
    command = [sys.executable, "-m", "study", "run", "autoencoder", "--storage", url_of(tmp_path)]
    command += ["--study", "faces", "--data", str(tiny_data), "--epochs", "2", "--workers", "2"]
    command += ["--set", "auto_encoder=CNN", "--sampler", "random", "--trials", "100000"]
    query = "SELECT 1 FROM trials WHERE state = 'COMPLETE'"
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as run:
        try:
            wait_until(lambda: bool(ask(tmp_path, query)))
            with serving(url_of(tmp_path)) as served:
                tabs = [Tab(browser, served) for _ in range(2)]
                tabs[0].open("/dashboard/studies/1")
                tabs[1].open("/dashboard/studies/1/trials")
                for tab in tabs:
                    tab.page.wait_for_timeout(30_000)
                assert [tab.wrong for tab in tabs] == [[], []]
                n_shown = len(served.json("/api/studies/1")["trials"])
        finally:
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=300)
    assert run.returncode == 130, said
    trials = load_study_record(open_storage(url_of(tmp_path)), "faces").trials
    assert len(trials) >= n_shown > 50
    failures = {
        str(trial.user_attrs.get(attrs.FAILURE)) for trial in trials if trial.state.is_finished()
    }
    assert all(text == "None" or text.startswith("interrupted") for text in failures), failures
    lines = [line for line in said.splitlines() if not line.startswith("faces: ")]
    assert lines == []
