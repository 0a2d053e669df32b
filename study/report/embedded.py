"""What a page was made from, kept inside it, so that the page can be rebuilt without a database.

The data are JSON, compressed by gzip, as base64 in a script element that browsers do not run.
The page's own table reads them too.
"""

import base64
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import convert

from storage.errors import StorageError
from storage.record_json import record_from_json, record_to_json
from storage.records import StudyRecord, TrialRecord
from study.analysis import ranked_by_constraint
from study.analysis.correlation import Trials
from study.analysis.front import get_unbeaten
from study.analysis.thinning import thin
from study.errors import StudyError
from study.report.pictures import LatentGallery, Pictures, TrialFiles

MAX_TRIALS = 10_000  # of one study that a page holds
MAX_REPORTS = 200_000  # intermediate values of one study that a page holds, about 1.6 MB
FORMAT = "emoji-study report 2"  # another number for another layout
EARLIER = ("emoji-study report 1",)  # with the value of the first objective alone

_BEST = 1_000  # of so many best trials none is left out
_SHOWN = "$shown"
_PICTURE = re.compile(rb"data:image/png;base64,([\w+/=]+)")
_MAX_BYTES = 1 << 30  # of decompressed data
_ELEMENT = re.compile(rb'<script type="application/gzip" id="report-data">([^<]*)</script>')


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """What a page is made from.

    Args:
        studies: One for the report of a study, several for a comparison.
        files: Pictures that its trials attach, beside those of the best one.
        storage: URL by which commands of the page find the studies; None for the default.
        n_left_out: Trials that the studies had and that the page does not hold.
    """

    studies: tuple[StudyRecord, ...]
    followups: tuple[StudyRecord, ...] = ()
    pictures: Pictures | None = None
    files: tuple[TrialFiles, ...] = ()
    gallery: LatentGallery | None = None
    correlated: Trials = "all"
    storage: str | None = None
    n_left_out: int = 0
    thinned: bool = False


def bounded(data: ReportData) -> ReportData:
    """Leave out what would make a page too large: trials, then intermediate values.

    Of too many trials the best ones stay and an even selection, by number, of the others. Of
    too many intermediate values the first and the last of each trial stay and others between
    them, evenly spaced on a logarithmic scale; whatever stays is exact.
    """
    kept = tuple(map(_with_fewer_trials, data.studies))
    thinned = tuple(map(_with_fewer_reports, kept))
    before, after = (sum(len(study.trials) for study in some) for some in (data.studies, kept))
    return replace(
        data,
        studies=thinned,
        followups=tuple(map(_with_fewer_reports, data.followups)),
        n_left_out=data.n_left_out + before - after,
        thinned=data.thinned or thinned != kept,
    )


def pack(data: ReportData, page: str = "") -> str:
    """Turn bounded data into base64 text, without the pictures that the page shows itself."""
    values = {"format": FORMAT} | _plain(data, _shown_in(page.encode()))
    text = json.dumps(values, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode("ascii")


def read_report_data(path: Path) -> ReportData:
    """Read the data of a page.

    Raises:
        StudyError: If the file is no report of this program, or its data are damaged.
        OSError: If it cannot be read.
    """
    page = path.read_bytes()
    found = _ELEMENT.search(page)
    if found is None:
        raise StudyError(
            f"{path} holds no data of a report; give a file that `emoji-study report` wrote."
        )
    try:
        shown = _shown_in(page)
        reader = zlib.decompressobj(wbits=31)
        content = reader.decompress(base64.b64decode(found[1], validate=True), _MAX_BYTES)
        if not reader.eof:
            raise ValueError("too large" if reader.unconsumed_tail else "they end too early")
        values = json.loads(content)
        if values["format"] not in (FORMAT, *EARLIER):
            raise StudyError(
                f"{path} was written by another version of emoji-study: its data are "
                f"{values['format']!r}, but this version reads {FORMAT!r}."
            )
        if not values["studies"]:
            raise ValueError("they hold no study")
        return ReportData(
            studies=tuple(map(record_from_json, values["studies"])),
            followups=tuple(map(record_from_json, values["followups"])),
            pictures=convert(_with_shown(values["pictures"], shown), Pictures | None),
            # Older pages have no files and no gallery.
            files=convert(_with_shown(values.get("files", ()), shown), tuple[TrialFiles, ...]),
            gallery=convert(_with_shown(values.get("gallery"), shown), LatentGallery | None),
            correlated="independent" if values["correlated"] == "independent" else "all",
            storage=convert(values.get("storage"), str | None),
            n_left_out=int(values["n_left_out"]),
            thinned=bool(values["thinned"]),
        )
    except (zlib.error, StorageError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StudyError(f"The data of the report in {path} are damaged: {error}.") from error


def _shown_in(page: bytes) -> dict[str, bytes]:
    """Return the pictures of a page by their digests."""
    pictures = {base64.b64decode(text) for text in _PICTURE.findall(page)}
    return {_digest(picture): picture for picture in pictures}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _plain(value: Any, shown: Mapping[str, bytes]) -> Any:
    """Return nested dataclasses as objects of JSON, with files as base64 texts.

    What the page shows is an object with its digest.
    """
    if isinstance(value, bytes):
        if (digest := _digest(value)) in shown:
            return {_SHOWN: digest}
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, StudyRecord):
        return record_to_json(value)
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name), shown) for field in fields(value)}
    return [_plain(item, shown) for item in value] if isinstance(value, tuple) else value


def _with_shown(value: Any, shown: Mapping[str, bytes]) -> Any:
    """Put the pictures that the page shows back into what ``_plain`` made."""
    match value:
        case {"$shown": digest}:
            return shown[digest]
        case dict():
            return {name: _with_shown(item, shown) for name, item in value.items()}
        case list():
            return [_with_shown(item, shown) for item in value]
    return value


def _with_fewer_trials(record: StudyRecord) -> StudyRecord:
    best = {trial.number for _, trial in ranked_by_constraint(record)[:_BEST]}
    best |= {trial.number for trial in get_unbeaten(record)}
    kept = thin(record.trials, MAX_TRIALS, keep=lambda trial: trial.number in best)
    return replace(record, trials=kept)


def _with_fewer_reports(record: StudyRecord) -> StudyRecord:
    if sum(len(trial.intermediate_values) for trial in record.trials) <= MAX_REPORTS:
        return record
    n_kept = max(2, MAX_REPORTS // len(record.trials))
    return replace(record, trials=tuple(_thinned(trial, n_kept) for trial in record.trials))


def _thinned(trial: TrialRecord, n_kept: int) -> TrialRecord:
    """Keep so many intermediate values, denser at the beginning."""
    items = list(trial.intermediate_values.items())
    if len(items) <= n_kept:
        return trial
    ratio = (len(items) - 1) ** (1 / max(1, n_kept - 2))
    places = {0, len(items) - 1} | {round(ratio**i) for i in range(n_kept - 2)}
    return replace(trial, intermediate_values=dict(items[i] for i in sorted(places)))
