"""The machine a benchmark runs on, in one line, so that a figure can be read for what it is."""

from __future__ import annotations

import os
import platform


def conditions() -> str:
    """Cores, versions and the load of the last 1, 5 and 15 minutes. Ask before the first measurement."""
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, load {load}"
