"""Whether the image that something is to be served by can be had: the process that serves here is another one."""

from __future__ import annotations

import re

from local import world
from local.cloud.core import Cloud
from local.cloud.errors import ArmError

_IMAGE = re.compile(r"(?P<server>[^/@]+)/(?P<repository>[^@:]+)(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w.-]+))")
_ACCEPTED = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*"


async def require_image(cloud: Cloud, image: str, code: str) -> None:
    """ArmError with this code: a registry of the local world does not have it. Other registries cannot be looked at."""
    found = _IMAGE.fullmatch(image)
    registries = {world.login_server(name).lower(): url for name, url in cloud.options.registries.items()}
    if found is None or found["server"].lower() not in registries:
        return
    reference = found["digest"] or found["tag"]
    url = f"{registries[found['server'].lower()]}/v2/{found['repository']}/manifests/{reference}"
    async with cloud.http.head(url, headers={"Accept": _ACCEPTED}) as answer:
        if answer.status != 200:
            raise ArmError(400, code, f"The image '{image}' cannot be pulled: the registry answers {answer.status}.")
