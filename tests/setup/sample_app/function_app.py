"""The smallest function app: what the tests of the stack run beside the real one."""

from __future__ import annotations

import os

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="setting", methods=["GET"])
def setting(req: func.HttpRequest) -> func.HttpResponse:
    """The value of an app setting as the function sees it."""
    return func.HttpResponse(os.environ.get(req.params["name"], ""))
