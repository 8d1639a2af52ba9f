"""The console's own modules, run by Node.js: words for states and times, places as addresses, calls, and what may be done."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from functions import console
from tidegate.api.deliveries import SHOWN
from tidegate.api.promotions import STATES

FOLDER = Path(console.__file__).with_name("console_files")
ROOT = Path(__file__).parents[2]


def _node(expression: str) -> Any:
    """The value of an expression over the modules, as JSON."""
    node = shutil.which("node", path=f"{ROOT / '.tools' / 'bin'}:/usr/local/bin:/usr/bin:/bin")
    assert node, "Node.js is there: set-up finds or installs it for Azurite"
    modules = ("address", "api", "story", "words")
    imports = "".join(f"import * as {name} from {json.dumps((FOLDER / f'{name}.mjs').as_uri())};" for name in modules)
    code = f"{imports} {_BROWSER} console.log(JSON.stringify(await ({expression})))"
    done = subprocess.run(
        [node, "--input-type=module", "-e", code], capture_output=True, text=True, check=True, timeout=30
    )
    return json.loads(done.stdout)


_BROWSER = """
globalThis.kept = {}; globalThis.sent = []; globalThis.told = [];
globalThis.sessionStorage = { getItem: (name) => kept[name] ?? null, setItem: (name, text) => { kept[name] = text; } };
globalThis.document = { baseURI: "https://app.example/api/console" };
globalThis.fetch = async (url, options) => {
  sent.push([String(url), options.headers]);
  return new Response('{"detail": "token: it has expired"}', { status: 401 });
};
api.refusals.addEventListener("refused", (event) => told.push(event.detail));
"""
"""What of a browser the modules use; its only answer is a 401."""


@pytest.mark.parametrize(
    ("state", "cause", "offered"),
    [
        ("Rejected", "test", "Promote all the same"),
        ("Rejected", "referrers", "Promote all the same"),
        ("Rejected", "conflict", "Try again"),
        ("Rejected", "missing", "Try again"),
        ("Errored", None, "Try again"),
    ],
)
def test_responsibility_is_only_asked_for_where_it_can_be_taken(state: str, cause: str | None, offered: str) -> None:
    found = json.dumps({"state": state, "cause": cause, "repository": "a/b", "digest": "sha256:1"})
    labels = f"story.actions('images', {found}).map((each) => [each.label, each.body.override])"
    assert _node(labels) == [[offered, offered == "Promote all the same"]]


def test_a_step_without_an_answer_is_told_in_words() -> None:
    retry = {"step": "ImportImage", "tries": 7, "since": "2020-03-02T08:00:00Z", "next": "2020-03-02T08:05:00Z"}
    words = _node(f"story.tried({json.dumps({'retries': [{**retry, 'reason': '503'}]})})")
    assert re.fullmatch(r"import image, 7 times since 2020-03-02 [0-9:]+, next at 2020-03-02 [0-9:]+: 503", words)
    assert _node("story.tried({})") == ""


def test_a_token_is_told_from_a_key_by_its_dots() -> None:
    assert _node("[api.shown('a.b.c'), api.shown('a-key'), api.shown('')]") == [
        {"Authorization": "Bearer a.b.c"},
        {"X-Api-Key": "a-key"},
        {},
    ]


def test_a_session_that_has_ended_is_told_whatever_asked_and_in_the_apps_words() -> None:
    asked = "api.setKey('a.b.c'), await api.call('/deliveries').catch((error) => [error.status, error.message])"
    refusal, told, sent = _node(f"(async () => [({asked}), told, sent])()")
    assert (refusal, told) == ([401, "token: it has expired"], ["token: it has expired"])
    assert sent == [
        ["https://app.example/api/deliveries", {"Accept": "application/json", "Authorization": "Bearer a.b.c"}]
    ]


_STAGE = {"endpoint": {"champion": "digits:2", "challenger": None, "held": None, "state": "Serving"}}


@pytest.mark.parametrize(
    ("version", "offered"), [("2", ["Reject", "Roll back", "Hold"]), ("1", ["Reject", "Hold"])], ids=["serves", "gone"]
)
def test_a_rollback_is_offered_where_this_version_serves(version: str, offered: list[str]) -> None:
    found = {"id": "1", "state": "Delivered", "model": "digits", "version": version, "stages": [_STAGE]}
    assert _node(f"story.actions('models', {json.dumps(found)}).map((each) => each.label)") == offered


def test_the_inbox_lists_every_state_that_somebody_has_to_look_at() -> None:
    inbox = (FOLDER / "console.mjs").read_text().partition("const INBOX = [")[2].partition("];")[0]
    listed = {(kind, state) for kind, state in re.findall(r'"(images|models)", "(\w+)"\]', inbox)}
    bad = {("images", state) for state in STATES if _MOODS[state] == "bad"}
    bad |= {("models", state) for state in SHOWN.values() if _MOODS[state] == "bad"}
    assert listed == bad | {("models", "AwaitingApproval")}


def test_a_clock_says_the_day_where_it_was_not_today() -> None:
    now = "new Date(2026, 0, 2, 12)"
    assert _node(f"words.clock(new Date(2026, 0, 2, 3, 4, 5), {now})") == "03:04:05"
    assert _node(f"words.clock(new Date(2026, 0, 1, 23, 4, 5), {now})") == "2026-01-01 23:04:05"
    assert _node("words.clock('no time')") == ""


def test_a_place_survives_the_address_and_what_is_empty_is_left_out() -> None:
    place = {"view": "images", "repository": "a/b & c=d", "state": "Rejected"}
    assert _node(f"address.read(address.write({json.dumps(place)}))") == place
    assert _node("address.write({view: 'images', state: '', id: undefined})") == "?view=images"
    assert _node("address.write({})") == ""


def test_every_state_has_a_mood_and_only_those_under_way_are_busy() -> None:
    ended = {"Promoted", "Delivered", "Rejected", "Errored", "Failed", "RolledBack", "Ignored", "Superseded"}
    for state in {*STATES, *SHOWN.values()}:
        assert (_MOODS[state] != "busy") == (state in ended), state


def test_times_are_told_in_one_unit() -> None:
    now = "Date.parse('2026-01-02T00:00:00Z')"
    ages = {"2026-01-01T23:59:58Z": "2 s ago", "2026-01-01T23:00:00Z": "1 h ago", "2025-12-30T00:00:00Z": "3 d ago"}
    for time, words in ages.items():
        assert _node(f"words.ago('{time}', {now})") == words
    assert _node("words.ago('no time')") == ""


def test_sizes_and_digests_are_short() -> None:
    assert _node("[words.size(0), words.size(1023), words.size(1536), words.size(5e9)]") == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "4.7 GiB",
    ]
    assert _node("words.short('sha256:0123456789abcdef')") == "0123456789ab"
    assert _node("words.spoken('RolledBack')") == "rolled back"


_MOODS: dict[str, str] = _node(
    f"Object.fromEntries({json.dumps(sorted({*STATES, *SHOWN.values()}))}.map(state => [state, words.mood(state)]))"
)
