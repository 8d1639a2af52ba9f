"""The composition root: settings and gates are read, adapters are made, and everything is put together, once a process."""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.codec import Codec, kinds_of
from tidegate.flows import image_messages, image_states, tag_ownership
from tidegate.flows.base import Flow
from tidegate.flows.image_promotion import ImagePromotion
from tidegate.flows.tag_ownership import TagOwnership
from tidegate.records import ListRecord, Record

CODEC = Codec(
    kinds_of(
        Record,
        ListRecord,
        image_states.State,
        image_messages.Event,
        image_messages.Command,
        tag_ownership.State,
        tag_ownership.Event,
        tag_ownership.Command,
    )
)


def flows(healthy_registry: str) -> Mapping[str, Flow]:
    """Every flow, by its name."""
    return {flow.name: flow for flow in (ImagePromotion(healthy_registry), TagOwnership())}
