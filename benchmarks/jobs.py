"""How soon a failed job's mail is accepted by SMTP, beside the same mail sent directly; and how fast a storm is taken in.

`python -m benchmarks.jobs [--mails N] [--storm N]` writes build/bench-jobs.json. The local stack, with `wait: 1s`: the time that
an incident waits for more of the same is in the figure, and named beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import json
import tempfile
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import figures, machine
from benchmarks.figures import Aim, Figure, compared, percentile
from local import job_site
from local.cloud.logic_app import HOST
from local.ports import free_ports
from local.site import Site, send
from local.stack import Stack
from tests.alerts.world import POLICY, JobWorld

OUT = Path("build/bench-jobs.json")
GATES = Path(__file__).with_name("job_gates.yaml")
WAIT_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=20)
    parser.add_argument("--storm", type=int, default=10_000)
    options = parser.parse_args()
    conditions = machine.conditions()
    print(conditions, flush=True)
    measured = [*latency(options.mails), *storm(options.storm)]
    print(figures.table(measured))
    figures.write(OUT, conditions, measured)
    print(OUT)


def latency(count: int) -> Sequence[Figure]:
    """From the event to the mail in the mailbox, beside the workflow's own call; the wait for more of the same is in it."""
    settings = {"TIDEGATE_GATES_FILE": str(GATES.resolve())}
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), free_ports(), settings=settings) as stack:
        site = Site(stack)
        _alert(site, "warm-up")  # azure-ai-ml is imported with the first
        pairs = [(_alert(site, f"job-{number}"), _direct(site, number)) for number in range(count)]
    ours, direct = zip(*pairs, strict=True)
    return [
        compared(
            f"event to accepted by SMTP, p{percent} of {count}, {WAIT_S:g} s of it wait / the same mail posted directly",
            ours,
            direct,
            "s",
            summary=functools.partial(percentile, percent=percent),
        )
        for percent in (50, 95)
    ]


def storm(count: int) -> Sequence[Figure]:
    """Failures a second that production flows, runner and effects take in, over ports in memory."""
    world = JobWorld(dataclasses.replace(POLICY, wait=30))
    since = time.perf_counter()
    for number in range(count):
        world.run_ends(f"r{number}", log="KeyError: 1")
    world.work()
    seconds = time.perf_counter() - since
    named = {word.strip(",") for mail in world.email.mails for word in mail.text.split()}
    missing = sum(f"r{number}" not in named for number in range(count))
    return [
        Figure(f"storm of {count} failures, taken in", count / seconds, "1/s"),
        Figure("mails of the storm", len(world.email.mails), "mails"),
        Figure("failures that no mail names", missing, "failures", aim=Aim("value", "<=", 0)),
    ]


def _alert(site: Site, name: str) -> float:
    since = time.perf_counter()
    raw = {"workspace": "vision", "name": name, "error": {"code": "UserError", "message": "KeyError: 1"}}
    job = {**raw, "properties": {"experimentName": name}}
    if site.cloud("POST", "/admin/jobs", {"jobs": [job]}).status != 201:
        raise RuntimeError("the stand-in takes no job")
    mailbox = site.stack.state / "cloud" / "mailbox"
    if not job_site.until(functools.partial(_has, mailbox, name), 60):
        raise RuntimeError(f"no mail about {name} within 60 s")
    return time.perf_counter() - since


def _has(mailbox: Path, name: str) -> bool:
    newest = itertools.islice(sorted(mailbox.glob("*.eml"), reverse=True), 3)
    return any(name in path.read_text(errors="replace") for path in newest)


def _direct(site: Site, number: int) -> float:
    secrets = json.loads((site.stack.state / "cloud" / "secrets.json").read_text())
    address = urllib.parse.urlsplit(secrets["alert-email-url"][-1]["value"])
    mail = {
        "id": f"direct-{number}",
        "severity": "error",
        "subject": "direct",
        "text": "t",
        "html": "<p>t</p>",
        "to": [],
    }
    since = time.perf_counter()
    url = f"http://127.0.0.1:{site.stack.ports.cloud}{address.path}?{address.query}"
    headers = {"Host": HOST, "Content-Type": "application/json"}
    if send("POST", url, json.dumps(mail).encode(), headers).status != 200:
        raise RuntimeError("the workflow does not take the mail")
    return time.perf_counter() - since


if __name__ == "__main__":
    main()
