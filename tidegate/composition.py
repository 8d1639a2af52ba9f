"""The composition root: settings and gates are read, adapters are made, and everything is put together."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import logging
import pathlib
import uuid
from collections.abc import Mapping
from typing import override

from tidegate import gates as gate_files
from tidegate.actions import Actions
from tidegate.alert_health import alert_health
from tidegate.api import Answer, Api
from tidegate.codec import Codec, kinds_of
from tidegate.dead_letters import DeadLetters
from tidegate.effects import Effects
from tidegate.errors import SettingsError
from tidegate.flows import (
    delivery_messages,
    delivery_states,
    image_messages,
    image_states,
    incident,
    job_failure,
    job_messages,
    letter_watch,
    mailing,
    outcome_alerts,
    tag_ownership,
)
from tidegate.flows.alert_policy import AlertPolicy
from tidegate.flows.base import Flow
from tidegate.flows.image_promotion import ImagePromotion
from tidegate.flows.incident import Incidents
from tidegate.flows.job_failure import JobFailure
from tidegate.flows.letter_watch import LetterWatch
from tidegate.flows.mailing import Mailing
from tidegate.flows.model_delivery import ModelDelivery
from tidegate.flows.tag_ownership import TagOwnership
from tidegate.gates import DEFAULT_ALERTS, Gates, GatesError
from tidegate.intake import Intake
from tidegate.job_effects import JobEffects, Links
from tidegate.ports import Clock, StateStore
from tidegate.promotions import Promotions
from tidegate.records import ListRecord, Record, Records
from tidegate.runner import Runner
from tidegate.settings import Settings
from tidegate.settings import load as load_settings

APP = pathlib.Path(__file__).parent.parent
"""Folder of the app: what `gates_file` is relative to."""

CODEC = Codec(
    kinds_of(
        Record,
        ListRecord,
        image_states.State,
        image_messages.Event,
        image_messages.Command,
        tag_ownership.State,
        tag_ownership.Event,
        tag_ownership.Command,
        job_failure.State,
        job_messages.Event,
        job_messages.Command,
        incident.State,
        incident.Event,
        incident.Command,
        mailing.Mailbox,
        mailing.Event,
        mailing.Command,
        letter_watch.Watching,
        letter_watch.Event,
        letter_watch.Command,
        delivery_states.State,
        delivery_messages.Event,
        delivery_messages.Command,
    )
)


@dataclasses.dataclass(frozen=True, slots=True)
class Runtime:
    """What the triggers call."""

    intake: Intake
    api: Api
    actions: Actions
    store: StateStore
    routes: tuple[str, ...] = ()
    """The ways that mails go."""

    def health(self) -> Answer:
        """Sound, since it was made; storage answers; and how alerts are. TransientError: storage does not answer.

        Alerts that reach nobody do not make the app unfit: images, jobs and models go on, so the answer stays 200.
        """
        self.store.find("health")
        records = self.intake.runner.records
        return Answer({"status": "ok", "alerts": alert_health(records, self.routes, records.clock.now())})


def flows(healthy_registry: str, alerts: AlertPolicy = DEFAULT_ALERTS) -> Mapping[str, Flow]:
    """Every flow, by its name."""
    every: tuple[Flow, ...] = (
        ImagePromotion(healthy_registry),
        TagOwnership(),
        JobFailure(alerts),
        Incidents(alerts),
        Mailing(alerts),
        LetterWatch(alerts),
        ModelDelivery(),
    )
    return {flow.name: flow for flow in every}


class SystemClock(Clock):
    """The time of this machine."""

    @override
    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)


def new_id() -> str:
    """A random id."""
    return uuid.uuid4().hex


def _read(environ: Mapping[str, str]) -> tuple[Settings, Gates]:
    settings = load_settings(environ)
    try:
        return settings, gate_files.load(APP / settings.gates_file)
    except GatesError as error:
        raise SettingsError(str(error)) from error


def make(environ: Mapping[str, str], work_queue: str) -> Runtime:
    """The runtime of one process. SettingsError: settings or gates are at fault, with every fault in the message."""
    from tidegate.adapters.alert_email import AlertWorkflow
    from tidegate.adapters.azure_calls import credential
    from tidegate.adapters.blob_evidence import BlobEvidence
    from tidegate.adapters.container_registry import ContainerRegistry
    from tidegate.adapters.event_grid_topic import EventGridTopic
    from tidegate.adapters.image_tests import RegistryTasks
    from tidegate.adapters.job_tests import JobTests, TestRunners
    from tidegate.adapters.machine_learning import MachineLearning
    from tidegate.adapters.secrets import KeyVaultSecrets
    from tidegate.adapters.storage_account import storage
    from tidegate.adapters.storage_queue import StorageQueue
    from tidegate.adapters.table_state import TableState

    settings, gates = _read(environ)
    logging.getLogger("azure").setLevel(logging.WARNING)  # the SDKs write every request and its headers at INFO
    clock = SystemClock()
    account = storage(environ, credential, settings.identity_client_id)
    identity = credential(settings.identity_client_id)
    store = TableState(account.tables(), settings.table)
    queue = StorageQueue(account.queues(), work_queue)
    evidence = BlobEvidence(account.blobs(), settings.evidence_container, settings.dead_letter_container)
    registry = ContainerRegistry(settings, identity)
    jobs = MachineLearning(settings, identity)
    tests = TestRunners(RegistryTasks(settings, identity), JobTests(jobs, settings.watched))
    topic = EventGridTopic(settings, identity)
    secrets = KeyVaultSecrets(settings, identity)
    alerts = gates.alerts
    links = Links(secrets, settings.link_key_secret, settings.public_url)
    around_jobs = JobEffects(
        jobs,
        AlertWorkflow(settings, secrets),
        registry,
        settings.healthy_registry,
        evidence,
        links,
        alerts,
        clock,
        CODEC.encode,
    )
    effects = Effects(registry, tests, evidence, topic, clock, around_jobs)
    records = Records(flows(settings.healthy_registry, alerts), store, CODEC, clock)
    announce = functools.partial(outcome_alerts.alert_of, policy=alerts)
    runner = Runner(records, queue, evidence, effects, new_id, announce)
    staging, healthy = settings.staging_registry, settings.healthy_registry
    intake = Intake(staging, healthy, gates, runner, evidence, topic, clock, settings.watched, jobs)
    promotions = Promotions(staging, healthy, gates, runner, registry, tests, evidence, clock)
    actions = Actions(runner, evidence, links, clock)
    api = Api(promotions, DeadLetters(evidence, queue, intake, effects), new_id)
    return Runtime(intake, api, actions, store, tuple(route.name for route in alerts.routes))
