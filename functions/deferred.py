"""Deferred work: what a decision left to do, now or later."""

import azure.functions as func

from tidegate.bootstrap import WORK_QUEUE, runtime

blueprint = func.Blueprint()


@blueprint.function_name("deferred_event")
@blueprint.queue_trigger(arg_name="message", queue_name=WORK_QUEUE, connection="AzureWebJobsStorage")
def deferred_event(message: func.QueueMessage) -> None:
    """There is work in a record: carry out what is due."""
    runtime().intake.work(message.get_body().decode(errors="replace"))


@blueprint.function_name("poisoned_event")
@blueprint.queue_trigger(arg_name="message", queue_name=f"{WORK_QUEUE}-poison", connection="AzureWebJobsStorage")
def poisoned_event(message: func.QueueMessage) -> None:
    """A message failed as often as the host tries: park it."""
    runtime().intake.poisoned(message.get_body().decode(errors="replace"))
