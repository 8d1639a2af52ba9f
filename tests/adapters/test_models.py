"""Models of Azure ML: where their bytes are, what they hash to, and how a copy of them comes to another workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest

from tests.adapters import ml_world
from tests.adapters.ml_world import MODEL, add_model, add_workspace, long_uri, stored, upload, version
from tests.adapters.scripted_azure import Asked, ScriptedAzure, refusal
from tidegate.adapters.machine_learning.models import MachineLearningModels
from tidegate.adapters.storage.storage_account import StorageAccount
from tidegate.errors import PermanentError, TransientError
from tidegate.flows.models.model_facts import COPY_TAG
from tidegate.flows.models.model_gate import WorkspaceRef
from tidegate.references import ModelRef

FILES = {"m/model.bin": b"weights", "m/scoring/score.py": b"def run(): ...", "m-2/model.bin": b"another model's"}


@pytest.fixture
def models(azure: ScriptedAzure) -> Iterator[MachineLearningModels]:
    with ml_world.models() as each:
        yield each


@pytest.fixture
def source(azure: ScriptedAzure, account: StorageAccount, fresh_name: Callable[[str], str]) -> str:
    """Container of workspace `vision`, in which version 7 of `digits` is registered."""
    container = fresh_name("source")
    add_workspace(azure, "vision", container)
    upload(account, container, FILES)
    add_model(azure, version("vision"), long_uri("vision", "m"), {"team": "vision"})
    return container


@pytest.fixture
def stage(azure: ScriptedAzure, account: StorageAccount, fresh_name: Callable[[str], str]) -> str:
    """Container of workspace `vision-int`."""
    container = fresh_name("stage")
    add_workspace(azure, "vision-int", container)
    upload(account, container, {})
    return container


def sha256_of(files: dict[str, bytes]) -> str:
    """As `sha256sum` of the files, sorted by path, prints it, hashed once more."""
    lines = "".join(f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


MINE = {"model.bin": b"weights", "scoring/score.py": b"def run(): ..."}


# Bytes


def test_an_artefact_is_hashed_file_by_file_and_what_lies_beside_it_is_not(
    models: MachineLearningModels, source: str
) -> None:
    found = models.artefact(MODEL, 0)
    assert (found.sha256, found.size, found.files) == (sha256_of(MINE), sum(map(len, MINE.values())), 2)


@pytest.mark.parametrize(
    ("uri", "blobs", "expected"),
    [
        ("azureml://datastores/workspaceblobstore/paths/a/b/", {"a/b/x": b"1"}, {"x": b"1"}),
        ("azureml://jobs/run1/outputs/artifacts/paths/model", {"ExperimentRun/dcid.run1/model/x": b"2"}, {"x": b"2"}),
        ("azureml://jobs/run1/outputs/model", {"azureml/run1/model/x": b"3"}, {"x": b"3"}),
        ("azureml://jobs/run1/outputs/told/paths/sub", {"told/sub/x": b"4"}, {"x": b"4"}),
        ("azureml://datastores/workspaceblobstore/paths/a/one.bin", {"a/one.bin": b"5"}, {"one.bin": b"5"}),
    ],
    ids=["short", "of a run", "an output of a run", "an output with an address", "a single file"],
)
def test_every_form_of_address_leads_to_the_files(
    models: MachineLearningModels,
    azure: ScriptedAzure,
    account: StorageAccount,
    source: str,
    uri: str,
    blobs: dict[str, bytes],
    expected: dict[str, bytes],
) -> None:
    outputs = {"told": {"uri": "azureml://datastores/workspaceblobstore/paths/told/"}, "model": {}}
    azure.resources[f"{ml_world.workspace('vision')}/jobs/run1"] = {"properties": {"outputs": outputs}}
    upload(account, source, blobs)
    add_model(azure, version("vision", number="8"), uri)
    assert models.artefact(ModelRef("vision", "digits", "8"), 0).sha256 == sha256_of(expected)


@pytest.mark.parametrize(
    "uri",
    [
        "https://storage.evil.example/models/m",
        "https://account.blob.evil.example/models/m",
        "http://account.blob.core.windows.net/models/m",
        "azureml://datastores/workspaceblobstore/paths/../../other",
        "azureml://datastores/workspaceblobstore/paths/a//b",
        "runs:/1/model",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_address_elsewhere_is_never_asked(
    models: MachineLearningModels, azure: ScriptedAzure, source: str, uri: str
) -> None:
    add_model(azure, version("vision", number="9"), uri)
    with pytest.raises(PermanentError):
        models.artefact(ModelRef("vision", "digits", "9"), 0)
    assert {each.host for each in azure.seen} == {"management.azure.com"}


def test_an_artefact_without_files_is_refused(models: MachineLearningModels, azure: ScriptedAzure, source: str) -> None:
    add_model(azure, version("vision", number="8"), long_uri("vision", "nothing"))
    with pytest.raises(PermanentError, match="nothing is there"):
        models.artefact(ModelRef("vision", "digits", "8"), 0)


def test_one_file_is_read_within_its_limit(models: MachineLearningModels, source: str) -> None:
    assert models.file(MODEL, "scoring/score.py", 100) == b"def run(): ..."
    assert models.file(MODEL, "nothing.json", 100) is None
    with pytest.raises(PermanentError, match="more than 6 bytes"):
        models.file(MODEL, "model.bin", 6)
    assert models.file(MODEL, "model.bin", 7) == b"weights"


def test_a_file_is_read_on_from_where_reading_stopped_and_an_empty_one_is_a_file(
    models: MachineLearningModels, azure: ScriptedAzure, account: StorageAccount, source: str
) -> None:
    upload(account, source, {"e/a b#c": b"0123456789", "e/empty": b""})
    add_model(azure, version("vision", number="8"), long_uri("vision", "e"))
    folder = models.folder_of(version("vision", number="8"))
    whole, empty = folder.files()
    assert b"".join(folder.chunks(whole, 4)) == b"456789"
    assert b"".join(folder.chunks(whole)) == b"0123456789"
    assert list(folder.chunks(empty)) == list(folder.chunks(whole, 10)) == []
    assert models.artefact(ModelRef("vision", "digits", "8"), 0).files == 2
    assert folder.within("a b").url.endswith("/e/a%20b")
    upload(account, source, {"e/a b#c": b"0123456789"})  # the same bytes are another version
    with pytest.raises(TransientError, match="changed"):
        list(folder.chunks(whole))


# Versions


def test_a_version_is_described_with_who_registered_it_and_when(models: MachineLearningModels, source: str) -> None:
    found = models.describe(MODEL)
    assert (found.tags, found.properties) == ({"team": "vision"}, {"image": "contosohealthy/x"})
    assert (found.registered_by, found.created.isoformat()) == ("trainer", "2026-03-02T07:00:00.123456+00:00")


def test_a_version_that_is_not_there_is_refused_and_a_busy_service_is_not(
    models: MachineLearningModels, azure: ScriptedAzure, source: str
) -> None:
    missing = ModelRef("vision", "digits", "99")
    with pytest.raises(PermanentError, match="there is none"):
        models.describe(missing)
    azure.answers[f"GET {version('vision', number='99')}"] = refusal(
        429, "TooManyRequests", "later", **{"Retry-After": "9"}
    )
    with pytest.raises(TransientError) as caught:
        models.describe(missing)
    assert caught.value.retry_after == 9


def test_marks_are_added_to_the_tags_and_nothing_is_sent_twice(
    models: MachineLearningModels, azure: ScriptedAzure, source: str
) -> None:
    for _ in range(2):
        models.mark(MODEL, {"tidegate.int.record": "https://x"})
    (put,) = azure.calls("PUT")
    assert put.json["properties"]["tags"] == {"team": "vision", "tidegate.int.record": "https://x"}
    assert put.json["properties"]["modelUri"] == long_uri("vision", "m")


def test_the_newest_versions_of_all_models_come_first(
    models: MachineLearningModels, azure: ScriptedAzure, source: str
) -> None:
    root = f"{ml_world.workspace('vision')}/models"
    made = {("a", "1"): 1, ("a", "2"): 3, ("b", "1"): 2}
    azure.answers[f"GET {root}"] = {"value": [{"name": "a"}, {"name": "b"}]}
    for model in ("a", "b"):
        versions = [
            {"name": number, "properties": {}, "systemData": {"createdAt": f"2026-03-0{day}T00:00:00Z"}}
            for (name, number), day in made.items()
            if name == model
        ]
        azure.answers[f"GET {root}/{model}/versions"] = {"value": versions}
    assert [(each.model.name, each.model.version) for each in models.recent("vision", 2)] == [("a", "2"), ("b", "1")]


def test_only_the_names_that_changed_last_are_looked_into(
    models: MachineLearningModels, azure: ScriptedAzure, source: str
) -> None:
    root = f"{ml_world.workspace('vision')}/models"
    days = {"old": "2026-03-01T00:00:00Z", "new": "2026-03-03T00:00:00Z", "newer": "2026-03-04T00:00:00Z"}
    names = [{"name": name, "systemData": {"lastModifiedAt": day}} for name, day in days.items()]
    azure.answers[f"GET {root}"] = {"value": [*names, {"name": "untold"}]}
    for name in (*days, "untold"):
        azure.answers[f"GET {root}/{name}/versions"] = {"value": []}
    assert models.recent("vision", 3) == []
    assert [each.path.split("/")[-2] for each in azure.calls("GET", "/versions")] == ["untold", "newer", "new"]


# Copies


def test_a_version_stays_where_it_is_when_the_stage_has_the_same_workspace(
    models: MachineLearningModels, azure: ScriptedAzure, source: str
) -> None:
    placed = models.place(MODEL, WorkspaceRef("vision"), "")
    assert placed is not None
    assert (placed.asset, placed.sha256) == (version("vision"), sha256_of(MINE))
    assert azure.calls("PUT") == []


def test_a_copy_has_the_same_bytes_and_says_what_it_is_a_copy_of(
    models: MachineLearningModels, azure: ScriptedAzure, account: StorageAccount, source: str, stage: str
) -> None:
    placed = models.place(MODEL, WorkspaceRef("vision-int"), "")
    assert placed is not None
    assert (placed.asset, placed.sha256) == (version("vision-int"), sha256_of(MINE))
    assert stored(account, stage) == {f"tidegate/models/vision/digits/7/{path}": data for path, data in MINE.items()}
    registered = azure.resources[version("vision-int")]["properties"]
    assert registered["tags"] == {"team": "vision", COPY_TAG: "vision/digits:7"}
    assert registered["properties"] == {"image": "contosohealthy/x"}


def test_placing_twice_copies_and_registers_once(
    models: MachineLearningModels, azure: ScriptedAzure, source: str, stage: str
) -> None:
    first = models.place(MODEL, WorkspaceRef("vision-int"), "")
    assert models.place(MODEL, WorkspaceRef("vision-int"), "") == first
    assert len(azure.calls("PUT")) == 1


def test_a_copy_that_broke_off_is_taken_up_where_it_was(
    models: MachineLearningModels, azure: ScriptedAzure, account: StorageAccount, source: str, stage: str
) -> None:
    models.place(MODEL, WorkspaceRef("vision-int"), "")
    azure.resources.pop(version("vision-int"))
    copy = f"tidegate/models/vision/digits/7/{'model.bin'}"
    with account.blobs() as service:
        kept = service.get_blob_client(stage, f"{copy[:-9]}scoring/score.py").get_blob_properties().etag
        service.get_blob_client(stage, copy).delete_blob()
        assert models.place(MODEL, WorkspaceRef("vision-int"), "") is not None
        assert service.get_blob_client(stage, f"{copy[:-9]}scoring/score.py").get_blob_properties().etag == kept
    assert stored(account, stage)[copy] == b"weights"


def test_a_copy_of_an_older_state_of_the_source_is_copied_again(
    models: MachineLearningModels, azure: ScriptedAzure, account: StorageAccount, source: str, stage: str
) -> None:
    models.place(MODEL, WorkspaceRef("vision-int"), "")
    azure.resources.pop(version("vision-int"))
    upload(account, source, {"m/model.bin": b"WEIGHTS"})  # as long as before
    placed = models.place(MODEL, WorkspaceRef("vision-int"), "")
    assert placed is not None
    assert placed.sha256 == sha256_of({**MINE, "model.bin": b"WEIGHTS"})


def test_other_bytes_under_the_name_are_refused_wherever_they_are(
    models: MachineLearningModels, azure: ScriptedAzure, account: StorageAccount, source: str, stage: str
) -> None:
    upload(account, stage, {"theirs/model.bin": b"WEIGHTS", "theirs/scoring/score.py": b"def run(): ..."})
    add_model(azure, version("vision-int"), long_uri("vision-int", "theirs"))
    with pytest.raises(PermanentError, match="other bytes"):
        models.place(MODEL, WorkspaceRef("vision-int"), "")
    azure.resources.pop(version("vision-int"))
    upload(account, stage, {"tidegate/models/vision/digits/7/stranger": b""})
    with pytest.raises(PermanentError, match="other files are there"):
        models.place(MODEL, WorkspaceRef("vision-int"), "")


# A registry between the workspaces

REGISTRY = "https://westeurope.api.azureml.ms/"
_GROUP = "/mferp/managementfrontend/subscriptions/rs/resourceGroups/rr"
PLACE = f"{_GROUP}/providers/Microsoft.MachineLearningServices/registries/shared"


@pytest.fixture
def registry(azure: ScriptedAzure, account: StorageAccount, fresh_name: Callable[[str], str]) -> str:
    """Container of the registry `shared`."""
    container = fresh_name("registry")
    upload(account, container, {})
    azure.answers["GET /registrymanagement/v1.0/registries/shared/discovery"] = {
        "primaryRegionResourceProviderUri": REGISTRY,
        "subscriptionId": "rs",
        "resourceGroup": "rr",
    }
    azure.answers[f"POST {PLACE}/import"] = lambda asked: refusal(202, "", "")
    return container


def shared(azure: ScriptedAzure, account: StorageAccount, container: str, state: str = "Succeeded") -> None:
    """The registry has the version."""
    upload(account, container, {f"digits/7/{path}": content for path, content in MINE.items()})
    uri = f"https://{account.blobs().account_name}.blob.core.windows.net/{container}/digits/7"
    version_there = f"{PLACE}/models/digits/versions/7"
    azure.resources[version_there] = {"properties": {"modelUri": uri, "provisioningState": state}}

    def link(asked: Asked) -> dict[str, object]:
        assert asked.json["assetId"] == "azureml://registries/shared/models/digits/versions/7"
        credential = {"credentialType": "SAS", "sasUri": f"{uri}?{ml_world.signature(container, 'rl')}"}
        return {"blobReferenceForConsumption": {"blobUri": uri, "credential": credential}}

    azure.answers[f"POST {PLACE}/datarefs/digits/versions/7"] = link


def test_a_version_is_shared_once_and_hashed_where_it_came_to(
    models: MachineLearningModels, azure: ScriptedAzure, account: StorageAccount, source: str, registry: str
) -> None:
    assert models.place(MODEL, WorkspaceRef("vision-int"), "shared") is None
    (asked,) = azure.calls("POST", "/import")
    assert asked.json["properties"]["sourceAssetId"] == (
        "azureml://locations/westeurope/workspaces/guid-of-vision/models/digits/versions/7"
    )
    shared(azure, account, registry, "Creating")
    assert models.place(MODEL, WorkspaceRef("vision-int"), "shared") is None
    shared(azure, account, registry)
    placed = models.place(MODEL, WorkspaceRef("vision-int"), "shared")
    assert placed is not None
    assert (placed.asset, placed.sha256) == ("azureml://registries/shared/models/digits/versions/7", sha256_of(MINE))
    assert len(azure.calls("POST", "/import")) == 1


def test_other_bytes_in_the_registry_are_refused(
    models: MachineLearningModels, azure: ScriptedAzure, account: StorageAccount, source: str, registry: str
) -> None:
    shared(azure, account, registry)
    upload(account, registry, {"digits/7/model.bin": b"WEIGHTS"})
    with pytest.raises(PermanentError, match="other bytes"):
        models.place(MODEL, WorkspaceRef("vision-int"), "shared")


@pytest.mark.parametrize("base", ["https://storage.evil.example/", "http://westeurope.api.azureml.ms/"])
def test_a_registry_elsewhere_gets_no_token(
    models: MachineLearningModels, azure: ScriptedAzure, source: str, registry: str, base: str
) -> None:
    azure.answers["GET /registrymanagement/v1.0/registries/shared/discovery"] = {
        "primaryRegionResourceProviderUri": base,
        "subscriptionId": "rs",
        "resourceGroup": "rr",
    }
    with pytest.raises(PermanentError, match="no host of"):
        models.place(MODEL, WorkspaceRef("vision-int"), "shared")


def test_sharing_what_is_being_shared_asks_for_nothing_new(
    models: MachineLearningModels, azure: ScriptedAzure, source: str, registry: str
) -> None:
    azure.answers[f"POST {PLACE}/import"] = refusal(409, "Conflict", "It is there.")
    assert models.place(MODEL, WorkspaceRef("vision-int"), "shared") is None
