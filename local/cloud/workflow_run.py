"""Runs a Logic App's definition: a Request trigger with its schema, and the actions that the alert workflow is made of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import jsonschema

from local.cloud.workflow_language import EvaluationError, UnsupportedError, check, evaluate

TYPES = ("ApiConnection", "Compose", "Http", "If", "Response", "Select", "Switch", "Terminate")

type Status = Literal["Succeeded", "Failed", "Skipped", "TimedOut"]
type Connector = Callable[[str, Mapping[str, Any]], Awaitable[tuple[int, Any]]]
"""`connector(type of the action, its evaluated inputs)` gives status and body, as the service behind it answers."""


class RefusedError(Exception):
    """The request does not fit the trigger's schema."""


class _Terminated(Exception):
    """A Terminate action ended the run."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What the caller gets."""

    status: int
    body: Any


@dataclasses.dataclass(slots=True)
class _Run:
    trigger: Any
    parameters: Mapping[str, Any]
    connector: Connector
    outputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    statuses: dict[str, Status] = dataclasses.field(default_factory=dict)
    reply: Reply | None = None


class Workflow:
    """One definition, checked as a whole before it runs. UnsupportedError: it uses what the stand-in does not run."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self._definition = definition
        triggers = list(definition["triggers"].values())
        if len(triggers) != 1 or triggers[0]["type"] != "Request":
            raise UnsupportedError("a workflow here has one trigger, of the type Request")
        self._schema = jsonschema.Draft4Validator(triggers[0]["inputs"].get("schema", {}))
        _check_actions(definition["actions"])
        declared = definition.get("parameters", {})
        self._defaults = {name: each.get("defaultValue") for name, each in declared.items()}

    async def run(self, body: Any, parameters: Mapping[str, Any], connector: Connector) -> Reply:
        """Run it for one request. Without a Response action that runs, the answer is 202, and 500 for a failed run."""
        fault = next(iter(self._schema.iter_errors(body)), None)
        if fault is not None:
            raise RefusedError(f"{'/'.join(map(str, fault.absolute_path)) or 'body'}: {fault.message}"[:500])
        run = _Run(body, {**self._defaults, **parameters}, connector)
        try:
            ended = await _run_actions(self._definition["actions"], run)
        except _Terminated:
            ended = "Failed"
        if run.reply is not None:
            return run.reply
        return Reply(202, None) if ended == "Succeeded" else Reply(500, {"error": {"code": "WorkflowRunFailed"}})


def _check_actions(actions: Mapping[str, Any]) -> None:
    for name, action in actions.items():
        if action["type"] not in TYPES:
            raise UnsupportedError(
                f"{name}: actions of the type {action['type']} are not run here ({', '.join(TYPES)})"
            )
        unknown = [before for before in action.get("runAfter", {}) if before not in actions]
        if unknown:
            raise UnsupportedError(f"{name}: runs after {unknown[0]}, which is not there")
        check(action.get("inputs"))
        check(action.get("expression"))
        for branch in _branches(action).values():
            _check_actions(branch)


def _branches(action: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = {f"case {name}": case["actions"] for name, case in action.get("cases", {}).items()}
    found |= {name: action[name]["actions"] for name in ("default", "else") if name in action}
    return found | ({"then": action["actions"]} if "actions" in action else {})


async def _run_actions(actions: Mapping[str, Any], run: _Run) -> Status:
    """Each action once those it runs after have ended; the status of the whole is that of its last actions."""
    waiting = dict(actions)
    while waiting:
        ready = [name for name, each in waiting.items() if not waiting.keys() & each.get("runAfter", {}).keys()]
        if not ready:
            raise UnsupportedError("the actions wait for each other in a circle")
        for name in ready:
            action = waiting.pop(name)
            wanted = action.get("runAfter", {}).items()
            goes = all(
                run.statuses[before] in {each.capitalize() for each in states} | set(states)
                for before, states in wanted
            )
            run.statuses[name] = await _run_action(name, action, run) if goes else "Skipped"
    followed = {before for each in actions.values() for before in each.get("runAfter", {})}
    last = [run.statuses[name] for name in actions if name not in followed]
    return "Succeeded" if any(each == "Succeeded" for each in last) and "Failed" not in last else "Failed"


async def _run_action(name: str, action: Mapping[str, Any], run: _Run) -> Status:
    scope = _scope(run)
    try:
        match action["type"]:
            case "Compose":
                run.outputs[name] = evaluate(action["inputs"], scope)
            case "Select":
                run.outputs[name] = {"body": _selected(action["inputs"], run)}
            case "Switch" | "If":
                return await _run_branch(action, run)
            case "Terminate":
                raise _Terminated
            case "Response":
                inputs = evaluate(action["inputs"], scope)
                run.reply = run.reply or Reply(inputs["statusCode"], inputs.get("body"))
            case _:
                status, body = await run.connector(action["type"], evaluate(action["inputs"], scope))
                run.outputs[name] = {"statusCode": status, "body": body}
                return "Succeeded" if status < 400 else "Failed"
    except EvaluationError as error:
        run.outputs[name] = {"error": str(error)}
        return "Failed"
    return "Succeeded"


async def _run_branch(action: Mapping[str, Any], run: _Run) -> Status:
    chosen = evaluate(action["expression"], _scope(run))
    if action["type"] == "If":
        branch = action.get("actions", {}) if chosen else action.get("else", {}).get("actions", {})
    else:
        cases = action.get("cases", {}).values()
        default = action.get("default", {}).get("actions", {})
        branch = next((each["actions"] for each in cases if each["case"] == chosen), default)
    return await _run_actions(branch, run) if branch else "Succeeded"


def _selected(inputs: Mapping[str, Any], run: _Run) -> list[Any]:
    items = evaluate(inputs["from"], _scope(run))
    return [evaluate(inputs["select"], _scope(run, item)) for item in items]


def _scope(run: _Run, item: Any = None) -> Mapping[str, Callable[..., Any]]:
    return {
        "triggerBody": lambda: run.trigger,
        "parameters": lambda name: run.parameters[name],
        "outputs": lambda name: run.outputs[name],
        "body": lambda name: run.outputs[name]["body"],
        "item": lambda: item,
    }


def load(text: str) -> Workflow:
    """A workflow from the text of its definition."""
    return Workflow(json.loads(text))
