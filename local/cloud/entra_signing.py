"""Tokens that prove something: signed by a key of this machine that is served where Entra serves its own.

For the application that people sign in with, and for it alone: every other service of the stand-in takes unsigned ones. The
claims are those of Entra's access tokens for users, in both versions (learn.microsoft.com: access-token-claims-reference).
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local import world

AUDIENCES = (world.API_CLIENT, f"api://{world.API_CLIENT}")
"""What a token for the application is asked for by."""
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""Client id of the az command line, the same in every tenant."""


@dataclasses.dataclass(frozen=True, slots=True)
class SigningKey:
    """The tenant's key: made on first use, kept for its owner only."""

    path: Path

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims (RS256)."""
        key = self._key()
        header = {"typ": "JWT", "alg": "RS256", "kid": _kid(key)}
        signed = f"{_segment(header)}.{_segment(claims)}"
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"

    def key_set(self) -> dict[str, Any]:
        """The public half, as a JSON Web Key Set."""
        key = self._key()
        numbers = key.public_key().public_numbers()
        public = {"n": _number(numbers.n), "e": _number(numbers.e)}
        return {"keys": [{"kty": "RSA", "use": "sig", "kid": _kid(key), **public, "issuer": issuer(2)}]}

    def _key(self) -> rsa.RSAPrivateKey:
        if not self.path.exists():
            key = rsa.generate_private_key(65537, 2048)
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            self.path.write_bytes(pem)
        loaded = serialization.load_pem_private_key(self.path.read_bytes(), None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise TypeError(f"{self.path}: not an RSA key")
        return loaded


def of_person(name: str, roles: Sequence[str], *, seconds: int, version: int = 2) -> dict[str, Any]:
    """Claims of a user's access token. Whoever has the same name is the same person."""
    oid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"tidegate-local-person-{name}"))
    mail = f"{name}@tidegate.example"
    by_version: dict[str, Any] = (
        {"aud": AUDIENCES[0], "azp": AZURE_CLI, "azpacr": "0", "preferred_username": mail, "ver": "2.0"}
        if version == 2
        else {"aud": AUDIENCES[1], "appid": AZURE_CLI, "appidacr": "0", "upn": mail, "unique_name": mail, "ver": "1.0"}
    )
    about = {"name": name.replace("-", " ").title(), "oid": oid, "sub": oid, "scp": "user_impersonation"}
    return {**_times(seconds), **by_version, **about, "iss": issuer(version), **({"roles": [*roles]} if roles else {})}


def of_application(client: str, oid: str, audience: str, *, seconds: int) -> dict[str, Any]:
    """Claims of a token that an application got for itself; nobody gave it a role."""
    about = {"aud": audience, "appid": client, "appidacr": "1", "idtyp": "app", "oid": oid, "sub": oid, "ver": "1.0"}
    return {**_times(seconds), **about, "iss": issuer(1)}


def issuer(version: int) -> str:
    """Who issues tokens of a version."""
    tenant = world.TENANT
    return f"https://login.microsoftonline.com/{tenant}/v2.0" if version == 2 else f"https://sts.windows.net/{tenant}/"


def _times(seconds: int) -> dict[str, Any]:
    now = int(time.time())
    return {"iat": now, "nbf": now, "exp": now + seconds, "tid": world.TENANT, "uti": uuid.uuid4().hex}


def _kid(key: rsa.RSAPrivateKey) -> str:
    numbers = key.public_key().public_numbers()
    return _base64(hashlib.sha256(_number(numbers.n).encode()).digest())[:27]


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _segment(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
