"""What ``emoji-study clean`` does: pictures of most trials are removed."""

from study.analysis import is_ours
from study.commands.next_step import placed
from study.commands.show import existing_artifacts, stored_record
from study.dashboard.retention import clean
from study.formats import counted, format_number, in_line
from study.requests import CleanRequest, Say


def clean_request(request: CleanRequest, *, say: Say) -> None:
    """Remove the pictures of a study's trials, but for those that stay.

    Raises:
        StudyError: If the folder does not exist.
        StorageError: If the study cannot be read.
    """
    storage, record = stored_record(request.url, request.study)
    freed = clean(storage, record, existing_artifacts(request), keep=request.pictures)
    again = placed("train", "--study", record.name, url=request.url)
    say(
        f"Pictures of {counted(len(freed), 'trial')} of study {in_line(record.name)} "
        f"removed, {format_number(sum(freed) / 1e6, 3)} MB; curves stay."
        + (f" `{again} --trial N` draws new ones." if is_ours(record) else "")
    )
