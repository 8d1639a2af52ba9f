"""The eviction drill: kill a run again and again at random moments, resume it, and compare its end with an undisturbed one.

`python -m trainer.drill --kills 5` prints what each kill cost and whether the last state is the same, bit for bit.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, override

from trainer.config import Config, load_config
from trainer.progress import Progress

_LIMIT = 300.0  # seconds that one life may take


@dataclasses.dataclass(frozen=True, slots=True)
class Life:
    """One process of the run: born, perhaps killed."""

    resumed_at: int
    reached: int
    to_first_step_s: float
    """From the start of the process to its first step done; TensorFlow was imported before."""
    result: dict[str, Any] | None
    """What it said at its end; None when it was killed."""
    warnings: tuple[str, ...] = ()
    why: str = ""
    """Why it is not exact, as it said when it resumed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Drill:
    """All lives of a disturbed run beside one undisturbed."""

    undisturbed: Life
    lives: tuple[Life, ...]

    @property
    def same(self) -> bool:
        """Whether both ended in the same state."""
        ends = [self.lives[-1].result, self.undisturbed.result]
        return None not in ends and ends[0]["digest"] == ends[1]["digest"]  # type: ignore[index]  # neither is None here

    @property
    def lost(self) -> list[int]:
        """Steps that each kill cost: done, and done again."""
        return [before.reached - after.resumed_at for before, after in zip(self.lives, self.lives[1:], strict=False)]


class _Told(Progress):
    """Tells the parent instead of a terminal."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(terminal=False)
        self._connection = connection

    @override
    def interval(self, values: dict[str, Any]) -> None:
        """Every step: the configuration of a drill says so."""
        self._connection.send(("progress", values))

    @override
    def tell(self, event: str, **values: Any) -> None:
        """As it comes."""
        self._connection.send((event, values))


def live(
    config: Config,
    workdir: Path | str,
    kill_at: tuple[int, float] | None = None,
    *,
    kind: signal.Signals = signal.SIGKILL,
    exports: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Life:
    """One process; `kill_at` is a step and the seconds after it at which the signal comes."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_child, args=(config, str(workdir), theirs, exports, dict(environment or {})))
    began, first = time.monotonic(), 0.0
    process.start()
    theirs.close()
    resumed = reached = 0
    result, warnings, why = None, [], ""
    with contextlib.suppress(EOFError):
        while ours.poll(_LIMIT):
            event, values = ours.recv()
            match event:
                case "resumed":
                    resumed = reached = values["step"]
                    why = values["why"]
                case "progress":
                    reached, first = values["step"], first or time.monotonic() - began
                case "warning":
                    warnings.append(values["message"])
                case "done" | "evicted" | "failed":
                    result = values
                case _:  # started, epoch
                    pass
            if kill_at is not None and reached >= kill_at[0]:
                time.sleep(kill_at[1])
                os.kill(process.pid, kind)
                kill_at = None
    process.join(_LIMIT)
    return Life(resumed, reached, first, result, tuple(warnings), why)


def drill(config: Config, kills: int, chance: random.Random, folder: Path, undisturbed: Life | None = None) -> Drill:
    """Kills are spread over the whole run: each life may do about its share of what is left. `undisturbed`: known before."""
    config = dataclasses.replace(config, log_every=1)
    undisturbed = undisturbed or live(config, folder / "undisturbed")
    if undisturbed.result is None or "digest" not in undisturbed.result:
        raise RuntimeError(f"the undisturbed run failed: {undisturbed}")
    total = undisturbed.reached
    lives: list[Life] = []
    for number in range(kills):
        done = lives[-1].reached if lives else 0
        target = done + chance.randint(1, max(1, (total - done) // (kills - number)))
        lives.append(live(config, folder / "disturbed", (target, chance.uniform(0, 0.03))))
        if lives[-1].result is not None:
            break
    if not lives or lives[-1].result is None:
        lives.append(live(config, folder / "disturbed"))
    return Drill(undisturbed, tuple(lives))


def _child(config: Config, workdir: str, connection: Connection, exports: bool, environment: dict[str, str]) -> None:
    os.environ.update({"TRAINER_METADATA_URL": "off"} | environment)
    told = _Told(connection)
    from trainer.run import train_and_evaluate

    try:
        train_and_evaluate(config, workdir, progress=told, exports=exports)
    except Exception as error:
        told.tell("failed", message=f"{type(error).__name__}: {error}")
        raise


def _context() -> Any:
    """Processes are forked from a server that imported TensorFlow and computed nothing: a life starts in half a second."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.run", "trainer.training"])
    return context


CONTEXT = _context()


def main(arguments: Sequence[str] | None = None) -> int:
    """0: bit for bit the same. 1: not."""
    parser = argparse.ArgumentParser(prog="python -m trainer.drill", description=__doc__)
    parser.add_argument("--config", default="QUICKTEST")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the kills")
    options = parser.parse_args(arguments)
    config = load_config(options.config)
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        result = drill(config, options.kills, random.Random(options.seed), Path(folder))  # noqa: S311  # kills, not secrets
    for number, life in enumerate(result.lives):
        end = f"{'finished' if life.result else 'killed'} at {life.reached}"
        sys.stdout.write(
            f"life {number}: resumed at step {life.resumed_at}, first step after {life.to_first_step_s:.1f} s, {end}\n"
        )
    report = {
        "same": result.same, "kills": len(result.lives) - 1, "seed": options.seed, "steps_lost": result.lost,
        "most_lost": max(result.lost, default=0), "save_every_steps": config.save_every_steps,
        "to_first_step_s": {"undisturbed": round(result.undisturbed.to_first_step_s, 2),
                            "resumed": [round(life.to_first_step_s, 2) for life in result.lives[1:]]},
        "restore_s": (result.lives[-1].result or {}).get("restore_s"),
        "blocked_share": (result.undisturbed.result or {}).get("blocked_share"),
        "digest": (result.undisturbed.result or {}).get("digest"),
    }  # fmt: skip
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0 if result.same else 1


if __name__ == "__main__":
    sys.exit(main())
