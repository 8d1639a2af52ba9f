"""Runs the app beside this file once for each line of its input, through Microsoft's worker library, and prints each outcome.

A process of its own: the library keeps one app in its module globals.
"""

from __future__ import annotations

import asyncio
import pathlib
import sys

from local.functions_host.messages import Indexed, Invocation, Json, Succeeded
from local.functions_host.worker import Worker


async def main() -> None:
    worker = Worker(pathlib.Path(__file__).parent / "app")
    index = await worker.start()
    assert isinstance(index, Indexed), index
    for number, line in enumerate(sys.stdin):
        outcome = await worker.invoke(Invocation(f"i{number}", index.functions[0].id, "event", Json(line.strip()), {}))
        print("called" if isinstance(outcome, Succeeded) else outcome.message)  # noqa: T201


asyncio.run(main())
