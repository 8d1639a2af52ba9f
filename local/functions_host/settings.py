"""What configures the host: host.json, local.settings.json, the environment, and how bindings refer to them."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

_OVERRIDE = "AzureFunctionsJobHost__"
_SETTING = re.compile(r"%([^%]+)%")


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and says what is expected."""


@dataclasses.dataclass(frozen=True, slots=True)
class QueueSettings:
    """`extensions.queues` of host.json, with the defaults of the storage extension."""

    batch_size: int = 16
    """Messages fetched at once, 1 to 32."""
    new_batch_threshold: int = 0
    """Fetch again when so few messages still run. 0: half a batch for each processor, the real default."""
    max_dequeue_count: int = 5
    visibility_timeout_s: float = 0
    """Delay before a message that failed is tried again."""
    max_polling_interval_s: float = 60
    base64: bool = True
    """`messageEncoding`: base64, or false for `none`."""


@dataclasses.dataclass(frozen=True, slots=True)
class HostSettings:
    """host.json, as far as this host follows it."""

    route_prefix: str = "api"
    function_timeout_s: float | None = 1800
    """None is unlimited. 30 minutes is the default of every plan but Consumption."""
    functions: frozenset[str] | None = None
    """Only these functions run; None is all."""
    queues: QueueSettings = QueueSettings()


def read_host(app: pathlib.Path, environ: Mapping[str, str]) -> HostSettings:
    """Read `host.json`; `AzureFunctionsJobHost__extensions__queues__batchSize=1` in the environment overrides a value."""
    path = app / "host.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing: every function app has one") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise SettingsError(f'{path} must say "version": "2.0"')
    for name, value in environ.items():
        if name.startswith(_OVERRIDE):
            _override(document, name.removeprefix(_OVERRIDE).split("__"), value)
    return _host(document)


def read_local(app: pathlib.Path) -> dict[str, str]:
    """The `Values` of local.settings.json, or nothing where there is no such file."""
    path = app / "local.settings.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}") from error
    if document.get("IsEncrypted"):
        raise SettingsError(f"{path} is encrypted; decrypt it with `func settings decrypt`")
    values = document.get("Values", {})
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise SettingsError(f"{path}: values must be strings: {', '.join(wrong)}")
    return dict(values)


def merge(environ: Mapping[str, str], local: Mapping[str, str]) -> dict[str, str]:
    """The app's environment: the process's own variables win over local.settings.json, as with `func start`."""
    return {"AZURE_FUNCTIONS_ENVIRONMENT": "Development"} | dict(local) | dict(environ)


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectionString:
    value: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """A storage account reached with a token: its queue endpoint, and the client id of a user-assigned identity."""

    queue_uri: str
    client_id: str | None = None


type Connection = ConnectionString | Account


class AppSettings:
    """Looks settings up as the host does: names differ in case only for people, `__` separates sections."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = {name.casefold(): value for name, value in environ.items()}

    def get(self, name: str) -> str | None:
        """The value of one setting, or None."""
        return self._values.get(name.casefold())

    def resolve(self, text: str) -> str:
        """Replace each `%name%` by the setting of that name."""
        return _SETTING.sub(self._value_of, text)

    def connection(self, name: str | None) -> Connection:
        """The storage connection that a binding's `connection` names; `AzureWebJobs<name>` goes before `<name>`."""
        name = name or "Storage"
        for prefix in (f"AzureWebJobs{name}", name):
            if found := self._connection(prefix):
                return found
        raise SettingsError(
            f"no storage connection {name!r}: set {name} to a connection string, or {name}__queueServiceUri "
            f"or {name}__accountName for a connection by identity"
        )

    def is_disabled(self, function: str) -> bool:
        """`AzureWebJobs.<function>.Disabled`, with `_` for the dots where a shell allows no dots."""
        names = (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled")
        return any((self.get(name) or "").casefold() in {"true", "1"} for name in names)

    def _connection(self, name: str) -> Connection | None:
        if text := self.get(name):
            return ConnectionString(text)
        account, client_id = self.get(f"{name}__accountName"), self.get(f"{name}__clientId")
        if uri := self.get(f"{name}__queueServiceUri") or self.get(f"{name}__serviceUri"):
            return Account(uri, client_id)
        return Account(f"https://{account}.queue.core.windows.net", client_id) if account else None

    def _value_of(self, match: re.Match[str]) -> str:
        value = self.get(match[1])
        if value is None:
            raise SettingsError(f"%{match[1]}% does not resolve: there is no setting {match[1]}")
        return value


def parse_timespan(text: str) -> float:
    """Seconds of a .NET TimeSpan, `[d.]hh:mm[:ss[.fff]]`, `d`; 24:00:00 is 24 days there, and here."""
    match = re.fullmatch(r"(-)?(?:(\d+)\.)?(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?", text.strip())
    if not match:
        if text.strip().isdigit():
            return int(text) * 86400.0
        raise SettingsError(f"{text!r} is not a time span such as 00:05:00")
    sign, days, hours, minutes, seconds = match.groups()
    if int(hours) >= 24 and days is None and seconds is not None:
        days, hours, minutes, seconds = hours, minutes, seconds, "0"
    total = int(days or 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds or 0)
    return -total if sign else total


def _host(document: Mapping[str, Any]) -> HostSettings:
    extensions = document.get("extensions", {})
    functions = document.get("functions")
    return HostSettings(
        route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
        function_timeout_s=_timeout(document.get("functionTimeout", "00:30:00")),
        functions=None if functions is None else frozenset(functions),
        queues=_queues(extensions.get("queues", {})),
    )


def _timeout(value: Any) -> float | None:
    seconds = -1.0 if str(value) == "-1" else parse_timespan(str(value))
    if seconds == 0:
        raise SettingsError("host.json: functionTimeout is zero; -1 is unlimited")
    return None if seconds < 0 else seconds


def _queues(section: Mapping[str, Any]) -> QueueSettings:
    batch = _number(section, "batchSize", 16, 1, 32)
    encoding = str(section.get("messageEncoding", "base64")).casefold()
    if encoding not in {"base64", "none"}:
        raise SettingsError(f"host.json: messageEncoding is base64 or none, not {encoding!r}")
    polling = parse_timespan(str(section.get("maxPollingInterval", "00:01:00")))
    if polling < 0.1:
        raise SettingsError("host.json: maxPollingInterval is 100 ms or more")
    return QueueSettings(
        batch_size=batch,
        new_batch_threshold=_number(section, "newBatchThreshold", batch // 2 * (os.cpu_count() or 1), 0, 1 << 31),
        max_dequeue_count=_number(section, "maxDequeueCount", 5, 1, 1 << 31),
        visibility_timeout_s=parse_timespan(str(section.get("visibilityTimeout", "00:00:00"))),
        max_polling_interval_s=polling,
        base64=encoding == "base64",
    )


def _number(section: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    text = str(section.get(name, default))
    if not text.isdigit() or not low <= int(text) <= high:
        raise SettingsError(f"host.json: {name} is a whole number from {low} to {high}, not {text!r}")
    return int(text)


def _override(document: dict[str, Any], path: list[str], value: str) -> None:
    section = document
    for step in path[:-1]:
        section = section.setdefault(_spelled(section, step), {})
    section[_spelled(section, path[-1])] = value


def _spelled(section: Mapping[str, Any], name: str) -> str:
    """The key as the document has it: names in the environment match in any case."""
    return next((key for key in section if key.casefold() == name.casefold()), name)
