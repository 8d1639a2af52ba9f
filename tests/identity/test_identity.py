"""Who asks follows from a token or a key, and from nothing that a client merely states."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json

import pytest

from tidegate.errors import Forbidden, MalformedEvent, NotSignedIn
from tidegate.identity import KeyHolder, People, Person, key_holders, require_role, shown

ALICE = Person("tenant/alice", "Alice", ("Approver.pro",), "token")
KEY = "the-key-of-a-machine"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()
PRINCIPAL = base64.b64encode(
    json.dumps(
        {
            "auth_typ": "aad",
            "claims": [{"typ": "roles", "val": "Approver.pro"}],
            "name_typ": "name",
            "role_typ": "roles",
        }
    ).encode()
).decode()


class OneToken:
    """Knows the token of one person."""

    def verified(self, token: str) -> Person:
        if token != "good":
            raise NotSignedIn("token: it is no token of Entra", is_token=True)
        return ALICE


PEOPLE = People(OneToken(), (KeyHolder("release-bot", DIGEST, ("Operator",)),), "https://app.example")
OURS = {"Origin": "https://app.example"}


def identify(headers: dict[str, str], method: str = "POST") -> Person:
    return PEOPLE.identify(shown(headers, method))


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer good"},
        {"authorization": "bearer  good"},
        {"X-MS-TOKEN-AAD-ID-TOKEN": "good", **OURS},
        {"X-MS-TOKEN-AAD-ID-TOKEN": "good", "Sec-Fetch-Site": "same-origin"},
        {"Authorization": "Bearer good", "Origin": "https://other.example"},
        {"Authorization": "Bearer good", "x-api-key": KEY},
    ],
)
def test_a_token_says_who_asks(headers: dict[str, str]) -> None:
    assert identify(headers) == ALICE


@pytest.mark.parametrize("authorization", ["Bearer bad", "Bearer", "Basic Z29vZA==", "good"])
def test_a_token_that_is_not_good_is_not_made_good_by_a_key_or_a_session(authorization: str) -> None:
    with pytest.raises(NotSignedIn):
        identify({"Authorization": authorization, "x-api-key": KEY, "X-MS-TOKEN-AAD-ID-TOKEN": "good", **OURS})


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://other.example"},
        {"Origin": "https://app.example.other.example"},
        {"Origin": "http://app.example"},
        {"Origin": "https://other.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Referer": "https://app.example/"},
    ],
)
def test_a_session_counts_only_for_requests_of_our_own_pages(page: dict[str, str]) -> None:
    with pytest.raises(Forbidden, match="Origin"):
        identify({"X-MS-TOKEN-AAD-ID-TOKEN": "good", "x-api-key": KEY, **page})


def test_without_a_public_address_no_origin_is_ours() -> None:
    with pytest.raises(Forbidden):
        People(OneToken()).identify(shown({"X-MS-TOKEN-AAD-ID-TOKEN": "good", "Origin": ""}))


@pytest.mark.parametrize(
    "headers",
    [
        {"X-MS-CLIENT-PRINCIPAL": PRINCIPAL},
        {"X-MS-CLIENT-PRINCIPAL": PRINCIPAL, "X-MS-CLIENT-PRINCIPAL-ID": "alice", "X-MS-CLIENT-PRINCIPAL-IDP": "aad"},
        {"X-MS-CLIENT-PRINCIPAL-NAME": "alice", "X-MS-AUTH-TOKEN": "good", "X-MS-TOKEN-AAD-ACCESS-TOKEN": "good"},
    ],
)
def test_the_principal_header_alone_proves_nothing(headers: dict[str, str]) -> None:
    with pytest.raises(NotSignedIn):
        identify(headers)


def test_the_principal_header_adds_no_role_to_a_key() -> None:
    assert identify({"x-api-key": KEY, "X-MS-CLIENT-PRINCIPAL": PRINCIPAL}).roles == ("Operator",)


def test_a_key_is_called_by_its_name_in_the_settings_and_has_the_roles_given_there() -> None:
    person = identify({"X-Api-Key": KEY})

    assert (person.id, person.roles, person.by) == ("key:release-bot", ("Operator",), "key")


@pytest.mark.parametrize("key", ["another", f"{KEY}, other", f"{KEY}x", KEY[:-1], DIGEST, "\ud800"])
def test_a_key_that_no_setting_names_is_nobodys(key: str) -> None:
    with pytest.raises(NotSignedIn, match="no such key") as refused:
        identify({"x-api-key": key})
    assert key not in str(refused.value)


@pytest.mark.parametrize("method", ["GET", "HEAD", "get"])
def test_what_only_looks_takes_a_session_from_anywhere(method: str) -> None:
    assert identify({"X-MS-TOKEN-AAD-ID-TOKEN": "good", "Sec-Fetch-Site": "none"}, method) == ALICE


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", ""])
def test_whatever_is_no_look_takes_a_session_of_our_own_pages_only(method: str) -> None:
    with pytest.raises(Forbidden):
        identify({"X-MS-TOKEN-AAD-ID-TOKEN": "good", "Sec-Fetch-Site": "none"}, method)


def test_who_shows_nothing_is_nobody() -> None:
    with pytest.raises(NotSignedIn, match="sign in"):
        identify({})


def test_what_a_request_shows_is_in_no_text_of_it() -> None:
    text = repr(shown({"authorization": "Bearer good", "x-api-key": KEY, "x-ms-token-aad-id-token": "s3"}))

    assert not any(secret in text for secret in ("good", KEY, "s3"))


@pytest.mark.parametrize(
    ("headers", "is_ambient"),
    [
        ({"x-ms-token-aad-id-token": "good"}, True),
        ({"x-ms-token-aad-id-token": "good", "authorization": "Bearer good"}, False),
        ({"authorization": "Bearer good"}, False),
    ],
)
def test_only_a_session_may_have_been_sent_by_the_browser_itself(headers: dict[str, str], is_ambient: bool) -> None:
    assert shown(headers).is_ambient is is_ambient


def test_a_missing_role_is_named() -> None:
    require_role(ALICE, ("Operator", "Approver.pro"), "approving")
    with pytest.raises(Forbidden, match=r"approving needs Operator or Approver.int; Alice has Approver.pro"):
        require_role(ALICE, ("Operator", "Approver.int"), "approving")
    with pytest.raises(Forbidden, match="has none"):
        require_role(dataclasses.replace(ALICE, roles=()), ("Operator",), "holding")


def test_keys_are_read_from_their_setting() -> None:
    text = f"ci:{'0' * 64}:; release-bot:{DIGEST}:Operator, Approver.int ;"

    assert key_holders(text, "KEYS") == (
        KeyHolder("ci", "0" * 64, ()),
        KeyHolder("release-bot", DIGEST, ("Operator", "Approver.int")),
    )
    assert key_holders("", "KEYS") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Bot:00:", "the name of a key"),
        (f"bot:{KEY}:Operator", "SHA-256"),
        (f"bot:{DIGEST.upper()}:Operator", "SHA-256"),
        (f"bot:{DIGEST}:Oper ator", "roles are like"),
        (f"bot:{DIGEST}:;bot:{'0' * 64}:", "twice"),
        (f"a:{DIGEST}:;b:{DIGEST}:Operator", "twice"),
    ],
)
def test_a_mistake_in_the_setting_is_named(text: str, words: str) -> None:
    with pytest.raises(MalformedEvent, match=f"KEYS: .*{words}"):
        key_holders(text, "KEYS")
