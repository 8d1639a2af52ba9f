"""The checkpoints of a run: published whole or not at all, verified when read, the newest few and the best one kept.

A checkpoint is two files. The arrays lie under a name that no other checkpoint ever has; the manifest, written after them,
holds their SHA-256 and one over itself. A manifest that does not verify, or whose arrays do not, does not exist. This needs
neither an atomic rename nor an ordered listing, so it is the same on a disk, on a mounted share and in Blob storage.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any

from trainer.checkpoint import Checkpoint, DamagedError, decode, encode, sha256_of
from trainer.places import Folder, Place
from trainer.refusal import RefusedError

_FOLDER = "checkpoints"
_FORMAT = 1

type Warn = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """What stands for a published checkpoint."""

    name: str
    serial: int
    """Counts publications. The newest is the last one published, not the one with the highest step: a run that went back
    to an older checkpoint goes on from there."""
    step: int
    best: bool
    data: str
    sha256: str
    bytes: int


class Store:
    """One run's checkpoints in a place. One process at a time publishes (the lock sees to it); anybody may read."""

    def __init__(self, place: Place, keep: int, warn: Warn) -> None:
        self._place = place
        self._keep = keep
        self._warn = warn
        self._serial: int | None = None

    def publish(self, checkpoint: Checkpoint, *, best: bool) -> Manifest:
        """Durable when it returns."""
        parts = encode(checkpoint)
        if self._serial is None:
            self._serial = max((each.serial for each in self.manifests()), default=0)
        self._serial += 1
        stem = f"{_FOLDER}/{self._serial:08d}-step-{checkpoint.step}-{secrets.token_hex(4)}"
        size = sum(len(part) for part in parts)
        manifest = Manifest(f"{stem}.json", self._serial, checkpoint.step, best, f"{stem}.ckpt", sha256_of(parts), size)
        self._place.write(manifest.data, parts)
        self._place.write(manifest.name, [_sealed(dataclasses.asdict(manifest))])
        self._clear()
        return manifest

    def newest(self) -> Checkpoint | None:
        """The newest whole checkpoint; a damaged one is named in a warning and the one before it is taken."""
        return self._first_whole(self.manifests()[::-1])

    def best(self) -> Checkpoint | None:
        """The newest whole checkpoint that was the best of its time; None when there is none, or it is damaged."""
        return self._first_whole([each for each in self.manifests() if each.best][-1:])

    def manifests(self) -> list[Manifest]:
        """Every published checkpoint by its manifest, oldest first; the arrays behind it are not looked at."""
        found = []
        for name in self._place.names(_FOLDER):
            if name.endswith(".json"):
                try:
                    found.append(_opened(self._place.read(name)))
                except FileNotFoundError:
                    continue  # cleared away between listing and reading
                except DamagedError as error:
                    self._warn(f"checkpoint {name} is ignored: {error}")
        return sorted(found, key=lambda each: each.serial)

    def _first_whole(self, candidates: list[Manifest]) -> Checkpoint | None:
        for manifest in candidates:
            try:
                return decode(self._place.read(manifest.data), manifest.sha256)
            except (DamagedError, FileNotFoundError) as error:
                self._warn(f"checkpoint {manifest.name} of step {manifest.step} is damaged ({error}) and passed over")
        return None

    def _clear(self) -> None:
        """Remove what is neither among the newest nor the best; a manifest goes before its arrays."""
        manifests = self.manifests()
        kept = {each.name for each in manifests[-self._keep :]}
        kept |= {each.name for each in [each for each in manifests if each.best][-1:]}
        for manifest in manifests:
            if manifest.name not in kept:
                self._place.remove(manifest.name)
                self._place.remove(manifest.data)

    def sweep(self) -> None:
        """Remove what killed writers left: arrays without a whole manifest, manifests cut off, temporary files.

        For the holder of the lock only: to anybody else a checkpoint that is being written looks the same.
        """
        referred = {name for each in self.manifests() for name in (each.name, each.data)}
        leftovers = self._place.leftovers(_FOLDER) if isinstance(self._place, Folder) else []
        for name in [*self._place.names(_FOLDER), *leftovers]:
            if name not in referred:
                self._place.remove(name)


def _sealed(values: dict[str, Any]) -> bytes:
    body = json.dumps(values, sort_keys=True)
    outer = {"format": _FORMAT, "manifest": values, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    return json.dumps(outer, sort_keys=True).encode()


def _opened(data: bytes) -> Manifest:
    try:
        outer = {"format": _FORMAT} | json.loads(data)
        _refuse_newer(outer["format"])
        body = json.dumps(outer["manifest"], sort_keys=True)
        if hashlib.sha256(body.encode()).hexdigest() != outer["sha256"]:
            raise DamagedError("its manifest does not match its own SHA-256")
        return Manifest(**outer["manifest"])
    except RefusedError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"its manifest is not readable ({error})") from error


def _refuse_newer(number: int) -> None:
    """To this trainer it would look damaged, be passed over and swept away."""
    if number > _FORMAT:
        raise RefusedError(
            f"there is a checkpoint of format {number}; this trainer knows {_FORMAT}: take the newer trainer"
        )
