"""The data-plane client against a registry that misleads: other hosts, other bytes, too many bytes, no referrers API."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from azure.core.credentials import AccessToken

from tests.adapters.hostile import HOST, HostileRegistry, hostile_registry
from tests.fakes import artifact, image
from tests.fakes.images import OCI_INDEX, digest_of
from tidegate.adapters.registry import oci, oci_manifest, referrers
from tidegate.adapters.registry.oci import Repositories, Repository
from tidegate.adapters.registry.oci_tokens import RegistryTokens
from tidegate.adapters.registry.oci_transport import GoneError, RegistryTransport
from tidegate.errors import PermanentError, TransientError

IMAGE = image()
TOKENS = {"/oauth2/exchange": {"refresh_token": "refresh"}, "/oauth2/token": {"access_token": "access"}}


class Identity:
    """A credential that only counts."""

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        assert scopes == ("https://containerregistry.azure.net/.default",)
        return AccessToken("entra", 2**40)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileRegistry]:
    with hostile_registry(tmp_path_factory.mktemp("ca")) as registry:
        yield registry


@pytest.fixture
def registry(running: HostileRegistry, monkeypatch: pytest.MonkeyPatch) -> HostileRegistry:
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.seen.clear()
    return running


@pytest.fixture
def repository(registry: HostileRegistry) -> Iterator[Repository]:
    with contextlib.closing(RegistryTransport()) as transport:
        tokens = RegistryTokens(Identity(), transport.post_form)
        yield Repositories(tokens, transport, ["contosostaging"]).at("contosostaging", "a/b")


def answering(registry: HostileRegistry, answers: dict[str, web.Response | Any]) -> None:
    """Answers by `METHOD path`; tokens are given as usual."""

    def answer(request: web.Request, body: bytes) -> web.Response:
        if request.path in TOKENS and f"POST {request.path}" not in answers:
            return web.json_response(TOKENS[request.path])
        found = answers.get(f"{request.method} {request.path}")
        return found(request, body) if callable(found) else web.Response(status=404) if found is None else found

    registry.answer = answer


def manifest_at(content: bytes, media_type: str = oci_manifest.OCI_MANIFEST, **headers: str) -> Any:
    return lambda request, body: web.Response(body=content, content_type=media_type, headers=headers)


def redirect(location: str) -> Any:
    return lambda request, body: web.Response(status=307, headers={"Location": location})


# Bytes


def test_a_manifest_that_is_not_what_its_digest_says_is_not_believed(
    registry: HostileRegistry, repository: Repository
) -> None:
    answering(registry, {f"GET /v2/a/b/manifests/{IMAGE.digest}": manifest_at(image("other").body)})
    with pytest.raises(TransientError, match="came with the digest"):
        repository.manifest(IMAGE.digest)


def test_a_manifest_by_tag_must_be_what_the_registry_says_it_is(
    registry: HostileRegistry, repository: Repository
) -> None:
    lie = manifest_at(image("other").body, **{"Docker-Content-Digest": IMAGE.digest})
    answering(registry, {"GET /v2/a/b/manifests/v1": lie})
    with pytest.raises(TransientError, match="came with the digest"):
        repository.manifest("v1")


def test_a_digest_that_the_answer_does_not_say_is_computed(registry: HostileRegistry, repository: Repository) -> None:
    answers = {f"{method} /v2/a/b/manifests/v1": manifest_at(IMAGE.body) for method in ("GET", "HEAD")}
    answering(registry, answers)
    assert repository.digest("v1") == IMAGE.digest


def test_a_configuration_with_other_bytes_is_not_believed(registry: HostileRegistry, repository: Repository) -> None:
    config = oci_manifest.parse(IMAGE.body, IMAGE.media_type).config
    assert config is not None
    answering(registry, {f"GET /v2/a/b/blobs/{config.digest}": web.Response(body=b"{}")})
    with pytest.raises(TransientError, match="came with other bytes"):
        repository.config(config)


@pytest.mark.parametrize("length", ["declared", "chunked"])
def test_a_manifest_that_is_too_long_is_not_read_to_its_end(
    registry: HostileRegistry, repository: Repository, length: str
) -> None:
    def endless(request: web.Request, body: bytes) -> web.Response:
        response = web.Response(body=b" " * (oci.MAX_MANIFEST + 1), content_type=oci_manifest.OCI_MANIFEST)
        if length == "chunked":
            response.enable_chunked_encoding()
        return response

    answering(registry, {"GET /v2/a/b/manifests/v1": endless})
    with pytest.raises(PermanentError, match="more than 4194304 bytes"):
        repository.manifest("v1")


def test_a_descriptor_that_names_a_path_is_never_asked_for(registry: HostileRegistry, repository: Repository) -> None:
    answering(registry, {})
    bad = oci_manifest.Descriptor("application/json", "sha256:../../../acr/v1/_catalog", 2)
    for ask in (lambda: repository.config(bad), lambda: repository.referrers(bad.digest, 10)):
        with pytest.raises(PermanentError, match="not a digest"):
            ask()
    assert registry.seen == []


# Hosts


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/metadata",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://storage.evil.example/x",
        "http://account.blob.core.windows.net/x",
        "https://account.blob.core.windows.net:8443/x",
        "https://account.blob.core.windows.net.evil.example/x",
        "https://user@account.blob.core.windows.net/x",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_redirect_leads_nowhere_but_to_the_storage_of_registries(
    registry: HostileRegistry, repository: Repository, location: str
) -> None:
    answering(registry, {f"GET /v2/a/b/blobs/{digest_of(b'{}')}": redirect(location)})
    with pytest.raises((PermanentError, TransientError)):
        repository.config(oci_manifest.Descriptor("application/json", digest_of(b"{}"), 2))
    assert {place.partition("/")[0] for _, place, _ in registry.seen} == {HOST}


@pytest.mark.parametrize("host", ["account.blob.core.windows.net", "contosostaging.westeurope.data.azurecr.io"])
def test_a_redirect_to_storage_is_followed_without_the_token(
    registry: HostileRegistry, repository: Repository, host: str
) -> None:
    blob = f"GET /v2/a/b/blobs/{digest_of(b'{}')}"
    answering(registry, {blob: redirect(f"https://{host}/blob?sig=1"), "GET /blob": web.Response(body=b"{}")})
    assert repository.config(oci_manifest.Descriptor("application/json", digest_of(b"{}"), 2)) == b"{}"
    assert registry.seen[-2][2] == "Bearer access"
    assert registry.seen[-1] == ("GET", f"{host}/blob", None)


def test_a_redirect_that_never_ends_is_given_up(registry: HostileRegistry, repository: Repository) -> None:
    again = redirect("https://account.blob.core.windows.net/again")
    answering(registry, {f"GET /v2/a/b/blobs/{digest_of(b'{}')}": again, "GET /again": again})
    with pytest.raises(TransientError):
        repository.config(oci_manifest.Descriptor("application/json", digest_of(b"{}"), 2))
    assert len(registry.seen) < 10


def test_the_realm_of_a_challenge_is_never_followed(registry: HostileRegistry, repository: Repository) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://storage.evil.example/token",service="x"'}
    answering(
        registry, {"HEAD /v2/a/b/manifests/v1": lambda request, body: web.Response(status=401, headers=challenge)}
    )
    with pytest.raises(TransientError):
        repository.digest("v1")
    assert {place.partition("/")[0] for _, place, _ in registry.seen} == {HOST}


@pytest.mark.parametrize(
    "location", ["https://storage.evil.example/v2/a/b/blobs/uploads/1", "/v2/x/blobs/uploads/1", ""]
)
def test_an_upload_goes_nowhere_but_to_its_own_repository(
    registry: HostileRegistry, repository: Repository, location: str
) -> None:
    started = web.Response(status=202, headers={"Location": location})
    answering(registry, {"POST /v2/a/b/blobs/uploads/": started})
    with pytest.raises(TransientError):
        repository.put_blob(digest_of(b"x"), b"x")
    assert [method for method, _, _ in registry.seen if method == "PUT"] == []


def test_pages_of_referrers_stay_at_the_registry(registry: HostileRegistry, repository: Repository) -> None:
    empty = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    page = manifest_at(empty, OCI_INDEX, Link='<https://storage.evil.example/next>; rel="next"')
    answering(registry, {f"GET /v2/a/b/referrers/{IMAGE.digest}": page})
    with pytest.raises(TransientError):
        repository.referrers(IMAGE.digest, 10)
    endless = manifest_at(empty, OCI_INDEX, Link=f'</v2/a/b/referrers/{IMAGE.digest}?n=1>; rel="next"')
    answering(registry, {f"GET /v2/a/b/referrers/{IMAGE.digest}": endless})
    with pytest.raises(PermanentError, match="pages"):
        repository.referrers(IMAGE.digest, 10)


# Tokens


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(status=403),
        web.Response(body=b"<html>"),
        web.json_response([]),
        web.json_response({"refresh_token": None}),
        web.Response(body=b"x" * 200_000),
    ],
    ids=["500", "403", "no json", "a list", "no token", "too long"],
)
def test_a_token_endpoint_that_gives_no_token_is_transient(
    registry: HostileRegistry, repository: Repository, answer: web.Response
) -> None:
    def give(request: web.Request, body: bytes) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)

    answering(registry, {"POST /oauth2/exchange": give})
    with pytest.raises(TransientError):
        repository.digest("v1")


def test_no_repository_is_gone_not_refused(registry: HostileRegistry, repository: Repository) -> None:
    answering(registry, {})
    assert repository.digest("v1") is None
    assert repository.referrers(IMAGE.digest, 10) is None
    with pytest.raises(GoneError):
        repository.manifest("v1")


# A registry without the referrers API


class Shelf:
    """A registry's manifests and blobs in memory, with tags, and without a list of referrers."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}

    def __call__(self, request: web.Request, body: bytes) -> web.Response:
        if request.path in TOKENS:
            return web.json_response(TOKENS[request.path])
        *_, kind, name = request.path.rsplit("/", 2)
        match request.method, kind:
            case "PUT", "manifests":
                self.manifests |= {name: body, digest_of(body): body}
                return web.Response(status=201)
            case "POST", _:
                return web.Response(status=202, headers={"Location": "/v2/a/b/blobs/uploads/1?state=x"})
            case "PUT", _:
                self.blobs[request.query["digest"]] = body
                return web.Response(status=201)
            case _, "manifests" if name in self.manifests:
                found = self.manifests[name]
                return web.Response(body=found, content_type=json.loads(found)["mediaType"])
            case _, "blobs" if name in self.blobs:
                return web.Response(body=self.blobs[name])
            case _:
                return web.Response(status=404)


