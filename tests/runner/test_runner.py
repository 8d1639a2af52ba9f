"""What the runner promises: saved before anything is done, done until there is an answer, by one worker at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import override

import pytest

from tests.fakes import START, Crash, FakeStore, Fault, FaultHook, image, index
from tests.runner.world import HEALTHY, World
from tests.simulator.installation import KeptValues
from tidegate import ports
from tidegate.errors import MalformedEvent, StateConflict, TransientError
from tidegate.flows.base import After, Decision, Explanation, Flow, Listing, Publish, Tell
from tidegate.flows.images import image_states as st
from tidegate.ports import AuditRow, Row
from tidegate.records import Lease, Record
from tidegate.references import ImageRef
from tidegate.runner import (
    BUDGET,
    CONFLICTS,
    FORGOTTEN_AFTER,
    GIVE_UP_AFTER,
    LEASE,
    LONGEST_WAIT,
    read_work_message,
    work_message,
)

GOOD, OTHER = image("good"), image("other")


def faulty(port: str, method: str, fault: Fault, times: int = 1) -> FaultHook:
    """The first calls of a method go wrong."""
    left = [times]

    def hook(called_port: str, called_method: str) -> Fault:
        if (called_port, called_method) != (port, method) or not left[0]:
            return Fault.OK
        left[0] -= 1
        return fault

    return hook


def pushed(world: World, content: object = GOOD, tag: str = "v1") -> str:
    """A push that was delivered; its record's key."""
    key, event = world.push("training/litter", content, tag)  # type: ignore[arg-type]  # a Content
    world.runner.deliver(key, event)
    return key


def record(world: World, key: str) -> Record:
    return world.runner.records.load(key)[0]


# From end to end ---------------------------------------------------------------------------------------------------


def test_a_good_image_is_promoted_under_its_tag() -> None:
    world = World()
    key = pushed(world)
    world.run()
    assert isinstance(world.state(key), st.Promoted)
    assert world.healthy_tag("training/litter", "v1") == GOOD.digest
    assert [each.type for each in world.topic.published] == ["Tidegate.ImagePromoted"]


def test_an_index_is_promoted_whole() -> None:
    world = World()
    both = index({"linux/amd64": image("amd"), "linux/arm64": image("arm")})
    pushed(world, both)
    world.run()
    there = world.registry.repository(HEALTHY, "training/litter").manifests
    assert {both.digest, *(child.digest for child in both.children)} <= set(there)


def test_a_bad_image_is_rejected_and_never_imported() -> None:
    world = World()
    world.tests.verdict = lambda image, number: ports.TestFailed("exit code 1")
    key = pushed(world)
    world.run()
    assert isinstance(world.state(key), st.Rejected)
    assert world.registry.called("start_import") == 0
    assert [each.type for each in world.topic.published] == ["Tidegate.ImageRejected"]


def test_a_run_without_a_verdict_is_tried_again() -> None:
    world = World()

    def verdict(image: ImageRef, number: int) -> ports.TestStatus:
        return ports.TestErrored("the agent was lost") if number < 3 else ports.TestPassed()

    world.tests.verdict = verdict
    key = pushed(world)
    world.run()
    assert isinstance(world.state(key), st.Promoted)
    assert len(world.tests.runs) == 3


def test_every_transition_is_audited_once_in_order() -> None:
    world = World()
    key = pushed(world)
    world.run()
    rows = world.store.history(key)
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert [row.after for row in rows][:3] == ["Inspecting", "Testing", "Testing"]
    assert all(after.before == before.after for before, after in itertools.pairwise(rows))
    assert rows[-1].after == "Promoted"


def test_every_event_and_command_of_a_record_is_a_span_of_its_own() -> None:
    world, seen = World(), list[tuple[str, str]]()

    @contextlib.contextmanager
    def span(key: str, name: str) -> Iterator[None]:
        seen.append((key, name))
        yield

    world.runner = dataclasses.replace(world.runner, span=span)
    key = pushed(world)
    world.run()
    mine = [name for each, name in seen if each == key]
    assert mine[0] == "ImagePushed"
    for name in ("InspectImage", "StartImageTest", "ImportImage", "AttachRecord"):
        assert name in mine, mine
    assert {each.partition(":")[0] for each, _ in seen} == {"image-promotion", "tag-ownership"}


def test_the_list_shows_the_end() -> None:
    world = World()
    key = pushed(world)
    world.run()
    (entry,) = world.store.entries.values()
    assert (entry.key, entry.state, entry.tags) == (key, "Promoted", ("v1",))


# Delivering --------------------------------------------------------------------------------------------------------


