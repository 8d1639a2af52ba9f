"""What a person reads: of one thing in words, and of many on a terminal of any width."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import App, Terminal

ID = "0123456789abcdef"
AT = "2026-11-26T04:02:18.337Z"
WORD = {"id": "r1", "who": "a push to staging", "why": "pushed as v1", "at": AT}
PROMOTION: dict[str, Any] = {
    "id": ID,
    "state": "Promoted",
    "repository": "training/litter",
    "tags": ["v1", "v2"],
    "digest": "sha256:" + "a" * 64,
    "reason": "",
    "gate": {"name": "training", "version": "5ba120d71731"},
    "claims": [
        {"tag": "v1", "order": AT, "status": "placed", "detail": "", "announced": True},
        {"tag": "v2", "order": AT, "status": "refused", "detail": "it names another digest", "announced": True},
        {"tag": "", "order": AT, "status": "placed", "detail": "", "announced": True},
    ],
    "requests": [WORD],
    "override": {**WORD, "who": "ops", "why": "hotfix"},
    "verdict": {"kind": "failed", "run": "ca1", "finished": AT, "log": "http://x/y", "reason": "exit status 1"},
    "record": "sha256:" + "c" * 64,
    "history": [{"sequence": 1, "at": AT, "who": "w", "what": "ImagePushed", "before": "Unseen", "after": "Testing"}],
}
END = {
    "state": "WatchingTraffic",
    "reason": "",
    "champion": "digits:1",
    "challenger": "digits:2",
    "weights": {"live": {"digits:1": 90, "digits:2": 10}, "mirror": {"digits:2": 5}},
    "waiting": "digits:3",
    "held": {"who": "ops", "why": "an audit", "at": AT},
    "blocked": ["digits:0"],
}
STAGE: dict[str, Any] = {
    "name": "pro",
    "state": "current",
    "target": {"kind": "managed", "workspace": "vision-pro", "endpoint": "digits-pro"},
    "needs": {"quorum": 2, "roles": ["Approver.pro"]},
    "approvals": [{"person": "t/o", "who": "alice", "why": "good", "at": AT}],
    "reason": None,
    "measured": {"memory": 190373888},
    "endpoint": END,
}
DELIVERY: dict[str, Any] = {
    "id": ID,
    "state": "AwaitingApproval",
    "model": "digits",
    "version": "2",
    "evidence": "e1",
    "approval": {"stage": "pro", "evidence": "e1", "quorum": 2, "roles": ["Approver.pro"], "expires": AT},
    "facts": {
        "artefact": {"sha256": "d" * 64, "size": 14706, "files": 4},
        "metrics": {"accuracy": 0.9711, "examples": 450.0},
        "run": "train-digits",
        "data": "digits",
        "image": None,
        "serving_image": "x",
        "registered_by": None,
    },
    "requests": [WORD],
    "stages": [{**STAGE, "name": "dev", "endpoint": None, "needs": None, "approvals": []}, STAGE],
    "history": [],
}


@pytest.mark.parametrize(
    ("path", "found", "said"),
    [
        (
            "promotions",
            PROMOTION,
            [
                "tags:          v1 (placed), v2 (refused: it names another digest)",
                "gate:          training (5ba120d71731)",
                f"asked by:      a push to staging, {AT}: pushed as v1",
                f"override:      ops, {AT}: hotfix",
                f"test:          failed in run ca1: exit status 1; its log: tidegate log {ID}",
            ],
        ),
        (
            "deliveries",
            DELIVERY,
            [
                f"waits for:     2 of Approver.pro, until {AT}",
                "               evidence e1",
                "metrics:       accuracy 0.9711, examples 450",
                "dev:           current",
                "               WatchingTraffic, 90 % to digits:1, 10 % to digits:2, 5 % mirrored to digits:2",
                "               digits:3 waits",
                f"               held by ops, {AT}: an audit",
                "               blocked: digits:0",
                f"               approved by alice, {AT}: good",
            ],
        ),
    ],
)
def test_what_is_shown_is_in_words_and_no_json(
    app: App, terminal: Terminal, path: str, found: dict[str, Any], said: list[str]
) -> None:
    app.answer("GET", f"/api/{path}/{ID}", found)
    assert terminal.run("show", ID) == 0
    lines = terminal.out.splitlines()
    assert [line for line in said if line not in lines] == []
    assert not re.search(r"""[{}\[\]"]|None""", terminal.out)


def test_the_plan_of_a_delivery_says_each_call_of_each_stage(app: App, terminal: Terminal) -> None:
    calls = [{"call": "place model", "on": "w/m", "with": "by copying"}, {"call": "PUT", "on": "e", "with": {"a": 1}}]
    stage = {"name": "pro", "approval": "1 of A", "frozen_until": AT, "champion": None, "calls": calls}
    app.answer("POST", "/api/deliveries", {"dry_run": True, "model": "m", "problems": ["a", "b"], "stages": [stage]})
    assert terminal.run("deliver", "m:1", "--workspace", "w", "--reason", "x", "--dry-run") == 0
    assert terminal.out.splitlines() == [
        "model:         m",
        "problems:      a",
        "               b",
        f"pro:           waits for the end of its freeze, {AT}",
        "               asks for 1 of A",
        "               place model  w/m: by copying",
        "               PUT  e",
    ]


ITEM = {"id": ID, "state": "Rejected", "repository": "a" * 60, "tags": ["v1"], "updated": AT, "reason": "why " * 30}


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_table_cuts_nothing_on_a_terminal_of_any_width(app: App, columns: int) -> None:
    short = {**ITEM, "id": "f" * 16, "repository": "a/b", "reason": ""}
    app.answer("GET", "/api/promotions", {"items": [ITEM, short], "next": None})
    shown = _on_a_terminal(columns, "promotions")
    assert ID in shown
    assert "a" * 60 in shown
    assert shown.count("why") == 30
    assert "2026-11-26 04:02:18" in shown
    assert "\x1b[31mRejected" in shown


def test_where_no_color_is_set_there_is_none(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.answer("GET", "/api/promotions", {"items": [ITEM], "next": None})
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in _on_a_terminal(80, "promotions")


def test_standard_output_that_cannot_be_written_is_one_line(app: App) -> None:
    app.answer("GET", "/api/promotions", {"items": [ITEM], "next": None})
    command = [sys.executable, "-m", "tidegate.cli", "promotions"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=buffered)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("tidegate: ")


def _on_a_terminal(columns: int, *arguments: str) -> str:
    """What the command prints on a terminal of so many columns."""
    controller, terminal = pty.openpty()
    code = f"import sys; from tidegate.cli.commands import main; sys.exit(main({list(arguments)!r}))"
    with os.fdopen(controller, "rb") as screen:
        environment = os.environ | {"COLUMNS": str(columns)}
        done = subprocess.Popen([sys.executable, "-c", code], stdout=terminal, stderr=terminal, env=environment)
        os.close(terminal)
        shown = b""
        try:
            while piece := screen.read1():
                shown += piece
        except OSError:  # Linux says so when the other side of a terminal is closed
            pass
    assert done.wait(30) == 0
    return shown.decode()
