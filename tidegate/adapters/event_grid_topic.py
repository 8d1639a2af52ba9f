"""Outcomes as CloudEvents on a custom Event Grid topic.

One POST on azure-core's pipeline instead of azure-eventgrid: that client drops what it is told of timeouts and retries,
and would wait for as long as a Retry-After says.
"""

from __future__ import annotations

from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy, UserAgentPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest

from tidegate.adapters.azure_calls import BOUNDED, translated
from tidegate.errors import TransientError
from tidegate.ports import Outcome
from tidegate.settings import Settings

_SCOPE = "https://eventgrid.azure.net/.default"
_API_VERSION = "2018-01-01"
_BATCH = "application/cloudevents-batch+json; charset=utf-8"


class EventGridTopic:
    """The OutcomeTopic port, as the app's identity. Without an endpoint nothing is published."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        self._source = f"tidegate/{settings.healthy_registry}"
        self._client: PipelineClient[Any, Any] | None = None
        if settings.outcomes_endpoint:
            policies = [
                UserAgentPolicy("tidegate"),
                RetryPolicy(**BOUNDED),
                BearerTokenCredentialPolicy(credential, _SCOPE),
            ]
            transport = RequestsTransport(**BOUNDED)
            self._client = PipelineClient(settings.outcomes_endpoint, policies=policies, transport=transport)

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()

    def publish(self, outcome: Outcome) -> None:
        """PermanentError: the topic refuses the event itself; a missing role (403) or topic (404) is not its fault."""
        if self._client is None:
            return
        request = HttpRequest(
            "POST",
            "/api/events",
            params={"api-version": _API_VERSION},
            headers={"Content-Type": _BATCH},
            json=[self._cloud_event(outcome)],
        )
        request.url = self._client.format_url(request.url)
        with translated(f"outcome {outcome.id}", {403: TransientError, 404: TransientError}, refusable=True):
            self._client.send_request(request).raise_for_status()

    def _cloud_event(self, outcome: Outcome) -> dict[str, Any]:
        """CloudEvents 1.0; its source names the installation by the registry that it fills."""
        return {
            "specversion": "1.0",
            "id": outcome.id,
            "source": self._source,
            "type": outcome.type,
            "subject": outcome.subject,
            "time": outcome.at.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {name: list(value) if isinstance(value, tuple) else value for name, value in outcome.data},
        }
