"""Published outcomes and secrets in memory."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.faults import FakePort, FaultHook, call, healthy
from tidegate.errors import PermanentError
from tidegate.ports import Outcome


class FakeTopic(FakePort):
    """The port; `published` holds every publishing, repeated ones too."""

    port = "OutcomeTopic"

    def __init__(self, fault: FaultHook = healthy) -> None:
        super().__init__(fault)
        self.published: list[Outcome] = []

    @call
    def publish(self, outcome: Outcome) -> None:
        self.published.append(outcome)

    def distinct(self) -> dict[str, Outcome]:
        """By id, as a subscriber that drops repeated ids sees them."""
        return {each.id: each for each in self.published}


class FakeSecrets(FakePort):
    """The port, over a mapping."""

    port = "Secrets"

    def __init__(self, values: Mapping[str, str] | None = None, fault: FaultHook = healthy) -> None:
        super().__init__(fault)
        self.values = dict(values or {})

    @call
    def get(self, name: str) -> str:
        if name not in self.values:
            raise PermanentError(f"secret {name}: there is none")
        return self.values[name]
