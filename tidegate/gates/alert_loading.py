"""From `alerts` of `gates.yaml` to the policy of alerts: every key, its rule and its default."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import MappingProxyType

from tidegate.flows.alerts.alert_policy import CAUSES, AlertPolicy, Cause, CauseRule, ResubmitRules, Route
from tidegate.flows.alerts.outcome_alerts import KINDS
from tidegate.flows.base import Pairs
from tidegate.gates import alert_values, values
from tidegate.gates.alert_defaults import DEFAULT_ALERTS, LAST_ROUTE
from tidegate.gates.cursor import Cursor
from tidegate.gates.sections import pairs, section, value

# The keys of each mapping, in the order the documentation has them.
ALERT_KEYS = ("canceled", "window", "wait", "repeat", "rate", "links", "ignore", "resubmit", "causes", "routes")
RATE_KEYS = ("mails", "within")
RESUBMIT_KEYS = ("attempts", "backoff", "dedicated")
CAUSE_KEYS = ("name", "cause", "lines", "examples")
ROUTE_KEYS = ("name", "match", "to")
ROUTE_MATCH_KEYS = ("workspace", "experiment", "tags", "cause")

CANCELED = MappingProxyType({"ignore": False, "alert": True})
ROUTED = (*CAUSES, *sorted(kind.name for kind in KINDS.values()))
"""What a route can be for: causes of failed runs, and kinds of other alerts."""


def alerts(cursor: Cursor) -> AlertPolicy:
    """The policy; what is faulty is noted, and the load fails."""
    keys = section(cursor, ALERT_KEYS)
    default = DEFAULT_ALERTS
    mails, within = value(keys, "rate", _rate, (default.mails, default.within))
    return AlertPolicy(
        canceled=CANCELED[value(keys, "canceled", lambda key: key.choice(tuple(CANCELED)), "ignore")],
        window=value(keys, "window", _span, default.window),
        wait=value(keys, "wait", _span, default.wait),
        repeat=value(keys, "repeat", _span, default.repeat),
        mails=mails,
        within=within,
        hosts=value(keys, "links", _each(alert_values.host), default.hosts),
        resubmit=value(keys, "resubmit", _resubmit, default.resubmit),
        causes=(*(_causes(keys["causes"]) if "causes" in keys else ()), *default.causes),
        ignore=value(keys, "ignore", _each(alert_values.line_pattern), default.ignore),
        routes=(*(_routes(keys["routes"]) if "routes" in keys else ()), LAST_ROUTE),
    )


def _rate(cursor: Cursor) -> tuple[int, int]:
    keys = section(cursor, RATE_KEYS)
    default = DEFAULT_ALERTS
    mails = value(keys, "mails", lambda key: key.integer(1, 100), default.mails)
    return mails, value(keys, "within", _span, default.within)


def _resubmit(cursor: Cursor) -> ResubmitRules:
    keys = section(cursor, RESUBMIT_KEYS)
    default = DEFAULT_ALERTS.resubmit
    return ResubmitRules(
        attempts=value(keys, "attempts", lambda key: key.integer(0, 20), default.attempts),
        backoff=value(keys, "backoff", _span, default.backoff),
        dedicated=value(keys, "dedicated", _dedicated, default.dedicated),
    )


def _dedicated(cursor: Cursor) -> Pairs:
    found = pairs(cursor, alert_values.name_pattern, alert_values.name_pattern)
    for low_priority, dedicated in found:
        if dedicated in dict(found):
            cursor.fault(f"{dedicated!r} takes over from {low_priority!r}, so it cannot be handed on itself")
    return found


def _causes(cursor: Cursor) -> tuple[CauseRule, ...]:
    rules = [(item, rule) for item in cursor.items() if (rule := _cause(item))]
    _check_names([(item, rule.name) for item, rule in rules], {rule.name for rule in DEFAULT_ALERTS.causes})
    return tuple(rule for _, rule in rules)


def _cause(cursor: Cursor) -> CauseRule | None:
    keys = section(cursor, CAUSE_KEYS, required=("name", "cause", "lines"))
    name = value(keys, "name", lambda key: key.parsed(values.slug), "")
    cause = value(keys, "cause", _known_cause, None)
    lines = keys["lines"].one_or_each(alert_values.line_pattern) if "lines" in keys else ()
    if not name or cause is None or not lines:
        return None
    rule = CauseRule(name, cause, lines)
    examples = _examples(keys["examples"], rule) if "examples" in keys else ()
    return dataclasses.replace(rule, examples=examples)


def _known_cause(cursor: Cursor) -> Cause | None:
    return cursor.choice(CAUSES)


def _examples(cursor: Cursor, rule: CauseRule) -> tuple[str, ...]:
    """Lines that the rule must match: a rule that does not do what it was written for is a fault."""
    found: list[str] = []
    for item in cursor.items():
        line = item.parsed(alert_values.example)
        if line is not None and not rule.shows(line):
            item.fault("none of the lines of this rule matches the example")
        elif line is not None:
            found.append(line)
    return tuple(found)


def _routes(cursor: Cursor) -> tuple[Route, ...]:
    routes = [(item, route) for item in cursor.items() if (route := _route(item))]
    _check_names([(item, route.name) for item, route in routes], {LAST_ROUTE.name})
    for place, (item, route) in enumerate(routes[:-1]):
        if not (route.workspaces or route.experiments or route.tags or route.causes):
            following = routes[place + 1][1].name
            item.fault(f"matches everything, so {following!r} is never reached; put this route last")
    return tuple(route for _, route in routes)


def _route(cursor: Cursor) -> Route | None:
    keys = section(cursor, ROUTE_KEYS, required=("name", "to"))
    name = value(keys, "name", lambda key: key.parsed(values.slug), "")
    to = keys["to"].one_or_each(alert_values.address) if "to" in keys else ()
    match = section(keys["match"], ROUTE_MATCH_KEYS) if "match" in keys else {}
    if not name or not to:
        return None
    return Route(
        name=name,
        to=to,
        workspaces=_patterns(match, "workspace"),
        experiments=_patterns(match, "experiment"),
        tags=pairs(match["tags"], alert_values.name_pattern, alert_values.name_pattern) if "tags" in match else (),
        causes=_choices(match["cause"]) if "cause" in match else (),
    )


def _patterns(keys: dict[str, Cursor], name: str) -> tuple[str, ...]:
    return keys[name].one_or_each(alert_values.name_pattern) if name in keys else ()


def _choices(cursor: Cursor) -> tuple[str, ...]:
    items = cursor.items() if cursor.kind == "seq" else [cursor]
    return tuple(word for item in items if (word := item.choice(ROUTED)) is not None)


def _check_names(found: list[tuple[Cursor, str]], taken: set[str]) -> None:
    first: dict[str, Cursor] = {}
    for cursor, name in found:
        earlier = first.setdefault(name, cursor)
        if earlier is not cursor:
            cursor.fault(f"the name {name!r} is already the name of {earlier.field} on line {earlier.line}")
        elif name in taken:
            cursor.fault(f"the name {name!r} is taken by what is shipped")


def _span(cursor: Cursor) -> int | None:
    return cursor.quantity(alert_values.span, "a duration such as 24h")


def _each(parse: Callable[[str], str]) -> Callable[[Cursor], tuple[str, ...]]:
    return lambda cursor: cursor.each(parse, empty=True)
