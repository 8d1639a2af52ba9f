"""A real SMTP server (aiosmtpd) on loopback that keeps every mail as a file, and shows the mails in a browser."""

from __future__ import annotations

import asyncio
import datetime as dt
import email
import email.policy
import html
import itertools
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope

from local.cloud.core import Cloud

_STAMP = "%Y%m%dT%H%M%S"
_LIMIT = 8 * 2**20
"""Bytes of a mail, as servers on the internet commonly take at most some megabytes."""


def install(cloud: Cloud, port: int) -> Mailbox:
    """Serve SMTP on 127.0.0.1:port (0: any free port), and the mailbox at /admin/mailbox."""
    mailbox = Mailbox(Path(cloud.options.state) / "mailbox", port)
    router = cloud.local.router
    router.add_get("/admin/mailbox", mailbox.mails)
    router.add_delete("/admin/mailbox", mailbox.clear)
    router.add_get("/mail", mailbox.page)
    router.add_get("/mail/{name}", mailbox.show)
    cloud.lifetime(mailbox.running)
    return mailbox


class Mailbox:
    """All mails that were sent, whoever they are for, in a folder of .eml files."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._wanted = port
        self.port = 0
        """Where the server listens, once it runs."""
        self._numbers = itertools.count(1)

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = [int(path.name.partition("-")[0]) for path in self._folder.glob("*.eml")]
        self._numbers = itertools.count(max(kept, default=0) + 1)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(self, data_size_limit=_LIMIT, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", self._wanted
        )
        self.port = server.sockets[0].getsockname()[1]
        yield
        server.close()
        await server.wait_closed()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        """Keep the mail as it came; the name says in which order."""
        name = f"{next(self._numbers):06d}-{dt.datetime.now(dt.UTC):{_STAMP}}.eml"
        content = cast("bytes", envelope.content)
        (self._folder / name).write_bytes(content)
        return "250 OK"

    async def mails(self, request: web.Request) -> web.Response:
        """All mails, oldest first, with their parts as text."""
        wanted = request.query.get("subject", "")
        mails = [_described(path) for path in self._paths()]
        return web.json_response({"mails": [each for each in mails if wanted in each["subject"]]})

    async def clear(self, _request: web.Request) -> web.Response:
        for path in self._paths():
            path.unlink()
        return web.Response(status=204)

    async def page(self, _request: web.Request) -> web.Response:
        """The list for people, the newest first."""
        rows = "".join(map(_row, reversed(self._paths()))) or "<li>There is no mail yet.</li>"
        return web.Response(text=f"{_HEAD}<h1>Mailbox</h1><ul>{rows}</ul>", content_type="text/html")

    async def show(self, request: web.Request) -> web.Response:
        """One mail as a mail program shows it; what is in it may run nothing and load nothing."""
        path = next((each for each in self._paths() if each.name == request.match_info["name"]), None)
        if path is None:
            raise web.HTTPNotFound(text="there is no such mail")
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-popups"}
        return web.Response(text=_part(_parsed(path), "html"), content_type="text/html", headers=policy)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.eml"))


_HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    "<title>Mailbox</title><style>body{font:15px/1.5 sans-serif;max-width:50em;margin:1em auto;padding:0 1em;"
    "color-scheme:light dark}ul{list-style:none;padding:0}li{margin:0 0 12px}a{display:block}</style>"
)


def _row(path: Path) -> str:
    mail = _parsed(path)
    at = dt.datetime.strptime(path.stem.partition("-")[2], _STAMP)  # noqa: DTZ007  it is UTC, and said to be
    link = f'<a href="/mail/{html.escape(path.name)}">{html.escape(str(mail["subject"]))}</a>'
    return f"<li>{link}<small>{at:%Y-%m-%d %H:%M:%S} UTC, to {html.escape(str(mail['to']))}</small></li>"


def _parsed(path: Path) -> EmailMessage:
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)


def _described(path: Path) -> dict[str, str]:
    mail = _parsed(path)
    parts = {"text": _part(mail, "plain"), "html": _part(mail, "html")}
    headers = {name: str(mail[name] or "").strip() for name in ("subject", "to", "from", "importance", "message-id")}
    return {"name": path.name, **headers, **parts}


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""
