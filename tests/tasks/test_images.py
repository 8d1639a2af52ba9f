"""Images for tests, benchmarks and the demo: equal content has an equal digest, and a registry says the same one."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest

from local.base_image import ensure_base_image
from local.containers import Engine
from local.image_blobs import DOCKER, OCI, MediaTypes, PushError, digest_of, find_manifest, push_blob_image, push_index
from local.images import build, build_image, push


@pytest.fixture
def url(registry_port: int) -> str:
    return f"http://127.0.0.1:{registry_port}"


def manifest(url: str, repository: str, reference: str, media_type: str) -> dict[str, object]:
    request = urllib.request.Request(f"{url}/v2/{repository}/manifests/{reference}", headers={"Accept": media_type})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        body = answer.read()
    assert digest_of(body) == answer.headers["Docker-Content-Digest"]
    found: dict[str, object] = json.loads(body)
    return found


@pytest.mark.parametrize("types", [OCI, DOCKER], ids=["oci", "docker"])
def test_an_image_has_the_digest_that_the_registry_says(url: str, types: MediaTypes) -> None:
    image = push_blob_image(url, "blobs/one", "v1", layers=[b"a", b"b"], types=types)
    assert find_manifest(url, "blobs/one", "v1") == image
    assert image.media_type == types.manifest


def test_equal_content_has_an_equal_digest_and_other_content_another(url: str) -> None:
    first, again, other = (push_blob_image(url, "blobs/same", None, layers=[layer]) for layer in (b"a", b"a", b"b"))
    assert first == again
    assert first.digest != other.digest


def test_an_index_names_its_platforms(url: str) -> None:
    amd, arm = (push_blob_image(url, "blobs/index", None, layers=[layer]) for layer in (b"amd", b"arm"))
    index = push_index(url, "blobs/index", "v1", {"linux/amd64": amd, "linux/arm64/v8": arm})
    entries = manifest(url, "blobs/index", index.digest, OCI.index)["manifests"]
    assert isinstance(entries, list)
    assert [(entry["digest"], entry["platform"]) for entry in entries] == [
        (amd.digest, {"os": "linux", "architecture": "amd64"}),
        (arm.digest, {"os": "linux", "architecture": "arm64", "variant": "v8"}),
    ]


def test_a_referrer_names_its_subject(url: str) -> None:
    image = push_blob_image(url, "blobs/signed", "v1")
    report = push_blob_image(url, "blobs/signed", None, subject=image, artifact_type="application/vnd.report")
    pushed = manifest(url, "blobs/signed", report.digest, OCI.manifest)
    assert (pushed["subject"], pushed["artifactType"]) == (image.json(), "application/vnd.report")


def test_an_absent_tag_names_nothing_and_a_refused_push_says_why(url: str) -> None:
    assert find_manifest(url, "blobs/absent", "v1") is None
    with pytest.raises(PushError, match="MANIFEST_BLOB_UNKNOWN"):
        push_index(url, "blobs/absent", "v1", {"linux/amd64": push_blob_image(url, "blobs/elsewhere", None)})


def test_a_real_client_reads_what_was_pushed(url: str) -> None:
    image = push_blob_image(url, "blobs/read", "v1", layers=[b"x"])
    source = f"docker://{url.removeprefix('http://')}/blobs/read:v1"
    said = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", source], capture_output=True, text=True, timeout=30, check=True
    )
    assert json.loads(said.stdout)["Digest"] == image.digest


def test_building_a_name_again_leaves_no_nameless_image(engine: Engine, tmp_path: Path) -> None:
    base, name = ensure_base_image(engine), "localhost/tidegate-rebuilt:1"
    (tmp_path / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG MARK\nLABEL mark=${MARK}\n")
    first, second = (
        engine.run("images", "--quiet", "--no-trunc", build_image(engine, tmp_path, name, settings)).strip()
        for settings in ({"BASE_IMAGE": base, "MARK": "1"}, {"BASE_IMAGE": base, "MARK": "2"})
    )
    engine.run("rmi", name)
    left = engine.run("images", "--all", "--quiet", "--no-trunc").split()
    assert first != second
    assert not {first, second} & set(left)


def test_a_demo_image_is_reproducible_and_its_version_makes_another(engine: Engine, registry_port: int) -> None:
    digests = [
        push(build("passes", engine=engine, version=version), registry_port, "blobs/demo", "v", engine=engine)
        for version in ("1", "1", "2")
    ]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
