"""Carries commands out through the ports and says what came of them. The only place where a failure becomes an event."""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import override

from tidegate import job_effects, model_effects
from tidegate.errors import PermanentError
from tidegate.flows.base import CommandRefused, Publish
from tidegate.flows.images import image_messages as images
from tidegate.flows.images import tag_ownership as tags
from tidegate.flows.reminders import Remind, Reminded
from tidegate.job_effects import JobEffects
from tidegate.model_effects import ModelEffects
from tidegate.ports import (
    CarryOut,
    Clock,
    Evidence,
    ImageRegistry,
    ImageTests,
    ImportDone,
    ImportFailed,
    ImportRunning,
    Outcome,
    OutcomeTopic,
    TagPlaced,
    TagTaken,
    TestErrored,
    TestFailed,
    TestPassed,
    TestRunning,
)

_log = logging.getLogger("tidegate.effects")

LOG_LIMIT = 256 * 1024
"""Bytes of a test's output that are kept: its end, where the failure is."""

_READING = (images.InspectImage, images.CheckImageTest, images.CheckImport, tags.LookAtTag, Remind)


@dataclasses.dataclass(frozen=True, slots=True)
class Effects(CarryOut):
    """All effects of an installation."""

    registry: ImageRegistry
    tests: ImageTests
    evidence: Evidence
    topic: OutcomeTopic
    clock: Clock
    around_jobs: JobEffects | None = None
    """What runs and alerts ask for; None: nothing can."""
    around_models: ModelEffects | None = None
    """What deliveries and endpoints ask for; None: nothing can."""

    @override
    def is_reading(self, command: object) -> bool:
        return isinstance(command, (*_READING, *job_effects.READING, *model_effects.READING))

    @override
    def __call__(self, command: object) -> object | None:
        try:
            return self._carry_out(command)
        except PermanentError as error:
            if attempt := getattr(command, "attempt", 0):
                return CommandRefused(attempt, str(error), self.clock.now())
            _log.error(
                "%s", json.dumps({"refused": type(command).__name__, "reason": str(error)})
            )  # no flow waits for it
            return None

    def _carry_out(self, command: object) -> object | None:
        match command:
            case images.InspectImage() | images.StartImageTest() | images.CheckImageTest() | images.StopImageTest():
                return self._test(command)
            case Publish():
                self.topic.publish(Outcome(command.id, command.type, command.subject, command.at, command.data))
                return None
            case tags.PlaceTag() | tags.LookAtTag():
                return self._tag(command)
            case Remind(attempt):
                return Reminded(attempt, self.clock.now())
            case _ if self.around_jobs is not None and isinstance(command, job_effects.COMMANDS):
                return self.around_jobs.carry_out(command)
            case _ if self.around_models is not None and isinstance(command, model_effects.COMMANDS):
                return self.around_models.carry_out(command)
            case _:
                return self._promote(command)

    def _test(
        self, command: images.InspectImage | images.StartImageTest | images.CheckImageTest | images.StopImageTest
    ) -> object | None:
        match command:
            case images.InspectImage(image, attempt):
                facts = self.registry.inspect(image)
                return images.ImageInspected(attempt, facts, self.clock.now())
            case images.StartImageTest(image, test, attempt):
                run = self.tests.start(image, test)
                return images.ImageTestStarted(attempt, run, self.clock.now())
            case images.CheckImageTest():
                return self._check_test(command)
            case images.StopImageTest(run):
                self.tests.stop(run)
                return None

    def _check_test(self, command: images.CheckImageTest) -> object:
        status = self.tests.status(command.run)
        now = self.clock.now()
        match status:
            case TestRunning():
                return images.ImageTestRunning(command.attempt, command.check, now)
            case TestErrored(reason):
                return images.ImageTestErrored(command.attempt, reason, now)
            case TestPassed() | TestFailed():
                pass
        log = self.tests.log(command.run, LOG_LIMIT)
        name = f"tests/{command.image.digest.removeprefix('sha256:')}/{command.run}.log"
        stored = self.evidence.put(name, log, "text/plain; charset=utf-8")
        if isinstance(status, TestFailed):
            return images.ImageTestFailed(command.attempt, status.reason, stored.url, stored.sha256, now)
        return images.ImageTestPassed(command.attempt, stored.url, stored.sha256, now)

    def _promote(self, command: object) -> object:
        match command:
            case images.ImportImage(source, target, attempt):
                if self.registry.exists(target):
                    return images.ImageImported(attempt, already=True, at=self.clock.now())
                operation = self.registry.start_import(source, target)
                return images.ImportStarted(attempt, operation, self.clock.now())
            case images.CheckImport():
                return self._check_import(command)
            case images.CopyReferrers(source, target, types, attempt):
                copied = self.registry.copy_referrers(source, target, types)
                return images.ReferrersCopied(attempt, copied.copied, copied.types, self.clock.now())
            case images.AttachRecord(target, statement, annotations, attempt):
                digest = self.registry.attach_record(target, statement.encode(), annotations)
                return images.RecordAttached(attempt, digest, self.clock.now())
            case images.LockManifest(target, attempt):
                self.registry.lock_manifest(target)
                return images.ManifestLocked(attempt, self.clock.now())
            case _:
                raise TypeError(f"{type(command).__name__} is not a command of any flow")

    def _check_import(self, command: images.CheckImport) -> object:
        """The destination decides, not the operation's own word: a job may say success where nothing arrived."""
        status = self.registry.import_status(command.operation)
        if isinstance(status, ImportRunning):
            return images.ImportRunning(command.attempt, command.check, self.clock.now())
        if self.registry.exists(command.target):
            return images.ImageImported(command.attempt, already=False, at=self.clock.now())
        match status:
            case ImportFailed(reason):
                return images.ImportFailed(command.attempt, reason, self.clock.now())
            case ImportDone():
                reason = "the registry reported success, but the digest is not there"
                return images.ImportFailed(command.attempt, reason, self.clock.now())

    def _tag(self, command: tags.PlaceTag | tags.LookAtTag) -> object:
        match command:
            case tags.PlaceTag():
                placed = self.registry.place_tag(
                    command.target, command.digest, movable=command.movable, lock=command.lock
                )
                match placed:
                    case TagPlaced(previous):
                        return tags.TagWritten(command.attempt, previous, self.clock.now())
                    case TagTaken(digest):
                        return tags.TagRefused(command.attempt, digest, self.clock.now())
            case tags.LookAtTag(target, attempt):
                return tags.TagSeen(attempt, self.registry.resolve(target) or "", self.clock.now())
