"""Which record an endpoint has: the deliveries that want to serve there and the flow that owns it name the same one."""

from __future__ import annotations

from tidegate.flows.model_gate import Target

FLOW = "endpoint-rollout"


def endpoint_key(target: Target) -> str:
    """The record of the endpoint, whichever gate or stage names it. Azure compares names of resources without case."""
    place = target.workspace
    return f"{FLOW}:{place.subscription}/{place.resource_group}/{place.name}/{target.endpoint}".lower()
