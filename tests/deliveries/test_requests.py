"""Asking for deliveries, and looking at them."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest

from tests.deliveries.world import BOT_KEY, CI_KEY, ID, PEOPLE, DeliveryWorld, by, champion
from tests.fakes import image
from tests.flows import delivery_samples as samples
from tests.flows import endpoint_samples
from tests.flows.delivery_samples import DEV, MODEL, PRO, STATES
from tests.flows.endpoint_samples import FLOW
from tidegate.api import endpoints
from tidegate.api.deliveries import SHOWN
from tidegate.errors import MalformedEvent, NotFound, NotSignedIn, Refused
from tidegate.flows.deliveries.delivery_states import DescribingModel
from tidegate.flows.endpoints.endpoint_states import (
    EndpointHold,
    PausedRollout,
    Rollout,
    SettledEndpoint,
    WatchingTraffic,
    Wish,
)
from tidegate.flows.endpoints.rollout_messages import CheckEndpoint
from tidegate.flows.models.model_facts import COPY_TAG
from tidegate.flows.models.record_keys import endpoint_key
from tidegate.records import Entry, record_id
from tidegate.references import ModelRef

WISH: dict[str, Any] = {"model": "litter", "version": "7", "workspace": "ml-dev", "reason": "its event was lost"}


def test_a_request_begins_the_delivery_and_keeps_who_was_verified() -> None:
    world = DeliveryWorld()

    answer = world.api.request(WISH, by("carol"))

    assert (answer.status, answer.headers) == (202, (("Location", f"/api/deliveries/{ID}"),))
    state = world.state()
    assert isinstance(state, DescribingModel)
    (request,) = state.delivery.requests
    assert (request.who, request.why) == ("Carol", "its event was lost")
    assert state.delivery.people == (PEOPLE["carol"].id,)


def test_a_key_without_roles_may_ask_and_is_called_by_its_name() -> None:
    world = DeliveryWorld()

    world.api.request(WISH, by(x_api_key=CI_KEY))

    state = world.state()
    assert isinstance(state, DescribingModel)
    assert state.delivery.people == ("key:ci",)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "body"),
        ({**WISH, "who": "alice"}, "who: unknown field"),
        ({**WISH, "version": "latest:7"}, "version"),
        ({**WISH, "version": None}, "version"),
        ({**WISH, "model": "../x"}, "model"),
        ({**WISH, "workspace": "elsewhere"}, "workspace: elsewhere is none of this installation"),
        ({**WISH, "reason": " \n"}, "reason: missing"),
        ({**WISH, "reason": "x" * 501}, "reason: longer"),
        ({**WISH, "dry_run": "yes"}, "dry_run"),
    ],
)
def test_a_request_that_breaks_a_rule_names_the_field(body: Any, words: str) -> None:
    world = DeliveryWorld()
    with pytest.raises(MalformedEvent, match=words):
        world.api.request(body, by("carol"))
    assert world.writes == 0


def test_who_is_nobody_asks_for_nothing() -> None:
    world = DeliveryWorld()
    with pytest.raises(NotSignedIn):
        world.api.request(WISH, by())
    assert world.writes == 0


def test_a_version_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound, match="no such version"):
        DeliveryWorld().api.request({**WISH, "version": "99"}, by("carol"))


def test_a_model_without_a_gate_is_not_found() -> None:
    world = DeliveryWorld()
    world.models.tags[ModelRef("ml-dev", "other", "7")] = {}
    with pytest.raises(NotFound, match="no gate"):
        world.api.request({**WISH, "model": "other"}, by("carol"))


def test_a_copy_is_not_delivered_in_the_place_of_its_original() -> None:
    world = DeliveryWorld()
    world.models.tags[MODEL] = {COPY_TAG: "ml-int/litter:7"}
    with pytest.raises(Refused, match="copy"):
        world.api.request(WISH, by("carol"))


def test_a_version_that_a_person_rejected_stays_rejected() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["rejected-by-person"])
    with pytest.raises(Refused, match="stays blocked"):
        world.api.request(WISH, by("olga"))


def test_a_request_for_what_is_under_way_changes_nothing() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["rolling"])

    assert world.api.request(WISH, by("carol")).status == 202
    assert world.state() == STATES["rolling"]


# Plans ---------------------------------------------------------------------------------------------------------------


def plan(world: DeliveryWorld) -> Any:
    return world.api.request({**WISH, "dry_run": True}, by("carol")).body


def fit(world: DeliveryWorld) -> None:
    """Everything that the gate wants is there."""
    pushed = world.registry.push("tidegatehealthy", "scoring/litter", image("scores"), tag="v3")
    world.models.tags[MODEL]["image"] = f"tidegatehealthy/scoring/litter@{pushed.digest}"


def test_a_plan_says_what_each_stage_would_do_and_does_none_of_it() -> None:
    world = DeliveryWorld()
    fit(world)
    world.serves(PRO, SettledEndpoint(champion(samples.CHAMPION), 3))
    before = world.writes

    found = plan(world)

    assert world.writes == before
    assert found["problems"] == []
    assert [stage["name"] for stage in found["stages"]] == ["dev", "int", "pro"]
    calls = [call["call"] for call in found["stages"][2]["calls"]]
    assert calls[:4] == ["place model", "ensure endpoint", "create deployment", "smoke test"]
    assert [call["with"] for call in found["stages"][2]["calls"] if "traffic" in call["call"]] == [
        "20 %",
        "10 %",
        "50 %",
        "100 %",
    ]
    assert found["stages"][2]["approval"] == "2 of Approver.pro within 86400 s"
    assert found["stages"][2]["champion"] == "litter:6"
    assert found["state"] == "Unregistered"


def test_a_plan_names_what_the_screening_has_against_the_version_and_goes_no_further() -> None:
    world = DeliveryWorld()
    fit(world)
    world.models.tags[MODEL] |= {"metrics.accuracy": "0.5", "owner": ""}

    found = plan(world)

    assert found["stages"] == []
    assert any("accuracy is 0.5, less than 0.8" in problem for problem in found["problems"])
    assert any("tag owner" in problem for problem in found["problems"])


def test_a_plan_does_not_read_a_large_artefact_and_does_not_hold_that_against_it() -> None:
    world = DeliveryWorld()
    fit(world)
    world.models.size = 900 << 20

    assert plan(world)["problems"] == []


def test_a_plan_names_an_artefact_that_the_gate_finds_too_large() -> None:
    world = DeliveryWorld()
    fit(world)
    world.models.size = 2 << 30

    assert any("more than 1 GiB" in problem for problem in plan(world)["problems"])


# Looking -------------------------------------------------------------------------------------------------------------


def test_the_list_has_deliveries_alone_newest_first_and_filters_them() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["delivered"])
    world.serves(PRO, SettledEndpoint(champion(), 3))
    world.clock.advance(60)
    world.is_at(STATES["rejected-screening"], "model-delivery:ml-int/litter:8")

    everything = world.api.api.list({}).body["items"]
    assert [(each["state"], each["workspace"]) for each in everything] == [
        ("Rejected", "ml-int"),
        ("Delivered", "ml-dev"),
    ]
    assert [each["state"] for each in world.api.api.list({"state": "Rejected"}).body["items"]] == ["Rejected"]
    assert len(world.api.api.list({"model": "litter"}).body["items"]) == 2
    assert world.api.api.list({"model": "litte"}).body["items"] == []
    first = world.api.api.list({"limit": "1"}).body
    assert len(first["items"]) == 1
    assert world.api.api.list({"limit": "1", "cursor": first["next"]}).body["items"][0]["state"] == "Delivered"


@pytest.mark.parametrize(
    "query",
    [{"state": "ModelRejected"}, {"state": "x"}, {"limit": "0"}, {"limit": "201"}, {"limit": "1.5"}, {"model": "a/b"}],
)
def test_a_query_that_breaks_a_rule_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(MalformedEvent, match=next(iter(query))):
        DeliveryWorld().api.api.list(query)


def test_no_two_states_are_called_the_same() -> None:
    assert len(set(SHOWN.values())) == len(SHOWN)


@pytest.mark.parametrize("name", STATES)
def test_every_state_can_be_looked_at(name: str) -> None:
    world = DeliveryWorld()
    world.is_at(STATES[name])
    if name == "unregistered":
        with pytest.raises(NotFound):
            world.api.api.show(ID)
        return
    found = world.api.api.show(ID).body
    assert (found["model"], found["version"], found["workspace"]) == ("litter", "7", "ml-dev")
    assert found["state"] in SHOWN.values()


def test_what_waits_for_an_approval_is_shown_with_its_evidence_and_who_asked() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["awaiting-one-more"])

    found = world.api.api.show(ID).body

    assert found["state"] == "AwaitingApproval"
    assert found["stage"] == "pro"
    assert found["evidence"] == found["approval"]["evidence"] == samples.EVIDENCE
    assert found["approval"]["roles"] == ["Approver.pro"]
    assert [each["person"] for each in found["approval"]["approvals"]] == [samples.ALICE]
    assert found["facts"]["metrics"] == {"accuracy": 0.9, "loss": 0.3}
    assert found["requests"][0]["who"] == "the workspace"
    assert [stage["state"] for stage in found["stages"]] == ["passed", "passed", "current"]


def test_a_stage_shows_who_serves_how_traffic_is_divided_and_who_holds_it() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["rolling-pro"])
    book = champion(samples.CHAMPION, hold=EndpointHold("Olga", "audit", samples.NOW))
    wish = Wish(PRO, samples.CANDIDATE, samples.KEY, samples.NOW)
    rollout = Rollout(wish, "litter-8", PRO.traffic, step=1)
    world.serves(PRO, WatchingTraffic(book, rollout, 5, samples.NOW))

    dev, _, pro = world.api.api.show(ID).body["stages"]

    assert dev["endpoint"]["champion"] is None
    assert pro["endpoint"]["champion"] == "litter:6"
    assert pro["endpoint"]["challenger"] == "litter:7"
    assert pro["endpoint"]["weights"] == {"live": {"litter:6": 90, "litter:7": 10}, "mirror": {}}
    assert pro["endpoint"]["held"]["who"] == "Olga"
    assert [each["who"] for each in pro["approvals"]] == ["alice@team.example", "bob"]


def test_what_is_tried_again_at_the_endpoint_of_the_stage_is_shown() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["rolling-pro"])
    world.serves(PRO, SettledEndpoint(champion(), 4))
    records, key, now = world.runner.records, endpoint_key(PRO.target), world.clock.now()
    record, etag = records.load(key)
    entry = Entry(1, CheckEndpoint(PRO.target, 4, 1), now + datetime.timedelta(seconds=64), now, 6, "503: no")
    records.save(key, dataclasses.replace(record, outbox=(entry,)), etag)
    [retry] = world.api.api.show(ID).body["retries"]
    assert (retry["step"], retry["tries"], retry["reason"]) == ("CheckEndpoint", 6, "503: no")


def test_the_list_of_endpoints_says_who_serves_who_comes_and_which_delivery_to_look_at() -> None:
    world = DeliveryWorld()
    world.serves(DEV, SettledEndpoint(champion(stage=DEV), 4))
    rollout = Rollout(Wish(PRO, samples.CANDIDATE, samples.KEY, samples.NOW), "litter-8", PRO.traffic, step=1)
    world.serves(PRO, PausedRollout(champion(samples.CHAMPION), rollout, 5, "nothing to judge by", held=False))
    found = {each["workspace"]: each for each in world.api.api.endpoints({}).body["items"]}
    dev, pro = found[DEV.target.workspace.name], found[PRO.target.workspace.name]
    assert (dev["state"], dev["champion"], dev["challenger"]) == ("Serving", "litter:7", None)
    assert (pro["state"], pro["champion"], pro["challenger"]) == ("PausedRollout", "litter:6", "litter:7")
    assert {dev["delivery"], pro["delivery"]} == {ID}
    assert [each["id"] for each in world.api.api.endpoints({"state": "PausedRollout"}).body["items"]] == [pro["id"]]


@pytest.mark.parametrize("query", [{"state": "Delivered"}, {"limit": "0"}, {"limit": "201"}, {"cursor": "x"}])
def test_a_query_for_endpoints_that_breaks_a_rule_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(MalformedEvent, match=f"^{next(iter(query))}: "):
        DeliveryWorld().api.api.endpoints(query)


def test_every_state_in_which_an_endpoint_is_listed_can_be_asked_for() -> None:
    listed = {FLOW.listing(state) for state in endpoint_samples.STATES.values()}
    assert {each.state for each in listed if each} <= set(endpoints.STATES)


def test_a_mirrored_step_shows_as_one() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["rolling-pro"])
    wish = Wish(PRO, samples.CANDIDATE, samples.KEY, samples.NOW)
    world.serves(
        PRO,
        WatchingTraffic(champion(samples.CHAMPION), Rollout(wish, "litter-8", PRO.traffic, step=0), 5, samples.NOW),
    )

    weights = world.api.api.show(ID).body["stages"][2]["endpoint"]["weights"]

    assert weights == {"live": {"litter:6": 100}, "mirror": {"litter:7": 20}}


def test_the_record_of_a_stage_is_read_as_it_was_kept() -> None:
    world = DeliveryWorld()
    world.is_at(STATES["delivered"])
    world.evidence.put("models/ml-dev/litter/7/dev.json", b'{"_type": "statement"}', "application/json")

    assert world.api.api.record(ID, "dev").body == {"_type": "statement"}
    with pytest.raises(NotFound, match="not among the evidence"):
        world.api.api.record(ID, "int")
    with pytest.raises(NotFound, match="no record"):
        world.api.api.record(ID, "../dev")


def test_a_promotion_is_no_delivery() -> None:
    world = DeliveryWorld()
    world.serves(DEV, SettledEndpoint(champion(), 3))
    with pytest.raises(NotFound):
        world.api.api.show(record_id(endpoint_key(DEV.target)))


def test_looking_shows_nothing_that_a_key_or_token_is() -> None:
    world = DeliveryWorld()
    world.api.request(WISH, by(x_api_key=BOT_KEY))

    assert BOT_KEY not in str(world.api.api.show(ID).body)
    assert BOT_KEY not in str(world.store.rows)
