"""What the stand-in knows of one container group, in the shapes of ARM."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from local import world
from local.cloud.ml_jobs import now

KIND = "Microsoft.ContainerInstance/containerGroups"


@dataclasses.dataclass(slots=True)
class Group:
    """`body` is what the client put. Times are ISO 8601, UTC."""

    name: str
    body: dict[str, Any]
    state: str = "Pending"
    """provisioningState."""
    started: str = ""
    """When its container began to run; empty: it does not run."""
    restarts: int = 0
    events: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def properties(self) -> dict[str, Any]:
        properties: dict[str, Any] = self.body["properties"]
        return properties

    @property
    def label(self) -> str:
        """Its name in the region's domain; empty: it has no public address."""
        address = self.properties.get("ipAddress") or {}
        return str(address.get("dnsNameLabel") or "").lower() if address.get("type") == "Public" else ""

    def happened(self, name: str, message: str, *, warning: bool = False) -> None:
        """Note an event of the container."""
        event = {"name": name, "message": message, "type": "Warning" if warning else "Normal", "count": 1}
        self.events.append({**event, "firstTimestamp": now(), "lastTimestamp": now()})
        del self.events[:-20]

    def resource(self) -> dict[str, Any]:
        """As ARM shows it: secure values are told to nobody."""
        container = self.properties["containers"][0]
        shown = {**container, "properties": {**container["properties"], "instanceView": self._view()}}
        shown["properties"]["environmentVariables"] = [
            {key: value for key, value in each.items() if key != "secureValue"}
            for each in container["properties"].get("environmentVariables") or ()
        ]
        properties = {**self.properties, "containers": [shown], "provisioningState": self.state}
        if self.label:
            address = {"ip": "127.0.0.1", "fqdn": host_of(self.label)}
            properties["ipAddress"] = {**self.properties["ipAddress"], **address}
        properties["instanceView"] = {"state": "Running" if self.started else "Pending", "events": []}
        return {
            "id": f"{world.GROUP_ID}/providers/{KIND}/{self.name}",
            "name": self.name,
            "type": KIND,
            "location": self.body.get("location") or world.LOCATION,
            "tags": self.body.get("tags") or {},
            "identity": self.body.get("identity"),
            "properties": properties,
        }

    def _view(self) -> dict[str, Any]:
        current: dict[str, Any] = {"state": "Waiting", "detailStatus": "CrashLoopBackOff" if self.restarts else ""}
        if self.started:
            current = {"state": "Running", "startTime": self.started, "detailStatus": ""}
        return {"restartCount": self.restarts, "currentState": current, "events": self.events}

    def run(self) -> None:
        """Its container runs from now on."""
        self.state, self.started = "Succeeded", dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
        self.happened("Started", "Started container")


def host_of(label: str) -> str:
    """The public host name of a group."""
    return f"{label}.{world.LOCATION}.azurecontainer.io"
