"""Every answer of the host to a request, without a socket and without an app."""

from __future__ import annotations

import asyncio
import json

import pytest

from local.functions_host.executor import Call
from local.functions_host.keys import HostKeys, KeyRing
from local.functions_host.messages import Binary, Failed, HttpRequest, HttpResponse, Json, Outcome, Succeeded, Text
from local.functions_host.routes import RouteTable, compile_route
from local.functions_host.web import App, Web
from local.functions_host.wire import Request, Response
from tests.functions_host.fakes import Runner, function

KEYS = HostKeys(
    "master-key", {"default": "function-key"}, {"eventgrid_extension": "grid-key", "other_extension": "other"}
)
HOOK = "/runtime/webhooks/eventgrid"
FUNCTIONS = [
    function("open", "httpTrigger", "$return:http", authLevel="ANONYMOUS"),
    function(
        "keyed", "httpTrigger", "$return:http", authLevel="FUNCTION", route="things/{id:int}/{part?}", methods=["GET"]
    ),
    function("admin_only", "httpTrigger", "$return:http", authLevel="ADMIN"),
    function("silent", "httpTrigger", authLevel="ANONYMOUS"),
    function("off", "httpTrigger", "$return:http", authLevel="FUNCTION"),
    function("grid", "eventGridTrigger"),
    function("grid_off", "eventGridTrigger"),
    function("jobs", "queueTrigger"),
]


def web(runner: Runner, keys: HostKeys | None = KEYS, wait_s: float = 0) -> Web:
    site = Web(KeyRing(keys), wait_s=wait_s)
    routes = [
        compile_route(
            each.name, each.trigger.settings.get("route", each.name), each.trigger.settings.get("methods", ()), "api"
        )
        for each in FUNCTIONS
        if each.trigger.type == "httpTrigger"
    ]
    by_name = {each.name: each for each in FUNCTIONS}
    site.serve(App(by_name, frozenset({"off", "grid_off"}), RouteTable(routes), runner))
    return site


def request(line: str, body: str | bytes = b"", **headers: str) -> Request:
    """`POST /path?query` and headers, `_` for `-` in their names."""
    method, target = line.split(" ")
    path, _, query = target.partition("?")
    raw = body.encode() if isinstance(body, str) else body
    length = {"content-length": str(len(raw))} if raw else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("http", method, path, query, {"host": "app.example"} | length | named, raw)


def answer(asked: Request, runner: Runner | None = None, **how: object) -> Response:
    async def ask() -> Response:
        return await web(runner or Runner(lambda _: Succeeded(Text("fine"))), **how).handle(asked)  # type: ignore[arg-type]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("line", "key", "status"),
    [
        pytest.param("GET /api/open", None, 200, id="anonymous needs no key"),
        pytest.param("GET /API/Open", None, 200, id="literals match in any case"),
        pytest.param("GET /api/open/", None, 200, id="a trailing slash changes nothing"),
        pytest.param("GET /open", None, 404, id="the prefix is part of the route"),
        pytest.param("GET /api/nothing", None, 404, id="no such route"),
        pytest.param("GET /api/things/7", "function-key", 200, id="function key"),
        pytest.param("GET /api/things/7/part", "function-key", 200, id="optional parameter"),
        pytest.param("GET /api/things/seven", "function-key", 404, id="constraint"),
        pytest.param("POST /api/things/7", "function-key", 404, id="a wrong method is no match"),
        pytest.param("POST /api/things/7", None, 404, id="the route is looked for before the key"),
        pytest.param("GET /api/things/7", None, 401, id="no key"),
        pytest.param("GET /api/things/7", "wrong", 401, id="wrong key"),
        pytest.param("GET /api/things/7", "grid-key", 401, id="a system key opens no function"),
        pytest.param("GET /api/things/7", "master-key", 200, id="the master key opens everything"),
        pytest.param("GET /api/things/7?code=function-key", None, 200, id="key in the query"),
        pytest.param("GET /api/things/7?code=function-key", "wrong", 401, id="the header wins over the query"),
        pytest.param("GET /api/admin_only", "function-key", 401, id="a function key is not admin"),
        pytest.param("GET /api/admin_only", "master-key", 200, id="admin level"),
        pytest.param("GET /api/off", None, 401, id="disabled, no key"),
        pytest.param("GET /api/off", "function-key", 404, id="disabled"),
        pytest.param("GET /api/off", "master-key", 200, id="disabled functions run for the administrator"),
    ],
)
def test_http_functions_open_to_the_right_key_and_route(line: str, key: str | None, status: int) -> None:
    headers = {"x_functions_key": key} if key else {}
    assert answer(request(line, **headers)).status == status


