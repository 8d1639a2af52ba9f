"""What happens from outside in a simulated run: who pushes what, how tests and imports go, and what the gate asks for."""

from __future__ import annotations

import dataclasses
import functools

from tests.fakes import Content, artifact, image
from tests.flows.samples import GATE, gate
from tidegate.flows.images.image_gate import ImageGate

REPOSITORY = "training/litter"
SIGNATURE = "application/vnd.example.signature"


@functools.cache
def content(letter: str) -> Content:
    """One image a letter."""
    return image(letter)


@functools.cache
def digest(letter: str) -> str:
    """The image's digest."""
    return content(letter).digest


@functools.cache
def signature(letter: str) -> Content:
    """What is attached to the image."""
    return artifact(SIGNATURE, letter.encode(), subject=content(letter))


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """The script of one run; the rest is the driver's choice."""

    pushes: tuple[tuple[str, str], ...]
    """Letter of the image, and tag, in the order of pushes."""
    gate: ImageGate = GATE
    failing: str = ""
    """Letters whose test fails."""
    flaky: str = ""
    """Letters whose first run ends without a verdict."""
    hanging: str = ""
    """Letters whose first run never ends."""
    lying: bool = False
    """Whether the first import says it is done while nothing arrived."""
    signed: bool = False
    """Whether a signature is attached to every image."""
    duplicates: int = 0
    """How often each event is delivered beyond the first time."""
    redeploy_after: int = 0
    """After how many pushes the app is deployed with another version of the gate; 0: never."""
    pushes_wait: bool = False
    """Whether the next push waits, by default, until the work on the last one has ended."""
    push_times: tuple[float, ...] = ()
    """When the pushes take place by default, in seconds; empty: as soon as nothing is being worked on."""
    timer: bool = True
    """Whether `resume_stalled` runs."""
    test_seconds: float = 20
    import_seconds: float = 5
    workers: int = 2

    def letter(self, of: str) -> str:
        """Which image a digest is; the digest itself for one that nobody pushes."""
        return next((letter for letter, _ in self.pushes if digest(letter) == of), of)

    def approves(self, letter: str) -> bool:
        """Whether the image deserves promotion."""
        return letter not in self.failing


FIRM = gate(promote={"tags": "immutable"})
SIGNED = gate(promote={"referrers": (SIGNATURE,), "required_referrers": (SIGNATURE,), "lock_manifest": True})

SCENARIOS: dict[str, Scenario] = {
    "a tag moves": Scenario((("a", "v1"), ("b", "v1"))),
    "a tag moves after its image was promoted": Scenario((("a", "v1"), ("b", "v1")), pushes_wait=True),
    "a tag moves and moves back": Scenario((("a", "v1"), ("b", "v1"), ("a", "v1"))),
    "one image under two tags": Scenario((("a", "v1"), ("a", "v2")), duplicates=1),
    "a bad image follows a good one": Scenario((("a", "v1"), ("b", "v1")), failing="b"),
    "a good image follows a bad one": Scenario((("a", "v1"), ("b", "v1")), failing="a"),
    "two tags cross": Scenario((("a", "v1"), ("b", "v2"), ("b", "v1"), ("a", "v2"))),
    "an immutable tag is pushed twice": Scenario((("a", "v1"), ("b", "v1")), gate=FIRM, pushes_wait=True),
    "a test without a verdict": Scenario((("a", "v1"),), flaky="a"),
    "a test that hangs": Scenario((("a", "v1"),), hanging="a"),
    "an import that lies": Scenario((("a", "v1"),), lying=True),
    "signed images": Scenario((("a", "v1"), ("b", "v2")), gate=SIGNED, signed=True),
    "a gate changes meanwhile": Scenario((("a", "v1"), ("a", "v1")), redeploy_after=1, duplicates=1),
}
