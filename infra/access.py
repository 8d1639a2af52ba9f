"""What data/roles.json allows: Azure's rule of actions, exceptions and wildcards, over the grants of the file."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


@dataclasses.dataclass(frozen=True, slots=True)
class Role:
    """The permissions of one role. An action that is granted and also excepted is refused."""

    key: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    data_actions: tuple[str, ...]
    not_data_actions: tuple[str, ...]

    def allows(self, action: str, *, data: bool = False) -> bool:
        granted, excepted = (self.data_actions, self.not_data_actions) if data else (self.actions, self.not_actions)
        return _any(granted, action) and not _any(excepted, action)


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    principal: str
    scope: str
    role: str


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """Roles by key, and who has them where."""

    roles: Mapping[str, Role]
    grants: tuple[Grant, ...]

    def allows(self, principal: str, scope: str, action: str, *, data: bool = False) -> bool:
        """Whether a principal may do something at a scope; what it has on the resource group, it has everywhere in it."""
        return any(
            self.roles[grant.role].allows(action, data=data)
            for grant in self.grants
            if grant.principal == principal and grant.scope in {scope, "resource-group"} | _around(scope)
        )


def _around(scope: str) -> set[str]:
    """Scopes that hold another one: the container of dead letters is in the state account."""
    return {"state-account"} if scope == "dead-letters" else set()


def _any(patterns: Iterable[str], action: str) -> bool:
    return any(_pattern(each).fullmatch(action) for each in patterns)


def _pattern(text: str) -> re.Pattern[str]:
    """Actions are compared without case; `*` stands for any text, slashes included."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.IGNORECASE)


def read(path: Path = DATA / "roles.json") -> Access:
    """The access that a file describes. KeyError: a grant names a role that is not in it."""
    stored = json.loads(path.read_text())
    roles = {each["key"]: _role(each) for each in (*stored["roles"], *stored["builtIn"])}
    grants = tuple(Grant(each["principal"], each["scope"], each["role"]) for each in stored["grants"])
    for grant in grants:
        roles[grant.role]
    return Access(roles, grants)


def _role(stored: Mapping[str, Any]) -> Role:
    lists = (tuple(stored.get(name, ())) for name in ("actions", "notActions", "dataActions", "notDataActions"))
    return Role(stored["key"], *lists)
