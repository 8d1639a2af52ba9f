"""The least there can be: one Event Grid function that does nothing."""

import azure.functions as func

app = func.FunctionApp()


@app.function_name("receive")
@app.event_grid_trigger(arg_name="event")
def receive(event: func.EventGridEvent) -> None:
    """Take an event and do nothing about it."""
