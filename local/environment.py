"""The environment that turns a process into a client of the local stack; nothing in the process itself changes."""

from __future__ import annotations

from pathlib import Path

from local import world


def client_environment(
    *, front_port: int, cloud_port: int, bundle: Path, principal: str = world.FUNCTION_IDENTITY
) -> dict[str, str]:
    """Variables for Azure SDKs, az, skopeo and requests: reach Azure's host names through the front, trust its CA, and be
    a principal of infra/data/roles.json by managed identity.

    Must be set before the process starts: aiohttp builds its TLS context when it is imported. Lower-case names are set
    too because urllib and requests prefer them. For these processes only: pip, uv and npm keep the system's settings.
    """
    proxy = f"http://127.0.0.1:{front_port}"
    direct = "127.0.0.1,localhost"
    trusted = str(bundle)
    return {
        "HTTP_PROXY": proxy,  # container groups have no TLS
        "http_proxy": proxy,
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "REQUESTS_CA_BUNDLE": trusted,
        "CURL_CA_BUNDLE": trusted,
        "SSL_CERT_FILE": trusted,
        "IDENTITY_ENDPOINT": f"http://127.0.0.1:{cloud_port}/msi/token",
        "IDENTITY_HEADER": world.identity_header(principal),
    }
