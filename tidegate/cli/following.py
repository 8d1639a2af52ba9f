"""Waiting for the end of long work: looked at again and again, each change said, bounded."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from tidegate.cli import output
from tidegate.cli.connection import Connection
from tidegate.cli.problems import Exit, Problem

GOOD = frozenset({"Promoted", "Delivered", "Ignored", "Superseded"})
"""States that end the work without a fault."""
BAD = frozenset({"Rejected", "Errored", "Failed", "RolledBack"})
"""States that end it with one."""
EVERY = 2.0
"""Seconds between two looks."""


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """How long, and how it is told."""

    connection: Connection
    seconds: float
    watched: bool
    """One line of JSON for each change on standard output; else words on standard error."""
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def until_end(self, path: str) -> Any:
        """The last look. Problem: the wait is over before the work (PENDING). An app that does not answer is asked again."""
        todo = f"Go on waiting with: tidegate show {path.rpartition('/')[2]} --wait"
        try:
            return self._looks(path, self.now() + self.seconds, todo)
        except KeyboardInterrupt as interrupt:
            output.words("")
            raise Problem(Exit.PENDING, "stopped waiting; the work itself goes on", todo) from interrupt

    def _looks(self, path: str, until: float, todo: str) -> Any:
        seen = ""
        while True:
            try:
                found = self.connection.get(path).json()
                shown = f"{found.get('state')} {found.get('stage') or ''}".strip()
            except Problem as problem:
                if problem.status is not Exit.FAILED or self.now() >= until:
                    raise
                found, shown = {"reason": problem.what}, "no answer"
            if shown != seen:
                seen = shown
                self._tell(found, shown)
            if found.get("state") in GOOD | BAD:
                return found
            if self.now() >= until:
                raise Problem(Exit.PENDING, f"still {shown} after {self.seconds:.0f} s", todo)
            self.pause(EVERY)

    def _tell(self, found: Any, shown: str) -> None:
        if self.watched and "state" in found:
            output.show_line(found)
        else:
            reason = f": {found['reason']}" if found.get("reason") else ""
            output.words(f"{time.strftime('%H:%M:%S')}  {shown}{reason}")


def check_end(found: Any) -> None:
    """Problem: it ended with a fault."""
    if found.get("state") in BAD:
        raise Problem(Exit.REFUSED, f"{found['state']}: {found.get('reason', '')}".rstrip(": "))
