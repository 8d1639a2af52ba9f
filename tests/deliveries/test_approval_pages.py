"""The page that a mail about an approval leads to: it shows, scanners may open it, and a verified person decides."""

from __future__ import annotations

import dataclasses
import html.parser
import urllib.parse
from typing import override

import pytest

from tests.deliveries.world import AWAITING, BOT_KEY, SITE, DeliveryWorld, by, link
from tests.flows import delivery_samples as samples
from tests.flows.delivery_samples import EVIDENCE, STATES
from tidegate.api.answers import Answer, Page
from tidegate.errors import Forbidden, MalformedEvent, NotFound, NotSignedIn, Refused
from tidegate.flows.deliveries.delivery_states import AwaitingApproval, ModelRejected, State
from tidegate.identity import Shown

YES = {"answer": "approve", "reason": "the figures are good", "evidence": EVIDENCE}
SESSION = {"x_ms_token_aad_id_token": "alice"}


def waiting(state: State = AWAITING) -> DeliveryWorld:
    world = DeliveryWorld()
    world.is_at(state)
    return world


def text(answer: Answer) -> str:
    assert isinstance(answer.body, Page)
    return answer.body.text


def press(world: DeliveryWorld, shown: Shown, form: dict[str, str] | None = None, stage: str = "pro") -> str:
    return text(world.actions.take("approve", link(world, stage), YES if form is None else form, shown))


def votes(world: DeliveryWorld) -> list[str]:
    state = world.state()
    assert isinstance(state, AwaitingApproval)
    return [vote.who for vote in state.votes]


