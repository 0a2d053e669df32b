"""A worker in this process; prints its peak memory, and that after 20 and 300 trials, in kB."""

import sys
from pathlib import Path

import optuna

from benchmarks.measure import peak_kb, resident_kb
from storage.rdb import open_storage
from study.budget import top_up
from study.jobs import WorkerJob
from study.runner import run_worker
from study.settings import StudySettings

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    job = WorkerJob(
        url=f"sqlite:///{folder / 'study.db'}",
        study="bench",
        artifacts=folder / "artifacts",
        data=None,
        device="cpu",
        threads=1,
    )
    study = optuna.load_study(study_name=job.study, storage=open_storage(job.url, write=True))
    settings = StudySettings.from_attrs(study.user_attrs, study=job.study)
    top_up(study, settings, 20)
    run_worker(job)
    after_20 = resident_kb()
    top_up(study, settings, 300)
    run_worker(job)
    sys.stdout.write(f"{peak_kb()} {after_20} {resident_kb()}\n")
