"""A function app that has one of each thing the host must carry."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import time

import azure.functions as func

app = func.FunctionApp()


@app.function_name("http_echo")
@app.route(route="echo/{word}/{rest?}", methods=["GET", "POST"], auth_level=func.AuthLevel.FUNCTION)
def http_echo(req: func.HttpRequest) -> func.HttpResponse:
    """What arrived, as JSON."""
    seen = {
        "method": req.method,
        "url": req.url,
        "route": dict(req.route_params),
        "query": dict(req.params),
        "header": req.headers.get("x-test"),
        "body": req.get_body().decode(),
        "pid": os.getpid(),
    }
    return func.HttpResponse(json.dumps(seen), status_code=201, mimetype="application/json", headers={"X-Seen": "yes"})


@app.function_name("cookies")
@app.route(auth_level=func.AuthLevel.ANONYMOUS)
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("ok")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly; SameSite=Lax")
    response.headers.add("Set-Cookie", "b=2; Max-Age=60; Secure")
    return response


@app.function_name("misbehave")
@app.route(route="misbehave/{how}", auth_level=func.AuthLevel.ANONYMOUS)
def misbehave(req: func.HttpRequest) -> str:
    match str(req.route_params["how"]):
        case "raise":
            raise ValueError("no such luck")
        case "exit":
            sys.exit(3)
        case "crash":
            os.abort()
        case "sleep":
            time.sleep(60)
        case "print":
            sys.stdout.write("printed by the app\n")
        case "log":
            logging.getLogger("app").warning("logged by the app")
        case other:
            raise LookupError(other)
    return "fine"


@app.function_name("one_event")
@app.event_grid_trigger(arg_name="event")
async def one_event(event: func.EventGridEvent, context: func.Context) -> None:
    data = event.get_json()
    if data.get("fail"):
        raise RuntimeError("cannot take this event")
    logging.getLogger("app").info("event %s of kind %s", event.id, type(event).__name__)
    await asyncio.sleep(0)


@app.function_name("work")
@app.queue_trigger(arg_name="message", queue_name="%WORK_QUEUE%", connection="STORAGE")
@app.queue_output(arg_name="done", queue_name="done", connection="STORAGE")
def work(message: func.QueueMessage, done: func.Out[str]) -> None:
    """Repeats the message to `done`; obeys the words fail and hang-once."""
    text = message.get_body().decode()
    done.set(f"{text} {message.dequeue_count} {os.getpid()}")
    if text == "fail":
        raise RuntimeError("told to fail")
    if text == "hang-once" and message.dequeue_count == 1:
        threading.Event().wait()
