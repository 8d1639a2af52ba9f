"""What runs by the clock, because messages and events can be lost."""

import azure.functions as func

from tidegate.bootstrap import runtime

blueprint = func.Blueprint()


@blueprint.function_name("resume_stalled")
@blueprint.timer_trigger(arg_name="timer", schedule="0 */2 * * * *")
def resume_stalled(timer: func.TimerRequest) -> None:
    """Wake records whose outbox is overdue."""
    runtime().intake.resume()


@blueprint.function_name("reconcile")
@blueprint.timer_trigger(arg_name="timer", schedule="0 */15 * * * *")
def reconcile(timer: func.TimerRequest) -> None:
    """Raise ends of runs and registrations of models whose events never came."""
    runtime().intake.reconcile()
