"""Mails by the alert workflow: a Logic App that is called by an address that carries its own signature."""

from __future__ import annotations

import threading
import urllib.parse

import requests

from tidegate.adapters.azure_calls import retry_after
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.alerts.alert_mail import Mail
from tidegate.ports import Secrets
from tidegate.settings import Settings

_TIMEOUT = (4, 25)
"""Seconds to connect and to answer: the workflow answers once the mail was handed over."""
_HOSTS = (".logic.azure.com", ".logic.azure.us", ".logic.azure.cn")
_SIGNATURE_GONE = (401, 403, 404)
"""Answers to an address whose key was renewed; 404 also stands for a disabled workflow."""


class AlertWorkflow:
    """The AlertEmail port. The address is a secret: it is in no message, no error and no log."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._secrets = secrets
        self._name = settings.alert_url_secret
        self._session = requests.Session()
        self._url = ""
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def send(self, mail: Mail) -> None:
        """PermanentError: the workflow refuses it (4xx but 429), or there is no workflow."""
        status, wait = self._post(mail, self._address())
        if status in _SIGNATURE_GONE:  # the key may have been renewed since the address was read
            self._forget()
            status, wait = self._post(mail, self._address())
        if 200 <= status < 300:
            return
        if status == 429 or status >= 500:
            raise TransientError(f"mail {mail.id}: the workflow answered {status}", retry_after=wait)
        raise PermanentError(f"mail {mail.id}: the workflow refused it ({status})")

    def _post(self, mail: Mail, url: str) -> tuple[int, float | None]:
        body = {
            "id": mail.id,
            "severity": mail.severity,
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "to": list(mail.to),
        }
        try:
            answer = self._session.post(url, json=body, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            # Its text holds the address; the chain would bring it into logs.
            raise TransientError(f"mail {mail.id}: no answer ({type(error).__name__})") from None
        with answer:
            return answer.status_code, retry_after(answer.headers)

    def _address(self) -> str:
        with self._lock:
            if not self._url:
                url = self._secrets.get(self._name).strip()
                parts = urllib.parse.urlsplit(url)
                if parts.scheme != "https" or not (parts.hostname or "").endswith(_HOSTS):
                    raise PermanentError(f"secret {self._name}: not the https address of a workflow")
                self._url = url
            return self._url

    def _forget(self) -> None:
        with self._lock:
            self._url = ""
