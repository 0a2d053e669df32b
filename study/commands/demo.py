"""The whole way once, small: a study, its best model for good, its report."""

from dataclasses import replace
from pathlib import Path

from study.commands.report import report_request
from study.commands.run import run
from study.commands.train import train
from study.requests import Amount, Given, Place, ReportRequest, Say, TrainRequest
from study.running.coordinator import RunOutcome

STUDY = "demo"
TRIALS = 24
EPOCHS = 30


def run_demo(out: Path, *, n_workers: int, device: str, say: Say) -> RunOutcome:
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
    request = TrainRequest(url=url, study=STUDY, device=device, out=out / "best")
    final = train(request, say=say)
    if final is None or final.interrupted:
        return replace(outcome, interrupted=True)
    page = ReportRequest(url=url, studies=(STUDY,), out=out / "report.html")
    path = report_request(page)
    say(f"Report: {path} (open it in a browser). Next: emoji-study dashboard --storage {url}")
    return outcome
