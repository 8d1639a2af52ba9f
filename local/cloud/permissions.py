"""Which permission a call needs: of ARM by its method and path, of the other planes by what is done."""

from __future__ import annotations

import dataclasses
import re

_LISTED = ("microsoft.containerregistry/registries",)
"""Types that ARM lists in a subscription or group without a permission: the answer has what the caller may read. Seen:
az with a role on one registry alone finds no other, and gets no refusal (MicrosoftDocs/azure-docs issue 59016)."""
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
_OPEN = re.compile(
    r"/(tenants|subscriptions(/[^/]+(/resourcegroups|/resources|/providers/[^/]+/locations/.*)?)?)", re.IGNORECASE
)
"""What anyone who is signed in may ask. Unverified: asking how a long operation goes; no role was found that names it."""
_GROUP = re.compile(r"(?P<group>/subscriptions/[^/]+/resourcegroups/[^/]+)(?P<resources>/resources)?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class Permission:
    """An action over a scope, as role definitions name it."""

    action: str
    scope: str
    """ARM id of the resource or group."""
    data: bool = False
    """Whether it is a data action."""


def of_arm_call(method: str, path: str) -> Permission | None:
    """What ARM asks for before it looks at anything else; None: anyone who is signed in may.

    The rule: a resource is read, written or deleted as `<namespace>/<types>/<verb>`; a POST of one more part is
    `<namespace>/<types>/<part>/action`. Of an extension (a lock, an assignment) the last `/providers/` counts.
    """
    path = path.rstrip("/")
    if _OPEN.fullmatch(path):
        return None
    if group := _GROUP.fullmatch(path):
        kind = "Microsoft.Resources/subscriptions/resourceGroups" + ("/resources" if group["resources"] else "")
        return Permission(f"{kind}/{_VERBS.get(method, 'read')}", group["group"])
    around, _, rest = path.rpartition("/providers/")
    namespace, *parts = rest.split("/")
    types = "/".join((namespace, *parts[::2]))
    if len(parts) % 2 == 0:
        return Permission(f"{types}/{_VERBS.get(method, 'action')}", path)
    above = path.rpartition("/")[0] if len(parts) > 1 else around
    if method == "POST":
        return Permission(f"{types}/action", above)
    if types.lower() in _LISTED:
        return None
    return Permission(f"{types}/read", above)


_REGISTRY_ACTIONS = {
    "pull": "pull/read",
    "push": "push/write",
    "delete": "artifacts/delete",
    "metadata_read": "metadata/read",
    "metadata_write": "metadata/write",
    "*": "pull/read",
}
"""Action of a token's scope -> permission. `*` is what the catalog asks for. Classic registries only: with repository
permissions (ABAC) these are data actions. Unverified: that reading metadata takes more than the right to pull."""


def of_registry_action(action: str, registry_id: str) -> Permission:
    """What an action in the scope of a registry's token takes."""
    return Permission(f"Microsoft.ContainerRegistry/registries/{_REGISTRY_ACTIONS.get(action, action)}", registry_id)
