"""A host for Azure Functions in Python: what runs `function_app.py` on Azure, as far as one machine can stand in for it."""
