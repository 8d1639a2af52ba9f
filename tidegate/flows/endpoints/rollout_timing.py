"""How long the flow of an endpoint waits for what, and how often it asks again. Seconds, counted from the times of events."""

from __future__ import annotations

import datetime

ENDPOINT_DEADLINE = 1800
"""Until an endpoint that is still being made is given up; Azure's command line shows minutes for a managed one."""
ENDPOINT_TRIES = 3
"""How often making it is asked for when a look shows that it failed or is not there."""
DEPLOYMENT_DEADLINE = 3600
"""Until a deployment that is still being made is given up; pulling a GPU image of 12 GB and starting takes tens of minutes."""
SHIFT_DEADLINE = 1800
"""Until a change of traffic that is still being made is given up."""
SHIFT_ASKS = 5
"""How often one division of traffic is asked for when the weights read back are others."""
SMOKE_TRIES = 2
"""Smoke tests in a row; the first request to a cold container may take longer than the samples' timeout."""
REPAIRS = 3
"""How often something that is gone is made again before people are asked."""
RESTARTS = 2
"""How often a rollout begins anew because its endpoint was changed under it."""
SILENCE = 900
"""Until a question that only reads and has no answer is left, and what it is about looked at: it may be gone."""
AGAIN = 10
"""Before something that went wrong is tried again."""
LOOKS = (900, 6 * 3600, 24 * 3600)
"""When a settled endpoint is looked at, one after the other.

The first is after any invocation must have ended (host.json, functionTimeout: 10 minutes): a worker that was cut off may write
late, and the service has no conditional write of weights. The others find what was changed by hand.
"""

_SOONEST, _LATEST = 5, 300
_SOAK_SOONEST, _SOAK_LATEST = 10, 600


def poll_delay(check: int) -> float:
    """Until the n-th look (from 1) at something that is being made: at once, then ever less often.

    Azure's SDK looks every 5 s at deployments and every 30 s at endpoints; a local server is there within a second.
    """
    first = (0, 0.3, 0.5, 1, 1, 2, 3, 5, 5, 8, 13, 20)
    return first[check - 1] if check <= len(first) else 30


def look_again(window: int) -> float:
    """Until a step about which nothing could be said is looked at again."""
    return min(max(window / 2, _SOONEST), _LATEST)


def soak_look(soak: int, since: datetime.datetime, at: datetime.datetime) -> float:
    """Until the next look at a soak: about ten of them, the last when it is over."""
    left = soak - (at - since).total_seconds()
    interval = min(max(soak / 10, _SOAK_SOONEST), _SOAK_LATEST)
    return min(interval, left) if left > 0 else interval


def seconds(since: datetime.datetime, at: datetime.datetime) -> float:
    """How long something has taken."""
    return (at - since).total_seconds()
