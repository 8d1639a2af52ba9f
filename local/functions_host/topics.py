"""Event Grid topics as an output: events posted with a key, as the eventGrid binding does."""

from __future__ import annotations

from typing import Any

import aiohttp

from local.functions_host.executor import OutputError
from local.functions_host.messages import Binding
from local.functions_host.settings import AppSettings, SettingsError


class Topics:
    """Topics by endpoint, over one pool of sockets; honours HTTPS_PROXY and SSL_CERT_FILE like every client here."""

    def __init__(self, settings: AppSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    def topic(self, binding: Binding) -> KeyedTopic:
        """The topic of a binding with `topicEndpointUri` and `topicKeySetting`, which both name settings."""
        uri, key = (self._setting(binding, name) for name in ("topicEndpointUri", "topicKeySetting"))
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
        return KeyedTopic(self._session, uri, key)

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    def _setting(self, binding: Binding, field: str) -> str:
        name = binding.settings.get(field)
        value = self._settings.get(str(name)) if name else None
        if value is None:
            raise SettingsError(f"output {binding.name}: {field} must name a setting that is there, not {name!r}")
        return value


class KeyedTopic:
    def __init__(self, session: aiohttp.ClientSession, uri: str, key: str) -> None:
        self._session = session
        self._uri = uri
        self._key = key

    async def publish(self, events: list[Any]) -> None:
        headers = {"aeg-sas-key": self._key}
        try:
            async with self._session.post(
                f"{self._uri}?api-version=2018-01-01", json=events, headers=headers
            ) as answer:
                if answer.status >= 300:
                    raise OutputError(f"the topic {self._uri} answered {answer.status}: {(await answer.text())[:200]}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OutputError(f"the topic {self._uri} did not answer: {error}") from error
