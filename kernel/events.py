"""Facts that packages above may react to, in the same transaction."""


class Event:
    """Base of every domain event: subclasses are frozen dataclasses named in the past tense."""

    __slots__ = ()
