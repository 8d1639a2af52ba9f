"""Outcomes as CloudEvents on a custom Event Grid topic, with azure-eventgrid."""

from __future__ import annotations

import logging
from typing import Any

from azure.core.credentials import TokenCredential
from azure.eventgrid import EventGridPublisherClient

from tidegate.adapters.azure_calls import BOUNDED, translated
from tidegate.adapters.telemetry import traceparent
from tidegate.errors import TransientError
from tidegate.ports import Outcome
from tidegate.settings import Settings

# It also takes the bounds of a call for attributes of the event, and warns of each that it ignores them.
logging.getLogger("azure.eventgrid._legacy._generated").setLevel(logging.ERROR)


class EventGridTopic:
    """The OutcomeTopic port, as the app's identity. Without an endpoint nothing is published."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        endpoint = settings.outcomes_endpoint
        self._source = f"tidegate/{settings.healthy_registry}"
        self._client = EventGridPublisherClient(endpoint, credential) if endpoint else None

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()

    def publish(self, outcome: Outcome) -> None:
        """PermanentError: the topic refuses the event itself; a missing role (403) or topic (404) is not its fault."""
        if self._client is None:
            return
        with translated(f"outcome {outcome.id}", {403: TransientError, 404: TransientError}, refusable=True):
            # The client drops bounds that its constructor is given, but passes on those of a call.
            self._client.send(self._cloud_event(outcome), **BOUNDED)

    def _cloud_event(self, outcome: Outcome) -> dict[str, Any]:
        """CloudEvents 1.0; its source names the installation by the registry that it fills.

        `traceparent` is the extension for distributed tracing (cloudevents/spec, extensions/distributed-tracing).
        """
        trace = traceparent()
        return {
            **({"traceparent": trace} if trace else {}),
            "specversion": "1.0",
            "id": outcome.id,
            "source": self._source,
            "type": outcome.type,
            "subject": outcome.subject,
            "time": outcome.at.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {name: list(value) if isinstance(value, tuple) else value for name, value in outcome.data},
        }
