"""Event Grid's events for the triggers: as they came, so that one that breaks a rule is parked and not resent for a day.

azure-functions decodes an event before the function runs, and raises on a time it cannot parse (the samples of
azure-docs event-schema-container-registry hold one) or a body that is no object. The function would never see it, and the whole
batch would come again for 24 hours. Its registry of converters is the only place to put another one.
"""

from __future__ import annotations

import json
from typing import Any, override

import azure.functions as func
from azure.functions import meta


class AnyEvent(func.EventGridEvent):
    """An event in either schema with everything in it unchecked."""

    def __init__(self, body: Any) -> None:
        super().__init__(id="", data={}, topic="", subject="", event_type="", event_time=None, data_version="")
        self.body = body


class _Converter(meta.InConverter, binding=None):
    @classmethod
    @override
    def check_input_type_annotation(cls, pytype: type) -> bool:
        return issubclass(pytype, AnyEvent)

    @classmethod
    @override
    def decode(cls, data: meta.Datum, *, trigger_metadata: Any) -> AnyEvent:
        return AnyEvent(json.loads(data.value))

    @classmethod
    @override
    def has_implicit_output(cls) -> bool:
        return False


def accept_any_event() -> None:
    """Make the Event Grid trigger hand over events as they came."""
    meta._ConverterMeta._bindings["eventGridTrigger"] = _Converter  # noqa: SLF001  # no public way: see above
