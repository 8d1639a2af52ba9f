"""An image of a registry, here for as long as a step needs it: pulled each time, as on a new agent."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from local.cloud.task_arguments import TaskRefusedError
from local.contained_run import run_command
from local.containers import Engine

_REFERENCE = re.compile(
    r"(?P<server>[^/@]+)/(?P<rest>[a-z0-9][a-z0-9._/-]*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?)", re.ASCII
)


class PullFailedError(Exception):
    """The image cannot be had; the message is what `docker run` says then."""


class AgentImages:
    """Pulls images of the registries behind `upstreams` (login server -> base URL), and of no others."""

    def __init__(self, engine: Engine, upstreams: Mapping[str, str]) -> None:
        self._engine = engine
        self._upstreams = upstreams
        self._used: collections.Counter[str] = collections.Counter()
        self._locks: collections.defaultdict[str, asyncio.Lock] = collections.defaultdict(asyncio.Lock)

    @contextlib.asynccontextmanager
    async def pulled(self, image: str, platform: str | None) -> AsyncIterator[str]:
        """What to give `run` for this image. Afterwards the name is removed again, unless another step uses it.

        PullFailedError when the registry does not give it; TaskRefusedError for no name, or another registry's.
        """
        upstream = self._upstream(image)
        async with self._locks[upstream]:
            local = await self._pull(image, upstream, platform)
            self._used[upstream] += 1
        try:
            yield local
        finally:
            await asyncio.shield(self._release(upstream))

    def _upstream(self, image: str) -> str:
        reference = _REFERENCE.fullmatch(image)
        if reference is None:
            raise TaskRefusedError(f"invalid reference format: {image!r}")
        url = self._upstreams.get(reference["server"].lower())
        if url is None:
            raise TaskRefusedError(f"{image}: the stand-in pulls only from {', '.join(sorted(self._upstreams))}")
        return f"{urlsplit(url).netloc}/{reference['rest']}"

    async def _pull(self, image: str, upstream: str, platform: str | None) -> str:
        podman = self._engine.name == "podman"
        tls = ("--tls-verify=false",) if podman else ()  # Docker takes plain HTTP from loopback by itself
        wanted = (f"--platform={platform}",) if platform else ()
        said = bytearray()
        status = await run_command(self._engine, ("pull", "--quiet", *tls, *wanted, upstream), said.extend)
        text = said.decode(errors="replace").strip()
        if status:
            raise PullFailedError(_docker_words(image, text.replace(upstream, image)))
        # Podman prints the image's id, which is right also when the name is an index of several platforms.
        return text.splitlines()[-1] if podman else upstream

    async def _release(self, upstream: str) -> None:
        async with self._locks[upstream]:
            self._used[upstream] -= 1
            if self._used[upstream] == 0:
                del self._used[upstream]
                await run_command(self._engine, ("rmi", upstream), lambda _said: None)


def _docker_words(image: str, said: str) -> str:
    if "manifest unknown" in said or "name unknown" in said:
        reason = f"manifest for {image} not found: manifest unknown: manifest unknown"
    else:
        reason = said.splitlines()[-1].removeprefix("Error: ") if said else "no reason was given"
    return f"Unable to find image '{image}' locally\ndocker: Error response from daemon: {reason}."
