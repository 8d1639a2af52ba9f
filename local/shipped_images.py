"""`make images`: build the trainer's and the scoring image by their Dockerfiles, and run in each the test that its gate runs.

Where the public bases cannot be pulled, stand-ins of them are made from this machine's Debian packages and its Python. Every
step of the Dockerfiles runs all the same; only what lies below them is another, so the sizes are not those of a release.
"""

from __future__ import annotations

import dataclasses
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from local.base_image import BaseImageError
from local.containers import Engine, EngineMissingError, find_engine

_ROOT = Path(__file__).parents[1]
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_PYTHON_IMAGE = "localhost/tidegate-python:3.13"
_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
_LIBRARIES = "ca-certificates,libbz2-1.0,libffi8,liblzma5,libncursesw6,libreadline8,libsqlite3-0,libssl3,libuuid1"
"""What a Python that was built on this Debian needs; the rest of the base is Debian's smallest system with apt."""
_LEFT_OUT = ("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "__pycache__", "config-*", "*.a")
_BUILD_LIMIT_S = 1800
_TEST_LIMIT_S = 600


@dataclasses.dataclass(frozen=True, slots=True)
class Shipped:
    """One Dockerfile."""

    name: str
    gate: str
    """Name of the gate whose test the image must pass."""
    public: tuple[str, ...]
    """Images that its Dockerfile begins from by itself."""
    bases: tuple[str, ...]
    """Build arguments that name them."""


SHIPPED = (
    Shipped(
        "trainer",
        "training",
        ("docker.io/library/debian:bookworm-slim", "docker.io/library/python:3.13-slim-bookworm"),
        ("BASE_IMAGE", "BUILD_IMAGE"),
    ),
    Shipped("scoring", "scoring", ("docker.io/library/python:3.13-slim-bookworm",), ("BASE_IMAGE",)),
)


def build(engine: Engine, image: Shipped) -> str:
    """The local name of the built image."""
    name = f"localhost/tidegate-{image.name}:local"
    bases = [] if all(_pulled(engine, each) for each in image.public) else _local_bases(engine, image)
    podman = ("--layers=false", *engine.ulimits) if engine.name == "podman" else ()
    options = [f"--file={image.name}/Dockerfile", "--network=host", *podman, *_certificates(engine), *bases]
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=_ROOT, capture_output=True, text=True, check=False)
    labels = [f"--build-arg=REVISION={revision.stdout.strip() or 'unknown'}", "--build-arg=VERSION=0-local"]
    ignore = [f"--ignorefile={image.name}/Dockerfile.dockerignore"] if engine.name == "podman" else []
    engine.run("build", *options, *labels, *ignore, f"--tag={name}", str(_ROOT), limit_s=_BUILD_LIMIT_S)
    return name


def passes_its_gate(engine: Engine, image: Shipped, name: str) -> str:
    """Run what gates.yaml says, limited as the gate limits it; gives the end of what it printed. RuntimeError: it fails."""
    gates = yaml.safe_load((_ROOT / "gates.yaml").read_text())["images"]
    test = next(each for each in gates if each["name"] == image.gate)["test"]
    command = test["command"] if isinstance(test["command"], list) else shlex.split(test["command"])
    limits = [f"--memory={test.get('memory', '1Gi').removesuffix('i').lower()}", f"--cpus={test.get('cpu', 1)}"]
    confined = ["--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp"]
    options = ["run", "--rm", *engine.ulimits, *limits, *confined, name, *command]
    done = subprocess.run(
        engine.command(*options),
        env=dict(engine.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_TEST_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{image.name}: its test ended with {done.returncode}: {done.stdout.strip()[-2000:]}")
    return done.stdout.strip()[-300:]


def _pulled(engine: Engine, name: str) -> bool:
    try:
        engine.run("pull", "--quiet", name, limit_s=300)
    except RuntimeError:
        return False
    return True


def _certificates(engine: Engine) -> list[str]:
    """A build on a machine whose network has its own authority trusts it; the image keeps nothing of that."""
    if engine.name != "podman" or not Path(_CERTIFICATES).exists():
        return []
    return [f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro"]


def _local_bases(engine: Engine, image: Shipped) -> list[str]:
    python = _ensure_python_image(engine)
    return [f"--build-arg={name}={python}" for name in image.bases]


def _ensure_python_image(engine: Engine) -> str:
    """Debian's smallest system with this machine's Python 3.13, where both Dockerfiles look for one."""
    home = Path(sys.base_prefix)
    managed = f"/opt/python/cpython-{platform.python_version()}-linux-{platform.machine()}-gnu"
    with tempfile.TemporaryDirectory(prefix="tidegate-python-") as folder:
        for part in ("bin", "lib"):
            shutil.copytree(
                home / part, Path(folder, "python", part), symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT)
            )
        _bootstrap(Path(folder, "debian.tar"))
        pip = Path(folder, "pip")
        pip.write_text('#!/bin/sh\nexec python3 -m pip "$@"\n')  # its own script names the path where it was installed
        pip.chmod(0o755)
        lines = (
            "FROM scratch",
            "ADD debian.tar /",
            f"COPY python {managed}",
            f"COPY pip {managed}/bin/pip",
            f"ENV PATH={managed}/bin:/usr/local/bin:/usr/bin:/bin LD_LIBRARY_PATH={managed}/lib",
            f"ENV SSL_CERT_FILE={_CERTIFICATES} PIP_CERT={_CERTIFICATES} UV_SYSTEM_CERTS=true",
        )
        Path(folder, "Dockerfile").write_text("\n".join(lines) + "\n")
        podman = ("--layers=false", *engine.ulimits) if engine.name == "podman" else ()
        engine.run("build", "--quiet", "--network=none", *podman, f"--tag={_PYTHON_IMAGE}", folder, limit_s=300)
    return _PYTHON_IMAGE


def _bootstrap(target: Path) -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise BaseImageError("neither a public base nor mmdebstrap: apt-get install --no-install-recommends mmdebstrap")
    sources = [str(_SOURCES)] if _SOURCES.exists() else []  # the machine's own mirror; else mmdebstrap's default
    command = [program, "--quiet", "--variant=minbase", f"--include={_LIBRARIES}", "bookworm", str(target), *sources]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, check=False)
    if done.returncode:
        raise BaseImageError(f"mmdebstrap failed: {done.stderr.strip()[-500:]}")


def _size_mb(engine: Engine, name: str) -> float:
    return int(engine.run("image", "inspect", "--format", "{{.Size}}", name)) / 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: every image was built and passes its test. Arguments name some of them."""
    wanted = set(sys.argv[1:] if arguments is None else arguments)
    try:
        engine = find_engine()
        for image in [each for each in SHIPPED if not wanted or each.name in wanted]:
            began = time.monotonic()
            name = build(engine, image)
            built = time.monotonic()
            print(f"{image.name}: built in {built - began:.0f} s, {_size_mb(engine, name):.0f} MB", flush=True)  # noqa: T201
            said = passes_its_gate(engine, image, name)
            print(f"{image.name}: passes its test in {time.monotonic() - built:.0f} s: {said}", flush=True)  # noqa: T201
    except (EngineMissingError, BaseImageError, RuntimeError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
