"""Every adapter of an installation, made of its settings: one identity, one storage account, one pool of connections each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tidegate.adapters.alert_email import AlertWorkflow
from tidegate.adapters.azure_calls import credential
from tidegate.adapters.event_grid_topic import EventGridTopic
from tidegate.adapters.machine_learning.job_tests import JobTests, TestRunners
from tidegate.adapters.machine_learning.jobs import MachineLearning
from tidegate.adapters.model_services import ModelServices, model_services
from tidegate.adapters.registry.container_registry import ContainerRegistry
from tidegate.adapters.registry.image_tests import RegistryTasks
from tidegate.adapters.secrets import KeyVaultSecrets
from tidegate.adapters.storage.blob_evidence import BlobEvidence
from tidegate.adapters.storage.storage_account import storage
from tidegate.adapters.storage.storage_queue import StorageQueue
from tidegate.adapters.storage.table_state import TableState
from tidegate.adapters.telemetry import spans
from tidegate.ports import (
    AlertEmail,
    Clock,
    Evidence,
    ImageRegistry,
    ImageTests,
    Jobs,
    OutcomeTopic,
    Secrets,
    Spans,
    StateStore,
    WorkQueue,
)
from tidegate.settings import Settings


@dataclasses.dataclass(frozen=True, slots=True)
class Services:
    """The outside, by port."""

    store: StateStore
    queue: WorkQueue
    evidence: Evidence
    registry: ImageRegistry
    tests: ImageTests
    jobs: Jobs
    topic: OutcomeTopic
    secrets: Secrets
    email: AlertEmail
    around_models: ModelServices
    span: Spans


def services(environ: Mapping[str, str], settings: Settings, work_queue: str, clock: Clock) -> Services:
    """Nothing is contacted yet. `environ`: where the host says which storage account is its own."""
    account = storage(environ, credential, settings.identity_client_id)
    identity = credential(settings.identity_client_id)
    jobs = MachineLearning(settings, identity)
    secrets = KeyVaultSecrets(settings, identity)
    return Services(
        store=TableState(account.tables(), settings.table),
        queue=StorageQueue(account.queues(), work_queue),
        evidence=BlobEvidence(account.blobs(), settings.evidence_container, settings.dead_letter_container),
        registry=ContainerRegistry(settings, identity),
        tests=TestRunners(RegistryTasks(settings, identity), JobTests(jobs, settings.watched)),
        jobs=jobs,
        topic=EventGridTopic(settings, identity),
        secrets=secrets,
        email=AlertWorkflow(settings, secrets),
        around_models=model_services(settings, identity, secrets, clock),
        span=spans(environ, identity),
    )
