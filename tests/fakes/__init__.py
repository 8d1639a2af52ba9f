"""In-memory twins of every port: deterministic, no threads, no real time, and every call subject to the fault palette.

clock = FakeClock()
registry = FakeRegistry(clock, fault=hook)        # hook(port, method) -> Fault, asked once a call
image = registry.push("tidegatestaging", "training/litter", image("v1"), tag="v1")
"""

from tests.fakes.clock import START, FakeClock
from tests.fakes.evidence import FakeEvidence
from tests.fakes.faults import Crash, Fault, FaultHook, healthy
from tests.fakes.image_tests import FakeTests
from tests.fakes.images import Content, artifact, attestation, cosign_signature, helm_chart, image, index
from tests.fakes.outcomes import FakeSecrets, FakeTopic
from tests.fakes.registry import FakeRegistry, Importing
from tests.fakes.state_store import FakeStore
from tests.fakes.work_queue import Delivery, FakeQueue

__all__ = [
    "START",
    "Content",
    "Crash",
    "Delivery",
    "FakeClock",
    "FakeEvidence",
    "FakeQueue",
    "FakeRegistry",
    "FakeSecrets",
    "FakeStore",
    "FakeTests",
    "FakeTopic",
    "Fault",
    "FaultHook",
    "Importing",
    "artifact",
    "attestation",
    "cosign_signature",
    "healthy",
    "helm_chart",
    "image",
    "index",
]
