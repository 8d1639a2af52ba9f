"""One trainer for one run: a lease in the work directory, renewed while the trainer lives, taken over when it does not.

On the same machine a dead owner is known at once, by its process. Of another machine only this is known: a lease that did not
change for `STALE_AFTER` seconds, by the clock of whoever watches it, has no owner. Clocks of two machines are never compared.

Whose lease it is says its token, never the answer to a write: an answer can be lost where the write was not, and a client that
then asks again is told that somebody else was first.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.places import Place

NAME = "lock.json"
RENEW_EVERY = 3.0
STALE_AFTER = 12.0
_SETTLE = 0.2  # seconds after which of two that swapped in the same moment only one is still there


class LockedError(RuntimeError):
    """Another trainer works on this run."""


class LostError(RuntimeError):
    """Another trainer took this run over; this one must write no more."""


class RunLock:
    """Held from `acquire` to `release`."""

    def __init__(self, place: Place, stale_after: float = STALE_AFTER, renew_every: float = RENEW_EVERY) -> None:
        self._place, self._stale_after, self._renew_every = place, stale_after, renew_every
        self._owner = _this_process() | {"token": secrets.token_hex(8)}
        self._count = 0
        self._written = b""
        self._lost: str | None = None
        self._writing = threading.Lock()
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lock", daemon=True)

    def acquire(self, warn: Callable[[str], None]) -> None:
        """Take the lease, or take over a stale one with a warning; raises LockedError when its owner lives."""
        data = self._content()
        if not self._place.create(NAME, data):
            self._take_over(data, warn)
        self._written = data
        self._thread.start()

    def check(self) -> None:
        """Raises LostError when the lease is not this process's any more. Called before every publication."""
        with self._writing:
            if self._lost is None:
                self._see_whose_it_is()
        if self._lost is not None:
            raise LostError(f"this run was taken over by {self._lost}; nothing more is written")

    def release(self) -> None:
        """Give the lease up; a lease that is not ours is left alone."""
        self._released.set()
        self._thread.join()
        with self._writing, contextlib.suppress(OSError):
            if self._lost is None and self._is_ours(self._place.read(NAME)):
                self._place.remove(NAME)

    def _take_over(self, data: bytes, warn: Callable[[str], None]) -> None:
        seen = self._read()
        if self._is_ours(seen):
            return
        if not _is_dead(seen, self._owner):
            seen = self._watch(seen)
        if seen is None:
            self._place.create(NAME, data)
        else:
            self._place.swap(NAME, seen, data)
            time.sleep(_SETTLE)
        if not self._is_ours(self._read()):
            raise LockedError("another trainer took the run over in this moment")
        if seen is not None:
            warn(f"the lock of {_named(seen)} was stale and is taken over")

    def _watch(self, seen: bytes | None) -> bytes | None:
        """The lease, after nobody renewed it for long enough; raises LockedError as soon as somebody does."""
        end = time.monotonic() + self._stale_after
        while time.monotonic() < end:
            time.sleep(min(0.2, self._stale_after / 10))
            now = self._read()
            if now is None:
                return None
            if now != seen:
                raise LockedError(f"{_named(now)} works on this run; a run has one trainer at a time")
        return seen

    def _renew(self) -> None:
        """OSError: a share that is away for a moment. What became of the lease, the next look finds out."""
        while not self._released.wait(self._renew_every):
            with self._writing, contextlib.suppress(OSError):
                self._count += 1
                data = self._content()
                if self._place.swap(NAME, self._written, data):
                    self._written = data
                    continue
                self._see_whose_it_is()
                if self._lost is not None:
                    return

    def _see_whose_it_is(self) -> None:
        now = self._read()
        if now is not None and self._is_ours(now):
            self._written = now
        elif self._lost is None:
            self._lost = "nobody" if now is None else _named(now)

    def _is_ours(self, lease: bytes | None) -> bool:
        return lease is not None and _owner_of(lease).get("token") == self._owner["token"]

    def _read(self) -> bytes | None:
        try:
            return self._place.read(NAME)
        except FileNotFoundError:
            return None

    def _content(self) -> bytes:
        return json.dumps(self._owner | {"renewals": self._count}, sort_keys=True).encode()


def _this_process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid(), "started": _started(os.getpid())}


def _owner_of(lease: bytes) -> dict[str, Any]:
    """Empty for a lease that was cut off while it was written: nobody's, and watched like any other."""
    try:
        owner = json.loads(lease)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _is_dead(lease: bytes | None, here: dict[str, Any]) -> bool:
    """Whether the owner was a process of this machine (and of this container) that is no more."""
    owner = {} if lease is None else _owner_of(lease)
    same, pid = all(owner.get(name) == here[name] for name in ("host", "boot")), owner.get("pid")
    return same and isinstance(pid, int) and _started(pid) != owner.get("started")


def _boot() -> str:
    """This boot of this machine, and this container of it: elsewhere the same process number is another process."""
    with contextlib.suppress(OSError):
        return (
            Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            + "/"
            + str(Path("/proc/self/ns/pid").readlink())
        )
    return secrets.token_hex(8)  # unknown: no other process is taken for a dead one of this machine


def _started(pid: int) -> str | None:
    """When a process started, in ticks since boot (the kernel's proc_pid_stat, field 22); None when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _named(lease: bytes) -> str:
    owner = _owner_of(lease)
    return f"process {owner['pid']} on {owner['host']}" if {"pid", "host"} <= owner.keys() else "an unreadable owner"
