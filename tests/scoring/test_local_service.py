"""The trainer's model behind the real inference server, on this machine."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring import swagger
from scoring.local_service import LocalService
from tests.scoring import pictures
from tests.trainer.runs import undisturbed_run

_EXAMPLES = Path(__file__).parents[2] / "scoring" / "examples"


@pytest.fixture(scope="module")
def export() -> Path:
    return undisturbed_run().workdir / "export"


@pytest.fixture(scope="module")
def service(export: Path) -> Iterator[LocalService]:
    with LocalService(_EXAMPLES / "classifier" / "score.py", export) as running:
        yield running


def ask(
    service: LocalService, body: bytes | Iterator[bytes], method: str = "POST", path: str = "/score", **headers: str
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers={"Content-Type": "application/octet-stream"} | names)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content.startswith((b"{", b"[")) else content
    finally:
        connection.close()


def test_the_served_model_answers_what_its_manifest_says(service: LocalService, export: Path) -> None:
    for sample in json.loads((export / "manifest.json").read_text())["samples"]:
        status, detections = ask(service, (export / sample["request"]).read_bytes())
        assert status == 200
        assert detections[0] == {
            "xmin": 0, "xmax": 28, "ymin": 0, "ymax": 28, "label": sample["answer"],
            "score": pytest.approx(sample["score"], abs=1e-4),
        }  # fmt: skip


def test_the_samples_of_an_export_are_requests_with_the_answers_that_scoring_gives(
    service: LocalService, export: Path
) -> None:
    samples = json.loads((export / "samples.json").read_text())
    assert len(samples) == 4
    for sample in samples:
        assert sample.keys() == {"request", "response"}
        status, answer = ask(service, json.dumps(sample["request"]).encode(), Content_Type="application/json")
        [[detection]] = sample["response"]
        assert (status, answer) == (200, [[detection | {"score": pytest.approx(detection["score"], abs=1e-4)}]])


def test_a_batch_is_answered_image_by_image(service: LocalService, export: Path) -> None:
    images = [(export / f"samples/{number}.png").read_bytes() for number in range(3)]
    body = json.dumps({"images": [base64.b64encode(image).decode() for image in images]}).encode()
    status, answers = ask(service, body, Content_Type="application/json")
    assert status == 200
    assert answers == [ask(service, image)[1] for image in images]


def test_a_batch_has_at_most_sixteen_images_of_at_most_the_size_of_one(service: LocalService) -> None:
    def batch(*images: bytes) -> bytes:
        return json.dumps({"images": [base64.b64encode(image).decode() for image in images]}).encode()

    small = pictures.png(pictures.quadrants())
    status, answers = ask(service, batch(*[small] * 16), Content_Type="application/json")
    assert (status, len(answers)) == (200, 16)
    assert ask(service, batch(*[small] * 17), Content_Type="application/json")[0] == 400
    assert ask(service, batch(bytes(8 * 2**20 + 1)), Content_Type="application/json")[0] == 413


def _memory(service: LocalService) -> int:
    status = Path(f"/proc/{service.worker}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def test_bad_requests_are_the_clients_fault_and_cost_no_memory(service: LocalService) -> None:
    before = _memory(service)
    for name, data in (pictures.bad() | {"bomb": pictures.bomb(15_000, 15_000), "scans": pictures.scans(1000)}).items():
        status, answer = ask(service, data)
        assert 400 <= status < 500, (name, status, answer)
        assert answer["error"]["message"]
    for body in (
        b"{",
        b"[]",
        b"null",
        b'{"images": []}',
        b'{"images": ["%"]}',
        b'{"images": [1]}',
        b'{"images": "x"}',
        b"\xff",
    ):
        status, answer = ask(service, body, Content_Type="application/json")
        assert status == 400, (body, answer)
    assert ask(service, b"", method="OPTIONS")[0] == 405
    assert _memory(service) - before < 100_000_000


def test_the_biggest_image_that_is_taken_keeps_no_memory(service: LocalService) -> None:
    before = _memory(service)
    assert ask(service, pictures.bomb(4000, 4000))[0] == 200
    assert _memory(service) - before < 100_000_000


def test_a_body_beyond_the_limit_is_refused_whether_or_not_its_length_is_told(service: LocalService) -> None:
    assert ask(service, bytes(9 * 2**20))[0] == 413
    assert ask(service, iter([bytes(2**20)] * 9))[0] == 413


def test_the_server_describes_itself_and_is_ready(service: LocalService) -> None:
    assert ask(service, b"", method="GET", path="/") == (200, b"Healthy")
    for version in ("2", "3"):
        status, description = ask(service, b"", method="GET", path=f"/swagger.json?version={version}")
        assert status == 200
        assert "application/octet-stream" in json.dumps(description)


def test_a_body_that_breaks_off_is_refused_even_where_what_came_is_an_image(service: LocalService) -> None:
    image = pictures.png(pictures.quadrants())
    head = f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: {len(image) + 1000}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(head + image)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_the_descriptions_beside_the_scripts_are_the_current_ones() -> None:
    for folder in (_EXAMPLES.parent / "skeleton", *(path.parent for path in _EXAMPLES.glob("*/score.py"))):
        assert json.loads((folder / "swagger2.json").read_text()) == swagger.version_2()
        assert json.loads((folder / "swagger3.json").read_text()) == swagger.version_3()


def test_the_images_own_test_passes_outside_the_image_too(tmp_path: Path) -> None:
    shutil.copytree(_EXAMPLES.parent, tmp_path / "scoring")
    shutil.copy(_EXAMPLES.parent / "selftest.py", tmp_path / "selftest.py")
    subprocess.run([sys.executable, "selftest.py", "--quick"], cwd=tmp_path, check=True, timeout=120)
