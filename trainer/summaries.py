"""TensorBoard's log of a run: one curve over all restarts, each step in it once.

Before a checkpoint is published the log is flushed, so everything up to its step is there. When the run goes on from it, what
the killed process logged beyond that step is cut off, and so is a record that the kill tore.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.util import event_pb2  # type: ignore[import-not-found,unused-ignore]  # generated, without types


class Summaries:
    """Scalars of one run, below `folder`; open after the state is restored."""

    def __init__(self, folder: Path, step: int) -> None:
        for name in ("train", "test"):
            cut(folder / name, step)
        self._writers = {name: tf.summary.create_file_writer(str(folder / name)) for name in ("train", "test")}

    def write(self, part: str, step: int, values: Mapping[str, float]) -> None:
        """Buffered until `flush`. `step` counts steps done."""
        with self._writers[part].as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def flush(self) -> None:
        """On the medium when it returns."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Flushes."""
        for writer in self._writers.values():
            writer.close()


def cut(folder: Path, step: int) -> None:
    """Remove from every event file what lies beyond `step`, and a torn end."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        kept = bytearray()
        for record, content in _records(path.read_bytes()):
            if event_pb2.Event.FromString(content).step <= step:
                kept += record
        if len(kept) != path.stat().st_size:
            replacement = path.with_name(f".{path.name}.part")
            replacement.write_bytes(kept)
            replacement.replace(path)


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Whole records of a TFRecord file and what is in them: length, its checksum, content, its checksum."""
    at = 0
    while at + 12 <= len(data):
        end = at + 16 + int.from_bytes(data[at : at + 8], "little")
        if end > len(data):
            return
        yield data[at:end], data[at + 12 : end - 4]
        at = end


def scalars(folder: Path) -> Mapping[str, list[tuple[int, float]]]:
    """Every point below a folder, in the order of files and records: for tests, and to look without TensorBoard."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        for _, content in _records(path.read_bytes()):
            event = event_pb2.Event.FromString(content)
            for value in event.summary.value:
                number: Any = tf.make_ndarray(value.tensor)
                found.setdefault(f"{path.parent.name}/{value.tag}", []).append((event.step, float(number)))
    return found
