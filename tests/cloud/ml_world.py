"""A workspace for one test: models, endpoints and deployments as plain calls, and requests to what serves."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Mapping
from typing import Any, Self

import requests
from azure.core.credentials import TokenCredential
from azure.storage.blob import BlobServiceClient

from local import world
from tests.azurite import Azurite
from tests.cloud.world import LocalCloud, eventually

API = "2023-04-01-preview"
SCRIPT = """
import json, os, time

def init():
    print("ready to answer", os.environ.get("ANSWER"))

def run(data):
    asked = json.loads(data)
    time.sleep(asked.get("sleep", 0))
    if asked.get("fail"):
        raise ValueError("no such picture")
    return {"answer": os.environ.get("ANSWER", ""), "pid": os.getpid()}
"""
"""Imports nothing heavy, so that a deployment is up in a second."""


@dataclasses.dataclass(frozen=True, slots=True)
class Workspace:
    """Calls of ARM about one workspace, and of what it serves."""

    cloud: LocalCloud
    storage: Azurite
    session: requests.Session
    credential: TokenCredential
    name: str = "vision-dev"

    def arm(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        """One call of ARM below the workspace; any status."""
        token = self.credential.get_token("https://management.azure.com/.default").token
        url = f"https://management.azure.com{world.workspace_id(self.name)}{path}"
        headers = {"Authorization": f"Bearer {token}"}
        return self.session.request(
            method, url, params={"api-version": API, **query}, json=body, headers=headers, timeout=60
        )

    def done(self, answer: requests.Response) -> dict[str, Any]:
        """The last poll of the operation that a call started."""
        assert answer.status_code in (200, 201, 202), answer.text
        token = self.credential.get_token("https://management.azure.com/.default").token
        address, headers = answer.headers["Azure-AsyncOperation"], {"Authorization": f"Bearer {token}"}

        def poll() -> Any:
            status = self.session.get(address, headers=headers, timeout=60).json()
            return status if status["status"] != "InProgress" else None

        found: dict[str, Any] = eventually(poll, f"{address} does not end", 90)
        return found

    def upload(self, files: Mapping[str, str]) -> str:
        """Files in a folder of their own; gives the uri that models are registered with."""
        store = self.arm("GET", "/datastores/workspaceblobstore").json()["properties"]
        folder = f"tests/{uuid.uuid4().hex[:8]}"
        with BlobServiceClient.from_connection_string(self.storage.connection_string) as blobs:
            for name, content in files.items():
                blobs.get_blob_client(store["containerName"], f"{folder}/{name}").upload_blob(content.encode())
        return f"azureml://datastores/workspaceblobstore/paths/{folder}"

    def model(self, files: Mapping[str, str] | None = None) -> str:
        """A registered model; gives its id."""
        name = f"model-{uuid.uuid4().hex[:8]}"
        body = {"properties": {"modelUri": self.upload(files or {"score.py": SCRIPT})}}
        answer = self.arm("PUT", f"/models/{name}/versions/1", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def root(self, model: str) -> str:
        """Where the files of a model are in its deployment, as a container sees them."""
        name = model.split("/")[-3]
        uri = self.arm("GET", f"/models/{name}/versions/1").json()["properties"]["modelUri"]
        return f"/var/azureml-app/azureml-models/{name}/1/{uri.rpartition('/')[2]}"

    def environment(self, image: str = "mcr.microsoft.com/scoring@sha256:" + "0" * 64) -> str:
        name = f"image-{uuid.uuid4().hex[:8]}"
        answer = self.arm("PUT", f"/environments/{name}/versions/1", {"properties": {"image": image}})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def endpoint(self, name: str = "", **properties: Any) -> Endpoint:
        """A new one that is ready."""
        one = Endpoint(self, name or f"digits-{uuid.uuid4().hex[:8]}")
        assert self.done(one.put({}, **properties))["status"] == "Succeeded"
        return one


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint, its deployments and its scoring address."""

    workspace: Workspace
    name: str

    @property
    def path(self) -> str:
        return f"/onlineEndpoints/{self.name}"

    def put(self, traffic: Mapping[str, int], **properties: Any) -> requests.Response:
        """The whole division of traffic, as the service takes it."""
        given = {"authMode": "Key", "traffic": dict(traffic), **properties}
        body = {"location": world.LOCATION, "properties": given, "identity": {"type": "SystemAssigned"}}
        return self.workspace.arm("PUT", self.path, body)

    def shift(self, traffic: Mapping[str, int], **properties: Any) -> None:
        assert self.workspace.done(self.put(traffic, **properties))["status"] == "Succeeded"

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.workspace.arm("GET", self.path).json()
        return found

    def put_deployment(self, name: str, files: Mapping[str, str] | None = None, **properties: Any) -> requests.Response:
        """`properties` take the place of the usual ones; the answer of the server is the deployment's name."""
        variables = {"ANSWER": name, "AZUREML_ENTRY_SCRIPT": "score.py"}
        given: dict[str, Any] = {
            "endpointComputeType": "Managed",
            "instanceType": "Standard_DS2_v2",
            "environmentVariables": variables,
            **properties,
        }
        if "model" not in given:
            given["model"] = self.workspace.model(files)
            root = self.workspace.root(given["model"])
            given["environmentVariables"] = {"AML_APP_ROOT": root, **given["environmentVariables"]}
        if "environmentId" not in given:
            given["environmentId"] = self.workspace.environment()
        body = {"location": world.LOCATION, "properties": given, "sku": {"name": "Default", "capacity": 1}}
        return self.workspace.arm("PUT", f"{self.path}/deployments/{name}", body)

    def deploy(self, name: str, **properties: Any) -> None:
        """A deployment that is up."""
        ended = self.workspace.done(self.put_deployment(name, **properties))
        assert ended["status"] == "Succeeded", ended

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.workspace.arm("GET", f"{self.path}/deployments/{name}").json()
        return found

    def process(self, name: str) -> dict[str, Any]:
        """What runs for a deployment, by the stand-in's own word."""
        endpoints = self.workspace.cloud.admin("GET", "endpoints")["endpoints"]
        mine = next(each for each in endpoints if each["name"] == self.name)
        found: dict[str, Any] = next(each for each in mine["deployments"] if each["name"] == name)
        return found

    def key(self) -> str:
        return str(self.workspace.arm("POST", f"{self.path}/listKeys").json()["primaryKey"])

    def ask(self, body: Any = None, deployment: str = "", secret: str | None = None) -> requests.Response:
        """One request to the scoring address."""
        headers = {"Authorization": f"Bearer {self.key() if secret is None else secret}"}
        if deployment:
            headers["azureml-model-deployment"] = deployment
        url = f"https://{self.name}.{world.LOCATION}.inference.ml.azure.com/score"
        return self.workspace.session.post(url, json=body or {}, headers=headers, timeout=60)

    def metric(self, name: str, where: str = "", deployment: str = "", aggregation: str = "average") -> list[Any]:
        """The series of a metric in the last hour."""
        place = f"{self.path}/deployments/{deployment}" if deployment else self.path
        query = {"metricnames": name, "aggregation": aggregation, **({"$filter": where} if where else {})}
        answer = self.workspace.arm("GET", f"{place}/providers/microsoft.insights/metrics", **query)
        assert answer.status_code == 200, answer.text
        series: list[Any] = answer.json()["value"][0]["timeseries"]
        return series


def total(series: list[Any], aggregation: str = "average") -> float:
    """Of all points of all series."""
    return float(sum(point.get(aggregation, 0) for one in series for point in one["data"]))


class Load:
    """Callers that ask one after the other, each on a connection of its own, until they are told to stop."""

    def __init__(self, endpoint: Endpoint, callers: int = 2) -> None:
        self.answers: list[tuple[int, str]] = []
        self._endpoint = endpoint
        self._key = endpoint.key()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(callers)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join(60)

    def reach(self, count: int) -> None:
        """Wait until so many more answers are there."""
        wanted = len(self.answers) + count
        eventually(lambda: len(self.answers) >= wanted, f"{len(self.answers)} of {wanted} answers", 60)

    def _ask(self) -> None:
        with requests.Session() as session:
            mine = dataclasses.replace(
                self._endpoint, workspace=dataclasses.replace(self._endpoint.workspace, session=session)
            )
            while not self._stop.is_set():
                try:
                    answer = mine.ask({"sleep": 0.01}, secret=self._key)
                    self.answers.append((answer.status_code, answer.headers.get("azureml-model-deployment", "")))
                except requests.RequestException as error:
                    self.answers.append((0, type(error).__name__))
