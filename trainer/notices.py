"""Being told that the machine goes away: SIGTERM, and Azure's Scheduled Events, which give 30 seconds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

EVENTS_URL = "http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01"
NAME_URL = "http://169.254.169.254/metadata/instance/compute/name?api-version=2021-02-01&format=text"
# https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events
POLL_EVERY = 1.0
FIRST_CALL_TIMEOUT = 130.0  # the first call enables the service and may take two minutes
_LEAVING = ("Preempt", "Terminate")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ABSENT_RETRY = 30.0  # where nothing answers at all, which is any machine outside Azure


class Notice:
    """Set once, from a signal handler or the poller; read between two steps."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self.reason = ""
        self.at = 0.0

    def give(self, reason: str) -> None:
        """Later notices change nothing."""
        if not self._set.is_set():
            self.reason, self.at = reason, time.monotonic()
            self._set.set()

    def listen(self) -> None:
        """From here on SIGTERM and SIGINT are notices. Again after workers are connected, when TensorFlow takes SIGTERM."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: object) -> None:
        self.give(signal.Signals(number).name)

    def __bool__(self) -> bool:
        return self._set.is_set()


@contextlib.contextmanager
def signals(notice: Notice) -> Iterator[None]:
    """SIGTERM and SIGINT become the notice while the block lasts."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    notice.listen()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class ScheduledEvents:
    """Polls the metadata service in a thread; a `Preempt` of this machine becomes the notice."""

    def __init__(self, notice: Notice, events_url: str = EVENTS_URL, name_url: str = NAME_URL) -> None:
        self._notice, self._events_url, self._name_url = notice, events_url, name_url
        self._machine: str | None = None
        self._event_id: str | None = None
        self._stopped = threading.Event()
        # The metadata service is reached directly, never through a proxy.
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def start(self) -> None:
        """Begin at process start: the first call may take two minutes."""
        threading.Thread(target=self._poll, name="scheduled-events", daemon=True).start()

    def stop(self) -> None:
        """No poll begins after this."""
        self._stopped.set()

    def acknowledge(self) -> bool:
        """Tell Azure that it need not wait; only after the checkpoint is durable. False: there is nothing to tell."""
        if self._event_id is None:
            return False
        body = json.dumps({"StartRequests": [{"EventId": self._event_id}]}).encode()
        with contextlib.suppress(OSError):
            self._ask(self._events_url, 5.0, body)
            return True
        return False

    def _poll(self) -> None:
        timeout = FIRST_CALL_TIMEOUT
        while not self._stopped.is_set() and not self._notice:
            pause = POLL_EVERY
            try:
                events = json.loads(self._ask(self._events_url, timeout))["Events"]
                timeout = 10.0
                self._look_at(events)
            except (OSError, ValueError, KeyError):
                pause = _ABSENT_RETRY if timeout == FIRST_CALL_TIMEOUT else POLL_EVERY
            self._stopped.wait(pause)

    def _look_at(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            if event.get("EventType") in _LEAVING and self._is_mine(event.get("Resources", [])):
                self._event_id = event.get("EventId")
                self._notice.give(f"{event['EventType']}, not before {event.get('NotBefore') or 'now'}")

    def _is_mine(self, machines: list[str]) -> bool:
        """An event names every machine it is about. When this one's name cannot be learnt, it is taken as meant."""
        if self._machine is None:
            try:
                self._machine = self._ask(self._name_url, 5.0).decode().strip()
            except OSError:
                return True
        return self._machine in machines or not machines

    def _ask(self, url: str, timeout: float, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(url, data=body, headers={"Metadata": "true"})
        with self._http.open(request, timeout=timeout) as answer:
            content: bytes = answer.read()
            return content


def urls_from_environment() -> tuple[str, str] | None:
    """`TRAINER_METADATA_URL` replaces the address of the metadata service, `off` switches the polling off."""
    base = os.environ.get("TRAINER_METADATA_URL", "")
    if base == "off":
        return None
    if not base:
        return EVENTS_URL, NAME_URL
    return tuple(url.replace("http://169.254.169.254", base.rstrip("/")) for url in (EVENTS_URL, NAME_URL))  # type: ignore[return-value]  # two in, two out
