"""The end of a run's log, read from a blob by the link that the run history gives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

import pytest

from local.cloud.task_logs import LogStore
from tests.tasks.tasks import LocalCredential
from tidegate.adapters.machine_learning.run_history import RunDetails, RunHistory

pytestmark = pytest.mark.stack


@pytest.fixture
def history(log_host: None) -> Iterator[RunHistory]:
    with contextlib.closing(RunHistory("/subscriptions/s", "https://unused.api.azureml.ms", LocalCredential())) as one:
        yield one


def written(storage: str, name: str, data: bytes) -> RunDetails:
    """A run with a log of these bytes."""

    async def write() -> str:
        store = LogStore(storage)
        log = await store.create(name)
        log.write(data.decode())
        await log.close(successful=True)
        await store.close()
        return store.link(name)

    return RunDetails(logs={"user_logs/std_log.txt": asyncio.run(write())})


@pytest.mark.parametrize(
    ("data", "limit", "read"),
    [
        (b"step 1\nstep 2\n", 16384, "step 1\nstep 2\n"),
        (b"step 1\nstep 2\n", 8, "step 2\n"),
        (b"AccountKey=canary\nKeyError: 1\n", 20, "KeyError: 1\n"),
        (b"step 1\nlong line", 5, " line"),
        (b"", 16384, ""),
        (b"x" * 300_000 + b"end", 3, "end"),
    ],
    ids=["whole", "end", "half a secret", "half a line alone", "empty", "large"],
)
def test_the_end_of_a_log_is_read_at_once(
    storage: str, history: RunHistory, data: bytes, limit: int, read: str
) -> None:
    details = written(storage, f"run-{len(data)}-{limit}.txt", data)
    began = time.monotonic()
    assert history.log(details, limit) == read
    assert time.monotonic() - began < 4, "a range that blobs do not know keeps the connection waiting for five seconds"


def test_a_log_that_is_gone_or_may_not_be_read_is_an_empty_one(storage: str, history: RunHistory) -> None:
    details = written(storage, "run.txt", b"secret of others")
    ((name, link),) = details.logs.items()
    assert history.log(RunDetails(logs={name: link.replace("run.txt", "other.txt")}), 100) == ""
    assert history.log(RunDetails(logs={name: link.partition("?")[0]}), 100) == ""
