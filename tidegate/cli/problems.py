"""What can go wrong for a person at a terminal, and the exit status that scripts see."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Exit statuses; 0 is success."""

    FAILED = 1
    """What was asked for ended badly, or the service did."""
    USAGE = 2
    REFUSED = 3
    """By a gate, a rule or a missing role."""
    SIGN_IN = 4
    NOT_FOUND = 5
    PENDING = 8
    """The wait was over before the end was reached."""


class Problem(Exception):
    """What went wrong, and what to do next."""

    def __init__(self, status: Exit, what: str, todo: str = "") -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.todo = todo


def of_status(status: int, detail: str) -> Problem:
    """The problem that an HTTP status means here."""
    match status:
        case 400 | 422:
            return Problem(Exit.USAGE, detail or f"the app answered {status}")
        case 401:
            return Problem(Exit.SIGN_IN, detail or "the app does not know you", _SIGN_IN)
        case 403:
            return Problem(Exit.REFUSED, detail or "your key or role does not allow this")
        case 404 if not detail:
            return Problem(Exit.NOT_FOUND, "the answer is 404, and not of a Tidegate app", "Check the address")
        case 404:
            return Problem(Exit.NOT_FOUND, detail)
        case 409:
            return Problem(Exit.REFUSED, detail or "not in this state")
        case _ if 300 <= status < 400:
            return Problem(Exit.SIGN_IN, "the app wants a browser to sign in", _SIGN_IN)
        case _:
            return Problem(Exit.FAILED, f"{detail} (HTTP {status})" if detail else f"the app answered {status}")


_SIGN_IN = "Set TIDEGATE_AUDIENCE and use: az login. A machine sets TIDEGATE_KEY to an API key"
