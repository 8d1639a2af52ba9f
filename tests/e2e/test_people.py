"""Who asks, through the real host, worker and front: tokens are verified by the tenant's key, and nothing else is believed."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.cloud.entra_signing import SigningKey, of_person
from local.site import Answer, Site, send

ROOT = Path(__file__).parents[2]
UNKNOWN = "/deliveries/00000000000000000000"
YES = {"reason": "good", "evidence": "0" * 64}
PRINCIPAL = base64.b64encode(
    json.dumps(
        {"auth_typ": "aad", "name_typ": "name", "role_typ": "roles", "claims": [{"typ": "roles", "val": "Operator"}]}
    ).encode()
).decode()


def post(site: Site, path: str, body: Any, **headers: str) -> Answer:
    url = f"http://127.0.0.1:{site.stack.ports.functions}/api{path}"
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return send("POST", url, json.dumps(body).encode(), {"Content-Type": "application/json", **sent})


def test_a_token_of_the_tenant_is_taken_and_a_changed_one_is_not(site: Site) -> None:
    token = site.token("alice", "Approver.pro")

    good = site.api("POST", f"{UNKNOWN}/approve", YES, token=token)
    assert (good.status, good.json()["title"]) == (404, "Not found")
    head, body, signature = token.split(".")
    bad = site.api("POST", f"{UNKNOWN}/approve", YES, token=f"{head}.{body}.{signature[::-1]}")
    assert bad.status == 401
    assert bad.headers["content-type"].startswith("application/problem+json")
    assert 'error="invalid_token"' in bad.headers["www-authenticate"]


def test_a_token_of_another_key_is_refused(site: Site) -> None:
    foreign = SigningKey(site.stack.state / "foreign.pem").sign(of_person("alice", ["Operator"], seconds=60))
    refused = site.api("POST", f"{UNKNOWN}/hold", {"reason": "x"}, token=foreign)

    assert refused.status == 401
    assert "no such signing key" in refused.json()["detail"]


def test_the_principal_header_is_believed_by_nobody(site: Site) -> None:
    forged = {"X_MS_CLIENT_PRINCIPAL": PRINCIPAL, "X_MS_CLIENT_PRINCIPAL_NAME": "alice"}

    assert post(site, f"{UNKNOWN}/hold", {"reason": "x"}, **forged).status == 401
    decided = post(site, "/decisions?subject=a&expires=1&signature=b", {}, **forged)
    assert decided.status == 400  # the link is looked at first


def test_a_key_is_known_by_its_setting_and_no_other_opens_anything(site: Site) -> None:
    asked = site.api("POST", "/deliveries", {"model": "m", "version": "1", "workspace": "vision", "reason": "x"})
    assert (asked.status, asked.json()["title"]) == (404, "Not found")  # there is no such version; it was looked for
    for key in ("", "another", site.keys.default, site.keys.master):
        refused = site.api("POST", "/deliveries", {"model": "m"}, key=key)
        assert (refused.status, refused.json()["title"]) == (401, "Nobody is signed in"), key


def test_nothing_but_what_is_meant_to_be_open_answers_strangers(site: Site) -> None:
    document = json.loads((ROOT / "functions/openapi.json").read_text())
    operations = [
        (method.upper(), path.removeprefix("/api"), operation.get("security", document["security"]))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"get", "post"} and path != "/api/decisions"  # a link's signature is looked at first there
    ]
    assert len(operations) > 15
    for method, path, security in operations:
        answer = site.api(method, re.sub(r"\{\w+\}", "x", path), {} if method == "POST" else None, key="")
        assert (answer.status == 401) == bool(security), (method, path, answer.status)


def test_what_needs_a_role_is_refused_without_it(site: Site) -> None:
    token = site.token("carol", "Viewer")
    wish = {"repository": "training/x", "tag": "v1", "reason": "x", "override": True}

    assert site.api("GET", "/promotions?limit=1", token=token).status == 200
    for path, body in (("/promotions", wish), ("/dead-letters/x/replay", {})):
        refused = site.api("POST", path, body, token=token)
        assert (refused.status, "Operator" in refused.json()["detail"]) == (403, True), path


def test_the_command_line_prints_a_token_that_is_taken(site: Site) -> None:
    command = [
        sys.executable,
        "-m",
        "local",
        "--state",
        str(site.stack.state),
        "token",
        "--as",
        "olga",
        "--roles",
        "Operator",
    ]
    table = dataclasses.asdict(site.stack.ports)
    moved = {f"TIDEGATE_PORT_{name.upper()}": str(port) for name, port in table.items()}
    done = subprocess.run(command, env={**os.environ, **moved}, capture_output=True, text=True, check=True)

    assert site.api("POST", f"{UNKNOWN}/hold", {"reason": "x"}, token=done.stdout.strip()).status == 404
