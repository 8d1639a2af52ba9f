"""The whole host, started as users start it: command line, socket, worker process, real library."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

from tests.functions_host.hosting import APPS, ROOT, Hosting, hosting, until

EVENT = {
    "id": "event-1",
    "topic": "/t",
    "subject": "s",
    "eventType": "Happened",
    "eventTime": "2026-11-25T18:00:00.1234567Z",
    "data": {"n": 1},
    "dataVersion": "1",
}
CLOUD_EVENT = {"specversion": "1.0", "id": "event-2", "source": "/t", "type": "Happened", "data": {"n": 1}}

HANGING = """
    import threading
    app = func.FunctionApp()

    @app.route(auth_level=func.AuthLevel.ANONYMOUS)
    def hang(req: func.HttpRequest) -> str:
        threading.Event().wait()
"""


def app_of(folder: pathlib.Path, source: str, host: str = '{"version": "2.0"}') -> pathlib.Path:
    (folder / "host.json").write_text(host)
    (folder / "function_app.py").write_text("import azure.functions as func\n" + textwrap.dedent(source))
    return folder


def test_an_http_function_answers_through_socket_and_process(host: Hosting) -> None:
    headers = {"x-functions-key": host.keys.default, "X-Test": "v"}
    answer = host.send("POST", "/api/echo/hi?a=1&a=2", b"body", headers)
    assert (answer.status, answer.headers["content-type"], answer.headers["x-seen"]) == (201, "application/json", "yes")
    seen = json.loads(answer.body)
    assert seen.pop("pid") == host.worker()
    assert seen == {
        "method": "POST",
        "url": f"http://127.0.0.1:{host.port}/api/echo/hi?a=1&a=2",
        "route": {"word": "hi"},
        "query": {"a": "1,2"},
        "header": "v",
        "body": "body",
    }


def test_every_cookie_of_a_response_is_sent(host: Hosting) -> None:
    assert host.send("GET", "/api/cookies").headers["set-cookie"] == "b=2; Max-Age=60; Secure"


@pytest.mark.parametrize(
    ("event", "kind"), [(EVENT, "EventGridEvent"), (CLOUD_EVENT, "CloudEvent")], ids=["Event Grid", "CloudEvents"]
)
def test_an_event_of_either_schema_reaches_its_function(host: Hosting, event: dict[str, object], kind: str) -> None:
    assert host.publish("one_event", event).status == 202
    [line] = host.logged(f"event {event['id']} of kind {kind}")
    assert line["function"] == "one_event"
    assert len(line["invocation_id"]) == 36


def test_a_failed_event_is_answered_500_so_that_event_grid_sends_again(host: Hosting) -> None:
    answer = host.publish("one_event", EVENT, EVENT | {"data": {"fail": True}})
    assert answer.status == 500
    assert answer.body.endswith("RuntimeError: cannot take this event")


def test_a_function_that_raises_is_an_empty_500_and_its_traceback_is_in_the_log(host: Hosting) -> None:
    answer = host.send("GET", "/api/misbehave/raise")
    assert (answer.status, answer.body) == (500, "")
    [line] = host.logged('raise ValueError("no such luck")')
    assert (line["level"], line["function"]) == ("ERROR", "misbehave")


def test_the_apps_log_records_carry_the_invocation_that_wrote_them(host: Hosting) -> None:
    before = len([line for line in host.lines() if line["message"] == "logged by the app"])
    host.send("GET", "/api/misbehave/log")
    record = until(lambda: [line for line in host.lines() if line["message"] == "logged by the app"][before:])[0]
    [end] = [line for line in host.logged("Executed") if line["invocation_id"] == record["invocation_id"]]
    assert (record["logger"], record["level"], record["function"]) == ("app", "WARNING", end["function"])


def test_what_the_app_prints_is_in_the_log(host: Hosting) -> None:
    assert host.send("GET", "/api/misbehave/print").body == "fine"
    assert host.logged("printed by the app")[0]["logger"] == "Host.Worker"


def test_a_worker_killed_while_idle_is_replaced_before_the_next_call(host: Hosting) -> None:
    first = host.worker()
    os.kill(first, signal.SIGKILL)
    until(lambda: host.status()["worker"]["pid"] != first)  # noticed; its successor is still starting
    assert host.send("GET", "/api/misbehave/log").status == 200
    assert host.worker() != first


def test_a_worker_killed_in_a_call_fails_that_call_and_serves_the_next(host: Hosting) -> None:
    pid = host.worker()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        sleeping = pool.submit(host.send, "GET", "/api/misbehave/sleep")
        until(lambda: host.status()["running"])
        os.kill(pid, signal.SIGKILL)
        assert (sleeping.result(10).status, sleeping.result().body) == (500, "")
    assert host.send("GET", "/api/misbehave/log").status == 200


def test_a_function_that_calls_exit_does_not_end_the_host(host: Hosting) -> None:
    assert host.send("GET", "/api/misbehave/exit").status == 500
    assert host.send("GET", "/api/misbehave/log").status == 200


def test_an_app_that_cannot_be_loaded_leaves_a_host_that_says_why() -> None:
    with hosting(APPS / "broken", ready=False) as host:
        errors = until(lambda: host.status()["errors"])
        assert "No module named 'no_such_library'" in errors[0]
        assert host.status()["state"] == "Error"
        assert host.send("GET", "/api/anything").status == 503
        assert host.publish("anything").status == 503
        assert len(host.logged("No module named 'no_such_library'")) == 1
        assert "Traceback" in host.logged("No module named")[0]["message"]
        assert host.stop() == 0


def test_an_app_that_can_no_longer_be_loaded_when_its_worker_is_replaced_puts_the_host_in_error(
    tmp_path: pathlib.Path,
) -> None:
    app = app_of(tmp_path, "app = func.FunctionApp()")
    with hosting(app) as host:
        (app / "function_app.py").write_text("import no_such_library")
        os.kill(host.worker(), signal.SIGKILL)
        until(lambda: host.status()["state"] == "Error")
        assert host.send("GET", "/api/anything").status == 503
        assert host.stop() == 0


def test_a_function_that_cannot_run_is_reported_and_the_others_run(tmp_path: pathlib.Path) -> None:
    app = app_of(
        tmp_path,
        """
        app = func.FunctionApp()

        @app.queue_trigger(arg_name="m", queue_name="q", connection="NO_SUCH_SETTING")
        def unconnected(m: func.QueueMessage) -> None: ...

        @app.timer_trigger(arg_name="t", schedule="often")
        def unscheduled(t: func.TimerRequest) -> None: ...

        @app.blob_trigger(arg_name="b", path="x/y", connection="C")
        def unsupported(b: func.InputStream) -> None: ...

        @app.route(auth_level=func.AuthLevel.ANONYMOUS)
        def fine(req: func.HttpRequest) -> str:
            return "fine"
        """,
    )
    with hosting(app) as host:
        errors = " ".join(host.status()["errors"])
        assert "'unconnected' function is in error: no storage connection 'NO_SUCH_SETTING'" in errors
        assert "'unscheduled' function is in error: 'often'" in errors
        assert "'unsupported' function is in error: this host has no blobTrigger" in errors
        assert host.send("GET", "/api/fine").body == "fine"


def test_local_settings_reach_the_app_and_the_environment_wins(tmp_path: pathlib.Path) -> None:
    app = app_of(
        tmp_path,
        """
        import os
        app = func.FunctionApp(http_auth_level=func.AuthLevel.ADMIN)

        @app.route()
        def settings(req: func.HttpRequest) -> str:
            return f"{os.environ['A']} {os.environ['B']} {os.getcwd()}"
        """,
    )
    (app / "local.settings.json").write_text('{"Values": {"A": "file", "B": "file"}}')
    with hosting(app, {"A": "process"}, ["--no-auth"]) as host:
        assert host.send("GET", "/api/settings").body == f"process file {app}"


def test_a_timer_runs_at_start_and_on_schedule_and_its_timeout_ends_its_process(tmp_path: pathlib.Path) -> None:
    app = app_of(
        tmp_path,
        """
        import logging, threading
        app = func.FunctionApp()

        @app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
        def tick(timer: func.TimerRequest) -> None:
            logging.info("tick, past due: %s", timer.past_due)

        @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
        def hang(timer: func.TimerRequest) -> None:
            threading.Event().wait()
        """,
        '{"version": "2.0", "functionTimeout": "00:00:00.3"}',
    )
    with hosting(app) as host:
        until(lambda: len(host.logged("tick, past due: False")) >= 2)
        assert host.logged("Timeout value of 0.3 s was exceeded by function: Functions.hang")
        assert host.logged("was ended by SIGKILL; starting another")


def test_sigterm_lets_a_running_function_end_and_answers_its_caller(tmp_path: pathlib.Path) -> None:
    app = app_of(
        tmp_path,
        """
        import os, time
        app = func.FunctionApp()

        @app.route(auth_level=func.AuthLevel.ANONYMOUS)
        def slow(req: func.HttpRequest) -> str:
            time.sleep(0.5)
            return "done"
        """,
    )
    with hosting(app) as host, concurrent.futures.ThreadPoolExecutor() as pool:
        slow, worker = pool.submit(host.send, "GET", "/api/slow"), host.worker()
        until(lambda: host.status()["running"])
        assert host.stop() == 0
        assert (slow.result(5).status, slow.result().body) == (200, "done")
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_the_stop_does_not_wait_for_ever(tmp_path: pathlib.Path) -> None:
    with (
        hosting(app_of(tmp_path, HANGING), options=["--stop-timeout", "0.1"]) as host,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        hanging = pool.submit(host.send, "GET", "/api/hang")
        until(lambda: host.status()["running"])
        assert host.stop() == 0
        assert isinstance(hanging.exception(10), Exception) or hanging.result().status == 500


def test_a_busy_worker_does_not_outlive_a_host_that_is_killed(tmp_path: pathlib.Path) -> None:
    with hosting(app_of(tmp_path, HANGING)) as host, concurrent.futures.ThreadPoolExecutor() as pool:
        worker, hanging = host.worker(), pool.submit(host.send, "GET", "/api/hang")
        until(lambda: host.status()["running"])
        host.process.kill()
        until(lambda: not pathlib.Path(f"/proc/{worker}").exists(), limit_s=5)
        assert hanging.exception(5) is not None


@pytest.mark.parametrize(
    "arguments", [["--app", "/nonexistent"], ["--app", str(APPS / "everything"), "--port", "{taken}"]]
)
def test_a_host_that_cannot_start_says_why_and_exits_with_1(
    host: Hosting, tmp_path: pathlib.Path, arguments: list[str]
) -> None:
    filled = [each.format(taken=host.port) for each in arguments]
    command = [sys.executable, "-m", "local.functions_host", "--keys", str(tmp_path), *filled]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert "functions host: " in ended.stderr
    assert "Traceback" not in ended.stderr
