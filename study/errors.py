"""The error of this package; each message is one line for a person."""


class StudyError(Exception):
    """Something that a user asked of a study cannot be done."""
