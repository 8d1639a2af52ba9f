"""One Event Grid function that reads one table row: the least that anybody can do who wants to recognise a duplicate."""

import logging
import os

import azure.functions as func
from azure.data.tables import TableClient

app = func.FunctionApp()
logging.getLogger("azure").setLevel(logging.WARNING)  # as the product does: every request is a record at INFO
table = TableClient.from_connection_string(os.environ["AzureWebJobsStorage"], os.environ["ONE_ROW_TABLE"])  # noqa: SIM112  Azure's own name


@app.function_name("receive")
@app.event_grid_trigger(arg_name="event")
def receive(event: func.EventGridEvent) -> None:  # noqa: ARG001  what the binding gives
    """Read the row that the settings name."""
    table.get_entity(os.environ["ONE_ROW_PARTITION"], os.environ["ONE_ROW_KEY"])
