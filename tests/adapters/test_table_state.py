"""What only tables do: pieces that fit properties, races between connections, and a service that is not there."""

from __future__ import annotations

import concurrent.futures
import contextlib
import socket
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import START
from tidegate.adapters.storage import table_entities
from tidegate.adapters.storage.storage_account import StorageAccount
from tidegate.adapters.storage.table_state import TableState
from tidegate.errors import PermanentError, StateConflict, TransientError
from tidegate.ports import AuditRow, Row


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet=st.sampled_from("a🐚ü"), max_size=50).map(lambda text: text * 2_000))
def test_pieces_fit_a_property_and_join_to_the_body(body: str) -> None:
    entity = table_entities.record_entity(Row("key", "image", body))
    pieces = [value for name, value in entity.items() if name.startswith("body")]
    assert "".join(pieces) == body
    assert all(len(piece.encode("utf-16-le")) <= 64 * 1024 for piece in pieces)


def test_a_record_that_no_entity_can_hold_is_refused_with_its_size() -> None:
    with pytest.raises(PermanentError, match="key: a record of 450001 UTF-16 units, more than 450000"):
        table_entities.record_entity(Row("key", "image", "x" * 450_001))


def test_an_audit_text_that_is_too_long_is_cut() -> None:
    row = AuditRow(1, START, "who", "what", "🐚" * 40_000, "", "", "")
    assert len(table_entities.audit_entity("key", row)["why"].encode("utf-16-le")) <= 64 * 1024


@pytest.mark.stack
def test_of_racing_writers_one_wins(account: StorageAccount, fresh_name: Callable[[str], str]) -> None:
    with contextlib.closing(account.tables()) as service:
        store = TableState(service, fresh_name("race"))

        def write(number: int) -> bool:
            try:
                store.save(Row("key", "image", str(number)), [])
            except StateConflict:
                return False
            return True

        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            won = list(threads.map(write, range(8)))
        loaded = store.load("key")
    assert won.count(True) == 1
    assert loaded is not None
    assert loaded.body == str(won.index(True))


def test_a_service_that_is_not_there_is_transient_and_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    text = f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:{port}/a"
    started = time.monotonic()
    with contextlib.closing(StorageAccount(text, {}, None).tables()) as service, pytest.raises(TransientError):
        TableState(service, "down").load("key")
    assert time.monotonic() - started < 3
