"""Registers a folder as a version of a model, with azure-ai-ml, as a developer or the last step of a pipeline does.

    python -m local.model_registration WORKSPACE NAME FOLDER TAGS

TAGS is a JSON object. Prints the version. The environment names the Azure that is meant: `python -m local env`.
"""

from __future__ import annotations

import json
import sys
import warnings

from local import world


def main(workspace: str, name: str, folder: str, tags: str) -> int:
    """Exit status 0: it is registered."""
    warnings.simplefilter("ignore")
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Model
    from azure.identity import ManagedIdentityCredential

    client = MLClient(ManagedIdentityCredential(), world.SUBSCRIPTION, world.RESOURCE_GROUP, workspace)
    model = Model(path=folder, name=name, type="custom_model", tags=json.loads(tags))
    print(client.models.create_or_update(model).version)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
