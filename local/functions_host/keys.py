"""The host's keys: made on first start, kept in `host.json` of a folder, and what each of them opens."""

from __future__ import annotations

import dataclasses
import enum
import hmac
import json
import os
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any

EVENT_GRID = "eventgrid_extension"
"""Name of the system key of the Event Grid webhook: `<extension>_extension`."""


class Level(enum.Enum):
    """Authorization levels of a function, and of a request by the key that it shows."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    SYSTEM = "system"
    ADMIN = "admin"


@dataclasses.dataclass(frozen=True, slots=True)
class HostKeys:
    """Keys of the whole host. Their values are secrets: never logged."""

    master: str = dataclasses.field(repr=False)
    function: Mapping[str, str] = dataclasses.field(repr=False)
    system: Mapping[str, str] = dataclasses.field(repr=False)

    @property
    def default(self) -> str:
        """The function key that opens every function of level `function`."""
        return self.function["default"]

    @property
    def event_grid(self) -> str:
        """The system key for `/runtime/webhooks/eventgrid`."""
        return self.system[EVENT_GRID]


def load(folder: pathlib.Path) -> HostKeys:
    """Read the keys of a host that has been started once; FileNotFoundError before that."""
    document = json.loads((folder / "host.json").read_text(encoding="utf-8"))
    return HostKeys(
        document["masterKey"]["value"], _by_name(document["functionKeys"]), _by_name(document["systemKeys"])
    )


def load_or_make(folder: pathlib.Path) -> HostKeys:
    """Read the keys, or make them: `host.json`, readable by its owner only, complete as soon as it has its name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "host.json"
    if not path.exists():
        document = {
            "masterKey": _new("master"),
            "functionKeys": [_new("default")],
            "systemKeys": [_new(EVENT_GRID)],
        }
        partial = folder / f"host.json.{os.getpid()}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        partial.rename(path)
    return load(folder)


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """What the key of a request opens: its level, and the name of the key that matched."""

    level: Level
    key_name: str = ""

    def opens(self, needed: Level) -> bool:
        """The level must be the very one, but admin opens everything and anonymous needs nothing."""
        return needed is Level.ANONYMOUS or self.level in {needed, Level.ADMIN}


class KeyRing:
    """Answers what a key opens. With no keys (`--no-auth`) every request is an administrator's, as with `func start`."""

    def __init__(self, keys: HostKeys | None, folder: pathlib.Path | None = None) -> None:
        self._keys = keys
        self._folder = folder
        self._own: dict[str, Mapping[str, str]] = {}

    def grant(self, presented: str | None, function: str | None = None) -> Grant:
        """Tried in the real host's order: master, system, host function keys, the function's own keys."""
        if self._keys is None:
            return Grant(Level.ADMIN)
        if not presented:
            return Grant(Level.ANONYMOUS)
        if _same(presented, self._keys.master):
            return Grant(Level.ADMIN, "master")
        if name := _match(presented, self._keys.system):
            return Grant(Level.SYSTEM, name)
        if name := _match(presented, self._keys.function) or _match(presented, self._keys_of(function)):
            return Grant(Level.FUNCTION, name)
        return Grant(Level.ANONYMOUS)

    def _keys_of(self, function: str | None) -> Mapping[str, str]:
        """A function's own keys, from `<function>.json` in the keys folder, if there is one when first asked."""
        if function is None or self._folder is None:
            return {}
        if function not in self._own:
            path = self._folder / f"{function.lower()}.json"
            document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"keys": []}
            self._own[function] = _by_name(document["keys"])
        return self._own[function]


def _new(name: str) -> dict[str, Any]:
    return {"name": name, "value": secrets.token_urlsafe(40), "encrypted": False}


def _by_name(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in entries}


def _match(presented: str, keys: Mapping[str, str]) -> str | None:
    return next((name for name, value in keys.items() if _same(presented, value)), None)


def _same(presented: str, key: str) -> bool:
    return hmac.compare_digest(presented.encode(), key.encode())
