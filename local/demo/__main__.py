"""`make demo`: push a good image and a bad one, watch what becomes of each, and prove it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local import command, world
from local.containers import Engine, find_engine
from local.images import Variant, build, push
from local.site import Site
from local.stack import Stack

REPOSITORY = "training/litter"
DEADLINE = 120
"""Seconds until the demo gives up waiting."""
FINAL = {"Promoted", "Rejected", "Superseded", "Ignored", "Errored"}
_STYLE = {"Promoted": "bold green", "Rejected": "bold red", "Errored": "bold red"}


@dataclasses.dataclass(slots=True)
class Candidate:
    """One pushed image and what is known of it."""

    variant: Variant
    tag: str
    digest: str
    pushed: float
    state: str = "pushed"
    id: str = ""
    took: float | None = None
    seen: int = 0
    """Transitions that were shown."""
    last: str = "waiting for the event"


def main() -> int:
    """Exit status 0: both images ended as they should. 1: they did not, or the stack did not come up."""
    console = Console(highlight=False, soft_wrap=True)
    engine = find_engine()
    console.print("[bold]Tidegate demo[/bold]: Azure on this machine, real registries, real containers")
    stack = Stack(tell=lambda line: console.print(f"  {line}", style="dim", markup=False))
    stack.up()
    site = Site(stack)
    candidates = list(_pushed(console, site, engine))
    _watch(console, site, candidates)
    return _prove(console, site, candidates)


def _pushed(console: Console, site: Site, engine: Engine) -> Iterator[Candidate]:
    """Build and push both variants under the next free tags: healthy tags are immutable, so each run needs new ones."""
    tags = [*site.tags(world.STAGING, REPOSITORY), *site.tags(world.HEALTHY, REPOSITORY)]
    number = max((int(tag[1:]) for tag in tags if re.fullmatch(r"v\d{1,6}", tag)), default=0)
    variants: tuple[Variant, ...] = ("passes", "fails")
    console.print(
        "  building two images from local/demo/image (the first time with their base: about 30 s)", style="dim"
    )
    for variant in variants:
        number += 1
        since = time.monotonic()
        image = build(variant, engine=engine, version=str(number))
        built = time.monotonic()
        digest = push(image, site.stack.ports.staging_registry, REPOSITORY, f"v{number}", engine=engine)
        console.print(
            f"  pushed {REPOSITORY}:v{number} ({variant} its tests; built in {built - since:.1f} s) {digest[:19]}"
        )
        yield Candidate(variant, f"v{number}", digest, time.monotonic())


def _watch(console: Console, site: Site, candidates: list[Candidate]) -> None:
    """Show what happens until both are final: a live table on a terminal, a line a change elsewhere."""
    until = time.monotonic() + DEADLINE
    live = Live(_table(candidates), console=console, refresh_per_second=8) if console.is_terminal else None
    with live or contextlib.nullcontext():
        while any(each.took is None for each in candidates) and time.monotonic() < until:
            for candidate in candidates:
                for line in _news(site, candidate):
                    if live is None:
                        console.print(f"  {line}", markup=False)
            if live is not None:
                live.update(_table(candidates))
            time.sleep(0.2)


def _news(site: Site, candidate: Candidate) -> Iterator[str]:
    """Transitions since the last look, as lines."""
    if candidate.took is not None:
        return
    if not candidate.id:
        entries = [each for each in site.promotions(REPOSITORY) if each["digest"] == candidate.digest]
        if not entries:
            return
        candidate.id = entries[0]["id"]
    seen = site.promotion(candidate.id)
    for row in seen["history"][candidate.seen :]:
        candidate.seen += 1
        candidate.last = f"{row['what']}  {_brief(row['why'])}".rstrip()
        yield f"{row['at'][11:23]}  {candidate.tag:5} {row['what']:18} {row['after']:16} {_brief(row['why'])}".rstrip()
    candidate.state = seen["state"]
    if candidate.state in FINAL:
        started = datetime.datetime.fromisoformat(seen["since"])
        ended = datetime.datetime.fromisoformat(seen["history"][-1]["at"])
        candidate.took = (ended - started).total_seconds()


def _brief(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _table(candidates: list[Candidate]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, width in (("IMAGE", 22), ("DIGEST", 19), ("STATE", 16), ("AFTER", 7), ("LAST", None)):
        table.add_column(name, no_wrap=True, min_width=width, overflow="ellipsis")
    for each in candidates:
        seconds = each.took if each.took is not None else time.monotonic() - each.pushed
        table.add_row(
            f"{REPOSITORY}:{each.tag}",
            each.digest[:19],
            Text(each.state, style=_STYLE.get(each.state, "yellow")),
            f"{seconds:.1f} s",
            Text(each.last, style="dim"),
        )
    return table


def _prove(console: Console, site: Site, candidates: list[Candidate]) -> int:
    good, bad = candidates
    if any(each.took is None for each in candidates):
        console.print(f"Not final after {DEADLINE} s; see .local/logs and: make status", style="bold red")
        return 1
    _show_log(console, site, bad)
    record = [r for r in site.referrers(world.HEALTHY, REPOSITORY, good.digest) if "in-toto" in r["artifactType"]]
    facts = (
        (f"{good.tag} was promoted and {bad.tag} rejected", (good.state, bad.state) == ("Promoted", "Rejected")),
        (
            f"healthy has {REPOSITORY}:{good.tag}, and it is the tested digest {good.digest[:19]}",
            site.digest(world.HEALTHY, REPOSITORY, good.tag) == good.digest,
        ),
        (
            f"healthy has nothing of {bad.tag}: neither the tag nor the digest {bad.digest[:19]}",
            site.digest(world.HEALTHY, REPOSITORY, bad.tag) is None
            and site.digest(world.HEALTHY, REPOSITORY, bad.digest) is None,
        ),
        (
            f"the promotion record is attached to it ({record[0]['digest'][:19] if record else 'none'})",
            len(record) == 1,
        ),
    )
    console.print("\n[bold]Proof[/bold], read from the healthy registry:")
    for words, holds in facts:
        mark = Text("  yes  ", style="bold green") if holds else Text("  NO   ", style="bold red")
        console.print(mark + Text(words))
    if not all(holds for _, holds in facts):
        return 1
    _show_next(console, site, good, bad)
    return 0


def _show_log(console: Console, site: Site, bad: Candidate) -> None:
    """The end of the failing test's log. It is the image's text: printed as text, without control characters."""
    log = site.api("GET", f"/promotions/{bad.id}/log")
    lines = log.body.decode(errors="replace").rstrip().splitlines()[-14:] if log.status == 200 else ["(no log)"]
    console.print(f"\n[bold]Why {bad.tag} was {bad.state.lower()}[/bold], the end of its test log:")
    for line in lines:
        console.print(Text("  | " + "".join(c if c.isprintable() else " " for c in line), style="dim"))


def _show_next(console: Console, site: Site, good: Candidate, bad: Candidate) -> None:
    ports = site.stack.ports
    api = f"http://127.0.0.1:{ports.functions}/api"
    steps = {
        "an image of your own": f"podman push --tls-verify=false IMAGE 127.0.0.1:{ports.staging_registry}/training/NAME:v1",
        "the web console": f"{api}/console, with the key: cat .local/api.key",
        "a shell that knows the stack": 'eval "$(.venv/bin/python -m local env)"',
        "the command line": 'alias tidegate=".venv/bin/python -m tidegate.cli"',
        f"the story of {good.tag}": f"tidegate show {good.id}",
        f"{bad.tag} all the same": f"tidegate promote {REPOSITORY}:{bad.tag} --override --reason 'a try' --wait",
        "the API's description": f"curl {api}/openapi.json",
        "a failed job, an evicted one": "make demo-job",
        "stop everything": "make down",
    }
    console.print("\n[bold]Next[/bold] (the stack stays up)")
    for label, step in steps.items():
        console.print(Text(f"  {label + ':':29} {step}"))


if __name__ == "__main__":
    sys.exit(command.run(main))
