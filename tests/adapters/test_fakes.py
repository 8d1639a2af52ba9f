"""The fakes obey the hook, and their ports' types."""

import pytest

from tests.fakes import (
    Crash,
    FakeClock,
    FakeEvidence,
    FakeQueue,
    FakeRegistry,
    FakeSecrets,
    FakeStore,
    FakeTests,
    FakeTopic,
    Fault,
    Importing,
    image,
)
from tidegate import ports
from tidegate.errors import PermanentError, TransientError
from tidegate.ports import ImportDone, ImportRunning
from tidegate.references import ImageRef, TagRef

CLOCK = FakeClock()
_REGISTRY: ports.ImageRegistry = FakeRegistry(CLOCK)
_TESTS: ports.ImageTests = FakeTests(CLOCK)
_EVIDENCE: ports.Evidence = FakeEvidence()
_STORE: ports.StateStore = FakeStore()
_QUEUE: ports.WorkQueue = FakeQueue(CLOCK)
_TOPIC: ports.OutcomeTopic = FakeTopic()
_SECRETS: ports.Secrets = FakeSecrets()
_CLOCK: ports.Clock = CLOCK


@pytest.mark.parametrize(
    ("fault", "error", "sent"),
    [
        (Fault.OK, None, 1),
        (Fault.PERMANENT, PermanentError, 0),
        (Fault.TRANSIENT, TransientError, 0),
        (Fault.FAIL_BEFORE, TransientError, 0),
        (Fault.FAIL_AFTER, TransientError, 1),
        (Fault.CRASH_BEFORE, Crash, 0),
        (Fault.CRASH_AFTER, Crash, 1),
    ],
)
def test_a_fault_raises_before_or_after_the_effect(fault: Fault, error: type[BaseException] | None, sent: int) -> None:
    queue = FakeQueue(FakeClock(), lambda port, method: fault if (port, method) == ("WorkQueue", "send") else Fault.OK)
    if error is None:
        queue.send("hello", 0)
    else:
        with pytest.raises(error):
            queue.send("hello", 0)
    assert len(queue) == sent
    assert queue.called("send") == 1


def test_a_message_is_hidden_while_it_is_handled_and_comes_back_if_nobody_deletes_it() -> None:
    clock = FakeClock()
    queue = FakeQueue(clock)
    queue.send("later", 10)
    assert queue.receive() is None
    clock.advance(10)
    first = queue.receive(visibility=30)
    assert first is not None
    assert queue.receive() is None
    clock.advance(30)
    second = queue.receive()
    assert second is not None
    assert (second.text, second.count) == ("later", 2)
    queue.delete(second)
    assert queue.next_at() is None


def test_an_import_takes_effect_when_its_time_has_come_even_if_nobody_asks() -> None:
    clock = FakeClock()
    registry = FakeRegistry(clock, import_seconds=60)
    source = registry.push("tidegatestaging", "a/b", image("one"), tag="v1")
    target = source.within("tidegatehealthy", "a/b")
    operation = registry.start_import(source, target)
    assert (registry.import_status(operation), registry.exists(target)) == (ImportRunning(), False)
    clock.advance(60)
    assert registry.exists(target)
    assert registry.import_status(operation) == ImportDone()
    assert registry.resolve(TagRef("tidegatehealthy", "a/b", "v1")) is None


def test_a_lying_import_says_done_and_copies_nothing() -> None:
    registry = FakeRegistry(FakeClock(), importing=lambda source, number: Importing.LIES)
    source = registry.push("tidegatestaging", "a/b", image("one"))
    target = source.within("tidegatehealthy", "a/b")
    assert registry.import_status(registry.start_import(source, target)) == ImportDone()
    assert not registry.exists(target)


def test_a_registry_outside_the_settings_is_refused() -> None:
    with pytest.raises(PermanentError):
        FakeRegistry(FakeClock()).exists(ImageRef("elsewhere", "a/b", image().digest))
