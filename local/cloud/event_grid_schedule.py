"""What Event Grid does after a delivery attempt: done, try again later, or give the event up. Pure.

Source: "Event Grid message delivery and retry" (text of 2026-02). Not emulated: the opportunistic skipping of retries,
probation, and the delayed delivery of new events to an endpoint that keeps failing; the page calls all three best
effort. A handler's `Retry-After` is not looked at (unverified).
"""

from __future__ import annotations

import dataclasses
import http
from collections.abc import Mapping

DELAYS = (10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0, 21600.0, 43200.0)
"""Seconds after the first, second, ... failed attempt; the last repeats. That they count from attempt to attempt, not
from the event's publication, is unverified; the page's example (30 minutes give six attempts) allows both."""

JITTER = 0.1
"""Largest part by which a delay is prolonged. The page says "a small randomization"; the size is unverified."""

DEAD_LETTER_DELAY = 300.0
"""Seconds between the last attempt and the dead letter when retries are exhausted; refused events go at once."""

DEAD_LETTER_PATIENCE = 4 * 3600.0
"""Seconds after which a dead letter that no storage took is dropped."""

EXHAUSTED = "MaxDeliveryAttemptsExceeded"
EXPIRED = "TimeToLiveExceeded"
"""Unverified: no published dead letter shows the reason of an expired event."""

_NEVER_AGAIN: Mapping[bool, frozenset[int]] = {True: frozenset({400, 403, 413}), False: frozenset({400, 401, 403, 413})}
"""Statuses that are not retried, by whether the destination is an Azure resource (a function) or a webhook."""

_MINIMUM: dict[int, float] = {408: 120.0, 503: 30.0}
_MINIMUM_AZURE_RESOURCE: dict[int, float] = {401: 300.0, 404: 300.0}
_MINIMUM_OTHERS = 10.0

_OUTCOMES: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    408: "TimedOut",
    413: "PayloadTooLarge",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended, in the words of `lastDeliveryOutcome`; `status` is None when no HTTP answer came."""

    status: int | None
    outcome: str
    detail: str = ""

    @classmethod
    def of_status(cls, status: int, detail: str = "") -> Answer:
        """An HTTP answer. That the statuses without a name of their own (429, 5xx, 3xx) are `Busy` is unverified."""
        return cls(status, "Delivered" if 200 <= status <= 204 else _OUTCOMES.get(status, "Busy"), detail)

    @property
    def delivered(self) -> bool:
        """Success is exactly 200, 201, 202, 203 and 204."""
        return self.status is not None and 200 <= self.status <= 204


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """The endpoint has the event."""


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """Try again after so many seconds."""

    after: float


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt; the dead letter is written after so many seconds."""

    reason: str
    after: float


def next_step(
    answer: Answer, *, attempts: int, max_attempts: int, azure_resource: bool, spread: float
) -> Delivered | Retry | GiveUp:
    """Decide after the `attempts`-th attempt; `spread` (0 to 1) is the random part of the delay."""
    if answer.delivered:
        return Delivered()
    if answer.status is not None and answer.status in _NEVER_AGAIN[azure_resource]:
        return GiveUp(_refused(answer.status), 0.0)
    if attempts >= max_attempts:
        return GiveUp(EXHAUSTED, DEAD_LETTER_DELAY)
    scheduled = DELAYS[min(attempts, len(DELAYS)) - 1]
    return Retry(max(scheduled, _minimum(answer.status, azure_resource)) * (1 + JITTER * spread))


def _minimum(status: int | None, azure_resource: bool) -> float:
    minimum = _MINIMUM | _MINIMUM_AZURE_RESOURCE if azure_resource else _MINIMUM
    return _MINIMUM_OTHERS if status is None else minimum.get(status, _MINIMUM_OTHERS)


def _refused(status: int) -> str:
    """`UndeliverableDueToHttpBadRequest` was seen for 400; the others are formed after it (unverified)."""
    return "UndeliverableDueToHttp" + http.HTTPStatus(status).phrase.title().replace(" ", "")
