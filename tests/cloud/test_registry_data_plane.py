"""The registry's data plane at its real host name: tokens, push and pull, referrers, locks, listings."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.containerregistry.models import ImportImageParameters, ImportSource

from local import world
from local.cloud.manifests import ACCEPT, OCI_INDEX, OCI_MANIFEST
from tests.cloud.images import Pusher, digest_of
from tests.cloud.test_import import Promotion
from tests.cloud.world import LocalCloud, eventually

pytestmark = pytest.mark.stack

HOST = world.login_server(world.STAGING)
USER = "00000000-0000-0000-0000-000000000000"
SIGNATURE = "application/vnd.test.signature"
SBOM = "application/vnd.test.sbom"

type Call = Callable[..., requests.Response]


@pytest.fixture
def refresh_token(data_plane: requests.Session, credential: TokenCredential) -> str:
    entra = credential.get_token("https://management.azure.com/.default").token
    form = {"grant_type": "access_token", "service": HOST, "tenant": world.TENANT, "access_token": entra}
    answer = data_plane.post(f"https://{HOST}/oauth2/exchange", data=form, timeout=10)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["refresh_token"])


@pytest.fixture
def call(data_plane: requests.Session, refresh_token: str) -> Call:
    """A call as a registry client makes it: unauthorized first, then with a token for the scope of the challenge."""

    def with_challenge(method: str, path: str, **options: Any) -> requests.Response:
        url = path if path.startswith("https://") else f"https://{HOST}{path}"
        first = data_plane.request(method, url, timeout=10, **options)
        assert first.status_code == 401, first.text
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', first.headers["WWW-Authenticate"]))
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **challenge}
        answer = data_plane.post(form.pop("realm"), data=form, timeout=10)
        assert answer.status_code == 200, answer.text
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {answer.json()['access_token']}"}
        return data_plane.request(method, url, headers=headers, timeout=10, **options)

    return with_challenge


# Tokens


def test_a_token_of_one_scope_is_no_token_of_another(
    data_plane: requests.Session, refresh_token: str, staging: Pusher
) -> None:
    staging.image("v1")
    form = {"grant_type": "refresh_token", "service": HOST, "refresh_token": refresh_token}
    scope = f"repository:{staging.repository}:pull"
    token = data_plane.post(f"https://{HOST}/oauth2/token", data={**form, "scope": scope}, timeout=10).json()
    headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": ACCEPT}
    url = f"https://{HOST}/v2/{staging.repository}/manifests/v1"
    assert data_plane.get(url, headers=headers, timeout=10).status_code == 200
    refused = data_plane.put(url, headers=headers, data=b"{}", timeout=10)
    assert refused.status_code == 401
    assert f'scope="repository:{staging.repository}:push"' in refused.headers["WWW-Authenticate"]


def test_a_token_of_another_service_is_not_exchanged(data_plane: requests.Session, credential: TokenCredential) -> None:
    vault = credential.get_token("https://vault.azure.net/.default").token
    form = {"grant_type": "access_token", "service": HOST, "access_token": vault}
    assert data_plane.post(f"https://{HOST}/oauth2/exchange", data=form, timeout=10).status_code == 401


def test_a_refresh_token_of_one_registry_is_refused_by_another(
    data_plane: requests.Session, refresh_token: str
) -> None:
    other = world.login_server(world.HEALTHY)
    form = {"grant_type": "refresh_token", "service": other, "refresh_token": refresh_token, "scope": "a:b:pull"}
    assert data_plane.post(f"https://{other}/oauth2/token", data=form, timeout=10).status_code == 401


def test_a_registry_that_does_not_exist_is_not_found(data_plane: requests.Session) -> None:
    assert data_plane.get("https://nowhere.azurecr.io/v2/", timeout=10).status_code == 404


# Push and pull


def test_skopeo_pushes_and_pulls_without_changing_a_byte(
    cloud: LocalCloud, staging: Pusher, refresh_token: str, tmp_path: Path
) -> None:
    digest = staging.image("v1", os.urandom(3_000_000))
    credentials = f"{USER}:{refresh_token}"
    source = f"docker://{HOST}/{staging.repository}:v1"
    copy = ("skopeo", "copy", "--quiet", "--all", "--preserve-digests")
    cloud.run(*copy, "--src-creds", credentials, source, f"oci:{tmp_path}/image:v1")
    target = f"docker://{HOST}/{staging.repository}-again:v1"
    cloud.run(*copy, "--dest-creds", credentials, f"oci:{tmp_path}/image:v1", target)
    inspected = cloud.run("skopeo", "inspect", "--creds", credentials, "--format", "{{.Digest}}", target)
    assert inspected.stdout.strip() == digest
    listed = cloud.run("skopeo", "list-tags", "--creds", credentials, f"docker://{HOST}/{staging.repository}")
    assert json.loads(listed.stdout)["Tags"] == ["v1"]


def test_skopeo_with_a_wrong_password_is_refused(cloud: LocalCloud, staging: Pusher) -> None:
    staging.image("v1")
    source = f"docker://{HOST}/{staging.repository}:v1"
    refused = cloud.run("skopeo", "inspect", "--creds", f"{USER}:wrong", source, check=False)
    assert refused.returncode != 0
    assert "unauthorized" in refused.stderr.lower()


def test_repeated_accept_lines_reach_the_registry_as_one(
    cloud: LocalCloud, staging: Pusher, refresh_token: str
) -> None:
    """Go clients send one line a type."""
    index = staging.index("v1", [staging.image(None)])
    trust = ssl.create_default_context(cafile=str(cloud.bundle))
    connection = http.client.HTTPSConnection("127.0.0.1", cloud.front_port, timeout=10, context=trust)
    connection.set_tunnel(HOST, 443)
    connection.putrequest("GET", f"/v2/{staging.repository}/manifests/v1")
    connection.putheader("Authorization", "Basic " + base64.b64encode(f"{USER}:{refresh_token}".encode()).decode())
    connection.putheader("Accept", OCI_MANIFEST)
    connection.putheader("Accept", OCI_INDEX)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Docker-Content-Digest")) == (200, index)
    connection.close()


def test_an_upload_goes_on_at_the_registrys_own_host_name(call: Call, repository: str) -> None:
    content = os.urandom(100_000)
    begun = call("POST", f"/v2/{repository}/blobs/uploads/")
    assert begun.status_code == 202
    assert begun.headers["Location"].startswith(f"https://{HOST}/v2/{repository}/blobs/uploads/")
    patched = call("PATCH", begun.headers["Location"], data=content)
    assert patched.status_code == 202
    finished = call("PUT", f"{patched.headers['Location']}&digest={digest_of(content)}")
    assert finished.status_code == 201
    blob = call("GET", f"/v2/{repository}/blobs/{digest_of(content)}")
    assert blob.content == content


def test_a_blob_is_read_at_the_data_endpoint_without_the_token(
    data_plane: requests.Session, staging: Pusher, refresh_token: str
) -> None:
    digest = staging.blob(b"bytes")
    url = f"https://{HOST}/v2/{staging.repository}/blobs/{digest}"
    answer = data_plane.get(url, auth=(USER, refresh_token), allow_redirects=False, timeout=10)
    assert answer.status_code == 307
    link = answer.headers["Location"]
    assert link.startswith(f"https://{world.STAGING}.{world.LOCATION}.data.azurecr.io/")
    assert data_plane.get(link, timeout=10).content == b"bytes"
    assert data_plane.get(link, headers={"Range": "bytes=1-2"}, timeout=10).content == b"yt"
    assert data_plane.get(link, auth=(USER, refresh_token), timeout=10).status_code == 400
    other = link.replace(digest, staging.blob(b"other bytes"))
    assert data_plane.get(other, timeout=10).status_code == 403


def test_a_head_gives_the_size_without_the_bytes(call: Call, staging: Pusher) -> None:
    digest = staging.image("v1")
    answer = call("HEAD", f"/v2/{staging.repository}/manifests/v1", headers={"Accept": ACCEPT})
    assert answer.headers["Docker-Content-Digest"] == digest
    assert int(answer.headers["Content-Length"]) == len(staging.content("v1"))
    assert call("HEAD", f"/v2/{staging.repository}/manifests/v2", headers={"Accept": ACCEPT}).status_code == 404


# Referrers


def _about(digest: str) -> dict[str, Any]:
    return {"mediaType": OCI_MANIFEST, "digest": digest, "size": 1}


def _referrers(call: Call, repository: str, digest: str, artifact_type: str = "") -> requests.Response:
    query = {"artifactType": artifact_type} if artifact_type else {}
    answer = call("GET", f"/v2/{repository}/referrers/{digest}", params=query)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(OCI_INDEX)
    return answer


def test_a_manifest_pushed_with_a_subject_is_a_referrer_of_it(call: Call, staging: Pusher) -> None:
    image = staging.image("v1")
    annotations = {"org.example": "yes"}
    signature = staging.document(b"{}", artifactType=SIGNATURE, subject=_about(image), annotations=annotations)
    content = json.dumps(signature).encode()
    path = f"/v2/{staging.repository}/manifests/{digest_of(content)}"
    pushed = call("PUT", path, data=content, headers={"Content-Type": OCI_MANIFEST})
    assert (pushed.status_code, pushed.headers.get("OCI-Subject")) == (201, image)
    entries = _referrers(call, staging.repository, image).json()["manifests"]
    assert entries == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest_of(content),
            "size": len(content),
            "artifactType": SIGNATURE,
            "annotations": annotations,
        }
    ]


def test_referrers_are_filtered_by_artifact_type(call: Call, staging: Pusher) -> None:
    image = staging.image("v1")
    for kind in (SIGNATURE, SBOM):
        content = json.dumps(staging.document(b"{}", artifactType=kind, subject=_about(image))).encode()
        path = f"/v2/{staging.repository}/manifests/{digest_of(content)}"
        assert call("PUT", path, data=content, headers={"Content-Type": OCI_MANIFEST}).status_code == 201
    answer = _referrers(call, staging.repository, image, SBOM)
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry["artifactType"] for entry in answer.json()["manifests"]] == [SBOM]
    assert len(_referrers(call, staging.repository, image).json()["manifests"]) == 2


def test_a_referrer_listed_under_the_fallback_tag_is_found(call: Call, staging: Pusher) -> None:
    """A client that pushed to docker-registry itself found no referrers API and kept the index that the standard
    tells it to keep instead. Its index is the only witness here: the referrer has no `subject`."""
    image = staging.image("v1")
    signature = staging.image(None, b"signature")
    staging.index(image.replace(":", "-"), [signature])
    entries = _referrers(call, staging.repository, image).json()["manifests"]
    assert [entry["digest"] for entry in entries] == [signature]
    requests.delete(f"{staging.base}/v2/{staging.repository}/manifests/{signature}", timeout=10).raise_for_status()
    assert _referrers(call, staging.repository, image).json()["manifests"] == []


def test_a_referrer_pushed_to_docker_registry_is_found_by_its_subject(call: Call, staging: Pusher) -> None:
    """Its notification is what tells of it, a moment later."""
    image = staging.image("v1")
    signature = staging.manifest(None, staging.document(b"{}", artifactType=SIGNATURE, subject=_about(image)))

    def listed() -> list[str]:
        entries = _referrers(call, staging.repository, image).json()["manifests"]
        return [entry["digest"] for entry in entries]

    assert eventually(listed, "the referrer is not listed") == [signature]


def test_an_image_without_referrers_has_an_empty_index(call: Call, staging: Pusher) -> None:
    assert _referrers(call, staging.repository, staging.image("v1")).json()["manifests"] == []


def test_a_deleted_referrer_is_no_longer_listed(call: Call, staging: Pusher) -> None:
    image = staging.image("v1")
    content = json.dumps(staging.document(b"{}", artifactType=SIGNATURE, subject=_about(image))).encode()
    path = f"/v2/{staging.repository}/manifests/{digest_of(content)}"
    assert call("PUT", path, data=content, headers={"Content-Type": OCI_MANIFEST}).status_code == 201
    assert call("DELETE", path).status_code == 202
    assert _referrers(call, staging.repository, image).json()["manifests"] == []


def test_an_imported_referrer_is_listed_in_its_new_registry(
    arm: ContainerRegistryManagementClient, staging: Pusher, data_plane: requests.Session, credential: TokenCredential
) -> None:
    image = staging.image("v1")
    signature = staging.manifest(None, staging.document(b"{}", artifactType=SIGNATURE, subject=_about(image)))
    promote = Promotion(arm, staging.repository)
    promote(image, "v1")
    promote(signature, None)
    host = world.login_server(world.HEALTHY)
    entra = credential.get_token("https://management.azure.com/.default").token
    form = {"grant_type": "access_token", "service": host, "access_token": entra}
    password = data_plane.post(f"https://{host}/oauth2/exchange", data=form, timeout=10).json()["refresh_token"]
    url = f"https://{host}/v2/{staging.repository}/referrers/{image}"
    answer = data_plane.get(url, auth=(USER, password), timeout=10)
    assert [entry["digest"] for entry in answer.json()["manifests"]] == [signature]


# Listings


def test_tags_and_manifests_are_listed_with_their_properties(call: Call, staging: Pusher) -> None:
    child = staging.image(None, b"layer", architecture="arm64")
    index = staging.index("v1", [child])
    base = f"/acr/v1/{staging.repository}"
    (tag,) = call("GET", f"{base}/_tags").json()["tags"]
    assert (tag["name"], tag["digest"]) == ("v1", index)
    manifests = {one["digest"]: one for one in call("GET", f"{base}/_manifests").json()["manifests"]}
    assert set(manifests) == {child, index}
    assert (manifests[child]["architecture"], manifests[child]["os"]) == ("arm64", "linux")
    assert (manifests[index]["tags"], manifests[index]["mediaType"]) == (["v1"], OCI_INDEX)
    shown = call("GET", base).json()
    assert (shown["imageName"], shown["tagCount"], shown["manifestCount"]) == (staging.repository, 1, 2)
    assert staging.repository in call("GET", "/acr/v1/_catalog?n=1000").json()["repositories"]


def test_a_listing_goes_on_where_its_last_page_ended(call: Call, staging: Pusher) -> None:
    for tag in ("a", "b", "c"):
        staging.image(tag)
    first = call("GET", f"/acr/v1/{staging.repository}/_tags?n=2")
    assert [tag["name"] for tag in first.json()["tags"]] == ["a", "b"]
    rest = call("GET", first.links["next"]["url"])
    assert [tag["name"] for tag in rest.json()["tags"]] == ["c"]
    assert "Link" not in rest.headers


@pytest.mark.parametrize("path", ["_tags/v9", f"_manifests/sha256:{'0' * 64}"])
def test_what_is_not_there_is_not_found(call: Call, staging: Pusher, path: str) -> None:
    staging.image("v1")
    assert call("GET", f"/acr/v1/{staging.repository}/{path}").status_code == 404


def test_an_untagged_image_stays(call: Call, staging: Pusher) -> None:
    digest = staging.image("v1")
    staging.image("other", b"layer")
    path = f"/acr/v1/{staging.repository}/_tags/v1"
    _lock(call, path, deleteEnabled=False)
    assert "operation is disallowed" in call("DELETE", path).text
    _lock(call, path, deleteEnabled=True)
    assert call("DELETE", path).status_code == 202
    assert (staging.digest("v1"), staging.digest(digest)) == (None, digest)
    assert call("DELETE", path).status_code == 404
    listed = call("GET", f"/acr/v1/{staging.repository}/_manifests").json()["manifests"]
    assert {tuple(one["tags"]) for one in listed} == {(), ("other",)}


# Locks


def _lock(call: Call, path: str, **attributes: bool) -> None:
    assert call("PATCH", path, json=attributes).status_code == 200


def _push(call: Call, repository: str, tag: str, content: bytes) -> requests.Response:
    return call("PUT", f"/v2/{repository}/manifests/{tag}", data=content, headers={"Content-Type": OCI_MANIFEST})


def test_a_locked_tag_is_not_moved_until_it_is_unlocked(call: Call, staging: Pusher) -> None:
    first, other = staging.image("v1", b"first"), staging.content(staging.image("other", b"second"))
    path = f"/acr/v1/{staging.repository}/_tags/v1"
    _lock(call, path, writeEnabled=False)
    assert call("GET", path).json()["tag"]["changeableAttributes"]["writeEnabled"] is False
    refused = _push(call, staging.repository, "v1", other)
    assert (refused.status_code, "operation is disallowed" in refused.text) == (405, True)
    assert staging.digest("v1") == first
    assert _push(call, staging.repository, "v2", other).status_code == 201
    _lock(call, path, writeEnabled=True)
    assert _push(call, staging.repository, "v1", other).status_code == 201


@pytest.mark.parametrize("attribute", ["writeEnabled", "deleteEnabled"])
@pytest.mark.parametrize("item", ["_tags/v1", "_manifests/{digest}", ""])
def test_either_lock_at_any_level_forbids_deletion(call: Call, staging: Pusher, attribute: str, item: str) -> None:
    digest = staging.image("v1")
    path = f"/acr/v1/{staging.repository}/{item.format(digest=digest)}".rstrip("/")
    _lock(call, path, **{attribute: False})
    assert "operation is disallowed" in call("DELETE", f"/v2/{staging.repository}/manifests/{digest}").text
    assert "operation is disallowed" in call("DELETE", f"/acr/v1/{staging.repository}").text
    assert staging.digest("v1") == digest
    _lock(call, path, **{attribute: True})
    assert call("DELETE", f"/v2/{staging.repository}/manifests/{digest}").status_code == 202
    assert staging.digest("v1") is None


def test_a_locked_tag_refuses_an_import_with_force(
    arm: ContainerRegistryManagementClient, staging: Pusher, call: Call
) -> None:
    first, second = staging.image("v1", b"first"), staging.image("v2", b"second")
    _lock(call, f"/acr/v1/{staging.repository}/_tags/v1", writeEnabled=False)
    source = ImportSource(resource_id=world.registry_id(world.STAGING), source_image=f"{staging.repository}@{second}")
    parameters = ImportImageParameters(source=source, target_tags=[f"{staging.repository}:v1"], mode="Force")
    with pytest.raises(HttpResponseError, match="operation is disallowed"):
        arm.registries.begin_import_image(world.RESOURCE_GROUP, world.STAGING, parameters)
    assert staging.digest("v1") == first


def test_an_unreadable_tag_is_not_pulled(call: Call, staging: Pusher) -> None:
    staging.image("v1")
    _lock(call, f"/acr/v1/{staging.repository}/_tags/v1", readEnabled=False)
    assert "operation is disallowed" in call("GET", f"/v2/{staging.repository}/manifests/v1").text


def test_an_attribute_that_does_not_exist_is_refused(call: Call, staging: Pusher) -> None:
    staging.image("v1")
    answer = call("PATCH", f"/acr/v1/{staging.repository}/_tags/v1", json={"writable": False})
    assert answer.status_code == 400
