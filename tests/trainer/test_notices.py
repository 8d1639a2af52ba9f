"""A machine that is to be taken away is noticed, and only then."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request

import pytest

from local.scheduled_events import ScheduledEvents as Metadata
from tests.trainer.metadata import serving
from trainer.notices import EVENTS_URL, NAME_URL, Notice, ScheduledEvents, signals


def watch(base: str) -> tuple[Notice, ScheduledEvents]:
    notice = Notice()
    urls = [url.replace("http://169.254.169.254", base) for url in (EVENTS_URL, NAME_URL)]
    events = ScheduledEvents(notice, *urls)
    events.start()
    return notice, events


def until(condition: object, within: float = 5.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if callable(condition) and condition():
            return True
        time.sleep(0.02)
    return False


def test_an_eviction_of_this_machine_is_noticed_and_can_be_acknowledged() -> None:
    metadata = Metadata("spot-vm-0")
    with serving(metadata) as base:
        notice, events = watch(base)
        assert until(lambda: metadata.calls >= 1)
        assert not notice
        event = metadata.announce()
        assert until(lambda: bool(notice))
        assert notice.reason.startswith("Preempt")
        assert metadata.approved == []
        assert events.acknowledge()
        assert metadata.approved == [event]
        events.stop()


@pytest.mark.parametrize(("kind", "machine"), [("Freeze", "spot-vm-0"), ("Preempt", "spot-vm-1")])
def test_other_events_and_other_machines_are_no_notice(kind: str, machine: str) -> None:
    metadata = Metadata("spot-vm-0")
    metadata.announce(kind, [machine])
    with serving(metadata) as base:
        notice, events = watch(base)
        assert until(lambda: metadata.calls >= 2)
        assert not notice
        assert not events.acknowledge()
        events.stop()


def test_the_stand_in_answers_as_the_metadata_service_does() -> None:
    metadata = Metadata("spot-vm-0")
    with serving(metadata) as base:

        def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
            request = urllib.request.Request(base + url, data=body, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()

        path = "/metadata/scheduledevents?api-version=2020-07-01"
        assert ask(path)[0] == 400
        assert ask("/metadata/scheduledevents", Metadata="true")[0] == 400
        assert ask("/metadata/scheduledevents?api-version=1999-01-01", Metadata="true")[0] == 400
        assert json.loads(ask(path, Metadata="true")[1]) == {"DocumentIncarnation": 1, "Events": []}
        event = metadata.announce()
        document = json.loads(ask(path, Metadata="true")[1])
        assert document["DocumentIncarnation"] == 2
        assert document["Events"][0].keys() == RECORDED_KEYS
        assert (document["Events"][0]["EventStatus"], document["Events"][0]["DurationInSeconds"]) == ("Scheduled", -1)
        assert ask(path, b"{}", Metadata="true")[0] == 400
        assert ask(path, b'{"StartRequests": [{"EventId": "unknown"}]}', Metadata="true")[0] == 400
        approval = json.dumps({"StartRequests": [{"EventId": event}]}).encode()
        assert ask(path, approval, Metadata="true")[0] == 200
        document = json.loads(ask(path, Metadata="true")[1])
        assert (document["Events"][0]["EventStatus"], document["Events"][0]["NotBefore"]) == ("Started", "")
        metadata.withdraw(event)
        assert json.loads(ask(path, Metadata="true")[1])["Events"] == []


RECORDED_KEYS = {
    "EventId", "EventStatus", "EventType", "ResourceType", "Resources", "NotBefore", "Description", "EventSource",
    "DurationInSeconds",
}  # fmt: skip
"""Of the documents on the vendor's page."""


def test_sigterm_is_a_notice_while_the_run_lasts_and_not_after() -> None:
    notice = Notice()
    before = signal.getsignal(signal.SIGTERM)
    with signals(notice):
        os.kill(os.getpid(), signal.SIGTERM)
        assert until(lambda: bool(notice))
    assert notice.reason == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) == before
