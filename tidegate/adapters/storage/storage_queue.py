"""Deferred work in an Azure Storage queue."""

from __future__ import annotations

import contextlib
import math

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueServiceClient, TextBase64EncodePolicy

from tidegate.adapters.azure_calls import translated
from tidegate.errors import PermanentError

MAX_BYTES = 48 * 1024
"""The service takes 64 KiB, and base64 (what the Functions host expects) makes four bytes of three."""
MAX_DELAY = 7 * 24 * 3600
"""Seconds; the service's longest visibility timeout. A longer delay is cut: the work finds itself early and defers again."""

_FOREVER = -1
_SHORTEST = 0.5
"""Seconds. A shorter wait is a few messages that come at once (hosts look every 0.1 s), which is better than a whole second."""


class StorageQueue:
    """The WorkQueue port. Makes its queue when it is missing."""

    def __init__(self, service: QueueServiceClient, name: str) -> None:
        self._queue = service.get_queue_client(name, message_encode_policy=TextBase64EncodePolicy())

    def send(self, message: str, delay: float) -> None:
        """Delays are whole seconds, rounded up, but less than half a second is none: the message comes early, and is sent again.

        PermanentError: the message is longer than the port allows.
        """
        size = len(message.encode())
        if size > MAX_BYTES:
            raise PermanentError(f"queue message of {size} bytes, more than {MAX_BYTES}")
        seconds = min(math.ceil(delay), MAX_DELAY) if delay >= _SHORTEST else 0
        with translated(f"queue {self._queue.queue_name}"):
            try:
                _send(self._queue, message, seconds)
            except ResourceNotFoundError:
                with contextlib.suppress(ResourceExistsError):
                    self._queue.create_queue()
                _send(self._queue, message, seconds)


def _send(queue: QueueClient, message: str, seconds: int) -> None:
    queue.send_message(message, visibility_timeout=seconds, time_to_live=_FOREVER)