def test_an_event_is_saved_with_its_commands_before_a_message_is_sent() -> None:
    world = World(faulty("WorkQueue", "send", Fault.CRASH_BEFORE))
    key, event = world.push("training/litter", GOOD, "v1")
    with pytest.raises(Crash):
        world.runner.deliver(key, event)
    assert isinstance(world.state(key), st.Inspecting)
    assert len(record(world, key).outbox) > 0


def test_a_duplicate_costs_one_read() -> None:
    world = World()
    key, event = world.push("training/litter", GOOD, "v1")
    world.runner.deliver(key, event)
    world.run()
    world.store.calls.clear()
    world.queue.calls.clear()
    world.runner.deliver(key, event)
    assert [name for name, _ in world.store.calls] == ["load"]
    assert world.queue.calls == []


def test_a_message_that_was_lost_is_made_up_for_by_a_late_duplicate() -> None:
    world = World(faulty("WorkQueue", "send", Fault.FAIL_BEFORE))
    key, event = world.push("training/litter", GOOD, "v1")
    with pytest.raises(TransientError):
        world.runner.deliver(key, event)
    world.runner.deliver(key, event)
    assert len(world.queue) == 0
    world.clock.advance(3 * LEASE.total_seconds())
    world.runner.deliver(key, event)
    assert len(world.queue) == 1


class BusyStore(FakeStore):
    """Somebody else writes the row just before each of our writes."""

    writes = 0

    @override
    def save(self, row: Row, audit: Sequence[AuditRow]) -> str:
        if self.writes:
            self.writes -= 1
            raise StateConflict(row.key)
        return super().save(row, audit)


def test_a_decision_is_taken_again_when_the_record_changed() -> None:
    world = World()
    store = BusyStore()
    store.writes = CONFLICTS - 1
    world.use(store)
    key = pushed(world)
    assert isinstance(world.state(key), st.Inspecting)
    assert store.called("load") >= CONFLICTS


def test_a_record_that_never_holds_still_is_tried_again_later() -> None:
    world = World()
    store = BusyStore()
    store.writes = CONFLICTS
    world.use(store)
    with pytest.raises(TransientError, match=f"changed by others {CONFLICTS} times"):
        pushed(world)


# Carrying out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "method"),
    [
        ("ImageRegistry", "inspect"),
        ("ImageTests", "start"),
        ("ImageTests", "status"),
        ("Evidence", "put"),
        ("ImageRegistry", "start_import"),
        ("ImageRegistry", "attach_record"),
        ("ImageRegistry", "place_tag"),
        ("OutcomeTopic", "publish"),
        ("StateStore", "list_entry"),
    ],
)
@pytest.mark.parametrize("fault", [Fault.FAIL_BEFORE, Fault.FAIL_AFTER, Fault.TRANSIENT])
def test_a_call_without_an_answer_is_made_again(port: str, method: str, fault: Fault) -> None:
    world = World(faulty(port, method, fault, times=3))
    key = pushed(world)
    world.run()
    assert isinstance(world.state(key), st.Promoted)
    assert world.healthy_tag("training/litter", "v1") == GOOD.digest
    assert set(world.topic.distinct()) == {f"{key}/ImagePromoted/v1/00000001"}


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
@pytest.mark.parametrize("call", range(1, 40, 3))
def test_a_worker_may_die_at_any_call(call: int, fault: Fault) -> None:
    calls = 0

    def hook(port: str, method: str) -> Fault:
        nonlocal calls
        calls += 1
        return fault if calls == call else Fault.OK

    world = World()
    key, event = world.push("training/litter", GOOD, "v1")
    world.runner.deliver(key, event)
    world.inject(hook)
    world.settle()
    assert isinstance(world.state(key), st.Promoted)
    assert world.healthy_tag("training/litter", "v1") == GOOD.digest
    assert set(world.topic.distinct()) == {f"{key}/ImagePromoted/v1/00000001"}


def test_waits_grow_up_to_their_limit_and_a_service_is_given_the_time_it_asks_for() -> None:
    world = World(faulty("ImageRegistry", "inspect", Fault.FAIL_BEFORE, times=12))
    key = pushed(world)
    waits = []
    for _ in range(12):
        delivery = world.queue.receive()
        assert delivery is not None
        world.runner.work(key)
        world.queue.delete(delivery)
        soonest = world.queue.next_at()
        assert soonest is not None
        waits.append((soonest - world.clock.now()).total_seconds())
        world.clock.advance_to(soonest)
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == LONGEST_WAIT


def test_an_answer_that_never_comes_becomes_an_event_after_a_day() -> None:
    world = World(faulty("ImageRegistry", "inspect", Fault.FAIL_BEFORE, times=10_000))
    key = pushed(world)
    world.run(5000)
    assert isinstance(world.state(key), st.Errored)
    assert world.clock.now() - record(world, key).since >= GIVE_UP_AFTER


