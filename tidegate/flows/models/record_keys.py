"""Which records versions of models and endpoints have: flows that tell each other something name the same one."""

from __future__ import annotations

from tidegate.flows.models.model_gate import Target
from tidegate.references import ModelRef

DELIVERY, ENDPOINT = "model-delivery", "endpoint-rollout"


def delivery_key(model: ModelRef) -> str:
    """The record of a version, whatever its gate."""
    return f"{DELIVERY}:{model}"


def endpoint_key(target: Target) -> str:
    """The record of the endpoint, whichever gate or stage names it. Azure compares names of resources without case."""
    place = target.workspace
    return f"{ENDPOINT}:{place.subscription}/{place.resource_group}/{place.name}/{target.endpoint}".lower()
