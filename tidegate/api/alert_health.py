"""Whether alerts reach people. Told by the health check, not by mail: mail itself may be what does not work."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from tidegate.flows.alerts import mailing
from tidegate.records import Record, Records

LATE_AFTER = datetime.timedelta(minutes=15)
"""How long a mail may wait for the workflow's answer: longer than any retry that is part of an ordinary day."""


def alert_health(records: Records, routes: Iterable[str], now: datetime.datetime) -> dict[str, Any]:
    """The worst of all ways that mails go: `undelivered` (refused since the last mail that went out), `late`, or `ok`.

    Reads one row a way. Says since when and how many, never whom or why: who asks about health may be anybody.
    """
    undelivered, late = [], []
    for route in routes:
        record, _ = records.load(mailing.key(route))
        match record.state:
            case mailing.Mailbox(lost=mailing.Lost() as lost):
                undelivered.append((lost.since, lost.mails))
            case mailing.Mailbox(sending=mailing.SendMail()):
                late += [(since, 1) for since in _tried_since(record) if now - since > LATE_AFTER]
            case _:
                pass
    for status, found in (("undelivered", undelivered), ("late", late)):
        if found:
            since = min(since for since, _ in found).astimezone(datetime.UTC)
            return {"status": status, "since": f"{since:%Y-%m-%dT%H:%M:%SZ}", "mails": sum(each for _, each in found)}
    return {"status": "ok"}


def _tried_since(record: Record) -> list[datetime.datetime]:
    return [entry.since for entry in record.outbox if isinstance(entry.command, mailing.SendMail)]
