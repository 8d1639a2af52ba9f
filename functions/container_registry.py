"""Events of the container registries."""

import azure.functions as func

from functions.event_grid_input import AnyEvent
from tidegate.bootstrap import runtime

blueprint = func.Blueprint()


@blueprint.function_name("image_pushed")
@blueprint.event_grid_trigger(arg_name="event")
def image_pushed(event: AnyEvent) -> None:
    """An image was pushed to staging: test it, and promote it if it passes."""
    runtime().intake.image_pushed(event.body)
