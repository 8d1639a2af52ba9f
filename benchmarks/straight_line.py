"""A promotion as a script: the calls of the product's adapters, one after the other, with nothing around them.

`python -m benchmarks.straight_line` reads one line of JSON an image from its standard input and answers each with one. No
function, queue, record, retry or lease: whatever it takes, a promotion by these services cannot take less.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
import uuid
from collections.abc import Callable

from tidegate import gates
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.event_grid_topic import EventGridTopic
from tidegate.adapters.registry.container_registry import ContainerRegistry
from tidegate.adapters.registry.image_tests import RegistryTasks
from tidegate.adapters.storage.blob_evidence import BlobEvidence
from tidegate.adapters.storage.storage_account import storage
from tidegate.composition import APP
from tidegate.effects import LOG_LIMIT
from tidegate.flows.base import Request
from tidegate.flows.images.image_gate import ImageGate
from tidegate.flows.images.promotion_record import Approval, Verdict, record_annotations, statement
from tidegate.ports import ImportRunning, Outcome, TestRunning
from tidegate.references import ImageRef, TagRef
from tidegate.settings import load

_POLL_S = 0.1
"""Between two questions about a test or an import. More often would take processor time from what is asked about."""


class Script:
    """All services of one installation, as the product reaches them."""

    def __init__(self) -> None:
        settings = load(os.environ)
        identity = credential(settings.identity_client_id)
        account = storage(os.environ, credential)
        self._healthy = settings.healthy_registry
        self._staging = settings.staging_registry
        self._gates = gates.load(APP / settings.gates_file)
        self._registry = ContainerRegistry(settings, identity)
        self._tests = RegistryTasks(settings, identity)
        self._evidence = BlobEvidence(account.blobs(), settings.evidence_container, settings.dead_letter_container)
        self._topic = EventGridTopic(settings, identity)

    def promote(self, repository: str, tag: str, digest: str, like: str) -> str:
        """From the push to the locked tag by the gate of another repository; gives the run that tested the image.

        The image's own repository has no gate, so that the product leaves it alone.
        """
        source = ImageRef(self._staging, repository, digest)
        gate = self._gates.match(like, tag)
        if gate is None:
            raise RuntimeError(f"no gate matches {like}:{tag}")
        target = source.within(self._healthy, gate.promote.target(repository))
        self._registry.inspect(source)
        run, verdict = self._test(source, gate)
        self._import(source, target)
        self._registry.copy_referrers(source, target, gate.promote.referrers)
        request = Request(uuid.uuid4().hex, "benchmark", "pushed", verdict.at)
        approval = Approval(source, target, gate.name, gate.version, verdict, (request,), None)
        self._registry.attach_record(target, statement(approval).encode(), record_annotations(approval))
        place = TagRef(target.registry, target.repository, tag)
        self._registry.place_tag(place, digest, movable=False, lock=True)
        self._registry.lock_manifest(target)
        return run

    def publish(self, repository: str) -> None:
        """Tell other systems, which holds no promotion up and comes after it in the product too."""
        self._topic.publish(Outcome(uuid.uuid4().hex, "Tidegate.ImagePromoted", repository, _now(), ()))

    def _test(self, source: ImageRef, gate: ImageGate) -> tuple[str, Verdict]:
        run = self._tests.start(source, gate.test)
        _wait(lambda: isinstance(self._tests.status(run), TestRunning))
        log = self._tests.log(run, LOG_LIMIT)
        stored = self._evidence.put(f"tests/straight-line/{run}.log", log, "text/plain; charset=utf-8")
        return run, Verdict("passed", _now(), run, None, stored.url, stored.sha256)

    def _import(self, source: ImageRef, target: ImageRef) -> None:
        if self._registry.exists(target):
            return
        operation = self._registry.start_import(source, target)
        _wait(lambda: isinstance(self._registry.import_status(operation), ImportRunning))
        if not self._registry.exists(target):
            raise RuntimeError(f"{target} was not imported")


def _wait(is_running: Callable[[], bool]) -> None:
    while is_running():
        time.sleep(_POLL_S)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def main() -> None:
    """Until the end of the input. Answers are `{"run": ..., "promoted": Unix time in seconds}`."""
    script = Script()
    for line in sys.stdin:
        image = json.loads(line)
        run = script.promote(image["repository"], image["tag"], image["digest"], image["like"])
        promoted = time.time()
        script.publish(image["repository"])
        print(json.dumps({"run": run, "promoted": promoted}), flush=True)


if __name__ == "__main__":
    main()
