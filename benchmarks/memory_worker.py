"""A worker in this process; prints its peak memory, and that after 20 and 300 trials, in kB."""

import sys
import threading
from pathlib import Path

import optuna

from benchmarks.measure import peak_kb, resident_kb
from storage.rdb import open_storage
from study.running.budget import request
from study.running.job import WorkerJob
from study.running.worker import run_worker

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
    request(study, 20, in_all=True)
    run_worker(job, threading.Event())
    after_20 = resident_kb()
    request(study, 300, in_all=True)
    run_worker(job, threading.Event())
    sys.stdout.write(f"{peak_kb()} {after_20} {resident_kb()}\n")
