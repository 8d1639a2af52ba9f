"""Whether the app can work: for load balancers, availability tests and people who just changed a setting."""

import azure.functions as func

from functions.answers import answered
from tidegate.bootstrap import runtime

blueprint = func.Blueprint()


@blueprint.function_name("health")
@blueprint.route("health", methods=["GET"])
def health(req: func.HttpRequest) -> func.HttpResponse:
    """200 when settings and gates are sound and storage answers; else a problem that says which is not."""
    return answered(lambda: runtime().health())
