"""What a command that a person runs makes of trouble: words on standard error and an exit status, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell gives it."""


def run(main: Callable[[], int]) -> int:
    """The exit status of `main`; 1 where it fails with an error that says what to do."""
    try:
        return main()
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. What runs stays up: the same command goes on from there, make down stops it\n")
        return INTERRUPTED
    except (RuntimeError, ValueError, OSError) as error:  # those of the stack and of the container engine among them
        sys.stderr.write(f"{error}\n")
        return 1
