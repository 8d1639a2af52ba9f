"""A broken invariant, and what is true about the outside of a run: who pushed what, and which test came to what.

The numbers are those of the invariants: G general, A images.
"""

from __future__ import annotations

from tests.simulator.installation import HEALTHY, NEWER_VERSION, STAGING, Installation
from tests.simulator.scenarios import REPOSITORY
from tests.simulator.scenarios import digest as digest_of
from tidegate.flows.images.promotion_record import Verdict
from tidegate.ports import TestFailed, TestPassed


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.invariant = invariant


def check(holds: object, invariant: str, message: str) -> None:
    """Violation, unless it holds."""
    if not holds:
        raise Violation(invariant, message)


class Truth:
    """What an onlooker knows who sees the outside and not the records."""

    def __init__(self, app: Installation) -> None:
        self._app = app
        self._scenario = app.scenario
        self.pushed = 0
        """How many of the scenario's pushes have taken place."""

    def pushes(self) -> list[tuple[str, str]]:
        """Digest and tag of every push so far."""
        return [(digest_of(letter), tag) for letter, tag in self._scenario.pushes[: self.pushed]]

    def is_pushed(self, digest: str) -> bool:
        return any(digest == pushed for pushed, _ in self.pushes())

    def is_expected(self, key: str) -> bool:
        """Whether a record may be there: one for each image and version of its gate, and one for each tag."""
        for digest, tag in self.pushes():
            image = f"image-promotion:{STAGING}/{REPOSITORY}@{digest}#"
            versions = (self._scenario.gate.version, NEWER_VERSION)
            if key in (f"tag-ownership:{HEALTHY}/{REPOSITORY}:{tag}", *(f"{image}{version}" for version in versions)):
                return True
        return False

    def agrees(self, digest: str, verdict: Verdict) -> bool:
        """Whether the run that a verdict names was of the digest, has ended, and ended so."""
        run = self._app.tests.runs.get(verdict.run)
        wanted = TestPassed() if verdict.kind == "passed" else TestFailed("exit code 1")
        return run is not None and run.image.digest == digest and self._app.tests._status(run.id) == wanted

    def runs(self, digest: str) -> int:
        return sum(run.image.digest == digest for run in self._app.tests.runs.values())

    def name(self, digest: str) -> str:
        """An image as people read it."""
        return f"image {self._scenario.letter(digest)}"


def short(key: str) -> str:
    """A record's key as people read it: without the registry, with the beginning of the digest."""
    place, _, version = key.partition("#")
    return f"{place[:80]}#{version}" if version else place
