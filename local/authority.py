"""The private certificate authority of the local stack: in one folder, trusted by the stack's processes only."""

from __future__ import annotations

import dataclasses
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

import trustme

_SYSTEM_BUNDLES = (
    ssl.get_default_verify_paths().openssl_cafile,
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/cert.pem",  # macOS, Alpine
)


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """A CA whose key never leaves its folder."""

    ca: trustme.CA
    bundle: Path
    """PEM file with the system's certificates and this CA; for REQUESTS_CA_BUNDLE and SSL_CERT_FILE of one process."""

    def server_context(self, host: str) -> ssl.SSLContext:
        """TLS server side for one host name, HTTP/1.1 only."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert(host).configure_cert(context)
        context.set_alpn_protocols(["http/1.1"])
        return context


def open_authority(folder: Path, environ: Mapping[str, str] = os.environ) -> Authority:
    """The CA kept in `folder`, made on first use. The key file has mode 0600 from its first byte."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key, bundle = folder / "ca.pem", folder / "ca.key", folder / "bundle.pem"
    if certificate.exists() and key.exists():
        ca = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    else:
        ca = trustme.CA(organization_name="Tidegate local stack", organization_unit_name="private, this machine only")
        _write_private(key, ca.private_key_pem.bytes())
        certificate.write_bytes(ca.cert_pem.bytes())
    bundle.write_bytes(_system_certificates(environ, apart_from=bundle) + b"\n" + ca.cert_pem.bytes())
    return Authority(ca, bundle)


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _system_certificates(environ: Mapping[str, str], apart_from: Path) -> bytes:
    """What this process trusts anyway; an earlier bundle is skipped, or it would grow with each start."""
    for name in (environ.get("REQUESTS_CA_BUNDLE"), environ.get("SSL_CERT_FILE"), *_SYSTEM_BUNDLES):
        if name and Path(name).is_file() and Path(name).resolve() != apart_from.resolve():
            return Path(name).read_bytes()
    return b""
