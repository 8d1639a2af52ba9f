"""The parts of the local stack: what each runs, where it listens, and when it counts as ready."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.client
import json
import os
import secrets
import socket
import sys
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local import local_servers, registry, world
from local.app_settings import app_settings
from local.containers import EngineMissingError, find_engine
from local.environment import client_environment
from local.kept_secret import kept_secret
from local.ports import Ports
from local.storage_account import StorageAccount, open_account

ROOT = Path(__file__).parents[1]
_ANSWER_LIMIT_S = 5
_CREDENTIALS = ("AZURE_", "IDENTITY_", "MSI_")
"""Prefixes of variables that may hold credentials of the real Azure: no part has a use for them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Launch:
    """How one process is started."""

    command: Sequence[str]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Variables on top of the starter's own."""
    withheld: tuple[str, ...] = _CREDENTIALS
    """Prefixes of the starter's variables that the process does not get."""

    def process_environment(self, starter: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of the process."""
        kept = {name: value for name, value in starter.items() if not name.startswith(self.withheld)}
        return kept | dict(self.environment)

    @property
    def fingerprint(self) -> str:
        """Differs for another command or environment: a running part that was launched otherwise is started anew."""
        text = json.dumps([list(self.command), sorted(self.environment.items())])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack."""

    name: str
    ports: Mapping[str, int]
    """Field of `Ports` -> TCP port that this part listens on; the first is the one to show."""
    launch: Callable[[], Launch]
    """Prepares its files and says how to start it; FileNotFoundError says what is not installed."""
    health: str = ""
    """Path that answers 200 at the first port when the part is ready; empty: it is ready when its ports accept."""
    fault: Callable[[], str | None] = lambda: None
    """Why it will never be ready although its process lives; None as long as it may be."""

    @property
    def port(self) -> int:
        return next(iter(self.ports.values()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """Whether it is ready for its clients now."""
        return all(map(_accepts, self.ports.values())) and (not self.health or _says_ok(self.port, self.health))


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where one stack listens and keeps its state; two stacks with different ports and folders do not meet."""

    ports: Ports
    state: Path
    app: Path
    """Folder of function_app.py."""
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """App settings on top of the usual ones."""

    def stages(self) -> tuple[tuple[Part, ...], ...]:
        """Parts of one stage start together, once every part of the stages before answers."""
        ports = self.ports
        azurite = {name: getattr(ports, name) for name in ("azurite_blob", "azurite_queue", "azurite_table")}
        return (
            (
                Part("staging-registry", {"staging_registry": ports.staging_registry}, self._staging, "/v2/"),
                Part("healthy-registry", {"healthy_registry": ports.healthy_registry}, self._healthy, "/v2/"),
                Part("azurite", azurite, self._azurite),
                Part("cloud", {"cloud": ports.cloud, "smtp": ports.smtp}, self._cloud, "/health"),
                Part("front", {"front": ports.front}, self._front),
            ),
            (
                Part(
                    "functions",
                    {"functions": ports.functions},
                    self._functions,
                    "/admin/host/ping",
                    functools.partial(_app_fault, ports.functions, self._keys / "host.json"),
                ),
            ),
        )

    def client_environment(self, principal: str = world.FUNCTION_IDENTITY) -> dict[str, str]:
        """Variables that turn a process into a client of this stack, signed in as a principal of infra/data/roles.json."""
        ports, bundle = self.ports, self.state / "ca/bundle.pem"
        return client_environment(front_port=ports.front, cloud_port=ports.cloud, bundle=bundle, principal=principal)

    def account(self) -> StorageAccount:
        """The stack's storage account; its key is made on first use."""
        return open_account(self.ports, self.state / "storage.key")

    def api_key(self) -> str:
        """The key of whoever uses this stack by hand, an operator; it is made on first use."""
        return kept_secret(self.state / "api.key", lambda: secrets.token_urlsafe(32))

    @property
    def _keys(self) -> Path:
        """Folder of the Functions host's keys, which Event Grid needs to call it."""
        return self.state / "keys"

    def _staging(self) -> Launch:
        return self._registry(world.STAGING, self.ports.staging_registry)

    def _healthy(self) -> Launch:
        return self._registry(world.HEALTHY, self.ports.healthy_registry)

    def _registry(self, name: str, port: int) -> Launch:
        folder = self.state / "registries" / name
        process = registry.RegistryProcess(name, port, folder, f"http://127.0.0.1:{self.ports.cloud}")
        return Launch(_registry_command(process.write_configuration(), f"{name}-{port}"))

    def _azurite(self) -> Launch:
        account = self.account()
        return Launch(account.start_command(self.state / "azurite"), account.environment)

    def _cloud(self) -> Launch:
        return Launch(
            _python(
                "local.cloud",
                *("--port", self.ports.cloud, "--state", self.state / "cloud", "--smtp", self.ports.smtp),
                *("--registry", f"{world.STAGING}=http://127.0.0.1:{self.ports.staging_registry}"),
                *("--registry", f"{world.HEALTHY}=http://127.0.0.1:{self.ports.healthy_registry}"),
                *("--storage", self.account().connection_string),
                *("--functions-url", f"http://127.0.0.1:{self.ports.functions}", "--functions-keys", self._keys),
                *("--front-port", self.ports.front, "--bundle", self.state / "ca/bundle.pem"),
            )
        )

    def _front(self) -> Launch:
        arguments = ("--port", self.ports.front, "--cloud-port", self.ports.cloud, "--ca-dir", self.state / "ca")
        blobs = ("--route", f"*.blob.core.windows.net={self.ports.azurite_blob}")
        return Launch(_python("local.front", *arguments, *blobs))

    def _functions(self) -> Launch:
        # A message of a host that was killed is delivered again when its lease ends: in 30 s, not in Azure's 10 minutes.
        limits = ("--queue-lease", 30, "--stop-timeout", 8)
        arguments = ("--app", self.app, "--port", self.ports.functions, "--keys", self._keys, "--log", "text", *limits)
        own = {
            "TIDEGATE_API_KEYS": f"local:{hashlib.sha256(self.api_key().encode()).hexdigest()}:Operator",
            "TIDEGATE_PUBLIC_URL": f"http://127.0.0.1:{self.ports.functions}",
            "TIDEGATE_LOCAL_ENDPOINTS": str(self.state / local_servers.FOLDER),
            "TIDEGATE_LOCAL_PYTHON": str(ROOT / ".tools/serving/bin/python"),
        }
        settings = app_settings(self.account().connection_string) | own | dict(self.settings)
        environment = self.client_environment() | settings
        withheld = (*_CREDENTIALS, "TIDEGATE_")  # the app settings are those below, whatever a shell has set
        return Launch(_python("local.functions_host", *arguments), environment, withheld)


def _registry_command(configuration: Path, container: str) -> list[str]:
    """Debian's docker-registry where it is installed, else the public image in Docker (unverified without its engine)."""
    try:
        return registry.start_command(configuration)
    except FileNotFoundError as missing:
        try:
            docker = find_engine({**os.environ, "TIDEGATE_CONTAINER_ENGINE": "docker"})
        except EngineMissingError:
            raise missing from None
    folder = configuration.parent.resolve()
    user = f"{os.getuid()}:{os.getgid()}"
    options = ["--rm", "--network=host", f"--name={container}", f"--user={user}", f"--volume={folder}:{folder}"]
    return docker.command("run", *options, "registry:2", str(folder / configuration.name))


def _python(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(_ANSWER_LIMIT_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _says_ok(port: int, path: str) -> bool:
    return _get(port, path) is not None


def _app_fault(port: int, keys: Path) -> str | None:
    """Why the Functions host cannot run the app, from its status; None while it starts or runs."""
    if not keys.exists():
        return None
    code = json.loads(keys.read_text())["masterKey"]["value"]
    answer = _get(port, f"/admin/host/status?code={urllib.parse.quote(code, safe='')}")
    status = json.loads(answer) if answer else {}
    return "; ".join(status["errors"]) if status.get("state") == "Error" else None


def _get(port: int, path: str) -> bytes | None:
    """Body of a 200; None for anything else."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_LIMIT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.read() if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