def test_without_the_api_referrers_are_listed_under_the_fallback_tag(
    registry: HostileRegistry, repository: Repository
) -> None:
    registry.answer = shelf = Shelf()
    repository.put_manifest(IMAGE.digest, oci_manifest.parse(IMAGE.body, IMAGE.media_type))
    first, second = (artifact("application/spdx+json", text, subject=IMAGE) for text in (b"1", b"2"))
    for content in (first, second, first):
        referrers.attach(repository, oci_manifest.parse(content.body, content.media_type))
    tag = IMAGE.digest.replace(":", "-")
    listed = json.loads(shelf.manifests[tag])["manifests"]
    assert {each["digest"] for each in listed} == {first.digest, second.digest}
    assert {each["artifactType"] for each in listed} == {"application/spdx+json"}
    assert {each.digest for each in referrers.attached(repository, IMAGE.digest)} == {first.digest, second.digest}
    assert referrers.present(repository, [IMAGE.digest]) == ("application/spdx+json",)


def test_a_referrer_that_was_written_but_not_listed_is_listed_the_next_time(
    registry: HostileRegistry, repository: Repository
) -> None:
    registry.answer = shelf = Shelf()
    content = artifact("application/spdx+json", subject=IMAGE)
    manifest = oci_manifest.parse(content.body, content.media_type)
    repository.put_manifest(content.digest, manifest)
    assert referrers.attach(repository, manifest) is False
    assert IMAGE.digest.replace(":", "-") in shelf.manifests


def test_blobs_are_uploaded_once(registry: HostileRegistry, repository: Repository, tmp_path: Path) -> None:
    registry.answer = shelf = Shelf()
    repository.put_blob(digest_of(b"x" * 10_000_000), b"x" * 10_000_000)
    repository.put_blob(digest_of(b"x" * 10_000_000), b"x" * 10_000_000)
    assert list(shelf.blobs) == [digest_of(b"x" * 10_000_000)]
    assert [method for method, _, _ in registry.seen].count("PUT") == 1
