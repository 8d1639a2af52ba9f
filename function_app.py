"""The Functions app: registers what functions/ holds, nothing else."""

import azure.functions as func

from functions import BLUEPRINTS

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)  # who asks is identified in functions/answers.py
for blueprint in BLUEPRINTS:
    app.register_functions(blueprint)
