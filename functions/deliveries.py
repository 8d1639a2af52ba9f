"""The HTTP API of model deliveries: ask for them, look at them, decide on them, and act on their endpoints."""

import azure.functions as func

from functions.answers import form_body, json_body, sender, to_person, to_reader
from tidegate.bootstrap import runtime

blueprint = func.Blueprint()


@blueprint.function_name("request_delivery")
@blueprint.route("deliveries", methods=["POST"])
def request_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """Ask for a delivery by hand, or for the plan of one."""
    return to_person(req, lambda person: runtime().deliveries.request(json_body(req), person))


@blueprint.function_name("list_deliveries")
@blueprint.route("deliveries", methods=["GET"])
def list_deliveries(req: func.HttpRequest) -> func.HttpResponse:
    """One page of deliveries, newest first."""
    return to_person(req, lambda _: runtime().deliveries.list(req.params))


@blueprint.function_name("list_endpoints")
@blueprint.route("endpoints", methods=["GET"])
def list_endpoints(req: func.HttpRequest) -> func.HttpResponse:
    """One page of endpoints: who serves where."""
    return to_person(req, lambda _: runtime().deliveries.endpoints(req.params))


@blueprint.function_name("show_delivery")
@blueprint.route("deliveries/{id}", methods=["GET"])
def show_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """One delivery: state, stages, what is to be decided, history."""
    return to_person(req, lambda _: runtime().deliveries.show(req.route_params["id"]))


@blueprint.function_name("show_delivery_record")
@blueprint.route("deliveries/{id}/records/{stage}", methods=["GET"])
def show_delivery_record(req: func.HttpRequest) -> func.HttpResponse:
    """The kept record of a stage that the version has passed."""
    return to_person(req, lambda _: runtime().deliveries.record(_id(req), req.route_params["stage"]))


@blueprint.function_name("approve_delivery")
@blueprint.route("deliveries/{id}/approve", methods=["POST"])
def approve_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """Say yes to the stage that waits for it."""
    return to_person(req, lambda person: runtime().deliveries.decide(_id(req), "approve", json_body(req), person))


@blueprint.function_name("reject_delivery")
@blueprint.route("deliveries/{id}/reject", methods=["POST"])
def reject_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """Say no to the version."""
    return to_person(req, lambda person: runtime().deliveries.decide(_id(req), "reject", json_body(req), person))


@blueprint.function_name("roll_back_delivery")
@blueprint.route("deliveries/{id}/rollback", methods=["POST"])
def roll_back_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """Put the last good version back, and hold the endpoint."""
    return to_person(req, lambda person: runtime().deliveries.act(_id(req), "rollback", json_body(req), person))


@blueprint.function_name("hold_delivery")
@blueprint.route("deliveries/{id}/hold", methods=["POST"])
def hold_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """Begin nothing new at the endpoints, and move no traffic."""
    return to_person(req, lambda person: runtime().deliveries.act(_id(req), "hold", json_body(req), person))


@blueprint.function_name("release_delivery")
@blueprint.route("deliveries/{id}/release", methods=["POST"])
def release_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """End a hold or a pause."""
    return to_person(req, lambda person: runtime().deliveries.act(_id(req), "release", json_body(req), person))


@blueprint.function_name("decide_by_form")
@blueprint.route("decisions", methods=["POST"])
def decide_by_form(req: func.HttpRequest) -> func.HttpResponse:
    """What the form of a mail's approval page sends; behind the platform's sign-in, and checked again here."""
    return to_reader(req, lambda: runtime().actions.take("approve", req.params, form_body(req), sender(req)))


def _id(req: func.HttpRequest) -> str:
    return str(req.route_params["id"])
