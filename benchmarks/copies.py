"""Three ways to copy an image from the staging to the healthy registry: importImage, skopeo, and raw streaming."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.stage import Arm
from local import world
from local.image_blobs import OCI
from local.ports import Ports

_API = "2025-11-01"
_POLL_S = 0.01
_LIMIT_S = 300
_STREAMS = 2
"""As many as there are cores; more are no faster."""
_CHUNK = 1 << 20

type Copy = Callable[[str, str, str], None]
"""Copies (source repository, digest, target repository) and returns when the target has it."""


def importing(arm: Arm) -> Copy:
    """`importImage` of the stand-in, asked about every 10 ms."""

    def copy(source: str, digest: str, target: str) -> None:
        body = {
            "source": {"resourceId": world.registry_id(world.STAGING), "sourceImage": f"{source}@{digest}"},
            "targetTags": [],
            "untaggedTargetRepositories": [target],
            "mode": "NoForce",
        }
        answer = arm.call("POST", f"{world.registry_id(world.HEALTHY)}/importImage?api-version={_API}", body)
        ends = time.monotonic() + _LIMIT_S
        while answer.status == 202 and time.monotonic() < ends:
            location = urllib.parse.urlsplit(answer.headers["location"])
            time.sleep(_POLL_S)
            answer = arm.call("GET", f"{location.path}?{location.query}")
        if answer.status != 200:
            raise RuntimeError(f"the import was answered with {answer.status} {answer.body.decode()[:500]}")

    return copy


def skopeo(ports: Ports) -> Copy:
    """A process of skopeo's own for each copy, with the flags that keep every digest."""

    def copy(source: str, digest: str, target: str) -> None:
        here = f"docker://127.0.0.1:{ports.staging_registry}/{source}@{digest}"
        there = f"docker://127.0.0.1:{ports.healthy_registry}/{target}@{digest}"
        flags = ("--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false")
        direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        done = subprocess.run(
            ["skopeo", "copy", "--quiet", *flags, here, there],
            env={**os.environ, **direct},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"skopeo copy: {done.stderr.strip()[-500:]}")

    return copy


def streaming(ports: Ports) -> Copy:
    """What has to be moved at least: GET | PUT of the blobs that the target lacks, then the manifest. Nothing is checked."""
    source_port, target_port = ports.staging_registry, ports.healthy_registry

    def copy(source: str, digest: str, target: str) -> None:
        path = f"manifests/{digest}"
        if _status(target_port, "HEAD", target, path) == 200:
            return
        content = _get(source_port, source, path)
        document: Mapping[str, Any] = json.loads(content)
        blobs: Sequence[str] = [part["digest"] for part in (document["config"], *document["layers"])]
        with concurrent.futures.ThreadPoolExecutor(_STREAMS) as streams:
            moves = [streams.submit(_move, (source_port, source), (target_port, target), blob) for blob in blobs]
            for move in moves:
                move.result()
        if _status(target_port, "PUT", target, path, content) != 201:
            raise RuntimeError(f"{target}@{digest} was not taken")

    return copy


def _move(source: tuple[int, str], target: tuple[int, str], digest: str) -> None:
    port, repository = target
    if _status(port, "HEAD", repository, f"blobs/{digest}") == 200:
        return
    reading, writing = _connect(source[0]), _connect(port)
    writing.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
    started = writing.getresponse()
    started.read()
    location = urllib.parse.urlsplit(started.headers["Location"])
    reading.request("GET", f"/v2/{source[1]}/blobs/{digest}")
    blob = reading.getresponse()
    headers = {"Content-Length": blob.headers["Content-Length"], "Content-Type": "application/octet-stream"}
    writing.request("PUT", f"{location.path}?{location.query}&digest={digest}", blob, headers)
    taken = writing.getresponse()
    taken.read()
    reading.close()
    writing.close()
    if taken.status != 201:
        raise RuntimeError(f"{repository}: {digest} was answered with {taken.status}")


def _status(port: int, method: str, repository: str, path: str, body: bytes | None = None) -> int:
    connection = _connect(port)
    connection.request(method, f"/v2/{repository}/{path}", body, {"Content-Type": OCI.manifest, "Accept": OCI.manifest})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def _get(port: int, repository: str, path: str) -> bytes:
    connection = _connect(port)
    connection.request("GET", f"/v2/{repository}/{path}", headers={"Accept": OCI.manifest})
    content = connection.getresponse().read()
    connection.close()
    return content


def _connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=_LIMIT_S, blocksize=_CHUNK)
