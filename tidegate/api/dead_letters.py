"""Dead letters: what nobody could take, ours and Event Grid's, listed with the reason and let in again by hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from tidegate.errors import MalformedEvent, NotFound, Refused
from tidegate.events import envelope
from tidegate.flows.base import CommandRefused
from tidegate.intake import Intake
from tidegate.ports import CarryOut, Evidence, Parked, WorkQueue

MAX_PAGE = 200


@dataclasses.dataclass(frozen=True, slots=True)
class DeadLetters:
    """The dead letters of one installation."""

    evidence: Evidence
    queue: WorkQueue
    intake: Intake
    carry_out: CarryOut

    def listed(self, limit: int, cursor: str | None) -> tuple[Sequence[Parked], str | None]:
        """One page, the newest day first, and the cursor of the next. MalformedEvent names the parameter."""
        if not 1 <= limit <= MAX_PAGE:
            raise MalformedEvent(f"limit: must be 1 to {MAX_PAGE}")
        return self.evidence.parked(limit, cursor)

    def one(self, identity: str) -> Parked:
        """One of them. NotFound."""
        parked = self.evidence.parked_one(identity)
        if parked is None:
            raise NotFound("there is no dead letter with this id")
        return parked

    def replay(self, identity: str) -> None:
        """Let it in again; it leaves the list once it was taken. NotFound. MalformedEvent: it still breaks the rule. Refused."""
        parked = self.one(identity)
        try:
            body = json.loads(parked.body)
        except ValueError as error:
            raise MalformedEvent("the dead letter is not JSON, so nothing can take it") from error
        match body:
            case {"key": str()}:
                self.queue.send(parked.body, 0)
            case {"v": int(), "value": _}:
                self._carry_out(parked.body)
            case list():
                for event in body:
                    self.intake.take(envelope(event))
            case _:
                self.intake.take(envelope(body))
        self.evidence.unpark(identity)

    def _carry_out(self, body: str) -> None:
        """A command that was given up, or a mail that nobody took. Refused: it is refused again."""
        outcome = self.carry_out(self.intake.runner.records.codec.decode(body))
        if isinstance(outcome, CommandRefused):
            raise Refused(outcome.reason)
