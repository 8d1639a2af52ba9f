"""The HTTP API: promotions by hand, the list of promotions, dead letters. Described by openapi.json beside this file."""

from __future__ import annotations

import pathlib

import azure.functions as func

from functions.answers import answering, json_body, json_response, whole_number
from tidegate.bootstrap import runtime
from tidegate.promotions import PAGE, wish
from tidegate.views import dead_letter_json, plan_json, promotion_json, summary_json

blueprint = func.Blueprint()

OPENAPI = pathlib.Path(__file__).with_name("openapi.json")
LOG_LIMIT = 256 * 1024


@blueprint.function_name("request_promotion")
@blueprint.route("promotions", methods=["POST"])
@answering
def request_promotion(req: func.HttpRequest) -> func.HttpResponse:
    """Ask for a promotion by hand, or for the plan of one."""
    asked = wish(json_body(req))
    promotions = runtime().promotions
    if asked.dry_run:
        return json_response(plan_json(promotions.plan(asked)))
    identity = promotions.request(asked, "a function key", runtime().new_id())
    location = f"/api/promotions/{identity}"
    return json_response({"id": identity, "href": location}, 202, {"Location": location})


@blueprint.function_name("list_promotions")
@blueprint.route("promotions", methods=["GET"])
@answering
def list_promotions(req: func.HttpRequest) -> func.HttpResponse:
    """One page of promotions, newest first."""
    query = req.params
    limit = whole_number(req, "limit", PAGE)
    page, cursor = runtime().promotions.listed(query.get("state"), query.get("repository"), limit, query.get("cursor"))
    return json_response({"items": [summary_json(entry) for entry in page], "next": cursor})


@blueprint.function_name("show_promotion")
@blueprint.route("promotions/{id}", methods=["GET"])
@answering
def show_promotion(req: func.HttpRequest) -> func.HttpResponse:
    """One promotion: state, tags, evidence, history."""
    return json_response(promotion_json(runtime().promotions.one(req.route_params["id"])))


@blueprint.function_name("show_promotion_log")
@blueprint.route("promotions/{id}/log", methods=["GET"])
@answering
def show_promotion_log(req: func.HttpRequest) -> func.HttpResponse:
    """The end of the kept test log, as it was: data, never markup."""
    log = runtime().promotions.log(req.route_params["id"], LOG_LIMIT)
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
    return func.HttpResponse(log, mimetype="text/plain", charset="utf-8", headers=headers)


@blueprint.function_name("list_dead_letters")
@blueprint.route("dead-letters", methods=["GET"])
@answering
def list_dead_letters(req: func.HttpRequest) -> func.HttpResponse:
    """Events that nobody could take: refused by Event Grid's endpoint, malformed, or given up on."""
    limit = whole_number(req, "limit", PAGE)
    page, cursor = runtime().dead_letters.listed(limit, req.params.get("cursor"))
    return json_response({"items": [dead_letter_json(each) for each in page], "next": cursor})


@blueprint.function_name("replay_dead_letter")
@blueprint.route("dead-letters/{id}/replay", methods=["POST"])
@answering
def replay_dead_letter(req: func.HttpRequest) -> func.HttpResponse:
    """Let a dead letter come in once more; it leaves the list when it was taken."""
    runtime().dead_letters.replay(req.route_params["id"])
    return json_response({"replayed": req.route_params["id"]}, 202)


@blueprint.function_name("openapi")
@blueprint.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """The description of this API."""
    return func.HttpResponse(OPENAPI.read_bytes(), mimetype="application/json", charset="utf-8")