def test_news_that_cannot_be_published_for_a_day_is_parked() -> None:
    world = World(faulty("OutcomeTopic", "publish", Fault.FAIL_BEFORE, times=10_000))
    key = pushed(world)
    world.run(5000)
    assert isinstance(world.state(key), st.Promoted)
    assert record(world, key).outbox == ()
    (parked,) = world.evidence.dead_letters.values()
    assert parked.reason.startswith("given up")


def test_a_refusal_is_an_event_at_once() -> None:
    world = World(faulty("ImageRegistry", "inspect", Fault.PERMANENT))
    key = pushed(world)
    world.run()
    assert isinstance(world.state(key), st.Rejected)
    assert world.registry.called("inspect") == 1


def test_steps_of_the_flow_come_before_the_news_of_them() -> None:
    world = World()
    pushed(world)
    pushed(world, GOOD, "v2")
    order: list[str] = []

    def hook(port: str, method: str) -> Fault:
        order.append(method)
        return Fault.OK

    world.inject(hook)
    world.run()
    assert order.index("publish") > order.index("place_tag")
    assert order.index("list_entry") > order.index("inspect")


# Leases and time ---------------------------------------------------------------------------------------------------


def test_two_messages_start_one_test() -> None:
    world = World()
    key = pushed(world)
    during: list[Callable[[], None]] = [lambda: world.runner.work(key)]

    def hook(port: str, method: str) -> Fault:
        if (port, method) == ("ImageTests", "start") and during:
            during.pop()()
        return Fault.OK

    world.inject(hook)
    world.run()
    assert world.tests.called("start") == 1
    assert isinstance(world.state(key), st.Promoted)


def test_a_record_that_is_worked_on_is_left_alone_until_the_lease_ends() -> None:
    world = World()
    key = pushed(world)
    current, etag = world.runner.records.load(key)
    until = world.clock.now() + LEASE
    world.runner.records.save(key, with_lease(current, Lease("somebody", until)), etag)
    world.runner.work(key)
    assert world.registry.calls == []
    world.clock.advance_to(until)
    world.runner.work(key)
    assert world.registry.called("inspect") == 1


def with_lease(current: Record, lease: Lease) -> Record:
    return Record(current.state, current.since, current.outbox, current.numbered, current.audited, lease)


def test_a_look_at_something_that_runs_needs_no_lease() -> None:
    world = World()
    world.tests.seconds = 30
    key = pushed(world)
    world.run_for(5)
    saved, looked = world.store.called("save"), world.tests.called("status")
    world.run_for(10)
    assert world.tests.called("status") > looked
    assert world.store.called("save") - saved == world.tests.called("status") - looked
    assert isinstance(world.state(key), st.Testing)


def test_nobody_holds_a_record_on_which_nothing_is_due() -> None:
    world = World()
    world.tests.seconds = 30
    key = pushed(world)
    delivery = world.queue.receive()
    assert delivery is not None
    world.runner.work(key)
    assert record(world, key).lease is None
    assert record(world, key).outbox != ()


def test_an_invocation_ends_in_time_and_leaves_the_rest_to_a_message() -> None:
    world = World()
    key = pushed(world)

    def slow(port: str, method: str) -> Fault:
        world.clock.advance(BUDGET.total_seconds() / 2 if port in ("ImageRegistry", "ImageTests") else 0)
        return Fault.OK

    delivery = world.queue.receive()
    assert delivery is not None
    world.queue.delete(delivery)
    world.inject(slow)
    began = world.clock.now()
    world.runner.work(key)
    assert world.clock.now() - began <= BUDGET + LEASE
    assert len(world.queue) == 1
    world.inject(lambda port, method: Fault.OK)
    world.settle()
    assert isinstance(world.state(key), st.Promoted)


def test_work_that_nobody_sent_a_message_for_is_found() -> None:
    world = World(faulty("WorkQueue", "send", Fault.CRASH_BEFORE))
    key, event = world.push("training/litter", GOOD, "v1")
    with pytest.raises(Crash):
        world.runner.deliver(key, event)
    assert world.runner.resume() == 0
    world.clock.advance(3 * LEASE.total_seconds())
    assert world.runner.resume() == 1
    world.run()
    assert isinstance(world.state(key), st.Promoted)
    assert world.runner.resume() == 0


def test_looking_for_forgotten_work_reads_nothing_of_records_that_ended_long_ago() -> None:
    world = World()
    pushed(world)
    world.run()
    assert world.store.watches
    world.clock.advance(FORGOTTEN_AFTER.total_seconds() + 1)
    assert world.runner.resume() == 0
    assert world.store.watches == {}
    loaded = world.store.called("load")
    assert world.runner.resume() == 0
    assert (world.store.called("load"), len(world.store.rows)) == (loaded, 2)


