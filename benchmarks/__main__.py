"""`python -m benchmarks [NAME ...]`: run the benchmarks, print their figures, and write them to build/bench[-NAME...].json."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from benchmarks import figures, machine
from benchmarks.figures import Figure
from benchmarks.stage import shared

NAMES = ("indexing", "overhead", "copying", "duplicates", "growth")
_BUILD = Path(__file__).parents[1] / "build"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, whether aims are met or not: a figure is for people to judge. A benchmark that fails is an exception."""
    chosen = _parser().parse_args(arguments)
    conditions = machine.conditions() + (", quick run: no figure means anything" if chosen.quick else "")
    print(conditions, flush=True)
    measured: list[Figure] = []
    with shared() if chosen.quick else contextlib.nullcontext():
        for name in chosen.names or NAMES:
            began = time.monotonic()
            measured += _measure(name, quick=chosen.quick)
            print(f"  {name}: {time.monotonic() - began:.0f} s", flush=True)
    print(figures.table(measured))
    output = chosen.output or _BUILD / f"{'-'.join(['bench', *chosen.names])}.json"
    figures.write(output, conditions, measured)
    print(f"{output}")
    return 0


def _measure(name: str, *, quick: bool) -> Sequence[Figure]:
    """Each benchmark is a module that is imported when its turn comes: the others' libraries cost it nothing."""
    return cast("Sequence[Figure]", importlib.import_module(f"benchmarks.{name}").measure(quick=quick))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=NAMES, metavar="NAME", help=f"{', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="the least of everything, to see that it runs")
    parser.add_argument("--output", type=Path, help="file to write (default: build/bench[-NAME...].json)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
