"""Mails: readable, and nothing that comes from outside gets out of its place."""

from __future__ import annotations

import dataclasses
import datetime
import re
import unicodedata
from html.parser import HTMLParser
from typing import override

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.alerts import samples
from tidegate.flows.alerts import alert_mail, safe_text
from tidegate.flows.alerts.alert_mail import Button, Entry, Mail
from tidegate.flows.alerts.alert_policy import Diagnosis
from tidegate.flows.alerts.notices import Notice, line_of
from tidegate.flows.jobs.job_alert import job_alert
from tidegate.flows.jobs.job_facts import JobFacts
from tidegate.references import JobRef

HOSTS = ("ml.azure.com",)
BUTTONS = (Button("See the log", "https://app.example/api/actions/log?x=1"),)
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "job\r\nBcc: everybody@else.example",
    "gnp.exe\u202etxt.evil",
    "zero\u200bwidth\u2028line",
    "x" * 10_000,
    "see https://evil.example/login and www.evil.example",
    "\x1b[31mred\x1b[0m\x00",
    "</pre><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "{{7*7}} ${x} %s &amp;",
)
SECRETS = (
    "AZURE_CLIENT_SECRET=canary-7Q2",
    '"password": "canary-7Q2"',
    "https://x.blob.core.windows.net/a?sv=1&sig=canary-7Q2%3D",
    "Authorization: Bearer canary-7Q2abcdef",
    "AccountKey=canary-7Q2;EndpointSuffix=core.windows.net",
    "https://user:canary-7Q2@registry.example/v2",
    "export API_KEY='canary-7Q2'",
    "token: canary-7Q2",
    "login with hf_canary7Q2aaaaaaaaaaaaaaaaaaa",
    "remote github_pat_11AAcanary7Q2aaaaaaaaaaaa",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIcanary7Q2\nabc7Q2==\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIcanary7Q2\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYcanary7Q2",
    "MIIEcanary7Q2aaaaaaaaaaaaaaaaaaaa\nMIIEcanary7Q2aaaaaaaaaaaaaaaaaaaaa\n-----END PRIVATE KEY-----",
    "AKIAABCDEFGHIJ7Q2KLM ASIAABCDEFGHIJ7Q2KLM",
    "aws_secret_access_key = canary-7Q2",
    "mysql --password canary-7Q2 --host db",
    "curl -u ada:canary-7Q2 https://registry.example",
    "Subscription-Key: canary-7Q2",
    "{'primaryKey': 'canary-7Q2'}",
    "InstrumentationKey=canary-7Q2",
    "Set-Cookie: session=canary-7Q2; HttpOnly",
    "git clone https://canary-7Q2-token@git.example/x",
    "openai sk-proj-canary7Q2aaaaaaaaaaaaaaaaaaa",
    "databricks dapi0123456789abcdef0123456789abcdef",
    "client xyz8Q~canary7Q2aaaaaaaaaaaaaaaaaaaaaaaaaaa",
    'DOCKER_AUTH_CONFIG={"auths":{"x":{"auth":"canary-7Q2"}}}',
)