EVENT = {"id": "1", "data": {}}
BATCH = json.dumps([EVENT, EVENT])
VALIDATION = json.dumps([{"data": {"validationCode": "abc"}}])
CLOUD_VALIDATION = json.dumps({"data": json.dumps({"validationCode": "abc"})})


@pytest.mark.parametrize(
    ("line", "headers", "body", "status", "text"),
    [
        pytest.param("POST ?functionName=grid", {"aeg_event_type": "Notification"}, BATCH, 202, "", id="events"),
        pytest.param(
            "POST ?functionName=grid", {"aeg_event_type": "notification"}, json.dumps(EVENT), 202, "", id="bare event"
        ),
        pytest.param(
            "POST ?functionName=grid", {"aeg_event_type": "Notification"}, "[]", 202, "", id="no event at all"
        ),
        pytest.param(
            "POST ?functionName=nope",
            {},
            BATCH,
            404,
            "cannot find function: 'nope'",
            id="unknown function, before the header",
        ),
        pytest.param("POST ?functionName=GRID", {}, BATCH, 404, "cannot find function: 'GRID'", id="exact case"),
        pytest.param("POST ", {}, BATCH, 404, "cannot find function: ''", id="no function named"),
        pytest.param(
            "POST ?functionName=open", {}, BATCH, 404, "cannot find function: 'open'", id="not an Event Grid function"
        ),
        pytest.param("POST ?functionName=grid_off", {}, BATCH, 404, "cannot find function: 'grid_off'", id="disabled"),
        pytest.param("POST ?functionName=grid", {}, BATCH, 400, "", id="no event type"),
        pytest.param(
            "POST ?functionName=grid", {"aeg_event_type": "SubscriptionDeletion"}, BATCH, 400, "", id="other event type"
        ),
        pytest.param("POST ?functionName=grid", {"aeg_event_type": "Unsubscribe"}, "", 202, "", id="unsubscribe"),
        pytest.param("POST ?functionName=grid", {"aeg_event_type": "Notification"}, "{no", 500, "", id="not JSON"),
        pytest.param(
            "POST ?functionName=grid", {"aeg_event_type": "Notification"}, "7", 500, "", id="neither array nor object"
        ),
        pytest.param(
            "POST ?functionName=grid",
            {"aeg_event_type": "SubscriptionValidation"},
            VALIDATION,
            200,
            '{"validationResponse": "abc"}',
            id="handshake",
        ),
        pytest.param(
            "POST ?functionName=grid",
            {"aeg_event_type": "subscriptionvalidation"},
            CLOUD_VALIDATION,
            200,
            '{"validationResponse": "abc"}',
            id="handshake of CloudEvents, data in JSON in JSON",
        ),
        pytest.param(
            "POST ?functionName=grid",
            {"aeg_event_type": "SubscriptionValidation"},
            "[]",
            500,
            "",
            id="handshake with no event",
        ),
    ],
)
def test_the_event_grid_webhook_answers_as_the_extension_does(
    line: str, headers: dict[str, str], body: str, status: int, text: str
) -> None:
    method, query = line.split(" ")
    got = answer(request(f"{method} {HOOK}{query}", body, x_functions_key="grid-key", **headers))
    assert (got.status, got.body.decode()) == (status, text)


def test_options_consents_to_cloud_events_from_the_origin_that_asks() -> None:
    got = answer(
        request(f"OPTIONS {HOOK}?functionName=grid&code=grid-key", webhook_request_origin="eventgrid.azure.net")
    )
    assert (got.status, dict(got.headers)) == (200, {"Webhook-Allowed-Origin": "eventgrid.azure.net"})


