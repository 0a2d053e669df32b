"""Seeds, derived from the study's, and names; whatever worker asks, it gets the same one."""

import hashlib

from search_spaces.base import Config


def trial_seed(study_seed: int, config: Config, replicate: int) -> int:
    """Return the seed of a training, from 0 to 2**63 - 1, the same in whatever order trials run.

    Configurations that are one training up to its length share it. ``replicate`` is 0, or the
    number of a deliberate repetition.
    """
    return _digest(study_seed, config.identity(), replicate) >> 1


def pair_seed(study_seed: int, pair: int) -> int:
    """Return the seed, 63 bits, of one pair's trainings: equal first weights, equal batches."""
    return _digest(study_seed, "pair", pair) >> 1


def training_name(
    config: Config, seed: int, data_fingerprint: str, kind_digest: str | None
) -> str:
    """Return what names a training, the same for every attempt at it, however long.

    ``kind_digest`` is of the code that trains; None for the kinds of this package.
    """
    code = "" if kind_digest is None else f"/{kind_digest}"
    training = f"{config.identity()}/{data_fingerprint}{code}".encode()
    return f"{seed}-{hashlib.sha256(training).hexdigest()[:16]}"


def sampler_seed(study_seed: int, trial_number: int) -> int:
    """Return the seed, 32 bits, of a trial's sampler; with equal ones points would be repeated."""
    return _digest(study_seed, "sampler", trial_number) >> 32


def _digest(*parts: str | int) -> int:
    """Return a 64-bit digest of ``parts``."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
