"""The HTTP API: promotions by hand, the list of promotions, dead letters. Described by openapi.json beside this file."""

import pathlib

import azure.functions as func

from functions.answers import json_body, to_person
from tidegate.bootstrap import runtime

blueprint = func.Blueprint()

OPENAPI = pathlib.Path(__file__).with_name("openapi.json")


@blueprint.function_name("request_promotion")
@blueprint.route("promotions", methods=["POST"])
def request_promotion(req: func.HttpRequest) -> func.HttpResponse:
    """Ask for a promotion by hand, or for the plan of one."""
    return to_person(req, lambda person: runtime().api.request_promotion(json_body(req), person))


@blueprint.function_name("list_promotions")
@blueprint.route("promotions", methods=["GET"])
def list_promotions(req: func.HttpRequest) -> func.HttpResponse:
    """One page of promotions, newest first."""
    return to_person(req, lambda _: runtime().api.list_promotions(req.params))


@blueprint.function_name("show_promotion")
@blueprint.route("promotions/{id}", methods=["GET"])
def show_promotion(req: func.HttpRequest) -> func.HttpResponse:
    """One promotion: state, tags, evidence, history."""
    return to_person(req, lambda _: runtime().api.show_promotion(req.route_params["id"]))


@blueprint.function_name("show_promotion_log")
@blueprint.route("promotions/{id}/log", methods=["GET"])
def show_promotion_log(req: func.HttpRequest) -> func.HttpResponse:
    """The end of the kept test log."""
    return to_person(req, lambda _: runtime().api.show_log(req.route_params["id"]))


@blueprint.function_name("list_dead_letters")
@blueprint.route("dead-letters", methods=["GET"])
def list_dead_letters(req: func.HttpRequest) -> func.HttpResponse:
    """Events that nobody could take."""
    return to_person(req, lambda _: runtime().api.list_dead_letters(req.params))


@blueprint.function_name("show_dead_letter")
@blueprint.route("dead-letters/{id}", methods=["GET"])
def show_dead_letter(req: func.HttpRequest) -> func.HttpResponse:
    """One event that nobody could take."""
    return to_person(req, lambda _: runtime().api.show_dead_letter(req.route_params["id"]))


@blueprint.function_name("replay_dead_letter")
@blueprint.route("dead-letters/{id}/replay", methods=["POST"])
def replay_dead_letter(req: func.HttpRequest) -> func.HttpResponse:
    """Let a dead letter come in once more."""
    return to_person(req, lambda person: runtime().api.replay_dead_letter(req.route_params["id"], person))


@blueprint.function_name("openapi")
@blueprint.route("openapi.json", methods=["GET"])
def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """The description of this API."""
    return func.HttpResponse(OPENAPI.read_bytes(), mimetype="application/json", charset="utf-8")
