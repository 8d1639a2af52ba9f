"""A whole run whose work directory is a prefix in Blob storage: killed, resumed by a machine that has none of its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.azurite import azurite
from tests.trainer.runs import SHORT, Undisturbed
from trainer.blob_place import BlobPlace
from trainer.drill import live
from trainer.manifest import verify
from trainer.refusal import RefusedError
from trainer.run_lock import NAME
from trainer.summaries import scalars

_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"


@pytest.fixture(scope="module")
def container() -> Iterator[tuple[ContainerClient, str]]:
    """An empty container, and the connection string of its account."""
    with azurite() as emulator:
        service = BlobServiceClient.from_connection_string(emulator.connection_string)
        yield service.create_container("training"), emulator.connection_string


def test_a_run_in_blob_storage_ends_in_the_same_state_and_leaves_all_its_files_there(
    container: tuple[ContainerClient, str], undisturbed: Undisturbed, tmp_path: Path
) -> None:
    client, connection = container
    workdir, environment = f"{client.url}/team/run-1", {_CONNECTION: connection}
    killed = live(SHORT, workdir, (12, 0.0), environment=environment)
    assert killed.result is None
    resumed = live(SHORT, workdir, exports=True, environment=environment)
    assert resumed.result is not None
    assert (resumed.result["digest"], resumed.result["exact"]) == (undisturbed.digest, "yes"), resumed
    assert 0 < resumed.resumed_at <= killed.reached

    for blob in client.list_blobs(name_starts_with="team/run-1/"):
        path = tmp_path / blob.name.removeprefix("team/run-1/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(client.download_blob(blob.name).readall())
    assert verify(tmp_path / "export")["state"] == undisturbed.digest
    assert not (tmp_path / NAME).exists(), "the lock was not released"
    logged = scalars(tmp_path / "logs")
    assert logged
    assert logged == scalars(undisturbed.workdir / "logs"), (
        "the curve has no gap where the machine was lost, and no step twice"
    )


def test_an_address_is_the_container_and_prefix_that_it_names(container: tuple[ContainerClient, str]) -> None:
    client, connection = container
    environment = {_CONNECTION: connection}
    place = BlobPlace.from_url(f"{client.url}/a%20team/r%C3%BCn", environment)
    place.write("x", [b"content"])
    assert client.download_blob("a team/rün/x").readall() == b"content"
    for address, fault in (
        ("https://other.blob.core.windows.net/c/run", "another account"),
        (client.url.rpartition("/")[0], "container"),
    ):
        with pytest.raises(RefusedError, match=fault):
            BlobPlace.from_url(address + "/", environment)
