"""Events of the machine learning workspaces, and the buttons of the mails about them."""

import azure.functions as func

from functions.answers import form_body, sender, to_reader
from functions.event_grid_input import AnyEvent
from tidegate.bootstrap import runtime

blueprint = func.Blueprint()


@blueprint.function_name("run_status_changed")
@blueprint.event_grid_trigger(arg_name="event")
def run_status_changed(event: AnyEvent) -> None:
    """The status of a run changed: find out why it failed, and go on or tell people."""
    runtime().intake.run_status_changed(event.body)


@blueprint.function_name("model_registered")
@blueprint.event_grid_trigger(arg_name="event")
def model_registered(event: AnyEvent) -> None:
    """A version of a model was registered: deliver it through the stages of its gate."""
    runtime().intake.model_registered(event.body)


@blueprint.function_name("show_action")
@blueprint.route("actions/{action}", methods=["GET"])
def show_action(req: func.HttpRequest) -> func.HttpResponse:
    """Say what a button of a mail would do; whoever opens a link changes nothing."""
    return to_reader(req, lambda: runtime().actions.show(req.route_params["action"], req.params))


@blueprint.function_name("take_action")
@blueprint.route("actions/{action}", methods=["POST"])
def take_action(req: func.HttpRequest) -> func.HttpResponse:
    """Do what a button of a mail is for."""
    return to_reader(
        req, lambda: runtime().actions.take(req.route_params["action"], req.params, form_body(req), sender(req))
    )
