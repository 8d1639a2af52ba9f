"""Logs and export of a run in Blob storage: TensorFlow writes them to a folder of this machine, the run's place gets copies."""

from __future__ import annotations

from pathlib import Path

from trainer.places import Place

_EXPORT = "export/manifest.json"


class Mirror:
    """From `folder` to `place`, each file again when it changed. A run whose place is a folder needs none."""

    def __init__(self, place: Place, folder: Path) -> None:
        self._place, self._folder = place, folder
        self._sent: dict[str, tuple[int, int]] = {}

    def fetch(self, prefix: str) -> None:
        """What an earlier machine left, so that it can be cut to the step at which this one goes on."""
        for name in self._place.names(prefix):
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._place.read(name))
            self._sent[name] = _state(path)

    def send(self, prefix: str) -> None:
        """Durable when it returns. The manifest of an export is away while its files change, and comes last."""
        changed = {
            str(path.relative_to(self._folder)): path
            for path in sorted((self._folder / prefix).rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }
        changed = {name: path for name, path in changed.items() if self._sent.get(name) != _state(path)}
        if _EXPORT in changed:
            self._place.remove(_EXPORT)
        for name in sorted(changed, key=lambda name: (name == _EXPORT, name)):
            state = _state(changed[name])
            self._place.write(name, [changed[name].read_bytes()])
            self._sent[name] = state


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
