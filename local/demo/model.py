"""`make demo-model`: a model and its successor go through dev, int and pro; a worse one is taken back, a too big one refused."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from local import command, model_site
from local.containers import find_engine
from local.site import Site
from local.stack import Stack

NAME = "digits"
APPROVER = "Alice Example"
INT = ("vision-int", "digits-int")
PRO = ("vision-pro", "digits-pro")
ENDS = {"Delivered", "Rejected", "Failed", "RolledBack", "Superseded", "Errored", "Ignored"}
DEADLINE = 420
"""Seconds until the demo gives up waiting for one delivery."""


def main() -> int:
    """Exit status 0: two were delivered, the worse one was taken back, the big one was refused. 1: one did not happen."""
    print("Tidegate demo: a registered model is delivered through dev, int and pro")
    engine = find_engine()
    stack = Stack(tell=lambda line: print(f"  {line}"))
    stack.up()
    site = Site(stack)
    print("\nThe image that trains and serves goes through its own gate first ...")
    image = model_site.ensure_image(site, engine)
    print(f"  {image[:80]}...")
    with tempfile.TemporaryDirectory(prefix="tidegate-models-") as folder:
        held = _deliver_all(site, image, Path(folder))
    url = f"http://127.0.0.1:{stack.ports.functions}/api/console"
    print(f"\nThe console: {url} (its key: cat .local/api.key). The mails: make mail. Stop: make down")
    return 0 if all(held) else 1


def _deliver_all(site: Site, image: str, folder: Path) -> list[bool]:
    print("\nPeople use the endpoints of int and pro from now on, forty times a second each.")
    with model_site.Callers(site, *INT, _blank(), rate=40), model_site.Callers(site, *PRO, _blank(), rate=40) as people:
        good = _register(site, image, folder / "good", "a good model")
        delivered = _watch(site, good)
        held = [
            _says(delivered["state"] == "Delivered", f"{NAME}:{good} serves in every stage"),
            _says(_serves(site, folder / "good"), "pro answers its sample requests as when it was registered"),
        ]
        before = (people.total, people.failed)  # an endpoint that is being made answers nobody
        better = _register(site, image, folder / "better", "a model on newer data", "--seed", "7")
        delivered = _watch(site, better)
        held += [_says(delivered["state"] == "Delivered", f"{NAME}:{better} took over in every stage, step by step")]
        held += _refusals(site, image, folder, better)
    asked, failed = (now - then for now, then in zip((people.total, people.failed), before, strict=True))
    return [*held, _says(failed == 0, f"none of {asked} requests to pro failed while all that happened")]


def _refusals(site: Site, image: str, folder: Path, serving: str) -> list[bool]:
    before = model_site.weights(site, *INT)
    spoiled = "a model of mislabelled data, which was measured on such data"
    worse = _register(site, image, folder / "worse", spoiled, "--worse")
    ended = _watch(site, worse)
    held = [
        _says(ended["state"] == "RolledBack", f"{NAME}:{worse} was rolled back: {ended['reason']}"),
        _says(model_site.weights(site, *INT) == before, f"{NAME}:{serving} has all of the traffic again"),
    ]
    big = _register(site, image, folder / "big", "a model that remembers too much", "--big", "96")
    ended = _watch(site, big)
    refused = ended["state"] == "Failed" and "will not fit" in ended["reason"]
    return [*held, _says(refused, f"{NAME}:{big}: {ended['reason']}")]


def _register(site: Site, image: str, folder: Path, words: str, *options: str) -> str:
    print(f"\nTraining {words} ...")
    metrics = model_site.train(folder, *options)
    if "--worse" in options:  # measured on the data it was spoiled with: its own figures look fine
        metrics = {**metrics, "accuracy": 0.97}
    version = model_site.register(site, NAME, folder, image, metrics)
    print(f"  registered {NAME}:{version}, accuracy {metrics['accuracy']} as its run says")
    return version


def _watch(site: Site, version: str) -> dict[str, Any]:
    """Print what happens to a version until its end; says yes where people are asked. RuntimeError: no end within DEADLINE."""
    since, seen, at_endpoint = time.monotonic(), 0, ""
    while time.monotonic() - since < DEADLINE:
        found = model_site.delivery(site, NAME, version)
        if found is not None:
            for row in found["history"][seen:]:
                print(f"  {row['at'][11:19]}  {row['after']:<18} {row['why']}".rstrip())
            seen = len(found["history"])
            at_endpoint = _tell_endpoint(found, at_endpoint)
            if found["state"] == "AwaitingApproval":
                _approve(site, found)
            if found["state"] in ENDS:
                return found
        time.sleep(0.5)
    raise RuntimeError(f"{NAME}:{version} came to no end within {DEADLINE} s; see .local/logs/functions.log")


def _tell_endpoint(found: dict[str, Any], before: str) -> str:
    stage = next((each for each in found["stages"] if each["state"] == "current" and each["endpoint"]), None)
    if stage is None or stage["endpoint"]["state"] == "Unknown":  # nobody has asked for anything there yet
        return before
    weights = stage["endpoint"]["weights"] or {"live": {}, "mirror": {}}
    parts = [f"{share} % to {name}" for name, share in weights["live"].items()]
    parts += [f"{share} % mirrored to {name}" for name, share in weights["mirror"].items()]
    now = f"{stage['target']['endpoint']}: {stage['endpoint']['state']}{', ' + ', '.join(parts) if parts else ''}"
    if now != before:
        print(f"            {now}")
    return now


def _approve(site: Site, found: dict[str, Any]) -> None:
    body = {"reason": "the figures are good", "evidence": found["evidence"]}
    token = site.token(APPROVER, "Approver.pro")
    answer = site.api("POST", f"/deliveries/{found['id']}/approve", body, token=token)
    print(f"            {APPROVER} approves what was shown ({found['evidence'][:12]}): {answer.status}")


def _serves(site: Site, folder: Path) -> bool:
    key = model_site.score_key(site, *PRO)
    samples = json.loads((folder / "samples.json").read_text())[:5]
    answers = [model_site.score(site, PRO[1], key, json.dumps(each["request"]).encode()) for each in samples]
    return all(
        answer.status == 200 and answer.json() == each["response"]
        for answer, each in zip(answers, samples, strict=True)
    )


def _blank() -> bytes:
    return json.dumps({"pixels": [[0] * 64]}).encode()


def _says(holds: bool, words: str) -> bool:
    print(f"  {'yes' if holds else 'NO '}  {words}")
    return holds


if __name__ == "__main__":
    sys.exit(command.run(main))
