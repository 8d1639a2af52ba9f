"""One Azure ML workspace as the pipelines use it: the environment that the trainer's jobs run in, and the retraining job.

The SDK is imported when it is used: that takes seconds, which whoever only waits for an image need not spend.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import ResourceNotFoundError

JOBS = Path(__file__).parents[1] / "trainer" / "jobs"
ENVIRONMENT = "trainer"


class Workspace:
    """As one principal, through the SDK that `az ml` is made of. AzureError: a refusal."""

    def __init__(self, name: str, client: Any) -> None:
        self.name = name
        self._client = client

    @classmethod
    def of(cls, who: TokenCredential, subscription: str, group: str, name: str) -> Workspace:
        from azure.ai.ml import MLClient

        return cls(name, MLClient(who, subscription, group, name, show_progress=False))

    def image(self, version: str = "") -> str:
        """The image of a version of the trainer's environment, or of its newest one; empty: there is none."""
        from azure.ai.ml.exceptions import ValidationException

        asked = {"version": version} if version else {"label": "latest"}
        try:
            return str(self._client.environments.get(ENVIRONMENT, **asked).image or "")
        except (
            ResourceNotFoundError,
            ValidationException,
        ):  # the second is what the SDK makes of the first for a label
            return ""

    def register(self, image: str, version: str) -> None:
        """Make a version of the trainer's environment. HttpResponseError: there is one with another image."""
        from azure.ai.ml import load_environment

        environment = load_environment(JOBS / "environment.yml", params_override=[{"image": image, "version": version}])
        self._client.environments.create_or_update(environment)

    def retrain(self, run: str, image: str) -> str:
        """Start the retraining pipeline for a training run of this name; gives the name of the job."""
        from azure.ai.ml import load_job

        told = {"inputs.run": run, "jobs.train.environment_variables.TRAINER_IMAGE": image}
        started = self._client.jobs.create_or_update(load_job(JOBS / "retraining.yml", params_override=[told]))
        return str(started.name)
