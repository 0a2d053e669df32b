"""The error of this package; each message is one line for a person."""


class SearchSpaceError(ValueError):
    """A kind, a space, a parameter or its value does not exist."""
