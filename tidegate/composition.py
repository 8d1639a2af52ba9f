"""The composition root: settings and gates are read, adapters are made, and everything is put together."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import logging
import pathlib
import urllib.parse
import uuid
from collections.abc import Mapping
from typing import override

from tidegate import gates as gate_files
from tidegate.api.actions import Actions
from tidegate.api.alert_health import alert_health
from tidegate.api.answers import Answer
from tidegate.api.approvals import Approvals
from tidegate.api.dead_letters import DeadLetters
from tidegate.api.deliveries import Deliveries
from tidegate.api.delivery_api import DeliveryApi
from tidegate.api.promotion_api import PromotionApi
from tidegate.api.promotions import Promotions
from tidegate.codec import Codec, kinds_of
from tidegate.effects import Effects
from tidegate.errors import SettingsError
from tidegate.flows.alerts import incident, letter_watch, mailing, outcome_alerts
from tidegate.flows.alerts.alert_policy import AlertPolicy
from tidegate.flows.alerts.incident import Incidents
from tidegate.flows.alerts.letter_watch import LetterWatch
from tidegate.flows.alerts.mailing import Mailing
from tidegate.flows.base import AnyFlow
from tidegate.flows.deliveries import delivery_messages, delivery_states
from tidegate.flows.deliveries.model_delivery import ModelDelivery
from tidegate.flows.endpoints import endpoint_states, rollout_messages
from tidegate.flows.endpoints.endpoint_rollout import EndpointRollout
from tidegate.flows.images import image_messages, image_states, tag_ownership
from tidegate.flows.images.image_promotion import ImagePromotion
from tidegate.flows.images.tag_ownership import TagOwnership
from tidegate.flows.jobs import job_failure, job_messages
from tidegate.flows.jobs.job_failure import JobFailure
from tidegate.gates import DEFAULT_ALERTS, Gates, GatesError
from tidegate.identity import People, key_holders
from tidegate.intake import Intake
from tidegate.job_effects import JobEffects, Links
from tidegate.model_effects import ModelEffects
from tidegate.ports import Clock, StateStore
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
        endpoint_states.State,
        rollout_messages.Event,
        rollout_messages.Command,
    )
)


@dataclasses.dataclass(frozen=True, slots=True)
class Runtime:
    """What the triggers call."""

    intake: Intake
    api: PromotionApi
    actions: Actions
    deliveries: DeliveryApi
    people: People
    """Who asks."""
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


def flows(healthy_registry: str, alerts: AlertPolicy = DEFAULT_ALERTS) -> Mapping[str, AnyFlow]:
    """Every flow, by its name."""
    every: tuple[AnyFlow, ...] = (
        ImagePromotion(healthy_registry),
        TagOwnership(),
        JobFailure(alerts),
        Incidents(alerts),
        Mailing(alerts),
        LetterWatch(alerts),
        ModelDelivery(),
        EndpointRollout(),
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
    from tidegate.adapters.services import services

    settings, gates = _read(environ)
    logging.getLogger("azure").setLevel(logging.WARNING)  # the SDKs write every request and its headers at INFO
    clock, alerts = SystemClock(), gates.alerts
    staging, healthy = settings.staging_registry, settings.healthy_registry
    outside = services(environ, settings, work_queue, clock)
    registry, tests, evidence, topic, queue = (
        outside.registry,
        outside.tests,
        outside.evidence,
        outside.topic,
        outside.queue,
    )
    jobs, models = outside.jobs, outside.around_models
    links = Links(outside.secrets, settings.alert_url_secret, settings.public_url)
    around_jobs = JobEffects(jobs, outside.email, registry, healthy, evidence, links, alerts, clock, CODEC.encode)
    around_models = ModelEffects(models.models, models.endpoints, models.releases, registry, healthy, evidence, clock)
    effects = Effects(registry, tests, evidence, topic, clock, around_jobs, around_models)
    records = Records(flows(healthy, alerts), outside.store, CODEC, clock)
    announce = functools.partial(outcome_alerts.alert_of, policy=alerts)
    runner = Runner(records, queue, evidence, effects, new_id, announce, outside.span)
    intake = Intake(staging, healthy, gates, runner, evidence, topic, clock, settings.watched, jobs, models.models)
    promotions = Promotions(staging, healthy, gates, runner, registry, tests, evidence, clock)
    people = _people(settings)
    wanted = Deliveries(gates, runner, models.models, clock)
    deliveries = DeliveryApi(wanted, effects, settings.watched, new_id)
    approvals = Approvals(wanted, people, has_sign_in=people.origin.startswith("https://"))
    actions = Actions(runner, evidence, links, clock, approvals)
    api = PromotionApi(promotions, DeadLetters(evidence, queue, intake, effects), new_id)
    return Runtime(
        intake, api, actions, deliveries, people, outside.store, tuple(route.name for route in alerts.routes)
    )


def _people(settings: Settings) -> People:
    from tidegate.adapters.entra_tokens import EntraTokens
    from tidegate.adapters.signing_keys import SigningKeys, of_tenant

    tokens = EntraTokens(settings.tenant_id, settings.api_audience, SigningKeys(of_tenant(settings.tenant_id)))
    parts = urllib.parse.urlsplit(settings.public_url)
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return People(tokens, key_holders(settings.api_keys, "TIDEGATE_API_KEYS"), origin)
