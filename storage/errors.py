"""The errors of this package, all under one base class; each message is one line for a person."""


def to_install(extra: str) -> str:
    """Say how an extra of emoji-study is installed; its name may be on no package index."""
    return f"pip install 'WHEEL[{extra}]', with the path of emoji-study's wheel or folder"


_LONGEST_NAME = 80  # characters of it in a message


class StorageError(Exception):
    """Base class of every error that this package raises on purpose."""


class StorageUrlError(StorageError, ValueError):
    """A storage URL is malformed or names a database that is not supported."""


class StorageAccessError(StorageError, OSError):
    """A database cannot be opened, is not Optuna's, or cannot be written."""


class ArtifactFolderError(StorageAccessError):
    """The folder of trials' files cannot be written, or is another one than before."""


class StorageUnreachableError(StorageAccessError):
    """A database does not answer for now, or is locked by another process."""


class StorageLostError(StorageAccessError):
    """The file of a database was removed, replaced or emptied while it was in use."""


class StorageLimitError(StorageError):
    """A name is longer than a database can hold, or has a character that it cannot."""


class StorageDamagedError(StorageError):
    """A database holds what Optuna does not store in that place.

    Args:
        study, trial: Name and number of where that is; None where it is not known.
    """

    def __init__(self, told: str, study: str | None = None, trial: int | None = None) -> None:
        super().__init__(told, study, trial)
        self.told, self.study, self.trial = told, study, trial

    def __str__(self) -> str:
        study = [] if self.study is None else [f"study {self.study[:_LONGEST_NAME]!r}"]
        trial = [] if self.trial is None else [f"trial {self.trial}"]
        where = ", ".join([*study, *trial])
        return (
            "The database holds a value that Optuna does not store there"
            f"{f' ({where})' if where else ''}: {self.told}"
        )


class UnknownStudyError(StorageError, KeyError):
    """A study or a trial does not exist in the storage."""

    def __str__(self) -> str:
        return str(self.args[0])
