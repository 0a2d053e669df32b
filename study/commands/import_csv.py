"""What ``emoji-study import-csv`` does: results in a file become a study."""

from optuna.trial import TrialState

from storage import attrs
from storage.importing import insert_study
from storage.rdb import open_storage
from study.commands.next_step import next_step
from study.exchange.read_csv import read_results
from study.requests import ImportRequest, Say


def import_csv(request: ImportRequest, *, say: Say) -> None:
    """Store the results of a CSV file as a study.

    Raises:
        StudyError: If the file holds no results, or a wrong row.
        StorageError: If there is such a study, or the storage cannot be used.
    """
    path = request.file
    found = read_results(path)
    name = request.study or path.stem
    objectives = found.kind.objectives(pareto=found.settings.pareto)
    insert_study(
        open_storage(request.url, create=True, write=True),
        name,
        found.trials,
        user_attrs={
            attrs.SETTINGS: found.settings.to_dict(),
            attrs.KIND: found.kind.to_dict(),
            attrs.TARGET: sum(t.state is not TrialState.FAIL for t in found.trials),
            attrs.IMPORTED: {"file": path.name, "rows": len(found.trials)},
        },
        objectives={metric.name: metric.direction for metric in objectives},
    )
    splits = {str(trial.user_attrs.get(attrs.MEASURED_ON, "validation")) for trial in found.trials}
    say(
        f"{len(found.trials)} trials of kind {found.settings.kind} imported as study {name}; "
        f"their metrics were measured on the {' and the '.join(sorted(splits))} split."
    )
    say(next_step("report", "--study", name, url=request.url))