def test_a_record_that_sleeps_is_watched_for_as_long_as_it_does() -> None:
    world = World(faulty("WorkQueue", "send", Fault.CRASH_BEFORE))
    teller = dataclasses.replace(
        world.runner,
        records=dataclasses.replace(world.runner.records, flows={"told": Teller("told")}, codec=KeptValues()),
    )
    with pytest.raises(Crash):
        teller.deliver("told:x", Nothing())  # asks for something in half a minute
    for _ in range(3):
        world.clock.advance(9)
        assert teller.resume() == 0
    world.clock.advance(FORGOTTEN_AFTER.total_seconds())
    assert teller.resume() == 1


def test_a_watch_without_a_record_is_forgotten_only_when_nobody_can_write_it_any_more() -> None:
    world = World(faulty("StateStore", "save", Fault.CRASH_BEFORE))
    key, event = world.push("training/litter", GOOD, "v1")
    with pytest.raises(Crash):
        world.runner.deliver(key, event)
    world.clock.advance(FORGOTTEN_AFTER.total_seconds() - 1)
    world.runner.resume()
    assert list(world.store.watches) == [key]
    world.clock.advance(2)
    world.runner.resume()
    assert world.store.watches == {}


def test_no_more_are_woken_at_once_than_asked_for() -> None:
    world = World(faulty("WorkQueue", "send", Fault.CRASH_BEFORE, 3))
    for tag in ("v1", "v2", "v3"):
        key, event = world.push(f"training/{tag}", GOOD, tag)
        with pytest.raises(Crash):
            world.runner.deliver(key, event)
    world.clock.advance(3 * LEASE.total_seconds())
    assert (world.runner.resume(limit=2), len(world.queue)) == (2, 2)


def test_a_message_for_work_that_is_done_does_nothing() -> None:
    world = World()
    key = pushed(world)
    world.run()
    saved = world.store.called("save")
    world.runner.work(key)
    assert world.store.called("save") == saved
    assert len(world.queue) == 0


def test_a_busy_tag_does_not_gather_messages() -> None:
    world = World()
    for number in range(30):
        pushed(world, (GOOD, OTHER)[number % 2], "latest")
        world.run_for(300)
        assert len(world.queue) <= 6
    assert world.healthy_tag("training/litter", "latest") == OTHER.digest


@dataclasses.dataclass(frozen=True, slots=True)
class Nothing:
    """State of a flow that has none, and an event that says nothing."""


class Teller(Flow[object, object, object]):
    """Tells another record of everything it hears, or publishes half a minute later what it was told."""

    def __init__(self, name: str) -> None:
        self.name = name

    @override
    def initial(self) -> object:
        return Nothing()

    @override
    def decide(self, state: object, event: object, /) -> Decision[object, object]:
        if self.name == "teller":
            return Decision(state, (Tell("told:x", Nothing()),))
        return Decision(state, (After(30, Publish("Tidegate.Told", "x", START, (), "x")),))

    @override
    def explain(self, event: object, after: object, /) -> Explanation:
        return Explanation("tidegate")

    @override
    def listing(self, state: object, /) -> Listing | None:
        return None


def test_work_of_a_told_record_that_is_due_later_has_its_message() -> None:
    world = World()
    flows = {name: Teller(name) for name in ("teller", "told")}
    records = dataclasses.replace(world.runner.records, flows=flows, codec=KeptValues())
    world.runner = dataclasses.replace(world.runner, records=records)
    world.runner.deliver("teller:x", Nothing())
    world.run()
    assert [each.id for each in world.topic.published] == ["x"]
    assert world.clock.now() - START == datetime.timedelta(seconds=30)


# Messages ----------------------------------------------------------------------------------------------------------


def test_a_work_message_names_its_record() -> None:
    assert read_work_message(work_message("a:b")) == "a:b"


@pytest.mark.parametrize("text", ["", "{", "7", "[]", "{}", '{"key":7}', '{"key":"no colon"}', "null"])
def test_a_message_that_is_not_ours_is_malformed(text: str) -> None:
    with pytest.raises(MalformedEvent, match=r"message"):
        read_work_message(text)


def test_a_record_of_no_flow_is_malformed() -> None:
    with pytest.raises(MalformedEvent, match="'nobody' is no flow"):
        World().runner.work("nobody:x")


def test_a_days_waits_are_longer_than_a_lease() -> None:
    assert datetime.timedelta(seconds=LONGEST_WAIT) > LEASE
    assert GIVE_UP_AFTER > BUDGET > LEASE
