"""What ``emoji-study import-csv`` does: results in a file become a study."""

from itertools import chain

from storage import attrs
from storage.importing import insert_study
from storage.limits import require_room
from storage.rdb import open_storage
from storage.records import StudyRecord
from study.analysis import parameter_names
from study.commands.next_step import next_step
from study.exchange.read_results import read_results
from study.formats import counted, format_list, in_line
from study.kind_info import foreign_objectives
from study.requests import ImportRequest, Say

_SHOWN = 5
"""Parameters that are named one by one."""


def import_csv(request: ImportRequest, *, say: Say) -> None:
    """Store the results of a file as a study.

    Raises:
        StudyError: If the file holds no results, or a wrong row.
        StorageError: If there is such a study, or the storage cannot be used.
    """
    path = request.file
    name = request.study or path.stem
    record = read_results(path, name=name, directions=request.directions, kind=request.kind)
    of_trials = ((*trial.user_attrs, *trial.other_attrs) for trial in record.trials)
    require_room(
        request.url,
        study=record.name,
        attributes=chain(record.user_attrs, record.other_attrs, *of_trials),
        parameters=parameter_names(record),
    )
    insert_study(open_storage(request.url, create=True, write=True), record)
    what, settings = f"imported as study {in_line(record.name)}", attrs.SETTINGS.of(record)
    if settings is None:
        say(f"{counted(len(record.trials), 'trial')} {what}: {_told(record)}.")
    else:
        splits = sorted(set(filter(None, map(attrs.MEASURED_ON.of, record.trials))))
        say(
            f"{counted(len(record.trials), 'trial')} of kind {settings.kind} {what}; "
            f"their metrics were measured on the {' and the '.join(splits)} split."
        )
    say(next_step("report", "--study", record.name, url=request.url))


def _told(record: StudyRecord) -> str:
    """Say what was read as objectives and as parameters."""
    metrics = foreign_objectives(record.directions, record.metric_names)
    names = [m.label if record.metric_names else m.name for m in metrics]
    ways = [f"{way} {name}" for name, way in zip(names, record.directions, strict=True)]
    params = parameter_names(record)
    if not params:
        return f"{format_list(ways)}; no parameters"
    rest = len(params) - _SHOWN
    shown = params[:_SHOWN] + ([f"{rest} more"] if rest > 0 else [])
    return f"{format_list(ways)}; parameters {format_list(shown)}"
