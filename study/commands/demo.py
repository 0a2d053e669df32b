"""The whole way once, small: a study, its best model for good, its report."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from study.commands.report import ReportRequest, report_request
from study.commands.run import Amount, run
from study.commands.train import TrainRequest, train
from study.running.coordinator import RunOutcome
from study.running.deciding import Given
from study.running.place import Place

STUDY = "demo"
TRIALS = 24
EPOCHS = 30


def run_demo(out: Path, *, n_workers: int, device: str, say: Callable[[str], None]) -> RunOutcome:
    """Run the demo study, train its best trial for good, and write the report.

    Args:
        out: Folder for ``study.db``, ``artifacts``, ``best`` and ``report.html``.
        n_workers: Worker processes.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: Called with every line for the user.
    """
    url = f"sqlite:///{out / 'study.db'}"
    outcome = run(
        "autoencoder",
        Place(url=url, n_workers=n_workers, device=device),
        Given(n_steps=EPOCHS),
        Amount(n_total=TRIALS),
        study=STUDY,
        say=say,
    )
    if outcome.interrupted:
        return outcome
    final = train(
        TrainRequest(
            url=url, study=STUDY, assignments={}, options={}, device=device, out=out / "best"
        ),
        say=say,
    )
    if final is None or final.interrupted:
        return replace(outcome, interrupted=True)
    path = report_request(
        ReportRequest(
            url=url,
            studies=[STUDY],
            pages=[],
            artifacts=None,
            out=out / "report.html",
            correlated="all",
        )
    )
    say(f"Report: {path} (open it in a browser). Next: emoji-study dashboard --storage {url}")
    return outcome
