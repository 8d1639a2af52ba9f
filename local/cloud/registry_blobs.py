"""Data endpoint of a registry: where a pull is redirected to for the bytes of a blob."""

from __future__ import annotations

import time

from aiohttp import web

from local import world
from local.cloud.core import Cloud
from local.cloud.errors import RegistryError
from local.cloud.pass_through import pass_through
from local.cloud.registries import Registries, Registry
from local.cloud.tokens import issue_token, token_claims

_SUFFIX = f".{world.LOCATION}.data.azurecr.io"
_LINK_SECONDS = 1200


def install(cloud: Cloud, registries: Registries) -> None:
    """Must come before any service of `*.azurecr.io`, whose pattern has these hosts too and the first that fits wins."""

    async def read(request: web.Request) -> web.StreamResponse:
        """The link is the proof; a bearer token beside it is refused, as storage refuses two proofs at once.

        A client that follows the redirect with its Authorization header gives a token away: here it sees that it did.
        Unverified: status and code of that refusal.
        """
        registry = registries.named(request.host.partition(".")[0])
        name, digest = request.match_info["name"], request.match_info["digest"]
        if "Authorization" in request.headers:
            raise RegistryError(
                400, "InvalidAuthenticationInfo", "The link is the proof; send no Authorization header."
            )
        claims = token_claims(request.query.get("sig", ""))
        if claims.get("blob") != f"{registry.name}/{name}/{digest}" or claims.get("exp", 0) < time.time():
            raise RegistryError(403, "AuthenticationFailed", "The link is expired or of another blob.")
        return await pass_through(cloud, registry, request, path=f"/v2/{name}/blobs/{digest}")

    cloud.host(f"*{_SUFFIX}").router.add_get("/{name:.+}/{digest}", read)


def blob_link(registry: Registry, repository: str, digest: str) -> str:
    """Where the blob's bytes can be read for a while, by anyone who has the link."""
    proof = issue_token("blob", seconds=_LINK_SECONDS, blob=f"{registry.name}/{repository}/{digest}")
    return f"https://{registry.name}{_SUFFIX}/{repository}/{digest}?sig={proof}"
