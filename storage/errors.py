"""The errors of this package, all under one base class; each message is one line for a person."""


def to_install(extra: str) -> str:
    """Say how an extra of emoji-study is installed; its name may be on no package index."""
    return f"pip install 'WHEEL[{extra}]', with the path of emoji-study's wheel or folder"


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
    """A database holds what Optuna does not store in that place."""


class UnknownStudyError(StorageError, KeyError):
    """A study or a trial does not exist in the storage."""

    def __str__(self) -> str:
        return str(self.args[0])
