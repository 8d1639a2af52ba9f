"""Errors say what to do next: park it, try again, decide on the failure, or load and decide again."""

from __future__ import annotations


class TidegateError(Exception):
    """Base of every error this package raises on purpose."""


class MalformedEvent(TidegateError):
    """The input breaks a rule and no retry can mend it: park it with this reason and answer with success."""


class TransientError(TidegateError):
    """There was no answer, or a 'not now': try the same thing again."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the service asked to wait (Retry-After), if it did."""


class PermanentError(TidegateError):
    """The answer was no, and asking again gives the same answer: becomes an event, the flow decides."""


class NotFound(PermanentError):
    """There is no such thing: a promotion, a tag, a digest, a gate."""


class Refused(PermanentError):
    """The present state does not allow this; the message says what would."""


class NotSignedIn(TidegateError):
    """Nothing that the request shows says who asks; the message says what would."""

    def __init__(self, message: str, *, is_token: bool = False) -> None:
        super().__init__(message)
        self.is_token = is_token
        """Whether a token was shown, and is not good."""


class Forbidden(TidegateError):
    """It is known who asks, and they may not; the message names the role or the rule."""


class StateConflict(TidegateError):
    """Somebody else changed the record since it was read: load it and decide again."""


class SettingsError(TidegateError):
    """The app cannot start with these settings; the message lists every problem at once."""
