"""ACR Tasks alone: its routes in an application of their own, a real registry, real storage and a real container engine."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from azure.mgmt.containerregistrytasks import ContainerRegistryTasksMgmtClient

from local import world
from local.base_image import ensure_base_image
from local.cloud import registry_tasks
from local.cloud.core import Cloud, Options
from local.containers import Engine, find_engine
from local.images import build, build_image, push
from local.registry import RegistryProcess, start_command
from tests.azurite import azurite
from tests.cloud.world import free_ports, in_thread, running
from tests.tasks.tasks import LocalCredential, LoopbackTransport, Tasks

HOSTILE = Path(__file__).parent / "hostile"


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The container engine; without one the tests fail with the reason, because a skipped test proves nothing."""
    return find_engine()


@pytest.fixture(scope="session")
def registry_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("registry")
    (port,) = free_ports(1)
    process = RegistryProcess(world.STAGING, port, folder)
    with running(start_command(process.write_configuration()), port, folder / "log"):
        yield port


@pytest.fixture(scope="session")
def storage() -> Iterator[str]:
    with azurite() as emulator:
        yield emulator.connection_string


@pytest.fixture(scope="session")
def cloud_options(registry_port: int, storage: str, tmp_path_factory: pytest.TempPathFactory) -> Options:
    registries = {world.STAGING: f"http://127.0.0.1:{registry_port}"}
    return Options(registries=registries, state=tmp_path_factory.mktemp("state"), storage=storage)


@contextlib.contextmanager
def serving(options: Options, engine: Callable[[], Engine]) -> Iterator[Tasks]:
    """The stand-in with the routes of ACR Tasks only, and the real client of Azure's SDK for it."""
    (port,) = free_ports(1)
    cloud = Cloud(options)
    registry_tasks.install(cloud, engine)

    async def serve(stack: contextlib.AsyncExitStack) -> None:
        runner = web.AppRunner(cloud.build(), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()

    with in_thread(serve):
        client = ContainerRegistryTasksMgmtClient(
            LocalCredential(), world.SUBSCRIPTION, transport=LoopbackTransport(port), retry_total=0
        )
        with client:
            yield Tasks(client, blob_endpoint(options))


def blob_endpoint(options: Options) -> str:
    parts = dict(part.partition("=")[::2] for part in (options.storage or "").split(";"))
    return parts["BlobEndpoint"]


@pytest.fixture(scope="session")
def tasks(cloud_options: Options, engine: Engine) -> Iterator[Tasks]:
    with serving(cloud_options, lambda: engine) as served:
        yield served


@dataclasses.dataclass(frozen=True, slots=True)
class Pushed:
    """Images in the staging registry, by digest: `$Registry/...` as a task names them."""

    passes: str
    fails: str
    hostile: str


@pytest.fixture(scope="session")
def images(engine: Engine, registry_port: int) -> Pushed:
    hostile = build_image(engine, HOSTILE, "localhost/tidegate-hostile:1", {"BASE_IMAGE": ensure_base_image(engine)})
    names = {"passes": build("passes", engine=engine), "fails": build("fails", engine=engine), "hostile": hostile}
    digests = {key: push(name, registry_port, f"tests/{key}", "1", engine=engine) for key, name in names.items()}
    return Pushed(**{key: f"$Registry/tests/{key}@{digest}" for key, digest in digests.items()})