class Page(HTMLParser):
    """Tags, attributes, links and text of a mail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    @override
    def handle_data(self, data: str) -> None:
        self.words += data


def mail_of(text: str, log: str = "") -> Mail:
    facts = JobFacts(
        JobRef("vision", "r1"),
        "failed",
        experiment=text[:255],
        display_name=text,
        owner=text,
        compute=text,
        image=text,
        commit=text,
        failing_child=text,
        studio=text,
        error=text,
        log=log or text,
        log_name="runs/vision/run-r1.log",
    )
    alert = job_alert(facts, Diagnosis("code", "code", text), "id", "subject", "team", samples.NOW)
    notice = Notice("n", "failed", "incident:1", alert, ("r1", text), 2, samples.NOW, samples.NOW)
    return alert_mail.single("team/1", notice, BUTTONS, HOSTS, ("a@team.example",))


def check(mail: Mail) -> None:
    assert 0 < len(mail.subject) <= 200
    assert all(unicodedata.category(each) not in ("Cc", "Cf", "Zl", "Zp") for each in mail.subject)
    page = Page(mail.html)
    assert page.tags <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "div",
        "h1",
        "p",
        "b",
        "br",
        "pre",
        "table",
        "tr",
        "td",
        "a",
        "ul",
        "li",
    }
    assert page.attributes <= {"style", "href", "lang", "charset", "name", "content", "role", "class"}
    hosts = {re.sub(r"^https://([^/]+)/.*$", r"\1", link) for link in page.links}
    assert hosts <= {"ml.azure.com", "app.example"}
    for text in (mail.text, page.words):
        assert all(unicodedata.category(each) not in ("Cc", "Cf") or each == "\n" for each in text)
        assert not re.search(r"(?i)https?://(?!(ml\.azure\.com|app\.example)/)|www\.", text)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:30]))
def test_hostile_text_stays_text(text: str) -> None:
    check(mail_of(text))


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None, database=None)
def test_any_text_stays_text(text: str) -> None:
    check(mail_of(text))


@pytest.mark.parametrize("line", SECRETS)
def test_a_secret_in_a_log_does_not_get_into_a_mail(line: str) -> None:
    mail = mail_of("job", log=f"starting\n{line}\nbye")
    assert "canary" not in mail.text.replace("canary:", "").replace("CANARY", "")
    assert "7Q2" not in mail.html + mail.text + mail.subject
    assert safe_text.MASK in mail.text


def test_what_is_no_secret_is_left_alone() -> None:
    for line in (
        *("keyboard=qwerty", "epoch=3 loss=0.31", "KeyError: 'label'", "tokens per second: 12 / 99"),
        *("tokenizer: bert-base-uncased", "max_tokens: 512", "abfss://litter-images@account.dfs.core.windows.net/x"),
    ):
        assert safe_text.masked(line) == line


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://ml.azure.com/runs/r1?wsid=/subscriptions/x", True),
        ("https://ml.azure.com:443/runs", True),
        ("https://ml.azure.com.evil.example/runs", False),
        ("https://ml.azure.com@evil.example/", False),
        ("https://evil.example/ml.azure.com/", False),
        ("http://ml.azure.com/runs", False),
        ("javascript:alert(1)", False),
        ("https://ml.azure.com/a b", False),
        ("https://ml.azure.com\\@evil.example", False),
        ("", False),
    ],
)
def test_a_link_is_shown_only_if_its_host_is_allowed(link: str, shown: bool) -> None:
    assert (alert_mail.allowed(link, HOSTS) != "") is shown


def test_a_mail_says_what_failed_why_and_what_to_do() -> None:
    facts = JobFacts(
        JobRef("vision", "litter-7"),
        "failed",
        experiment="litter",
        display_name="Litter, larger batch",
        owner="Ada",
        compute="gpu-spot",
        tier="low_priority",
        image="tidegatehealthy.azurecr.io/training/litter@sha256:1",
        in_healthy="yes",
        commit="0a1b2c3",
        started=samples.NOW,
        seconds=3725,
        last_good="litter-6 (2026-03-01 10:00 UTC)",
        studio="https://ml.azure.com/runs/litter-7",
        log="step 4\nCUDA out of memory",
    )
    alert = job_alert(facts, Diagnosis("memory", "memory", "CUDA out of memory"), "i", "s", "team", samples.NOW)
    notice = Notice("n", "failed", "incident:1", alert, ("litter-7",), 1, samples.NOW, samples.NOW)
    mail = alert_mail.single("team/1", notice, BUTTONS, HOSTS, ())
    assert mail.subject == "[Tidegate] litter: Litter, larger batch failed, it ran out of memory"
    for words in (
        "Why:  CUDA out of memory",
        "Next: Use a smaller batch or a larger compute.",
        "Compute        gpu-spot (low priority)",
        "(in healthy)",
        "Ran for        1 h 2 min 5 s",
        "Last good run  litter-6",
        "Cause          memory (rule memory)",
        "Open the run: https://ml.azure.com/runs/litter-7",
        "  | CUDA out of memory",
    ):
        assert words in mail.text
    page = Page(mail.html)
    assert page.links == ["https://ml.azure.com/runs/litter-7", BUTTONS[0].link]
    assert '<meta name="viewport"' in mail.html


def test_a_digest_names_every_run_and_stays_one_line_in_its_subject() -> None:
    links = ("https://ml.azure.com/x", "")
    entries = [Entry(f"<img src=x>alert {n}", links[n % 2], (f"r{n}", f"s{n}"), 2) for n in range(300)]
    mail = alert_mail.digest("team/2", entries, "error", ())
    check(mail)
    assert mail.subject == "[Tidegate] Digest: 300 alerts, 600 failures"
    assert all(f"r{n}, s{n}" in mail.text for n in range(300))


def test_a_recovery_says_since_when_and_shows_no_old_reason() -> None:
    alert = dataclasses.replace(samples.alert(), facts=(("Succeeded", "r9"),), log="old log", why="old reason")
    at = samples.NOW + datetime.timedelta(hours=2)
    mail = alert_mail.single("t/3", Notice("n", "recovered", "i", alert, (), 3, samples.NOW, at), (), HOSTS, ())
    assert mail.severity == "info"
    assert mail.text.startswith("Recovered: exp: r1 failed\n")
    assert "after 3 failures since 2026-03-02 08:00 UTC" in mail.text
    assert "old" not in mail.text


def test_every_colour_has_another_on_a_dark_screen() -> None:
    """An element that sets a colour is the body, the bar of the heading, or of a class that the sheet names."""
    entries = [Entry("alert", "https://ml.azure.com/x", ("r1", "r2"), 2), Entry("other", "", ("r3",), 1)]
    for mail in (mail_of("job"), alert_mail.digest("team/2", entries, "error", ())):
        sheet = mail.html.partition("<style>")[2].partition("</style>")[0]
        for tag in re.findall(r"<[a-z][^>]*>", mail.html):
            if re.search(r"[\";](?:color|background):", tag) and not tag.startswith(("<body", "<h1")):
                found = re.search(r'class="(\w+)"', tag)
                assert found, f"{tag} keeps its colour on a dark screen"
                assert f".{found[1]}{{" in sheet


def test_a_line_of_a_digest_says_a_name_once() -> None:
    mail = alert_mail.digest("t/1", [Entry("exp: r1 failed", "", ("r1",), 1), Entry("x", "", ("r2",), 1)], "error", ())
    assert mail.text.count("r1") == 1
    assert mail.text.count("r2") == 1
    assert mail.subject == "[Tidegate] Digest: 2 alerts, 2 failures"


def test_a_mail_names_what_failed_before_the_run_that_it_shows() -> None:
    alert = samples.alert(2)
    earlier = Notice("n", "again", "incident:1", alert, ("r1",), 2, samples.NOW, samples.NOW)
    same = dataclasses.replace(earlier, names=("r2",))
    assert "All of it: r1" in alert_mail.single("t/1", earlier, (), HOSTS, ()).text
    assert "All of it" not in alert_mail.single("t/1", same, (), HOSTS, ()).text


def test_a_line_of_a_digest_says_why_and_no_secret_of_it() -> None:
    said = line_of(
        Notice(
            "n",
            "failed",
            "i",
            samples.alert(why="<b>token: canary-7Q2</b> \u202e" + "x" * 999),
            ("r1",),
            1,
            samples.NOW,
            samples.NOW,
        )
    )
    found = alert_mail.entry(said, HOSTS)
    mail = alert_mail.digest("t/1", [found], "error", ())
    check(mail)
    assert len(found.why) <= 120
    assert "\n  <b>token: ***" in mail.text
    assert "&lt;b&gt;token: ***" in mail.html
    assert line_of(Notice("n", "recovered", "i", samples.alert(), (), 1, samples.NOW, samples.NOW)).why == ""
