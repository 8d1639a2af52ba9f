"""A token says who asks only if the tenant signed it, for us, for now; whatever else it says."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tidegate.adapters.entra_tokens import LEEWAY, MAX_TOKEN, EntraTokens
from tidegate.adapters.signing_keys import AT_MOST_EVERY, LIFE, SigningKeys, keys_of
from tidegate.errors import NotSignedIn, TransientError

TENANT = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
CLIENT = "33333333-3333-3333-3333-333333333333"
ALICE = "44444444-4444-4444-4444-444444444444"
KEY = rsa.generate_private_key(65537, 2048)
STRANGER = rsa.generate_private_key(65537, 2048)


def document(**keys: rsa.RSAPrivateKey) -> bytes:
    """A key set as Entra serves it."""
    listed = [
        RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig", "issuer": "x"}
        for kid, key in keys.items()
    ]
    return json.dumps({"keys": listed}).encode()


class Tenant:
    """Counts how often its keys are read; may be down."""

    def __init__(self, **keys: rsa.RSAPrivateKey) -> None:
        self.document = document(**keys)
        self.read = 0
        self.is_down = False
        self.now = 1000.0

    def __call__(self) -> bytes:
        self.read += 1
        if self.is_down:
            raise TransientError("no answer")
        return self.document

    def keys(self) -> SigningKeys:
        return SigningKeys(self, lambda: self.now)


def claims(**other: Any) -> dict[str, Any]:
    """As Entra makes them; times are seconds from now."""
    now = int(time.time())
    other = {
        name: now + value if name in ("exp", "nbf") and value is not None else value for name, value in other.items()
    }
    usual = {
        "aud": CLIENT,
        "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "tid": TENANT,
        "oid": ALICE,
        "name": "Alice Archer",
        "preferred_username": "alice@contoso.example",
        "scp": "user_impersonation",
        "azp": CLIENT,
        "roles": ["Approver.pro"],
    }
    return {name: value for name, value in (usual | other).items() if value is not None}


def token(key: Any = KEY, algorithm: str = "RS256", kid: str | None = "one", **other: Any) -> str:
    return jwt.encode(claims(**other), key, algorithm, headers={"kid": kid} if kid else {})


@pytest.fixture
def tenant() -> Tenant:
    return Tenant(one=KEY)


@pytest.fixture
def verify(tenant: Tenant) -> Callable[[str], Any]:
    return EntraTokens(TENANT, CLIENT, tenant.keys()).verified


def test_a_person_is_tenant_and_object_id_with_the_roles_of_the_token(verify: Callable[[str], Any]) -> None:
    person = verify(token())

    assert (person.id, person.name, person.by) == (f"{TENANT}/{ALICE}", "alice@contoso.example", "token")
    assert person.roles == ("Approver.pro",)


@pytest.mark.parametrize(
    "other",
    [
        {"iss": f"https://sts.windows.net/{TENANT}/", "aud": f"api://{CLIENT}"},
        {"aud": f"api://{CLIENT}"},
        {"exp": -LEEWAY // 2},
    ],
    ids=["version 1", "by its uri", "a clock that is a little late"],
)
def test_both_versions_of_a_token_are_good(other: dict[str, Any], verify: Callable[[str], Any]) -> None:
    assert verify(token(**other)).id == f"{TENANT}/{ALICE}"


def test_a_token_without_roles_has_none(verify: Callable[[str], Any]) -> None:
    assert verify(token(roles=None)).roles == ()


def test_a_name_is_shown_in_one_line_and_never_identifies(verify: Callable[[str], Any]) -> None:
    person = verify(token(preferred_username="Eve\r\n\x1b[31mAlice " + "x" * 500))

    assert person.name.isprintable()
    assert len(person.name) <= 100
    assert person.id.endswith(ALICE)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"upn": "a@contoso.example"}, "a@contoso.example"),
        ({"preferred_username": None}, "Alice Archer"),
        ({"preferred_username": 7, "name": " "}, ALICE),
        ({"name": None, "preferred_username": None, "scp": None}, CLIENT),
        ({"name": None, "preferred_username": None, "scp": None, "azp": None, "appid": OTHER}, OTHER),
        ({"name": None, "preferred_username": None}, ALICE),
    ],
    ids=["version 1", "no sign-in name", "neither", "an application", "an application, version 1", "not the client's"],
)
def test_people_are_called_as_azure_calls_who_created_something(
    other: dict[str, Any], name: str, verify: Callable[[str], Any]
) -> None:
    assert verify(token(**other)).name == name


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: token(exp=-LEEWAY - 5), "expired"),
        (lambda: token(nbf=LEEWAY + 300), "not valid yet"),
        (lambda: token(aud=OTHER), "another application"),
        (lambda: token(aud=None), "claim"),
        (lambda: token(exp=None), "claim"),
        (lambda: token(tid=None), "claim"),
        (lambda: token(oid=None), "claim"),
        (lambda: token(iss=f"https://login.microsoftonline.com/{OTHER}/v2.0"), "another tenant"),
        (lambda: token(iss=f"https://login.microsoftonline.com/{TENANT}/v2.0/"), "another tenant"),
        (lambda: token(tid=OTHER), "another tenant"),
        (lambda: token(oid="alice"), "object id"),
        (lambda: token(roles="Approver.pro"), "roles"),
        (lambda: token(roles=[["Approver.pro"]]), "roles"),
        (lambda: token(key=STRANGER), "signature"),
        (lambda: token(kid="two"), "no such signing key"),
        (lambda: token(kid=None), "way of Entra"),
        (lambda: token(key="s" * 64, algorithm="HS256"), "way of Entra"),
        (lambda: token(algorithm="RS512"), "way of Entra"),
        (lambda: token(key=None, algorithm="none"), "way of Entra"),
        (lambda: token() + "x" * MAX_TOKEN, "longer"),
        (lambda: "", "no token"),
        (lambda: "?", "no token"),
        (lambda: "a.b.c", "no token"),
        (lambda: "\ud800.é.\x00", "no token"),
        (lambda: base64.urlsafe_b64encode(b"[" * 9000).decode() + ".e30.x", "no token"),
    ],
)
def test_a_token_that_proves_nothing_is_refused_with_the_reason(
    bad: Callable[[], str], words: str, verify: Callable[[str], Any]
) -> None:
    with pytest.raises(NotSignedIn, match=words) as caught:
        verify(bad())
    assert caught.value.is_token
    assert ALICE not in str(caught.value)


def test_a_signature_by_the_public_key_as_a_secret_is_refused(verify: Callable[[str], Any]) -> None:
    """The oldest trick with JWTs: HMAC with what everybody can read."""
    import hashlib
    import hmac

    from cryptography.hazmat.primitives import serialization

    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body = (_part(each) for each in ({"alg": "HS256", "typ": "JWT", "kid": "one"}, claims()))
    signature = base64.urlsafe_b64encode(hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest())

    with pytest.raises(NotSignedIn):
        verify(f"{head}.{body}.{signature.rstrip(b'=').decode()}")


def test_claims_that_were_changed_after_signing_are_refused(verify: Callable[[str], Any]) -> None:
    head, _, signature = token().split(".")

    with pytest.raises(NotSignedIn, match="signature"):
        verify(f"{head}.{_part(claims(roles=['Approver.pro', 'Operator']))}.{signature}")


@pytest.mark.parametrize(("tenant_id", "audience"), [("", CLIENT), (TENANT, ""), ("", "")])
def test_without_a_tenant_or_an_audience_no_token_is_good(tenant_id: str, audience: str, tenant: Tenant) -> None:
    with pytest.raises(NotSignedIn, match="TIDEGATE_"):
        EntraTokens(tenant_id, audience, tenant.keys()).verified(token(tid=tenant_id, aud=audience))
    assert tenant.read == 0


def test_keys_are_read_once_for_many_tokens(tenant: Tenant, verify: Callable[[str], Any]) -> None:
    for _ in range(10):
        verify(token())
    assert tenant.read == 1


def test_a_new_key_is_found_when_a_token_names_it(tenant: Tenant, verify: Callable[[str], Any]) -> None:
    verify(token())
    tenant.document = document(one=KEY, two=STRANGER)
    tenant.now += AT_MOST_EVERY

    assert verify(token(key=STRANGER, kid="two")).id == f"{TENANT}/{ALICE}"


def test_tokens_with_invented_keys_make_one_reading_a_minute(tenant: Tenant, verify: Callable[[str], Any]) -> None:
    verify(token())
    for second in range(120):
        tenant.now = 1000.0 + second
        with pytest.raises(NotSignedIn):
            verify(token(kid=f"made-up-{second}"))
    assert tenant.read == 1 + 1


def test_a_key_that_was_taken_back_is_not_good_for_ever(tenant: Tenant, verify: Callable[[str], Any]) -> None:
    verify(token())
    tenant.document = document(two=STRANGER)
    tenant.now += LIFE

    with pytest.raises(NotSignedIn, match="no such signing key"):
        verify(token())


def test_keys_that_cannot_be_read_are_no_verdict(tenant: Tenant, verify: Callable[[str], Any]) -> None:
    tenant.is_down = True
    for _ in range(3):
        with pytest.raises(TransientError):
            verify(token())
    assert tenant.read == 1
    tenant.is_down = False
    tenant.now += AT_MOST_EVERY
    verify(token())


def test_kept_keys_outlast_a_tenant_that_does_not_answer(tenant: Tenant, verify: Callable[[str], Any]) -> None:
    verify(token())
    tenant.is_down = True
    tenant.now += 2 * LIFE

    assert verify(token()).id == f"{TENANT}/{ALICE}"


@pytest.mark.parametrize("bad", [b"", b"[]", b'{"keys": 1}', b'{"keys": [{"kty": "RSA", "kid": "x"}]}', b"\xff", b"{}"])
def test_a_document_that_is_no_key_set_is_no_verdict(bad: bytes) -> None:
    with pytest.raises(TransientError, match="not readable"):
        keys_of(bad)


def test_only_rsa_keys_for_signatures_are_kept() -> None:
    listed = json.loads(document(one=KEY, two=STRANGER))["keys"]
    listed[1]["use"] = "enc"
    listed.append({"kty": "oct", "kid": "three", "k": "c2VjcmV0"})

    assert set(keys_of(json.dumps({"keys": listed}).encode())) == {"one"}


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
