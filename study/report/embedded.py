"""What a page was made from, kept inside it, so that the page can be rebuilt without a database.

The data are JSON, compressed by gzip, as base64 in a script element that browsers do not run.
The page's own table reads them too. Must not know templates.
"""

import base64
import binascii
import gzip
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from storage.errors import StorageError
from storage.record_json import record_from_json, record_to_json
from storage.records import StudyRecord, TrialRecord
from study.analysis import ranked_by_constraint
from study.analysis.correlation import Trials
from study.analysis.thinning import thin
from study.errors import StudyError
from study.report.pictures import (
    DrawnImages,
    LatentGallery,
    Picture,
    Pictures,
    TrialFile,
    TrialFiles,
)

MAX_TRIALS = 10_000
"""Trials of one study that a page holds."""

MAX_REPORTS = 250_000
"""Intermediate values of one study that a page holds, about 2 MB."""

FORMAT = "emoji-study report 1"
"""Stands at the beginning of the data; another number for another layout."""

_BEST = 1_000
"""Of so many best trials none is left out."""

_MAX_BYTES = 1 << 30
"""Largest size of decompressed data."""

_ELEMENT = re.compile(rb'<script type="application/gzip" id="report-data">([^<]*)</script>')


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """What a page is made from.

    Args:
        studies: One for the report of a study, several for a comparison.
        followups: Confirmations and ablations of the one study.
        pictures: Images of its best trial, if there are any.
        files: Other pictures that its trials attach.
        gallery: What its best confirmed model draws, if there is such a picture.
        correlated: Which trials the correlations are of.
        n_left_out: Trials that the studies had when the page was written and that it does not
            hold.
        thinned: Whether intermediate values were left out.
    """

    studies: tuple[StudyRecord, ...]
    followups: tuple[StudyRecord, ...] = ()
    pictures: Pictures | None = None
    files: tuple[TrialFiles, ...] = ()
    gallery: LatentGallery | None = None
    correlated: Trials = "all"
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
    return replace(
        data,
        studies=thinned,
        followups=tuple(map(_with_fewer_reports, data.followups)),
        n_left_out=data.n_left_out
        + sum(
            len(before.trials) - len(after.trials)
            for before, after in zip(data.studies, kept, strict=True)
        ),
        thinned=data.thinned or thinned != kept,
    )


def pack(data: ReportData) -> str:
    """Turn bounded data into base64 text."""
    values = {
        "format": FORMAT,
        "studies": [record_to_json(record) for record in data.studies],
        "followups": [record_to_json(record) for record in data.followups],
        "pictures": None if data.pictures is None else _texts_of(asdict(data.pictures)),
        "files": [_texts_of(asdict(file)) for file in data.files],
        "gallery": None if data.gallery is None else _texts_of(asdict(data.gallery)),
        "correlated": data.correlated,
        "n_left_out": data.n_left_out,
        "thinned": data.thinned,
    }
    text = json.dumps(values, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode("ascii")


def read_report_data(path: Path) -> ReportData:
    """Read the data of a page.

    Raises:
        StudyError: If the file is no report of this program, or its data are damaged.
        OSError: If it cannot be read.
    """
    found = _ELEMENT.search(path.read_bytes())
    if found is None:
        raise StudyError(
            f"{path} holds no data of a report; give a file that `emoji-study report` wrote."
        )
    try:
        values = json.loads(_decompressed(base64.b64decode(found[1], validate=True)))
        if values["format"] != FORMAT:
            raise StudyError(
                f"{path} was written by another version of emoji-study: its data are "
                f"{values['format']!r}, but this version reads {FORMAT!r}."
            )
        if not values["studies"]:
            raise ValueError("they hold no study")
        return ReportData(
            studies=tuple(map(record_from_json, values["studies"])),
            followups=tuple(map(record_from_json, values["followups"])),
            pictures=_pictures(values["pictures"]),
            files=tuple(map(_trial_files, values.get("files", ()))),  # older pages have none
            gallery=_gallery(values.get("gallery")),  # likewise
            correlated="independent" if values["correlated"] == "independent" else "all",
            n_left_out=int(values["n_left_out"]),
            thinned=bool(values["thinned"]),
        )
    except (
        *(binascii.Error, zlib.error, UnicodeDecodeError, json.JSONDecodeError, StorageError),
        *(KeyError, TypeError, ValueError, AttributeError),
    ) as error:
        raise StudyError(f"The data of the report in {path} are damaged: {error}.") from error


def _texts_of(value: Any) -> Any:
    """Return nested data with files as base64 texts."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {key: _texts_of(item) for key, item in value.items()}
    return [_texts_of(item) for item in value] if isinstance(value, tuple) else value


def _pictures(values: Any) -> Pictures | None:
    """Read pictures as ``_texts_of`` wrote them."""
    if values is None:
        return None
    files = ("original", "reconstruction", "error_map")
    ranked = [item | {name: _file(item[name]) for name in files} for item in values["ranked"]]
    trials = [
        item
        | {
            "reconstructions": tuple(map(_file, item["reconstructions"])),
            "errors": tuple(map(float, item["errors"])),
        }
        for item in values["trials"]
    ]
    return Pictures(
        **values
        | {
            "ranked": tuple(Picture(**item) for item in ranked),
            "texts": tuple(map(str, values["texts"])),
            "originals": tuple(map(_file, values["originals"])),
            "trials": tuple(DrawnImages(**item) for item in trials),
        }
    )


def _trial_files(values: Any) -> TrialFiles:
    """Read a trials' picture as ``_texts_of`` wrote it."""
    trials = (item | {"content": _file(item["content"])} for item in values["trials"])
    return TrialFiles(
        label=str(values["label"]), trials=tuple(TrialFile(**item) for item in trials)
    )


def _gallery(values: Any) -> LatentGallery | None:
    """Read a gallery as ``_texts_of`` wrote it."""
    if values is None:
        return None
    return LatentGallery(caption=str(values["caption"]), png=_file(values["png"]))


def _file(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _decompressed(compressed: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=31)
    content = reader.decompress(compressed, _MAX_BYTES)
    if not reader.eof:
        raise ValueError("they end too early" if not reader.unconsumed_tail else "too large")
    return content


def _with_fewer_trials(record: StudyRecord) -> StudyRecord:
    best = {trial.number for _, trial in ranked_by_constraint(record)[:_BEST]}
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
