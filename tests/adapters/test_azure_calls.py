"""Errors of Azure's SDKs become ours: what to do next, when to come back, and the SDK's error behind them."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from tidegate.adapters.azure_calls import Verdict, retry_after, translated
from tidegate.errors import PermanentError, StateConflict, TransientError


class Answer:
    """The little of a response that is looked at."""

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code = status
        self.reason = "Reason"
        self.headers = headers


def refused(status: int, **headers: str) -> HttpResponseError:
    answer: Any = Answer(status, **headers)
    return HttpResponseError(message="first line\nsecond line with ?sig=secret", response=answer)


@pytest.mark.parametrize(
    ("error", "refusable", "on", "expected"),
    [
        (refused(400), True, {}, PermanentError),
        (refused(400), False, {}, TransientError),
        (refused(403), True, {}, PermanentError),
        (refused(403), True, {403: TransientError}, TransientError),
        (refused(401), True, {}, TransientError),
        (refused(408), True, {}, TransientError),
        (refused(409), True, {}, TransientError),
        (refused(409), False, {409: StateConflict}, StateConflict),
        (refused(412), False, {412: StateConflict}, StateConflict),
        (refused(429), True, {}, TransientError),
        (refused(500), True, {}, TransientError),
        (refused(200), True, {}, TransientError),
        (ClientAuthenticationError("no identity"), True, {}, TransientError),
        (ServiceRequestError("no connection"), True, {}, TransientError),
        (ServiceResponseError("lost"), True, {}, TransientError),
        (DecodeError("broken"), True, {}, TransientError),
        (AzureError("anything"), True, {}, TransientError),
    ],
)
def test_an_error_says_what_to_do_next(
    error: AzureError, refusable: bool, on: dict[int, Verdict], expected: type[Exception]
) -> None:
    with pytest.raises(expected) as caught, translated("thing", on, refusable=refusable):
        raise error
    assert type(caught.value) is expected
    assert caught.value.__cause__ is error
    assert str(caught.value).startswith("thing: ")


def test_a_message_is_one_line_without_what_follows() -> None:
    with pytest.raises(PermanentError, match=r"^thing: 400 first line$"), translated("thing", refusable=True):
        raise refused(400)


def test_the_time_to_wait_comes_along() -> None:
    with pytest.raises(TransientError) as caught, translated("thing"):
        raise refused(429, **{"Retry-After": "17"})
    assert caught.value.retry_after == 17


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Mon, 02 Mar 2026 08:01:00 GMT", 60.0),
        ("Mon, 02 Mar 2026 07:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    now = 1772438400.0  # 2026-03-02 08:00 UTC
    assert retry_after({"Retry-After": text}, lambda: now) == seconds
