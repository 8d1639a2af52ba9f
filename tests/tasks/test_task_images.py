"""An image stays as long as one step uses it, and no longer: an agent starts without images."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from local.cloud.task_arguments import TaskRefusedError
from local.cloud.task_images import AgentImages, PullFailedError
from local.contained_run import run_container
from local.containers import Engine
from local.images import build, push

SERVER = "tidegatestaging.azurecr.io"


@pytest.fixture(scope="module")
def only_in_the_registry(engine: Engine, registry_port: int) -> str:
    """An image that the engine has under no name of its own."""
    name = build("passes", engine=engine, version="of-one-test")
    digest = push(name, registry_port, "tests/shared", "1", engine=engine)
    engine.run("rmi", name)
    return f"tests/shared@{digest}"


@pytest.fixture
def agent(engine: Engine, registry_port: int) -> AgentImages:
    return AgentImages(engine, {SERVER: f"http://127.0.0.1:{registry_port}"})


def test_an_image_stays_until_its_last_user_is_done(
    agent: AgentImages, engine: Engine, registry_port: int, only_in_the_registry: str
) -> None:
    async def two_users() -> int:
        async with contextlib.AsyncExitStack() as second:
            async with agent.pulled(f"{SERVER}/{only_in_the_registry}", None):
                local = await second.enter_async_context(agent.pulled(f"{SERVER}/{only_in_the_registry}", None))
            return await run_container(
                engine, ("--network=none",), local, ("true",), backstop_s=60, output=lambda _: None
            )

    assert asyncio.run(two_users()) == 0
    with pytest.raises(RuntimeError):
        engine.run("image", "inspect", f"127.0.0.1:{registry_port}/{only_in_the_registry}")


@pytest.mark.parametrize(
    ("image", "error"),
    [
        ("docker.io/library/debian", TaskRefusedError),
        ("127.0.0.1:5000/a", TaskRefusedError),
        ("debian", TaskRefusedError),
        (f"{SERVER}/a b", TaskRefusedError),
        (f"{SERVER}/--flag", TaskRefusedError),
        (f"{SERVER}/a@sha256:short", TaskRefusedError),
        (f"{SERVER}/no/such:tag", PullFailedError),
    ],
)
def test_what_is_not_in_a_local_registry_cannot_be_had(agent: AgentImages, image: str, error: type[Exception]) -> None:
    async def pull() -> None:
        async with agent.pulled(image, None):
            pass

    with pytest.raises(error):
        asyncio.run(pull())


def test_a_registry_that_does_not_answer_is_told_in_dockers_words(engine: Engine) -> None:
    async def pull() -> None:
        async with AgentImages(engine, {SERVER: "http://127.0.0.1:1"}).pulled(f"{SERVER}/a:1", None):
            pass

    with pytest.raises(PullFailedError, match=rf"docker: Error response from daemon: .*{SERVER}/a:1|127\.0\.0\.1:1"):
        asyncio.run(pull())
