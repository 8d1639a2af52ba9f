"""Azure as one principal sees it, through the SDK's own pipeline: ARM, and the data plane of registries."""

from __future__ import annotations

from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.pipeline.policies import RetryPolicy
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest
from azure.identity import DefaultAzureCredential
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

ARM = "https://management.azure.com"
REGISTRIES = "https://containerregistry.azure.net/.default"


def signed_in(who: TokenCredential | None = None) -> TokenCredential:
    """Whoever is signed in, with a token for each service that is asked later.

    What proves a pipeline to Entra is good for minutes. `az` keeps the tokens that it got by it for an hour, so all of them
    are asked for before anything is waited for.
    """
    who = who or DefaultAzureCredential()
    for scope in (f"{ARM}/.default", REGISTRIES):
        who.get_token(scope)
    return who


class Arm:
    """Calls ARM as one principal; nothing is tried again, and nothing is waited for."""

    def __init__(
        self, who: TokenCredential, subscription: str, group: str, transport: HttpTransport[Any, Any] | None = None
    ) -> None:
        policy = ARMChallengeAuthenticationPolicy(who, f"{ARM}/.default")
        options = {} if transport is None else {"transport": transport}
        self._client: ARMPipelineClient[Any, Any] = ARMPipelineClient(ARM, policies=[policy], **options)
        self.group = f"/subscriptions/{subscription}/resourceGroups/{group}"

    def get(self, path: str, version: str) -> Any:
        """What a path below the resource group answers. HttpResponseError: a refusal."""
        answer = self._client.send_request(HttpRequest("GET", f"{ARM}{self.group}{path}?api-version={version}"))
        answer.raise_for_status()
        return answer.json()

    def resources(self) -> list[dict[str, Any]]:
        """Every resource of the group that the principal may read."""
        found: list[dict[str, Any]] = self.get("/resources", "2021-04-01")["value"]
        return found

    def status(self, method: str, address: str) -> int:
        """The status of a call with an empty body."""
        body: dict[str, str] | None = {} if method in {"PUT", "POST"} else None
        return int(self._client.send_request(HttpRequest(method, address, json=body)).status_code)


class Registry:
    """A registry's data plane: an Entra token is exchanged for one of the registry, and that for one of a scope."""

    def __init__(self, who: TokenCredential, name: str) -> None:
        self._who = who
        self._host = f"{name}.azurecr.io"
        self._client: PipelineClient[Any, Any] = PipelineClient(f"https://{self._host}", policies=[RetryPolicy()])

    def digest(self, repository: str, tag: str) -> str:
        """What a tag names; empty: there is none. HttpResponseError: a refusal."""
        answer = self._send("GET", f"/acr/v1/{repository}/_tags/{tag}", repository, "metadata_read")
        if answer.status_code == 404:
            return ""
        answer.raise_for_status()
        return str(answer.json()["tag"]["digest"])

    def pull_status(self) -> int:
        """The status of reading a manifest that is not there."""
        return int(self._send("GET", "/v2/role-test/manifests/none", "role-test", "pull").status_code)

    def push_status(self) -> int:
        """The status of beginning an upload that is never ended, which leaves nothing."""
        return int(self._send("POST", "/v2/role-test/blobs/uploads/", "role-test", "pull,push").status_code)

    def _send(self, method: str, path: str, repository: str, actions: str) -> Any:
        entra = self._who.get_token(REGISTRIES).token
        refresh = self._exchanged("/oauth2/exchange", {"grant_type": "access_token", "access_token": entra})
        if refresh.status_code != 200:
            return refresh
        proof = {"grant_type": "refresh_token", "refresh_token": refresh.json()["refresh_token"]}
        access = self._exchanged("/oauth2/token", {**proof, "scope": f"repository:{repository}:{actions}"})
        if access.status_code != 200:
            return access
        headers = {"Authorization": f"Bearer {access.json()['access_token']}"}
        return self._client.send_request(HttpRequest(method, f"https://{self._host}{path}", headers=headers))

    def _exchanged(self, path: str, form: dict[str, str]) -> Any:
        request = HttpRequest("POST", f"https://{self._host}{path}", data={**form, "service": self._host})
        return self._client.send_request(request)
