"""A study as it is stored, opened once by a command that continues or creates it; its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage

from storage import attrs
from storage.limits import require_study_name
from storage.rdb import find_storage, open_storage
from storage.records import unknown_study
from storage.values import Experiment
from study.errors import StudyError
from study.kind_info import FOREIGN, KindInfo, stored_kind
from study.kind_sources import make_trainer
from study.kinds import Data, Kind, OtherDataError, Trainer
from study.sampling.names import require_library
from study.settings import IMPORTED, StudySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStudy:
    """What a database says of a study."""

    name: str
    settings: StudySettings
    kind: KindInfo
    user_attrs: Mapping[str, Any]

    @property
    def experiment(self) -> Experiment | None:
        """The experiment that it is, None if it is none."""
        return attrs.EXPERIMENT.of(self)


class Database:
    """A storage, if it can be used, which is created only when something is to be stored in it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened = find_storage(url)

    def create(self) -> BaseStorage:
        """Return the storage, opened for writing; it is created if it does not exist."""
        if self._opened is None:
            self._opened = open_storage(self._url, create=True, write=True)
        return self._opened

    def existing(self) -> BaseStorage:
        """Return the storage; raise a StorageAccessError if it does not exist."""
        return self._opened or open_storage(self._url)

    def require(self, name: str) -> tuple[BaseStorage, StoredStudy]:
        """Return the storage and a study; an UnknownStudyError if ``find`` finds none."""
        storage = self.existing()
        stored = self.find(name)
        if stored is None:
            raise unknown_study(storage, name)
        return storage, stored

    def find(self, name: str) -> StoredStudy | None:
        """Read a study of this package, None if there is none, or nothing but its name."""
        storage = self._opened
        if storage is None:
            return None
        try:
            study_id = storage.get_study_id_from_name(name)
        except KeyError:
            return None
        user_attrs = storage.get_study_user_attrs(study_id)
        if not user_attrs and not storage.get_n_trials(study_id):
            return None
        settings = StudySettings.from_attrs(user_attrs, study=name)
        kind = stored_kind(user_attrs) or FOREIGN
        return StoredStudy(name=name, settings=settings, kind=kind, user_attrs=user_attrs)

    def find_to_continue(self, name: str) -> StoredStudy | None:
        """Read a study, see ``find``, that is to be continued or made.

        Raises:
            StudyError: If it was imported.
            StorageLimitError: If a new one cannot have that name.
        """
        stored = self.find(name)
        if stored is None:
            require_study_name(name)
        elif stored.settings.sampler == IMPORTED:
            raise StudyError(
                f"Study {name!r} was imported and cannot be continued; `run --study NEW "
                f"--warm-start {name}` begins another one with its best points."
            )
        return stored


def facts_of(data: Data) -> dict[str, Any]:
    """Return the user attributes that a new study on some data gets."""
    return {attrs.NOUN: data.noun, **data.facts()}


def load_data(trainer: Trainer, settings: StudySettings, *, study: str, stored: bool) -> Data:
    """Load the data that settings describe; parted now, unless they are ``stored`` with a study.

    A StudyError says that they are not those of the study, or that ``load`` gives no data.
    """
    if not stored:
        return _require_data(trainer.load(settings.source, None), settings)
    path = settings.source.path
    try:
        # The sides are stored because another version of a library may draw others.
        data = _require_data(trainer.load(settings.source, settings.sides), settings)
        found = data.fingerprint
    except OtherDataError as error:
        found = error.fingerprint
    except Exception as error:
        if path is None or path.exists():
            raise
        raise StudyError(
            f"The data of study {study!r} are not at {path} any more: say where they lie now with "
            "--data."
        ) from error
    if found != settings.data_fingerprint:
        raise StudyError(
            f"Study {study!r} was made with other data (fingerprint {settings.data_fingerprint}, "
            f"here {found}); name the file as it was then with --data."
        )
    return data


def load_here(
    kind: Kind, settings: StudySettings, device: str, *, study: str, stored: bool
) -> tuple[Trainer, Data]:
    """Load a study's data, see ``load_data``; refuse what every worker would refuse."""
    require_library(settings.sampler)
    trainer = make_trainer(kind)
    trainer.resolve_device(device)
    return trainer, load_data(trainer, settings, study=study, stored=stored)


def _require_data(data: object, settings: StudySettings) -> Data:
    if isinstance(data, Data):
        return data
    raise StudyError(
        f"`load` of the kind {settings.kind!r} must return study.kinds.Data or Rows, but returned "
        f"{type(data).__name__}."
    )
