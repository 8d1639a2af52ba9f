"""`python -m trainer --config <name|file> --workdir <dir>`: its exit status says what whoever started it should do."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from trainer.config import changed, load_config
from trainer.progress import Progress
from trainer.refusal import RefusedError
from trainer.run import train_and_evaluate
from trainer.run_lock import LockedError, LostError

DONE, REFUSED, LOCKED, EVICTED = 0, 2, 73, 75  # the last two are EX_CANTCREAT and EX_TEMPFAIL of sysexits.h


def main(arguments: Sequence[str] | None = None) -> int:
    """0: finished. 75: saved because the machine goes away, start me again. 73: another trainer has this run. 2: refused.

    TensorFlow is not imported here, which takes seconds: a signal would still kill in them.
    """
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    parser.add_argument("--config", required=True, help="QUICKTEST, HORSES_OR_HUMANS, or a .toml or .json file")
    parser.add_argument(
        "--workdir", required=True, help="folder, mounted share, or https://<account>.blob.core.windows.net/..."
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field, as a sweep does"
    )
    parser.add_argument(
        "--stale-after", type=float, default=12.0, help="seconds after which a silent lock is taken over"
    )
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    progress = Progress()
    try:
        chosen = changed(load_config(options.config), options.set)
        outcome = train_and_evaluate(chosen, options.workdir, progress=progress, stale_after=options.stale_after)
    except RefusedError as error:
        progress.tell("refused", message=str(error))
        return REFUSED
    except (LockedError, LostError) as error:
        progress.tell("locked", message=str(error))
        return LOCKED
    except Exception as error:
        progress.tell("failed", message=f"{type(error).__name__}: {error}")
        raise
    return DONE if outcome.finished else EVICTED


if __name__ == "__main__":
    sys.exit(main())
