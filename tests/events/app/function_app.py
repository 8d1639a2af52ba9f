"""One Event Grid function that says what it was given."""

import json
import os
import pathlib

import azure.functions as func

from functions.event_grid_input import AnyEvent, accept_any_event

accept_any_event()
app = func.FunctionApp()


@app.function_name("heard")
@app.event_grid_trigger(arg_name="event")
def heard(event: AnyEvent) -> None:
    """Write down the body."""
    with pathlib.Path(os.environ["HEARD"]).open("a", encoding="utf-8") as heard:
        heard.write(json.dumps(event.body) + "\n")
