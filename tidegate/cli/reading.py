"""What a person reads of one promotion, delivery or plan: the API's answer as labels and lines, without JSON in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tidegate.cli import output

type Line = tuple[str, Any]
"""A label and what it says; the lines below one label have none."""

type Fields = Mapping[str, Any]


def lines(found: Fields) -> Iterator[Line]:
    """Everything the answer says, in its order; what is empty is left out."""
    for name, value in found.items():
        if value not in (None, "", [], {}):
            read = _FIELDS.get(name)
            yield from read(value, found) if read else ((name, value),)


def _nothing(_value: Any, _found: Fields) -> Iterator[Line]:
    """For what is a table of its own, or part of another line."""
    yield from ()


def _gate(gate: Fields, _found: Fields) -> Iterator[Line]:
    yield "gate", f"{gate['name']} ({gate['version']})"


def _tags(tags: Sequence[str], found: Fields) -> Iterator[Line]:
    """What became of each, where that is known. A digest that was asked for without a tag is a claim without one."""
    yield "tags", [_claim(each) for each in found.get("claims", ()) if each["tag"]] or tags


def _requests(requests: Sequence[Fields], _found: Fields) -> Iterator[Line]:
    yield from _below("asked by", (_word(each) for each in requests))


def _override(request: Fields, _found: Fields) -> Iterator[Line]:
    yield "override", _word(request)


def _verdict(verdict: Fields, found: Fields) -> Iterator[Line]:
    run = f" in run {verdict['run']}" if verdict["run"] else ""
    reason = f": {verdict['reason']}" if verdict["reason"] else ""
    log = f"; its log: tidegate log {found['id']}" if verdict["log"] else ""
    yield "test", f"{verdict['kind']}{run}{reason}{log}"


def _retries(retries: Sequence[Fields], _found: Fields) -> Iterator[Line]:
    yield from _below("tried again", (_retry(each) for each in retries))


def _approval(approval: Fields, _found: Fields) -> Iterator[Line]:
    needs = f"{approval['quorum']} of {' or '.join(approval['roles'])}, until {approval['expires']}"
    yield from _below("waits for", (needs, f"evidence {approval['evidence']}"))


def _stages(stages: Sequence[Fields], _found: Fields) -> Iterator[Line]:
    for stage in stages:
        yield from _below(stage["name"], _planned(stage) if "calls" in stage else _stage(stage))


def _calls(calls: Sequence[Fields], _found: Fields) -> Iterator[Line]:
    yield from _below("calls", (_call(each) for each in calls))


def _problems(problems: Sequence[str], _found: Fields) -> Iterator[Line]:
    yield from _below("problems", problems)


def _below(label: str, texts: Iterable[str]) -> Iterator[Line]:
    for number, text in enumerate(texts):
        yield ("" if number else label), text


def _claim(claim: Fields) -> str:
    return f"{claim['tag']} ({claim['status']}{': ' if claim['detail'] else ''}{claim['detail']})"


def _word(said: Fields) -> str:
    """Somebody's word: who, when and why."""
    return f"{said['who']}, {said['at']}: {said['why']}"


def _retry(retry: Fields) -> str:
    return f"{retry['step']}, {retry['tries']} times since {retry['since']}, next {retry['next']}: {retry['reason']}"


def _facts(facts: Fields, _found: Fields) -> Iterator[Line]:
    artefact = facts["artefact"]
    yield "artefact", f"{artefact['sha256'] or 'not hashed'}, {artefact['size']} bytes in {artefact['files']} files"
    yield "metrics", output.cell(facts["metrics"])
    for name in ("run", "data", "image", "serving_image", "registered_by"):
        yield name.replace("_", " "), facts[name]


def _stage(stage: Fields) -> Iterator[str]:
    target, end, needs = stage["target"], stage["endpoint"], stage["needs"]
    yield f"{stage['state']}{': ' if stage['reason'] else ''}{stage['reason'] or ''}"
    yield f"endpoint {target['endpoint']} ({target['kind']}) in {target['workspace']}"
    if end:
        yield from _endpoint(end)
    if needs:
        yield f"needs {needs['quorum']} of {' or '.join(needs['roles'])}"
    yield from (f"approved by {_word(each)}" for each in stage["approvals"])


def _endpoint(end: Fields) -> Iterator[str]:
    weights = end["weights"] or {"live": {}, "mirror": {}}
    shares = [f"{percent} % to {name}" for name, percent in weights["live"].items()]
    shares += [f"{percent} % mirrored to {name}" for name, percent in weights["mirror"].items()]
    yield ", ".join([end["state"], *shares]) + (f": {end['reason']}" if end["reason"] else "")
    if end["waiting"]:
        yield f"{end['waiting']} waits"
    if end["held"]:
        yield f"held by {_word(end['held'])}"
    if end["blocked"]:
        yield f"blocked: {', '.join(end['blocked'])}"


def _planned(stage: Fields) -> Iterator[str]:
    if stage["frozen_until"]:
        yield f"waits for the end of its freeze, {stage['frozen_until']}"
    if stage["approval"]:
        yield f"asks for {stage['approval']}"
    yield from (_call(each) for each in stage["calls"])


def _call(call: Fields) -> str:
    """A body is for machines: `--json` has it."""
    details = "" if isinstance(call["with"], dict) else output.cell(call["with"])
    return f"{call['call']}  {call['on']}{': ' if details else ''}{details}"


_FIELDS: Mapping[str, Callable[[Any, Fields], Iterable[Line]]] = {
    "tags": _tags,
    "gate": _gate,
    "requests": _requests,
    "override": _override,
    "verdict": _verdict,
    "retries": _retries,
    "approval": _approval,
    "facts": _facts,
    "stages": _stages,
    "calls": _calls,
    "problems": _problems,
    **dict.fromkeys(("claims", "history", "dry_run", "artefact", "evidence"), _nothing),
}
"""How a field is read; any other is its name and its value."""
