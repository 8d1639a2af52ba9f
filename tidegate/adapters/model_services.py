"""The adapters around models, put together: one pool of connections to Resource Manager, and one to what serves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from azure.core.credentials import TokenCredential

from tidegate.adapters.arm import Arm
from tidegate.adapters.machine_learning.artefact_places import ArtefactPlaces
from tidegate.adapters.machine_learning.models import MachineLearningModels
from tidegate.adapters.machine_learning.workspaces import Workspaces
from tidegate.adapters.serving.azure_metrics import AzureMetrics
from tidegate.adapters.serving.container_instances import ContainerInstances
from tidegate.adapters.serving.deployment_assets import DeploymentAssets
from tidegate.adapters.serving.local_endpoints import LocalEndpoints
from tidegate.adapters.serving.online_endpoints import OnlineEndpoints
from tidegate.adapters.serving.releases import ReleasePipelines
from tidegate.adapters.serving.scoring_requests import ScoringRequests
from tidegate.flows.models.model_gate import TargetKind
from tidegate.model_ports import Endpoints, Models, Releases
from tidegate.ports import Clock, Secrets
from tidegate.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class ModelServices:
    """Where models are, where they are served, and what carries out stages elsewhere."""

    models: Models
    endpoints: Mapping[TargetKind, Endpoints]
    releases: Releases


def model_services(settings: Settings, identity: TokenCredential, secrets: Secrets, clock: Clock) -> ModelServices:
    """Nothing is contacted yet."""
    arm = Arm(identity)
    workspaces = Workspaces(settings, arm)
    places = ArtefactPlaces(workspaces, identity)
    models = MachineLearningModels(workspaces, places, clock.now)
    requests, metrics = ScoringRequests(), AzureMetrics(arm, clock.now)
    serving, subnet = settings.serving_identity_id, settings.serving_subnet_id
    assets = DeploymentAssets(workspaces, models.folder_of, models.fetch)
    online = OnlineEndpoints(workspaces, assets, requests, metrics, identity, serving)
    groups = ContainerInstances(workspaces, models.folder_of, requests, metrics, serving, subnet)
    servers = LocalEndpoints(settings.local_endpoints, settings.local_python, models.folder_of)
    return ModelServices(
        models,
        {"managed": online, "kubernetes": online, "container-instance": groups, "local": servers},
        ReleasePipelines(secrets, settings.devops_token_secret, settings.github_token_secret),
    )
