"""The data of a study: those that it was made with, or those of a new one."""

from study.errors import StudyError
from study.kinds import Data, OtherDataError, Trainer
from study.settings import StudySettings


def load_data(trainer: Trainer, settings: StudySettings, *, study: str, stored: bool) -> Data:
    """Load the data that settings describe.

    Args:
        trainer: Of the study's kind.
        settings: Of the study; the path may have been replaced.
        study: Its name.
        stored: Whether the settings hold fingerprint and sides of data that a study was made
            with; else the data are parted now.

    Raises:
        StudyError: If the data are not those of the study.
    """
    if not stored:
        return trainer.load(settings.source, None)
    try:
        # The sides are stored because another version of a library may draw others.
        data = trainer.load(settings.source, settings.sides)
        found = data.fingerprint
    except OtherDataError as error:
        found = error.fingerprint
    if found != settings.data_fingerprint:
        raise StudyError(
            f"Study {study!r} was made with other data (fingerprint {settings.data_fingerprint}, "
            f"here {found}); give its file with --data."
        )
    return data
