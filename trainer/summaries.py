"""TensorBoard's log of a run: one curve over all restarts, each step in it once.

Before a checkpoint is published the log is flushed, so everything up to its step is there. When the run goes on from it, what
the killed process logged beyond that step is cut off, and so is a record that the kill tore.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.util import event_pb2  # type: ignore[import-not-found,unused-ignore]  # generated, without types

CUT = ".cut"
"""A kill may leave it behind: TensorBoard reads whatever has `tfevents` in its name, so this has not."""


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
    """Remove from every event file what lies beyond `step`, and a torn or rotten end."""
    replacement = (
        folder / ".cut"
    )  # TensorBoard reads whatever has `tfevents` in its name, should a kill leave this behind
    for path in sorted(folder.glob("events.out.tfevents.*")):
        kept = bytearray()
        for record, content in _records(path):
            if event_pb2.Event.FromString(content).step <= step:
                kept += record
        if len(kept) != path.stat().st_size:
            with replacement.open("wb") as file:
                file.write(kept)
                file.flush()
                os.fsync(file.fileno())
            replacement.replace(path)


def _records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Records of a TFRecord file, and what is in them, up to the first that is not whole: TensorFlow checks their checksums."""
    data, at = path.read_bytes(), 0
    try:
        for content in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            end = at + 16 + len(content)  # a length and its checksum before it, a checksum after it
            yield data[at:end], content
            at = end
    except tf.errors.DataLossError:
        return


def scalars(folder: Path) -> Mapping[str, list[tuple[int, float]]]:
    """Every point below a folder, in the order of files and records: for tests, and to look without TensorBoard."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        for _, content in _records(path):
            event = event_pb2.Event.FromString(content)
            for value in event.summary.value:
                number: Any = tf.make_ndarray(value.tensor)
                found.setdefault(f"{path.parent.name}/{value.tag}", []).append((event.step, float(number)))
    return found
