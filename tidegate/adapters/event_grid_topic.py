"""Outcomes as CloudEvents on a custom Event Grid topic."""

from __future__ import annotations

from azure.core.credentials import TokenCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient

from tidegate.adapters.azure_calls import BOUNDED, translated
from tidegate.errors import TransientError
from tidegate.ports import Outcome
from tidegate.settings import Settings


class EventGridTopic:
    """The OutcomeTopic port, as the app's identity. Without an endpoint nothing is published."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        endpoint = settings.outcomes_endpoint
        self._client = EventGridPublisherClient(endpoint, credential) if endpoint else None
        self._source = f"tidegate/{settings.healthy_registry}"

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()

    def publish(self, outcome: Outcome) -> None:
        """PermanentError: the topic refuses the event itself. A missing role (403) is not the event's fault."""
        if self._client is None:
            return
        event = CloudEvent(
            source=self._source,
            type=outcome.type,
            id=outcome.id,
            time=outcome.at,
            subject=outcome.subject,
            datacontenttype="application/json",
            data={name: list(value) if isinstance(value, tuple) else value for name, value in outcome.data},
        )
        with translated(f"outcome {outcome.id}", {403: TransientError, 404: TransientError}, refusable=True):
            self._client.send(event, **BOUNDED)  # the client drops what its constructor is given of these
