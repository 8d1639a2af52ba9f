"""The runtime of this process, made when it is first needed.

Indexing the functions is the cold start, so this module imports nothing that is not needed for that; flows, gates and the
vendors' SDKs come with the first call, or a moment after start.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from tidegate.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.composition import Runtime

WORK_QUEUE = "tidegate-work"
"""Storage queue of deferred work. Not a setting: the queue trigger names it, and no installation needs another."""

WARM_UP_AFTER = 1.0
"""Seconds after the import of the app, when indexing is over and no event is kept waiting by it."""

_log = logging.getLogger("tidegate")
_made: list[Runtime] = []
_making = threading.Lock()


def runtime() -> Runtime:
    """The one runtime. SettingsError: settings or gates are at fault; asked again, it reads them again."""
    if not _made:
        with _making:
            if not _made:
                from tidegate.composition import make

                _made.append(make(os.environ, WORK_QUEUE))
    return _made[0]


def warm_up_soon() -> None:
    """Make the runtime in a moment, so that the first event does not wait for imports, and say what is wrong with it."""
    timer = threading.Timer(WARM_UP_AFTER, _warm_up)
    timer.daemon = True
    timer.start()


def _warm_up() -> None:
    try:
        runtime()
    except TidegateError as error:  # the app stays up: every call answers with the same words
        for line in str(error).splitlines():
            _log.error("%s", line)
