"""The whole way once, small: a study, its best model for good, its report."""

from dataclasses import replace

from study.commands.next_step import NEXT, next_step
from study.commands.report import report_request
from study.commands.run import run
from study.commands.train import train
from study.requests import DemoRequest, Given, Place, ReportRequest, RunRequest, Say, TrainRequest
from study.running.coordinator import RunOutcome

STUDY = "demo"
TRIALS = 24
EPOCHS = 30


def run_demo(request: DemoRequest, *, say: Say) -> RunOutcome:
    """Run the demo study, train its best trial for good, and write the report."""
    out, device = request.out, request.device
    url = f"sqlite:///{out / 'study.db'}"
    search = RunRequest(
        kind="autoencoder",
        study=STUDY,
        given=Given(n_steps=EPOCHS),
        n_total=TRIALS,
        place=Place(url=url, n_workers=request.workers, device=device),
    )

    def tell(line: str) -> None:
        if not line.startswith(NEXT):  # that is done here
            say(line)

    outcome = run(search, say=tell)
    if outcome.interrupted:
        return outcome
    final = train(TrainRequest(url=url, study=STUDY, device=device, out=out / "best"), say=tell)
    if final is None or final.interrupted:
        return replace(outcome, interrupted=True)
    path = report_request(ReportRequest(url=url, studies=(STUDY,), out=out / "report.html"))
    say(f"Report written to {path}; open it in a browser.")
    say(next_step("dashboard", url=url))
    return outcome
