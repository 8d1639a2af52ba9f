"""The command line, against an app that answers as it is told."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from tests.cli.conftest import App, Terminal
from tidegate.api.deliveries import SHOWN
from tidegate.cli import following
from tidegate.cli.connection import Connection, Profile
from tidegate.cli.problems import Problem
from tidegate.flows.deliveries import delivery_states
from tidegate.flows.images import image_states
from tidegate.identity import key_holders

DIGEST = "sha256:" + "a" * 64
ID = "0123456789abcdef"


def test_json_is_the_answer_unchanged_and_alone_on_standard_output(app: App, terminal: Terminal) -> None:
    page = {"items": [{"id": ID, "state": "Promoted", "repository": "training/litter", "tags": ["v1"]}], "next": None}
    app.answer("GET", "/api/promotions", page)
    assert terminal.run("promotions", "--state", "Promoted", "--json") == 0
    assert json.loads(terminal.out) == page
    assert app.asked[0][1] == "/api/promotions?state=Promoted&limit=50"


def test_a_list_is_as_long_as_its_limit_however_many_pages_the_api_gives(app: App, terminal: Terminal) -> None:
    for cursor in ("2", "3", "4"):
        items = [{"id": f"{cursor}-{number}"} for number in range(200)]
        app.answer("GET", "/api/promotions", {"items": items, "next": cursor})
    assert terminal.run("promotions", "--limit", "450", "--json") == 0
    assert [asked[1].partition("?")[2] for asked in app.asked] == [
        "limit=200",
        "limit=200&cursor=2",
        "limit=50&cursor=3",
    ]
    assert json.loads(terminal.out)["next"] == "4"
    assert terminal.run("promotions", "--limit", "200") == 0
    assert "There are more than these 200" in terminal.err


def test_a_list_into_a_pipe_is_one_line_an_entry_divided_by_tabs(app: App, terminal: Terminal) -> None:
    item = {"id": ID, "state": "Rejected", "repository": "a/b", "tags": ["v1", "v2"], "reason": "two\nlines\x1b[2J"}
    app.answer("GET", "/api/promotions", {"items": [item], "next": None})
    assert terminal.run("promotions") == 0
    assert terminal.out == f"{ID}\tRejected\ta/b\tv1, v2\t\ttwo lines [2J\n"


@pytest.mark.parametrize(
    ("image", "named"),
    [("a/b:v1", {"repository": "a/b", "tag": "v1"}), (f"a/b@{DIGEST}", {"repository": "a/b", "digest": DIGEST})],
)
def test_promote_names_the_image_by_tag_or_by_digest(
    app: App, terminal: Terminal, image: str, named: dict[str, str]
) -> None:
    app.answer("POST", "/api/promotions", {"id": ID}, 202)
    assert terminal.run("promote", image, "--reason", "release") == 0
    assert app.asked[0][3] == {**named, "reason": "release", "override": False, "dry_run": False}
    assert ID in terminal.err


def test_waiting_says_each_change_and_ends_with_the_state(
    app: App, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY", 0.0)
    app.answer("POST", "/api/promotions", {"id": ID}, 202)
    for state in ("Testing", "Testing", "Importing", "Promoted"):
        app.answer("GET", f"/api/promotions/{ID}", {"id": ID, "state": state})
    assert terminal.run("promote", "a/b:v1", "--reason", "x", "--wait", "--json") == 0
    said = [line.split()[1] for line in terminal.err.splitlines()]
    assert said == ["Testing", "Importing", "Promoted"]
    assert json.loads(terminal.out)["state"] == "Promoted"


def test_a_rejected_image_makes_the_exit_status_3(app: App, terminal: Terminal) -> None:
    app.answer("POST", "/api/promotions", {"id": ID}, 202)
    app.answer("GET", f"/api/promotions/{ID}", {"id": ID, "state": "Rejected", "reason": "exit status 1"})
    assert terminal.run("promote", "a/b:v1", "--reason", "x", "--wait") == 3
    assert "Rejected: exit status 1" in terminal.err


def test_a_wait_that_is_over_before_the_work_makes_the_exit_status_8(app: App, terminal: Terminal) -> None:
    app.answer("GET", f"/api/promotions/{ID}", {"id": ID, "state": "Testing"})
    assert terminal.run("show", ID, "--wait", "--timeout", "0") == 8
    assert f"tidegate show {ID} --wait" in terminal.err


def test_an_app_that_is_away_for_a_moment_does_not_end_the_wait(
    app: App, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "EVERY", 0.0)
    app.answer("POST", "/api/promotions", {"id": ID}, 202)
    for status, state in ((200, "Testing"), (503, "no state"), (503, "no state"), (200, "Promoted")):
        app.answer("GET", f"/api/promotions/{ID}", {"id": ID, "state": state, "detail": "storage"}, status)
    assert terminal.run("promote", "a/b:v1", "--reason", "x", "--wait") == 0
    assert [line.partition("  ")[2] for line in terminal.err.splitlines()] == [
        "Testing",
        "no answer: storage (HTTP 503)",
        "Promoted",
    ]


def test_an_interrupted_wait_says_that_the_work_goes_on(app: App) -> None:
    app.answer("GET", f"/api/promotions/{ID}", {"id": ID, "state": "Testing"})
    waiting = following.Waiting(Connection(Profile(app.url)), 60, watched=False, pause=_interrupt)
    with pytest.raises(Problem, match="the work itself goes on") as caught:
        waiting.until_end(f"/promotions/{ID}")
    assert (caught.value.status, caught.value.todo) == (8, f"Go on waiting with: tidegate show {ID} --wait")


def _interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_what_is_watched_is_one_line_of_json_for_each_change(app: App, terminal: Terminal) -> None:
    app.answer("GET", f"/api/promotions/{ID}", {"id": ID, "state": "Promoted"})
    assert terminal.run("show", ID, "--watch") == 0
    assert [json.loads(line)["state"] for line in terminal.out.splitlines()] == ["Promoted"]


def test_endpoints_are_listed_with_who_serves_and_who_comes(app: App, terminal: Terminal) -> None:
    entry = {
        "endpoint": "digits-pro",
        "workspace": "vision-pro",
        "state": "Held",
        "champion": "digits:2",
        "delivery": ID,
    }
    app.answer("GET", "/api/endpoints", {"items": [{**entry, "challenger": None, "reason": "audit"}], "next": None})
    assert terminal.run("endpoints", "--state", "Held") == 0
    assert terminal.out == f"digits-pro\tvision-pro\tHeld\tdigits:2\t\t{ID}\t\taudit\n"
    assert app.asked[0][1] == "/api/endpoints?state=Held&limit=50"


def test_show_finds_deliveries_as_well(app: App, terminal: Terminal) -> None:
    app.answer("GET", f"/api/deliveries/{ID}", {"id": ID, "state": "Delivered", "model": "digits"})
    assert terminal.run("show", ID) == 0
    assert "model:         digits" in terminal.out


def test_show_says_what_is_tried_again_and_why(app: App, terminal: Terminal) -> None:
    retry = {
        "step": "ImportImage",
        "tries": 7,
        "since": "2026-03-02T08:00:00Z",
        "next": "2026-03-02T08:05:00Z",
        "reason": "503",
    }
    app.answer("GET", f"/api/promotions/{ID}", {"id": ID, "state": "Importing", "retries": [retry]})
    assert terminal.run("show", ID) == 0
    assert "ImportImage, 7 times since 2026-03-02T08:00:00Z, next 2026-03-02T08:05:00Z: 503" in terminal.out


def test_show_says_what_it_looked_for_where_there_is_neither(app: App, terminal: Terminal) -> None:
    assert terminal.run("show", ID) == 5
    assert f"there is no promotion and no delivery {ID}" in terminal.err


def test_a_yes_where_nobody_is_asked_is_refused_before_it_is_sent(app: App, terminal: Terminal) -> None:
    found = {"id": ID, "model": "digits", "version": "7", "state": "Delivered", "stage": None, "evidence": None}
    app.answer("GET", f"/api/deliveries/{ID}", found)
    assert terminal.run("approve", ID, "--reason", "x") == 3
    assert "digits:7 waits for no approval: it is Delivered" in terminal.err
    assert [asked[0] for asked in app.asked] == ["GET"]


def test_a_yes_is_bound_to_what_was_shown(app: App, terminal: Terminal) -> None:
    app.answer(
        "GET", f"/api/deliveries/{ID}", {"id": ID, "model": "digits", "version": "7", "stage": "pro", "evidence": "e1"}
    )
    app.answer("POST", f"/api/deliveries/{ID}/approve", {"id": ID}, 202)
    assert terminal.run("approve", ID, "--reason", "looks good") == 0
    assert app.asked[-1][3] == {"reason": "looks good", "evidence": "e1"}
    assert "approving digits:7 for pro, evidence e1" in terminal.err
    assert terminal.run("approve", ID, "--reason", "x", "--evidence", "e0") == 0
    assert app.asked[-1][3] == {"reason": "x", "evidence": "e0"}


@pytest.mark.parametrize("act", ["rollback", "hold", "release"])
def test_what_is_done_to_endpoints_may_name_one_stage(app: App, terminal: Terminal, act: str) -> None:
    app.answer("POST", f"/api/deliveries/{ID}/{act}", {"id": ID, "stages": ["int", "pro"]}, 202)
    assert terminal.run(act, ID, "--reason", "x") == 0
    assert app.asked[-1][3] == {"reason": "x"}
    assert f"{act} asked for at int, pro" in terminal.err
    assert terminal.run(act, ID, "--reason", "x", "--stage", "pro") == 0
    assert app.asked[-1][3] == {"reason": "x", "stage": "pro"}


def test_deliver_names_model_version_and_workspace(app: App, terminal: Terminal) -> None:
    app.answer("POST", "/api/deliveries", {"id": ID}, 202)
    assert terminal.run("deliver", "digits:7", "--workspace", "vision", "--reason", "x") == 0
    wanted = {"model": "digits", "version": "7", "workspace": "vision", "reason": "x", "dry_run": False}
    assert app.asked[-1][3] == wanted


def test_an_id_is_data_and_never_a_path(app: App, terminal: Terminal) -> None:
    assert terminal.run("replay", "../promotions?x=") == 5
    assert app.asked[-1][1] == "/api/dead-letters/..%2Fpromotions%3Fx%3D/replay"


@pytest.mark.parametrize("identity", ["", ".", ".."])
def test_an_id_that_would_make_another_path_is_asked_of_nobody(app: App, terminal: Terminal, identity: str) -> None:
    assert terminal.run("show", identity) == 2
    assert not app.asked


@pytest.mark.parametrize(
    ("status", "exit_status"), [(400, 2), (401, 4), (302, 4), (403, 3), (404, 5), (409, 3), (500, 1), (503, 1)]
)
def test_every_refusal_has_its_exit_status(app: App, terminal: Terminal, status: int, exit_status: int) -> None:
    app.answer("GET", "/api/dead-letters", {"title": "T", "detail": "the reason"}, status)
    assert terminal.run("dead-letters") == exit_status
    assert terminal.out == ""
    assert ("the reason" in terminal.err) == (status != 302)
    assert len(app.asked) == 1, "a redirect is not followed: it would carry the key away"


def test_who_is_unknown_beside_a_local_stack_is_told_where_its_key_is(app: App, terminal: Terminal) -> None:
    app.answer("GET", "/api/dead-letters", {"detail": "X-Api-Key: no such key"}, 401)
    assert terminal.run("dead-letters") == 4
    assert 'eval "$(.venv/bin/python -m local env)"' in terminal.err


def test_a_token_says_who_asks_or_else_a_key_does(
    app: App, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.answer("GET", "/api/dead-letters", {"items": [], "next": None})
    monkeypatch.setenv("TIDEGATE_KEY", "k")
    terminal.run("dead-letters")
    assert {name.lower(): value for name, value in app.asked[-1][2].items()}["x-api-key"] == "k"
    monkeypatch.setenv("TIDEGATE_TOKEN", "t")
    terminal.run("dead-letters")
    sent = {name.lower(): value for name, value in app.asked[-1][2].items()}
    assert (sent.get("x-api-key"), sent["authorization"]) == (None, "Bearer t")


def test_profiles_are_read_from_the_file(
    app: App, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEGATE_URL")
    (tmp_path / "tidegate").mkdir()
    (tmp_path / "tidegate" / "profiles.toml").write_text(f'[pro]\nurl = "{app.url}"\nkey = "of-the-file"\n')
    app.answer("GET", "/api/dead-letters", {"items": [], "next": None})
    assert terminal.run("--profile", "pro", "dead-letters") == 0
    assert {name.lower(): value for name, value in app.asked[-1][2].items()}["x-api-key"] == "of-the-file"
    assert terminal.run("--profile", "int", "dead-letters") == 2
    assert "no profile int" in terminal.err


def test_a_profile_that_is_named_wins_over_the_variables_of_the_shell(
    app: App, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TIDEGATE_KEY", "of-the-shell")
    (tmp_path / "tidegate").mkdir()
    entries = f'[pro]\nurl = "{app.url}"\nkey = "of-the-file"\n[default]\nurl = "{app.url}"\n'
    (tmp_path / "tidegate" / "profiles.toml").write_text(entries)
    app.answer("GET", "/api/dead-letters", {"items": [], "next": None})
    assert terminal.run("--profile", "pro", "dead-letters") == 0
    assert {name.lower(): value for name, value in app.asked[-1][2].items()}["x-api-key"] == "of-the-file"
    assert terminal.run("dead-letters") == 1, "the default profile gives what no variable does"


@pytest.mark.parametrize("key", ["ключ", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_named(
    app: App, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("TIDEGATE_KEY", key)
    assert terminal.run("dead-letters") == 2
    assert "TIDEGATE_KEY" in terminal.err


@pytest.mark.parametrize("url", ["nowhere", "https://", "https://[::1", "ftp://127.0.0.1"])
def test_what_is_no_address_is_shown_as_it_was_given(terminal: Terminal, url: str) -> None:
    assert terminal.run("--url", url, "health") == 2
    assert f"{url.rstrip('/')}: is no address" in terminal.err


def test_another_servers_404_is_told_as_what_it_is(app: App, terminal: Terminal) -> None:
    app.answer("GET", "/api/dead-letters", b"<h1>nginx</h1>", 404)
    assert terminal.run("dead-letters") == 5
    assert "not of a Tidegate app" in terminal.err


def test_no_key_goes_in_the_open(terminal: Terminal) -> None:
    assert terminal.run("--url", "http://example.org", "health") == 2
    assert "https://" in terminal.err


def test_an_app_that_is_not_there_is_named_with_what_to_do(terminal: Terminal) -> None:
    assert terminal.run("--url", "http://127.0.0.1:9", "health") == 1
    assert "http://127.0.0.1:9: no answer" in terminal.err


@pytest.mark.parametrize(
    "wrong",
    [
        ["promote", "a/b", "--reason", "x"],
        ["promote", "A/b:v1", "--reason", "x"],
        ["promote", "a/b:v1"],
        ["deliver", "digits", "--workspace", "vision", "--reason", "x"],
        ["promotions", "--limit", "0"],
        ["nonsense"],
    ],
)
def test_wrong_use_is_exit_status_2_and_asks_nobody(app: App, terminal: Terminal, wrong: list[str]) -> None:
    assert terminal.run(*wrong) == 2
    assert not app.asked


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["promote", "a/b", "--reason", "x"], "IMAGE: 'a/b' names no tag and no digest"),
        (["promote", "x.azurecr.io/a/b:v1", "--reason", "x"], "leave the registry out"),
        (["deliver", "digits", "--workspace", "w", "--reason", "x"], "MODEL: 'digits' names no version"),
        (["new-key", "bot", "--role", "A;B"], "--role: 'A;B' is no role"),
    ],
)
def test_wrong_use_is_told_by_what_is_wrong_with_it(app: App, terminal: Terminal, wrong: list[str], words: str) -> None:
    assert terminal.run(*wrong) == 2
    assert words in terminal.err


def test_a_log_is_printed_as_it_is_into_a_pipe(app: App) -> None:
    app.answer("GET", f"/api/promotions/{ID}/log", b"ok \x1b[31mred\xff\n")
    done = subprocess.run([sys.executable, "-m", "tidegate.cli", "log", ID], capture_output=True, check=True)
    assert done.stdout == b"ok \x1b[31mred\xff\n"


def test_the_plan_of_a_dry_run_is_printed(app: App, terminal: Terminal) -> None:
    plan = {"dry_run": True, "image": "x", "problems": [], "calls": [{"call": "import", "on": "r", "with": {}}]}
    app.answer("POST", "/api/promotions", plan)
    assert terminal.run("promote", "a/b:v1", "--reason", "x", "--dry-run") == 0
    assert "calls:         import  r\n" in terminal.out


def test_the_command_line_knows_every_end_of_promotions_and_deliveries() -> None:
    promotions = {kind.__name__ for kind in (image_states.Promoted, *get_args(image_states.Ended.__value__))}
    deliveries = {
        SHOWN[kind.__name__] for kind in (delivery_states.ModelIgnored, *get_args(delivery_states.Ended.__value__))
    }
    assert promotions | deliveries == following.GOOD | following.BAD


def test_a_new_key_is_what_its_setting_says(terminal: Terminal) -> None:
    assert terminal.run("new-key", "release-bot", "--role", "Operator", "--role", "Approver.int", "--json") == 0
    made = json.loads(terminal.out)
    (holder,) = key_holders(made["setting"], "TIDEGATE_API_KEYS")
    assert (holder.name, holder.roles) == ("release-bot", ("Operator", "Approver.int"))
    assert holder.sha256 == hashlib.sha256(made["key"].encode()).hexdigest()
    assert len(made["key"]) >= 40
    assert terminal.run("new-key", "Release Bot") == 2
