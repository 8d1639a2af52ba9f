"""The base of the demo and test images: a small Debian with Python, made from this machine's package sources or pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from local.containers import Engine, EngineMissingError, find_engine

BASE_IMAGE = "localhost/tidegate-base:bookworm"
PUBLIC_BASE_IMAGE = "docker.io/library/python:3.13-slim-bookworm"

_CACHE = Path(__file__).parents[1] / ".tools" / "base-image.tar"
_INCLUDE = "python3-minimal,libpython3-stdlib"
"""unittest, and most of the library, are in the second."""
_LEFT_OUT = ("doc", "man", "info", "locale", "zoneinfo")
_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
_BUILD_LIMIT_S = 600
_IMPORT_LIMIT_S = 300
_PULL_LIMIT_S = 300


class BaseImageError(RuntimeError):
    """There is no base image and none can be made; the message says what to install or to run."""


def ensure_base_image(engine: Engine, cache: Path = _CACHE) -> str:
    """The name of the base image, made once: about 20 s and 140 MB with mmdebstrap; later calls only look.

    A machine without mmdebstrap pulls the public Python image and gives it the same name.
    """
    if _exists(engine):
        return BASE_IMAGE
    reasons: list[str] = []
    for make in (_from_packages, _from_public):
        try:
            make(engine, cache)
        except BaseImageError as error:
            reasons.append(str(error))
        else:
            return BASE_IMAGE
    raise BaseImageError(f"no base image: {'; '.join(reasons)}. One of the two is needed")


def _exists(engine: Engine) -> bool:
    return bool(engine.run("images", "--quiet", BASE_IMAGE).strip())


def _from_packages(engine: Engine, cache: Path) -> None:
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
            fresh = Path(folder, "base.tar")
            _bootstrap(fresh)
            fresh.replace(cache)
    settings = (
        "--change=ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "--change=CMD python3",
    )
    engine.run("import", *settings, str(cache), BASE_IMAGE, limit_s=_IMPORT_LIMIT_S)


def _bootstrap(target: Path) -> None:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise BaseImageError(
            "mmdebstrap is not installed (apt-get install --no-install-recommends mmdebstrap, as root)"
        )
    without = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    sources = [str(_SOURCES)] if _SOURCES.exists() else []  # the machine's own mirror; else mmdebstrap's default
    options = ["--quiet", "--variant=essential", f"--include={_INCLUDE}", *without]
    try:
        done = subprocess.run(
            [program, *options, "bookworm", str(target), *sources],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BUILD_LIMIT_S,
            check=False,
            env={**os.environ, "TMPDIR": str(target.parent)},  # /tmp may be small or noexec
        )
    except subprocess.TimeoutExpired as error:
        raise BaseImageError(f"mmdebstrap took more than {_BUILD_LIMIT_S} s") from error
    if done.returncode:
        said = done.stderr.strip()[-500:]
        raise BaseImageError(f"mmdebstrap failed, which without root needs user namespaces: {said}")


def _from_public(engine: Engine, _cache: Path) -> None:
    try:
        engine.run("pull", "--quiet", PUBLIC_BASE_IMAGE, limit_s=_PULL_LIMIT_S)
        engine.run("tag", PUBLIC_BASE_IMAGE, BASE_IMAGE)
    except RuntimeError as error:
        raise BaseImageError(f"{PUBLIC_BASE_IMAGE} cannot be pulled ({error})") from error


def main() -> int:
    """`python -m local.base_image`."""
    try:
        print(ensure_base_image(find_engine()))  # noqa: T201
    except (BaseImageError, EngineMissingError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
