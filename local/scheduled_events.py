"""Azure's metadata service as far as a machine learns from it that it will be taken away: Scheduled Events, and its own name.

`python -m local.scheduled_events --port 8169` serves it; `POST /preempt` announces an eviction, as `az vm simulate-eviction`
would. Not a part of the stack: a machine has its own metadata service. Unverified: which events a machine of an Azure ML
cluster sees.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import datetime
import uuid
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any

from aiohttp import web

API_VERSIONS = {"2017-08-01", "2017-11-01", "2019-01-01", "2019-04-01", "2019-08-01", "2020-07-01"}
NOTICE = datetime.timedelta(seconds=30)  # https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events

type Clock = Callable[[], datetime.datetime]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclasses.dataclass(slots=True)
class _Event:
    id: str
    kind: str
    machines: list[str]
    not_before: datetime.datetime
    started: bool = False

    def as_json(self) -> dict[str, Any]:
        """As the vendor's page shows it: blank `NotBefore` once started, -1 for an unknown duration."""
        return {
            "EventId": self.id,
            "EventStatus": "Started" if self.started else "Scheduled",
            "EventType": self.kind,
            "ResourceType": "VirtualMachine",
            "Resources": self.machines,
            "NotBefore": "" if self.started else format_datetime(self.not_before, usegmt=True),
            "Description": "",
            "EventSource": "Platform",
            "DurationInSeconds": -1,
        }


class ScheduledEvents:
    """One machine's view. `DocumentIncarnation` grows with every change; an approved event starts at once."""

    def __init__(self, machine: str, clock: Clock = _now, first_call_delay: float = 0.0) -> None:
        self.machine = machine
        self.calls = 0
        self.approved: list[str] = []
        self._clock, self._delay = clock, first_call_delay
        self._events: list[_Event] = []
        self._incarnation = 1

    def announce(self, kind: str = "Preempt", machines: list[str] | None = None) -> str:
        """Returns the event's id."""
        event = _Event(str(uuid.uuid4()).upper(), kind, machines or [self.machine], self._clock() + NOTICE)
        self._events.append(event)
        self._incarnation += 1
        return event.id

    def withdraw(self, event_id: str) -> None:
        """Azure reconsidered, or the event is over: it vanishes from the document."""
        self._events = [event for event in self._events if event.id != event_id]
        self._incarnation += 1

    def application(self) -> web.Application:
        """The routes of the metadata service, and `POST /preempt` for people and tests."""
        application = web.Application()
        application.router.add_get("/metadata/scheduledevents", self._document)
        application.router.add_post("/metadata/scheduledevents", self._approve)
        application.router.add_get("/metadata/instance/compute/name", self._name)
        application.router.add_post("/preempt", self._preempt)
        return application

    async def _document(self, request: web.Request) -> web.Response:
        if refusal := _refusal(request):
            return refusal
        self.calls += 1
        if self.calls == 1 and self._delay:
            await asyncio.sleep(self._delay)  # the first call switches the service on, which takes up to two minutes
        self._start_what_is_due()
        return web.json_response(
            {"DocumentIncarnation": self._incarnation, "Events": [event.as_json() for event in self._events]}
        )

    async def _approve(self, request: web.Request) -> web.Response:
        if refusal := _refusal(request):
            return refusal
        try:
            wanted = [str(each["EventId"]) for each in (await request.json())["StartRequests"]]
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": "Bad request"}, status=400)
        known = {event.id: event for event in self._events}
        if not wanted or any(each not in known for each in wanted):
            return web.json_response({"error": "Bad request"}, status=400)
        for each in wanted:
            known[each].started = True
            self.approved.append(each)
        self._incarnation += 1
        return web.Response(status=200)

    async def _name(self, request: web.Request) -> web.Response:
        return _refusal(request) or web.Response(text=self.machine)

    async def _preempt(self, _request: web.Request) -> web.Response:
        return web.json_response({"EventId": self.announce()})

    def _start_what_is_due(self) -> None:
        for event in self._events:
            if not event.started and event.not_before <= self._clock():
                event.started = True
                self._incarnation += 1


def _refusal(request: web.Request) -> web.Response | None:
    """Without the header, or through a proxy, the service answers nobody: it guards against forwarded requests."""
    if request.headers.get("Metadata", "").lower() != "true" or "X-Forwarded-For" in request.headers:
        return web.json_response({"error": "Bad request. Required metadata header not specified"}, status=400)
    if "api-version" not in request.query:
        return web.json_response({"error": "Bad request. api-version was not specified in the request"}, status=400)
    if request.path.endswith("/scheduledevents") and request.query["api-version"] not in API_VERSIONS:
        return web.json_response({"error": "Bad request. api-version is invalid"}, status=400)
    return None


def main() -> None:
    """Serve on loopback until stopped."""
    parser = argparse.ArgumentParser(prog="python -m local.scheduled_events", description=__doc__)
    parser.add_argument("--port", type=int, default=8169)
    parser.add_argument("--machine", default="spot-vm-0")
    options = parser.parse_args()
    web.run_app(ScheduledEvents(options.machine).application(), host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
