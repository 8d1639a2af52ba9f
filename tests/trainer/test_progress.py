"""People see one line that rewrites itself, machines one JSON object a line."""

from __future__ import annotations

import io
import json

from trainer.progress import Progress


def told(*, terminal: bool) -> str:
    stream = io.StringIO()
    progress = Progress(stream, terminal=terminal)
    progress.tell("started", config="QUICKTEST")
    progress.interval({"step": 10, "loss": 0.123456})
    progress.interval({"step": 20, "loss": 0.1})
    progress.warn("checkpoint 3 is damaged")
    return stream.getvalue()


def test_on_a_terminal_the_line_of_the_last_interval_is_replaced_and_events_stay() -> None:
    lines = told(terminal=True).split("\n")
    assert lines[0] == "started: config QUICKTEST"
    assert lines[1].split("\r\x1b[K") == ["", "step 10  loss 0.1235", "step 20  loss 0.1"]
    assert lines[2:] == ["warning: message checkpoint 3 is damaged", ""]


def test_elsewhere_every_line_is_a_json_object_with_its_event() -> None:
    lines = [json.loads(line) for line in told(terminal=False).splitlines()]
    assert [line["event"] for line in lines] == ["started", "progress", "progress", "warning"]
    assert lines[1] == {"event": "progress", "step": 10, "loss": 0.123456}


def test_a_loss_that_is_no_number_is_still_json() -> None:
    stream = io.StringIO()
    Progress(stream, terminal=False).interval({"step": 1, "loss": float("nan"), "best": float("-inf")})
    line = json.loads(stream.getvalue(), parse_constant=lambda word: f"not JSON: {word}")
    assert line == {"event": "progress", "step": 1, "loss": "nan", "best": "-inf"}


def test_what_is_written_to_is_asked_whether_it_is_a_terminal() -> None:
    stream = io.StringIO()
    Progress(stream).interval({"step": 1})
    assert json.loads(stream.getvalue()) == {"event": "progress", "step": 1}