@pytest.mark.parametrize(
    ("extension", "key", "status"),
    [
        ("eventgrid", None, 401),
        ("eventgrid", "wrong", 401),
        ("eventgrid", "function-key", 401),
        ("eventgrid", "other", 403),
        ("eventgrid", "grid-key", 202),
        ("EventGrid", "grid-key", 202),
        ("eventgrid", "master-key", 202),
        ("unknown", "grid-key", 403),
        ("unknown", "master-key", 404),
    ],
)
def test_the_webhook_opens_to_its_own_system_key_and_the_master_key(
    extension: str, key: str | None, status: int
) -> None:
    headers = {"x_functions_key": key} if key else {}
    asked = request(
        f"POST /runtime/webhooks/{extension}?functionName=grid", BATCH, aeg_event_type="Notification", **headers
    )
    assert answer(asked).status == status


def test_one_failed_event_fails_the_delivery_with_its_message_after_all_have_run() -> None:
    def outcome(call: Call) -> Outcome:
        return Failed("ValueError: second") if isinstance(call.data, Json) and "2" in call.data.value else Succeeded()

    runner = Runner(outcome)
    body = json.dumps([{"id": "1"}, {"id": "2"}, {"id": "3"}])
    got = answer(request(f"POST {HOOK}?functionName=grid&code=grid-key", body, aeg_event_type="Notification"), runner)
    assert got.status == 500
    assert got.body == b"Exception while executing function: Functions.grid. ValueError: second"
    assert [call.data for _, call in runner.calls] == [Json('{"id": "1"}'), Json('{"id": "2"}'), Json('{"id": "3"}')]


def test_an_events_trace_goes_on_in_its_function() -> None:
    runner = Runner()
    body = json.dumps({"id": "1", "traceparent": "00-aa-bb-01"})
    answer(request(f"POST {HOOK}?functionName=grid&code=grid-key", body, aeg_event_type="Notification"), runner)
    assert runner.calls[0][1].traceparent == "00-aa-bb-01"


def test_a_request_reaches_the_function_as_the_real_host_passes_it_on() -> None:
    runner = Runner(lambda _: Succeeded(Text("fine")))
    asked = request("GET /api/things/-7/a%2Fb?x=1&x=2&empty=&y=%20", "body", x_functions_key="function-key", x_test="v")
    answer(asked, runner)
    data = runner.calls[0][1].data
    assert isinstance(data, HttpRequest)
    assert data.url == "http://app.example/api/things/-7/a%2Fb?x=1&x=2&empty=&y=%20"
    assert data.query == {"x": "1,2", "y": " "}
    assert data.route == {"id": "-7", "part": "a/b"}
    assert (data.method, data.body, data.headers["x-test"]) == ("GET", b"body", "v")


def test_a_body_without_content_length_arrives_empty() -> None:
    runner = Runner(lambda _: Succeeded(Text("fine")))
    answer(Request("http", "POST", "/api/open", "", {"transfer-encoding": "chunked"}, b"chunk"), runner)
    data = runner.calls[0][1].data
    assert isinstance(data, HttpRequest)
    assert data.body == b""


@pytest.mark.parametrize(
    ("outcome", "status", "body", "content_type"),
    [
        pytest.param(Failed("boom", "trace"), 500, b"", None, id="failure: nothing of it is told"),
        pytest.param(Succeeded(Text("text")), 200, b"text", "text/plain; charset=utf-8", id="text"),
        pytest.param(Succeeded(Text('{"a": 1}')), 200, b'{"a": 1}', "text/plain; charset=utf-8", id="JSON without body"),
        pytest.param(Succeeded(Text('{"body": "b"')), 200, b'{"body": "b"', "text/plain; charset=utf-8", id="broken JSON"),
        pytest.param(
            Succeeded(Text('{"Body": {"a": 1}, "status": 418}')), 418, b'{"a": 1}', "application/json; charset=utf-8",
            id="response object",
        ),
        pytest.param(
            Succeeded(Text('{"body": "b", "headers": {"Content-Type": "x/y"}}')), 200, b"b", "x/y", id="its headers"
        ),
        pytest.param(Succeeded(Json("[1]")), 200, b"[1]", "application/json; charset=utf-8", id="json"),
        pytest.param(Succeeded(Binary(b"\xff")), 200, b"\xff", "application/octet-stream", id="bytes"),
        pytest.param(
            Succeeded(HttpResponse(201, (("content-type", "a/b"),), b"made")), 201, b"made", "a/b", id="response"
        ),
        pytest.param(Succeeded(), 204, b"", None, id="nothing returned"),
    ],
)  # fmt: skip
def test_what_a_function_returns_becomes_the_response(
    outcome: Outcome, status: int, body: bytes, content_type: str | None
) -> None:
    got = answer(request("GET /api/open"), Runner(lambda _: outcome))
    assert (got.status, got.body, dict(got.headers).get("content-type")) == (status, body, content_type)


