"""Events that break Event Grid's own rules still reach the function: through Microsoft's worker library, as on Azure."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from tests.events.test_image_pushed import vector

ROOT = pathlib.Path(__file__).parents[2]

BODIES: dict[str, Any] = {
    "a push": vector("imagepushed.docs2021.eventgrid"),
    "a push as a CloudEvent": vector("imagepushed.docs2021.cloudevents"),
    "a malformed time": vector("chartdeleted.docs2021.eventgrid"),
    "a time that is none": {**vector("imagepushed.docs2021.eventgrid"), "eventTime": 7},
    "data as text": vector("imagepushed_data_as_json_string.constructed.eventgrid"),
    "no fields": {},
    "a list": [1, 2],
    "text": "text",
    "a number": 7,
    "null": None,
}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[Any]]:
    """What each body came to, and what the function was given."""
    heard = tmp_path_factory.mktemp("events") / "heard"
    heard.touch()
    done = subprocess.run(
        [sys.executable, "-m", "tests.events.worker"],
        input="".join(f"{json.dumps(body)}\n" for body in BODIES.values()),
        env={**os.environ, "HEARD": str(heard), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = [line for line in done.stdout.splitlines() if line]
    return outcomes, [json.loads(line) for line in heard.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(("number", "body"), list(enumerate(BODIES.values())), ids=BODIES.keys())
def test_the_function_is_called_with_the_event_as_it_came(
    calls: tuple[list[str], list[Any]], number: int, body: Any
) -> None:
    outcomes, heard = calls
    assert outcomes[number] == "called"
    assert heard[number] == body
