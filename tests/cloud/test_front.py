"""The CONNECT proxy: what it lets through, what it refuses, and the authority behind its certificates."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import stat
from pathlib import Path

import pytest
import requests
import trustme

from local import world
from local.authority import open_authority
from tests.cloud.world import LocalCloud, eventually

pytestmark = pytest.mark.stack


def _ask(cloud: LocalCloud, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", cloud.front_port), 10) as connection:
        connection.sendall(request)
        return connection.recv(4096)


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT dc.services.visualstudio.com:443",
        "CONNECT azurecr.io.example.com:443",
        "CONNECT management.azure.com:80",
        "CONNECT management.azure.com:notaport",
        "CONNECT 169.254.169.254:443",
        "GET http://management.azure.com/",
    ],
)
def test_what_is_not_azure_is_refused_and_logged(
    cloud: LocalCloud, caplog: pytest.LogCaptureFixture, request_line: str
) -> None:
    caplog.set_level(logging.INFO, "tidegate.local.front")
    answer = _ask(cloud, f"{request_line} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    eventually(lambda: "refused host=" in caplog.text, "the refusal is not in the log")


def test_a_client_sees_the_refusal(cloud: LocalCloud) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        requests.get("https://example.com/", timeout=10)


def test_a_client_that_does_not_trust_the_authority_does_not_connect(cloud: LocalCloud, tmp_path: Path) -> None:
    trust = tmp_path / "another.pem"
    trust.write_bytes(trustme.CA().cert_pem.bytes())
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://{world.login_server(world.STAGING)}/v2/", timeout=10, verify=str(trust))


def test_the_host_name_reaches_the_service(cloud: LocalCloud) -> None:
    host = world.login_server(world.HEALTHY)
    answer = requests.get(f"https://{host.upper()}/v2/", timeout=10)
    assert f'realm="https://{host}/oauth2/token"' in answer.headers["WWW-Authenticate"]
    assert [(call["host"], call["path"], call["status"]) for call in cloud.calls()] == [(host, "/v2/", 401)]


def test_the_key_is_readable_by_its_owner_only_and_is_kept(tmp_path: Path) -> None:
    system = tmp_path / "system.pem"
    system.write_bytes(trustme.CA().cert_pem.bytes())
    first = open_authority(tmp_path / "ca", {"SSL_CERT_FILE": str(system)})
    again = open_authority(tmp_path / "ca", {"SSL_CERT_FILE": str(system)})
    assert stat.S_IMODE((tmp_path / "ca/ca.key").stat().st_mode) == 0o600
    assert again.ca.cert_pem.bytes() == first.ca.cert_pem.bytes()


def test_the_bundle_has_the_systems_certificates_once_and_ours(tmp_path: Path) -> None:
    system = tmp_path / "system.pem"
    system.write_bytes(trustme.CA().cert_pem.bytes())
    bundle = open_authority(tmp_path / "ca", {"SSL_CERT_FILE": str(system)}).bundle
    environ = {"REQUESTS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": str(system)}
    authority = open_authority(tmp_path / "ca", environ)
    certificates = re.findall("BEGIN CERTIFICATE", authority.bundle.read_text())
    assert len(certificates) == 2
    context = ssl.create_default_context(cafile=str(authority.bundle))
    assert len(context.get_ca_certs()) == 2