def test_a_function_without_an_http_output_answers_204() -> None:
    assert answer(request("GET /api/silent"), Runner()).status == 204


@pytest.mark.parametrize(
    ("line", "body", "key", "status"),
    [
        ("POST /admin/functions/jobs", '{"input": "text"}', "master-key", 202),
        ("POST /admin/functions/jobs", '{"input": "text"}', "function-key", 401),
        ("POST /admin/functions/jobs", "", "master-key", 400),
        ("POST /admin/functions/jobs", "[]", "master-key", 400),
        ("POST /admin/functions/open", '{"input": "text"}', "master-key", 400),
        ("POST /admin/functions/nope", "{}", "master-key", 404),
        ("GET /admin/functions", "", "master-key", 200),
        ("GET /admin/nothing", "", "master-key", 404),
        ("GET /admin/host/status", "", "master-key", 200),
        ("GET /admin/host/status", "", "function-key", 401),
        ("GET /admin/host/ping", "", "", 200),
    ],
)
def test_the_admin_api_opens_to_the_master_key(line: str, body: str, key: str, status: int) -> None:
    assert answer(request(line, body, x_functions_key=key)).status == status


def test_a_function_started_by_hand_gets_the_input() -> None:
    async def ask() -> list[tuple[str, Call]]:
        runner = Runner()
        await web(runner).handle(
            request("POST /admin/functions/jobs", '{"input": "text"}', x_functions_key="master-key")
        )
        await asyncio.sleep(0)
        return runner.calls

    [(name, call)] = asyncio.run(ask())
    assert (name, call.data) == ("jobs", Text("text"))


def test_without_keys_every_caller_is_an_administrator() -> None:
    assert answer(request("GET /api/admin_only"), keys=None).status == 200
    assert answer(request("GET /admin/host/status"), keys=None).status == 200


@pytest.mark.parametrize("line", ["GET /admin/host/ping", "GET /api/open", f"POST {HOOK}?functionName=grid"])
def test_before_it_is_ready_the_host_answers_503(line: str) -> None:
    async def ask() -> Response:
        return await Web(KeyRing(KEYS), wait_s=0.01).handle(request(line))

    got = asyncio.run(ask())
    assert (got.status, got.body) == (503, b"Function host is not running.")


def test_a_request_waits_for_the_host_to_become_ready() -> None:
    async def ask() -> Response:
        site = Web(KeyRing(KEYS), wait_s=10)
        asked = asyncio.create_task(site.handle(request("GET /api/open")))
        await asyncio.sleep(0)
        assert not asked.done()
        site.serve(
            App({"open": FUNCTIONS[0]}, frozenset(), RouteTable([compile_route("open", "open", (), "api")]), Runner())
        )
        return await asked

    assert asyncio.run(ask()).status == 204


def test_a_host_whose_app_failed_says_why_to_the_administrator_alone() -> None:
    async def ask() -> tuple[Response, Response, Response]:
        site = Web(KeyRing(KEYS), wait_s=10)
        site.fail(["ImportError: no module"])
        status = await site.handle(request("GET /admin/host/status?code=master-key"))
        return await site.handle(request("GET /api/open")), await site.handle(request("GET /admin/host/ping")), status

    function_, ping, status = asyncio.run(ask())
    assert (function_.status, ping.status, status.status) == (503, 503, 200)
    document = json.loads(status.body)
    assert (document["state"], document["errors"]) == ("Error", ["ImportError: no module"])
