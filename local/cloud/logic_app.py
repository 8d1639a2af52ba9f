"""Stand-in for the Logic App that sends alerts: runs the very definition that is deployed, and mails by SMTP.

Emulated. The trigger's address has a signature and is a secret of the vault; on Azure the deployment puts it there. Both
ways of the workflow (Office 365, Communication Services) end at the local mail server. Unverified: the answers to a wrong
signature (401), a body outside the schema (400) and a disabled workflow (404).
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import smtplib
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiohttp import web

from local import world
from local.cloud.core import Cloud
from local.cloud.errors import ArmError
from local.cloud.key_vault import KeyVault
from local.cloud.mailbox import Mailbox
from local.cloud.state import StateFile
from local.cloud.workflow_run import RefusedError, load

HOST = f"prod-00.{world.LOCATION}.logic.azure.com"
DEFINITION = Path(__file__).parents[2] / "infra" / "data" / "alert-email.workflow.json"
URL_SECRET = "alert-email-url"
_PATH = "/workflows/{workflow}/triggers/manual/paths/invoke"
_WORKFLOW = "a1e27"
SENDER = "tidegate@alerts.example"
RECIPIENTS = {"error": "on-call@team.example", "warning": "team@team.example", "info": "team@team.example"}


def install(cloud: Cloud, vault: KeyVault, mailbox: Mailbox) -> None:
    """Serve the trigger, and put its address into the vault where it is not yet."""
    state = StateFile(Path(cloud.options.state) / "logic-app.json", private=True)
    if "signature" not in state.value:
        state.value["signature"] = secrets.token_urlsafe(32)
        state.save()
    app = LogicApp(state.value["signature"], mailbox)
    cloud.host(HOST).router.add_post(_PATH, app.invoke)
    cloud.local.router.add_post("/admin/logic-app", app.configure)
    vault.seed(URL_SECRET, app.address)


class LogicApp:
    """One workflow."""

    def __init__(self, signature: str, mailbox: Mailbox) -> None:
        self._signature = signature
        self._mailbox = mailbox
        self._workflow = load(DEFINITION.read_text(encoding="utf-8"))
        self._parameters: dict[str, Any] = {
            "$connections": {"office365": {"connectionId": "local"}},
            "transport": "communication",
            "communicationEndpoint": f"https://acs-tidegate.{world.LOCATION}.communication.azure.com",
            "sender": SENDER,
            "recipients": RECIPIENTS,
        }
        self._enabled = True

    @property
    def address(self) -> str:
        """The signed address of the trigger."""
        path = _PATH.format(workflow=_WORKFLOW)
        query = f"api-version=2016-10-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={self._signature}"
        return f"https://{HOST}:443{path}?{query}"

    async def configure(self, request: web.Request) -> web.Response:
        """`{"transport": "office365"}` changes how mails go; `{"enabled": false}` disables the workflow."""
        body = await request.json()
        self._enabled = bool(body.pop("enabled", True))
        self._parameters |= body
        return web.json_response({"enabled": self._enabled})

    async def invoke(self, request: web.Request) -> web.Response:
        given = request.query.get("sig", "")
        if request.match_info["workflow"] != _WORKFLOW or not self._enabled:
            raise ArmError(404, "WorkflowNotFound", "The workflow is not there, or is disabled.")
        if not hmac.compare_digest(given.encode(), self._signature.encode()):
            raise ArmError(401, "AuthorizationFailed", "The authentication credentials are not valid.")
        try:
            body = await request.json()
        except json.JSONDecodeError as error:
            raise ArmError(400, "InvalidRequestContent", "The request content is not valid JSON.") from error
        try:
            reply = await self._workflow.run(body, self._parameters, self._connect)
        except RefusedError as refusal:
            raise ArmError(400, "TriggerInputSchemaMismatch", str(refusal)) from refusal
        return web.json_response(reply.body, status=reply.status)

    async def _connect(self, kind: str, inputs: Mapping[str, Any]) -> tuple[int, Any]:
        """What the connector or the service answers once the mail is handed over."""
        mail = _office_365(inputs["body"]) if kind == "ApiConnection" else _communication(inputs["body"])
        try:
            await asyncio.to_thread(self._send, mail)
        except (OSError, smtplib.SMTPException) as error:
            return 502, {"error": {"code": "SmtpFailed", "message": str(error)}}
        return (202, {"id": mail["Message-ID"], "status": "Running"}) if kind == "Http" else (200, None)

    def _send(self, mail: EmailMessage) -> None:
        with smtplib.SMTP("127.0.0.1", self._mailbox.port, timeout=10) as server:
            server.send_message(mail)


def _office_365(body: Mapping[str, Any]) -> EmailMessage:
    """The connector takes HTML alone; a mail program makes the plain text itself."""
    mail = _mail(body["Subject"], body["To"].replace(";", ", "), body.get("Importance", "Normal"))
    mail.set_content(body["Body"], subtype="html")
    return mail


def _communication(body: Mapping[str, Any]) -> EmailMessage:
    content = body["content"]
    to = ", ".join(each["address"] for each in body["recipients"]["to"])
    mail = _mail(content["subject"], to, "Normal", sender=body["senderAddress"])
    mail.set_content(content["plainText"])
    mail.add_alternative(content["html"], subtype="html")
    return mail


def _mail(subject: str, to: str, importance: str, sender: str = SENDER) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = subject, sender, to
    mail["Importance"] = importance
    mail["Message-ID"] = f"<{secrets.token_hex(16)}@{SENDER.partition('@')[2]}>"
    return mail