class Reader(html.parser.HTMLParser):
    """What a browser would do with the page: where its forms go and with what, where links lead, what it runs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.forms: list[dict[str, str | None]] = []
        self.fields: dict[str, str | None] = {}
        self.links: list[str] = []
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        assert not [name for name in given if name.startswith("on")]
        match tag:
            case "form":
                self.forms.append(given)
            case "input":
                self.fields[str(given["name"])] = given.get("value")
            case "a":
                self.links.append(str(given["href"]))
            case _:
                pass


def test_the_page_shows_what_is_to_be_decided() -> None:
    world = waiting()
    page = text(world.actions.show("approve", link(world)))

    for shown in ("litter", "7", "ml-dev", "pro", "litter-pro", "accuracy", "0.9", "0.91", EVIDENCE, samples.SHA):
        assert shown in page
    assert "the workspace: it was registered" in page
    assert "2 of Approver.pro, of which 0 approved" in page


def test_opening_it_a_hundred_times_changes_nothing() -> None:
    world = waiting()
    before, query = world.writes, link(world)
    for _ in range(100):
        world.actions.show("approve", query)
    assert world.writes == before
    assert votes(world) == []


def test_nothing_on_the_page_acts_by_itself() -> None:
    world = waiting()
    page = Reader(text(world.actions.show("approve", link(world))))

    assert not {"script", "img", "iframe", "link", "style"} & set(page.tags)
    (form,) = page.forms
    assert form["method"] == "post"
    where = urllib.parse.urlsplit(str(form["action"]))
    assert where.path == "/api/decisions"
    assert dict(urllib.parse.parse_qsl(where.query)) == link(world)
    assert page.fields == {"evidence": EVIDENCE, "reason": None}


def test_the_way_to_sign_in_comes_back_to_the_page() -> None:
    world = waiting()
    (sign_in,) = Reader(text(world.actions.show("approve", link(world)))).links

    query = urllib.parse.parse_qs(urllib.parse.urlsplit(sign_in).query)
    back = urllib.parse.urlsplit(query["post_login_redirect_uri"][0])
    assert sign_in.startswith("/.auth/login/aad?")
    assert (back.netloc, back.path) == ("", "/api/actions/approve")
    assert dict(urllib.parse.parse_qsl(back.query)) == link(world)


def test_foreign_text_is_text() -> None:
    hostile = '<script>alert(1)</script>"><form action=//evil.example>'
    facts = dataclasses.replace(samples.FACTS, run=hostile, registered_by=hostile, metrics=((hostile, 1.0),))
    world = waiting(dataclasses.replace(AWAITING, delivery=dataclasses.replace(AWAITING.delivery, facts=facts)))
    page = text(world.actions.show("approve", link(world)))

    assert "<script" not in page
    assert len(Reader(page).forms) == 1


@pytest.mark.parametrize("name", ["rolling-pro", "delivered", "rejected-by-person", "describing", "failed"])
def test_where_nothing_waits_the_page_has_no_form(name: str) -> None:
    world = waiting(STATES[name])
    page = text(world.actions.show("approve", link(world)))

    assert "nothing to decide" in page
    assert Reader(page).forms == []


def test_a_link_to_one_stage_opens_no_other() -> None:
    world = waiting()
    assert Reader(text(world.actions.show("approve", link(world, "int")))).forms == []
    with pytest.raises(Refused, match="it is about int"):
        press(waiting(dataclasses.replace(AWAITING, delivery=samples.delivery())), by("alice"), stage="int")
    assert votes(world) == []


def test_a_link_that_is_not_about_a_delivery_opens_nothing() -> None:
    world = waiting()
    for key in ("incident:1", "model-delivery", "image-promotion:x"):
        with pytest.raises(MalformedEvent, match="not about a delivery"):
            world.actions.show("approve", link(world, key=key))
    with pytest.raises(NotFound):
        world.actions.show("approve", link(world, key="model-delivery:ml-dev/other:1"))


def test_a_link_for_another_action_is_no_link_to_an_approval() -> None:
    world = waiting()
    with pytest.raises(MalformedEvent, match="signature"):
        world.actions.show("mute", link(world))


@pytest.mark.parametrize(
    "shown", [by("alice"), by(**SESSION, origin=SITE), by(**SESSION, sec_fetch_site="same-origin")]
)
def test_a_verified_person_decides(shown: Shown) -> None:
    world = waiting()

    assert "You, Alice, approved it." in press(world, shown)
    assert votes(world) == ["Alice"]


def test_pressing_it_twice_is_one_decision() -> None:
    world = waiting()
    press(world, by("alice"))
    writes = world.writes

    assert "already" in press(world, by("alice"))
    assert world.writes == writes


def test_the_form_rejects_as_well() -> None:
    world = waiting()
    assert "rejected it" in press(world, by("alice"), {**YES, "answer": "reject"})
    assert isinstance(world.state(), ModelRejected)


@pytest.mark.parametrize(
    ("shown", "error"),
    [
        (by(), NotSignedIn),
        (by("mallory"), NotSignedIn),
        (by(x_functions_key=BOT_KEY), NotSignedIn),
        (by(x_ms_client_principal="eyJhdXRoX3R5cCI6ImFhZCJ9", x_ms_client_principal_id="alice"), NotSignedIn),
        (by(x_ms_token_aad_access_token="alice"), NotSignedIn),
        (by(**SESSION), Forbidden),
        (by(**SESSION, origin="null"), Forbidden),
        (by(**SESSION, origin="https://other.example"), Forbidden),
        (by(**SESSION, sec_fetch_site="cross-site"), Forbidden),
        (by("carol"), Forbidden),
    ],
)
def test_the_link_alone_or_with_less_than_a_verified_person_decides_nothing(
    shown: Shown, error: type[Exception]
) -> None:
    world = waiting()
    before = world.writes
    with pytest.raises(error):
        press(world, shown)
    assert world.writes == before


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "answer"),
        ({**YES, "answer": "maybe"}, "answer"),
        ({**YES, "reason": " "}, "reason"),
        ({**YES, "evidence": ""}, "evidence"),
    ],
)
def test_a_form_that_lacks_something_is_refused(form: dict[str, str], words: str) -> None:
    with pytest.raises(MalformedEvent, match=words):
        press(waiting(), by("alice"), form)


def test_a_model_that_changed_since_the_page_was_opened_is_not_approved() -> None:
    world = waiting(dataclasses.replace(AWAITING, evidence="0" * 64))
    with pytest.raises(Refused, match="not what was shown"):
        press(world, by("alice"))


def test_a_link_that_is_too_old_or_changed_decides_nothing_for_anybody() -> None:
    world = waiting()
    query = link(world)
    world.clock.advance(73 * 3600)
    with pytest.raises(Refused, match="expired"):
        world.actions.take("approve", query, YES, by("alice"))
    with pytest.raises(MalformedEvent):
        world.actions.take("approve", {**query, "subject": query["subject"].replace("7", "8")}, YES, by("alice"))
    assert votes(world) == []


def test_without_a_sign_in_of_the_platform_none_is_offered() -> None:
    world = waiting()
    without = dataclasses.replace(world.actions.approvals, has_sign_in=False)
    page = Reader(text(without.show(link(world)["subject"], link(world))))

    assert page.links == []
    assert len(page.forms) == 1
