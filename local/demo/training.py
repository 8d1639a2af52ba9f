"""`make drill-job`: take the node of a real training job away, and see that its successor ends as if nothing had happened."""

from __future__ import annotations

import sys
import time

from local import command, training_drill
from local.site import Site
from local.stack import Stack


def main() -> int:
    """Exit status 0: the run ended in the state of one that was never interrupted. 1: it did not, or did not end."""
    print("Eviction drill: a training job on a spot compute, TensorFlow and all")
    since = time.monotonic()
    stack = Stack(tell=lambda line: print(f"  {line}"))
    stack.up()
    print("\nIt trains, loses its node, and is submitted again after the backoff (alerts.resubmit of gates.yaml) ...")
    result = training_drill.drill(Site(stack))
    for attempt in (result.evicted, result.successor, result.undisturbed):
        _show(attempt)
    print(
        f"\nThe trainer left its node after {result.eviction_s:.1f} s; Tidegate submitted it again {result.resubmitted_s:.0f} s"
        f" later; {result.lost} steps were done twice."
    )
    verdict = "the same state, bit for bit" if result.same else "ANOTHER state"
    print(f"It ended in {verdict} as the run that was never interrupted. {time.monotonic() - since:.0f} s in all.")
    return 0 if result.same else 1


def _show(attempt: training_drill.Attempt) -> None:
    end = attempt.last("done") or attempt.last("evicted") or {}
    begun = (attempt.last("resumed") or {"step": 0})["step"]
    print(f"  {attempt.job:<26} steps {begun} to {end.get('step')}  SHA-256 {str(end.get('digest'))[:16]}")


if __name__ == "__main__":
    sys.exit(command.run(main))
