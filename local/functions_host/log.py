"""The host's log: readable lines or JSON lines on standard error, each with the invocation it belongs to."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import Literal, TextIO, override

from local.functions_host.messages import Logged

_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31;1m"}


def configure(kind: Literal["text", "json"], *, quiet: bool, stream: TextIO = sys.stderr) -> None:
    """Send this process's log records to `stream`; quiet keeps warnings and worse, of host and app."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines() if kind == "json" else _Lines(colour=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if quiet else logging.INFO)
    for chatty in ("azure", "aiohttp", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def forward(logged: Logged, function: str | None) -> None:
    """Log a record of the app, under its own logger's name and with the function that was running."""
    logger = logging.getLogger("Function")
    if not logger.isEnabledFor(logged.level):
        return
    extra = {"invocation_id": logged.invocation_id, "function": function}
    record = logger.makeRecord(logged.logger, logged.level, "", 0, "%s", (logged.message,), None, extra=extra)
    record.exc_text = logged.exception
    logger.handle(record)


class _Lines(logging.Formatter):
    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    @override
    def format(self, record: logging.LogRecord) -> str:
        invocation = getattr(record, "invocation_id", None)
        where = f"[{invocation[:8]}] {record.name}" if invocation else record.name
        text = f"{_time(record):%H:%M:%S.%f}"[:-3] + f" {record.levelname:<7} {where}: {record.getMessage()}"
        if exception := _exception(self, record):
            text += "\n" + exception
        colour = _COLOURS.get(record.levelno) if self._colour else None
        return f"{colour}{text}\x1b[0m" if colour else text


class _JsonLines(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "function": getattr(record, "function", None),
            "invocation_id": getattr(record, "invocation_id", None),
            "exception": _exception(self, record),
        }
        return json.dumps({name: value for name, value in line.items() if value is not None}, ensure_ascii=False)


def _time(record: logging.LogRecord) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record.created, datetime.UTC)


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[0] is not None:
        return formatter.formatException(record.exc_info)
    return record.exc_text
