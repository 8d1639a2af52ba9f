"""The process of one inference server: what it may see, and that it ends with whoever started it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from local.cloud.ml_server import Launch, NotReadyError, Server
from local.parts import ROOT
from tests.cloud.world import eventually

pytestmark = pytest.mark.stack

SCRIPT = """
import os

def init(): ...

def run(data):
    return {"variables": sorted(os.environ), "home": os.environ["HOME"]}
"""
STARTER = """
import asyncio, pathlib, sys
import aiohttp
from local.cloud.ml_server import Launch, Server

async def main():
    folder = pathlib.Path(sys.argv[1])
    server = Server(Launch(folder, {"AML_APP_ROOT": str(folder), "AZUREML_ENTRY_SCRIPT": "score.py"}, 2**30))
    async with aiohttp.ClientSession() as session:
        await server.start(session)
        print(server.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def launch(folder: Path, script: str = SCRIPT, start_limit_s: float = 60) -> Launch:
    (folder / "score.py").write_text(script)
    variables = {"AML_APP_ROOT": str(folder), "AZUREML_ENTRY_SCRIPT": "score.py", "MODE": "test"}
    return Launch(folder, variables, 2**30, start_limit_s=start_limit_s)


def test_a_server_sees_its_own_variables_and_none_of_the_stand_ins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "x")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    async def ask() -> dict[str, object]:
        server = Server(launch(tmp_path))
        async with aiohttp.ClientSession() as session:
            await server.start(session)
            try:
                async with session.post(f"http://127.0.0.1:{server.port}/score", json={}) as answer:
                    found: dict[str, object] = await answer.json()
                    return found
            finally:
                await server.stop()

    found = asyncio.run(ask())
    assert found["home"] == str(tmp_path)
    variables = found["variables"]
    assert isinstance(variables, list)
    assert "MODE" in variables
    assert {"AZURE_CLIENT_SECRET", "HTTPS_PROXY"}.isdisjoint(variables)


def test_a_server_that_does_not_get_ready_in_its_time_is_ended(tmp_path: Path) -> None:
    async def start() -> Server:
        slow = "import time\ndef init():\n    time.sleep(60)\ndef run(data): ...\n"
        server = Server(launch(tmp_path, slow, start_limit_s=3))
        async with aiohttp.ClientSession() as session:
            with pytest.raises(NotReadyError, match="not healthy within 3 s"):
                await server.start(session)
        return server

    assert not asyncio.run(start()).alive


def test_a_server_does_not_outlive_a_stand_in_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        os.kill(pid, 0)
        starter.send_signal(signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), "the server lives on", 20)


def _is_zombie(pid: int) -> bool:
    return ") Z" in Path(f"/proc/{pid}/stat").read_text()
