"""Fake and blobs keep the same promises of the Evidence port."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
from collections.abc import Callable, Iterator

import pytest

from tests.fakes import START, FakeEvidence
from tidegate.adapters.storage.blob_evidence import BlobEvidence
from tidegate.errors import MalformedEvent, PermanentError
from tidegate.ports import Evidence, Parked

NAME = "runs/image-1/attempt-1.log"


@pytest.fixture(params=["fake", pytest.param("blob", marks=pytest.mark.stack)])
def evidence(request: pytest.FixtureRequest, fresh_name: Callable[[str], str]) -> Iterator[Evidence]:
    if request.param == "fake":
        yield FakeEvidence()
        return
    with contextlib.closing(request.getfixturevalue("account").blobs()) as service:
        yield BlobEvidence(service, fresh_name("evidence"), fresh_name("letters"))


def test_the_first_content_of_a_name_stays(evidence: Evidence) -> None:
    first = evidence.put(NAME, b"first", "text/plain")
    again = evidence.put(NAME, b"second, longer", "text/plain")
    assert again == first
    assert (first.sha256, first.size) == (hashlib.sha256(b"first").hexdigest(), 5)
    assert first.url.endswith(NAME)
    assert evidence.get(NAME, 100) == b"first"


def test_the_end_of_a_log_is_what_is_got(evidence: Evidence) -> None:
    evidence.put(NAME, b"0123456789", "text/plain")
    assert evidence.get(NAME, 3) == b"789"
    assert evidence.get(NAME, 10) == b"0123456789"
    assert evidence.get(NAME, 0) == b""


def test_an_empty_log_is_stored_and_an_unknown_one_is_none(evidence: Evidence) -> None:
    assert evidence.get(NAME, 10) is None
    evidence.put(NAME, b"", "text/plain")
    assert evidence.get(NAME, 10) == b""


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a b", "ä", "a/", "a?sig=1", "x" * 2000]
)
def test_a_name_that_is_no_safe_path_is_refused(evidence: Evidence, name: str) -> None:
    assert evidence.get(name, 10) is None
    if name != "x" * 2000:
        with pytest.raises(PermanentError):
            evidence.put(name, b"", "text/plain")


def test_an_id_is_parked_once_whatever_the_day(evidence: Evidence) -> None:
    assert evidence.park("id-1", "malformed", "{}", START) is True
    assert evidence.park("id-1", "malformed again", "[]", START + datetime.timedelta(days=1)) is False
    assert evidence.parked_one("id-1") == Parked("id-1", "malformed", START, "{}")


def test_an_unparked_letter_is_gone_and_may_be_parked_again(evidence: Evidence) -> None:
    evidence.unpark("id-1")
    evidence.park("id-1", "malformed", "{}", START)
    evidence.unpark("id-1")
    evidence.unpark("id-1")
    assert evidence.parked_one("id-1") is None
    assert evidence.parked(10, None) == ([], None)
    assert evidence.park("id-1", "malformed", "{}", START) is True


def test_letters_are_listed_newest_day_first_in_pages(evidence: Evidence) -> None:
    days = [0, 40, 9, 400, 10, 2]
    for day in days:
        evidence.park(f"day-{day}", "malformed", "ü", START + datetime.timedelta(days=day))
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        page, cursor = evidence.parked(2, cursor)
        assert len(page) <= 2
        seen += [letter.id for letter in page]
        if cursor is None:
            break
    assert seen == [f"day-{day}" for day in sorted(days, reverse=True)]


@pytest.mark.parametrize(
    "id", ["../../secret", "", "a/b", "eg.Li4vLi4v.0123456789abcdef", "\udcff", "parked/2026/3/2/id-1"]
)
def test_a_foreign_id_is_no_letter(evidence: Evidence, id: str) -> None:
    evidence.park("id-1", "malformed", "{}", START)
    assert evidence.parked_one(id) is None
    evidence.unpark(id)
    assert evidence.parked_one("id-1") is not None


@pytest.mark.parametrize("cursor", ["", "x", "e30=", "WzEsMiwzLCJ4IiwieSJd"])
def test_a_foreign_cursor_is_refused(evidence: Evidence, cursor: str) -> None:
    with pytest.raises(MalformedEvent):
        evidence.parked(2, cursor)
