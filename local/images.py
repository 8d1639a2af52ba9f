"""Build the demo's images with this machine's engine and push them to the local registries."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Literal

from local.base_image import ensure_base_image
from local.containers import Engine
from local.image_blobs import DOCKER, OCI, Descriptor, MediaTypes, PushError, find_manifest, push_blob_image, push_index

CONTEXT = Path(__file__).parent / "demo" / "image"
SOURCE = "https://example.com/tidegate/local/demo/image"

type Variant = Literal["passes", "fails"]

_LABELS = {"passes": "trained", "fails": "sorted"}
_LIMIT_S = 300

__all__ = [
    "CONTEXT",
    "DOCKER",
    "OCI",
    "Descriptor",
    "MediaTypes",
    "Variant",
    "build",
    "find_manifest",
    "push",
    "push_blob_image",
    "push_index",
]


def build(variant: Variant, *, engine: Engine, version: str = "1") -> str:
    """Build the demo image and return its local name. `fails` has a label file in the wrong order, which its tests find.

    A version is part of the image, so that another version has another digest.
    """
    name = f"localhost/tidegate-demo:{variant}-{version}"
    settings = {
        "BASE_IMAGE": ensure_base_image(engine),
        "LABELS": _LABELS[variant],
        "SOURCE": SOURCE,
        "REVISION": _revision(),
        "VERSION": version,
    }
    return build_image(engine, CONTEXT, name, settings)


def build_image(engine: Engine, context: Path, name: str, settings: dict[str, str]) -> str:
    """Build a Dockerfile without network, for no step of these images needs any. What had the name before is removed."""
    before = _image_id(engine, name)
    arguments = [f"--build-arg={key}={value}" for key, value in settings.items()]
    # Podman's cache takes a layer made with other arguments for the same; with a fixed time, equal input is an equal image.
    podman = ("--layers=false", "--timestamp=0", *engine.ulimits) if engine.name == "podman" else ()
    engine.run(
        "build", "--quiet", "--network=none", *podman, *arguments, f"--tag={name}", str(context), limit_s=_LIMIT_S
    )
    if before and before != _image_id(engine, name):
        with contextlib.suppress(RuntimeError):  # it has another name, or a container uses it
            engine.run("rmi", before)
    return name


def push(image: str, registry_port: int, repository: str, tag: str, *, engine: Engine) -> str:
    """Push a local image to a registry on loopback and return the digest that the registry has now for the tag."""
    target = f"127.0.0.1:{registry_port}/{repository}:{tag}"
    if engine.name == "podman":
        engine.run("push", "--quiet", "--tls-verify=false", image, target, limit_s=_LIMIT_S)
    else:
        engine.run("tag", image, target)
        try:
            engine.run("push", "--quiet", target, limit_s=_LIMIT_S)
        finally:
            engine.run("rmi", target)
    found = find_manifest(f"http://127.0.0.1:{registry_port}", repository, tag)
    if found is None:
        raise PushError(f"{target} was pushed and is not there")
    return found.digest


def _image_id(engine: Engine, name: str) -> str:
    """The id of a local image; empty when there is none of the name."""
    return engine.run("images", "--quiet", "--no-trunc", name).strip()


def _revision() -> str:
    """The last commit that changed the image's files, for its label; `unknown` outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "log", "-1", "--format=%H", "--", "."],
            cwd=CONTEXT,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
