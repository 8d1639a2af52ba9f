"""A checkpoint is whole or not there, wherever it lies and whatever happened while it was written."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from tests.azurite import Azurite, azurite
from tests.trainer.children import checkpoint
from tests.trainer.places import DiedError, Share
from tests.trainer.writers import Left, killed
from trainer.blob_place import BlobPlace
from trainer.checkpoint import Checkpoint, DamagedError, decode, encode, sha256_of, state_digest
from trainer.places import Folder, Place
from trainer.refusal import RefusedError
from trainer.store import Store

type Open = Callable[[Place], Store]


def same(one: Checkpoint | None, other: Checkpoint) -> bool:
    return one is not None and one.meta == other.meta and state_digest(one.arrays, 0) == state_digest(other.arrays, 0)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Azurite]:
    with azurite() as running:
        yield running


@pytest.fixture(params=["folder", "share", "blob"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    match request.param:
        case "folder":
            return Folder(tmp_path)
        case "share":
            return Share(tmp_path)
        case _:
            running: Azurite = request.getfixturevalue("emulator")
            service = BlobServiceClient.from_connection_string(running.connection_string)
            with contextlib.suppress(ResourceExistsError):  # of an earlier test
                service.create_container("runs")
            url = f"{service.url.rstrip('/')}/runs/{tmp_path.name}"
            return BlobPlace.from_url(url, {"AZURE_STORAGE_CONNECTION_STRING": running.connection_string})


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def store(place: Place, told: list[str]) -> Store:
    return Store(place, 2, told.append)


def test_what_was_published_comes_back_bit_for_bit(store: Store, told: list[str]) -> None:
    assert store.newest() is None
    store.publish(checkpoint(5), best=False)
    assert same(store.newest(), checkpoint(5))
    assert told == []


def test_the_newest_few_and_the_best_are_kept(store: Store, place: Place) -> None:
    for step in range(1, 8):
        store.publish(checkpoint(step), best=step in {2, 3})
    assert [each.step for each in store.manifests()] == [3, 6, 7]
    assert same(store.best(), checkpoint(3))
    assert len(place.names("checkpoints")) == 6


@pytest.mark.parametrize("part", ["data", "manifest"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_is_used(
    store: Store, place: Place, told: list[str], part: str, damage: str
) -> None:
    store.publish(checkpoint(1), best=False)
    newest = store.publish(checkpoint(2), best=True)
    name = newest.data if part == "data" else newest.name
    content = place.read(name)
    match damage:
        case "cut":
            place.write(name, [content[: len(content) // 2]])
        case "flipped":
            place.write(name, [content[:-30], bytes([content[-30] ^ 1]), content[-29:]])
        case "empty":
            place.write(name, [b""])
        case _:
            place.remove(name)
    assert same(store.newest(), checkpoint(1))
    assert store.best() is None
    if (part, damage) != ("manifest", "gone"):  # then nothing says that it was ever there
        assert any("checkpoint" in each for each in told), told


def test_a_checkpoint_of_a_newer_trainer_is_refused_and_not_swept_away(store: Store, place: Place) -> None:
    store.publish(checkpoint(1), best=False)
    newest = store.publish(checkpoint(2), best=False)
    place.write(newest.name, [json.dumps(json.loads(place.read(newest.name)) | {"format": 2}).encode()])
    before = sorted(place.names("checkpoints"))
    for use in (store.newest, store.sweep, lambda: store.publish(checkpoint(3), best=False)):
        with pytest.raises(RefusedError, match="format 2; this trainer knows 1"):
            use()
        assert [name for name in before if name not in place.names("checkpoints")] == []


def test_work_goes_on_from_an_older_checkpoint_although_a_later_step_lies_damaged(store: Store, place: Place) -> None:
    store.publish(checkpoint(10), best=False)
    place.write(store.publish(checkpoint(20), best=False).data, [b"rotten"])
    store.publish(checkpoint(15), best=False)
    assert same(store.newest(), checkpoint(15))


def test_a_machine_that_dies_anywhere_in_a_write_on_a_share_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    whole = sum(len(part) for part in encode(checkpoint(2)))
    for number, left in enumerate([0, 1, 100, whole - 1, whole, whole + 1, whole + 50, whole + 200]):
        share = Share(tmp_path / str(number))
        store = Store(share, 2, lambda _: None)
        store.publish(checkpoint(1), best=False)
        share.bytes_left = left
        with pytest.raises(DiedError):
            store.publish(checkpoint(2), best=False)
        share.bytes_left = None
        after = Store(share, 2, lambda _: None)
        assert same(after.newest(), checkpoint(1)), left
        after.sweep()
        assert len(share.names("checkpoints")) == 2
        after.publish(checkpoint(3), best=False)
        assert same(after.newest(), checkpoint(3))


def test_of_many_that_swap_at_once_in_blob_storage_one_is_told_that_it_did(emulator: Azurite) -> None:
    service = BlobServiceClient.from_connection_string(emulator.connection_string)
    place = BlobPlace(service.create_container("swaps"), "run")
    for number in range(5):
        assert place.create(str(number), b"before")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            words = [f"after {each}".encode() for each in range(8)]
            told = list(pool.map(lambda word, name=str(number): place.swap(name, b"before", word), words))
        assert [word for word, swapped in zip(words, told, strict=True) if swapped] == [place.read(str(number))]


def test_writers_killed_at_random_moments_lose_nothing_that_was_published_and_leave_nothing_torn(
    tmp_path: Path,
) -> None:
    assert killed(tmp_path, KILLS, seed=3) == Left(torn=0, lost=0, warnings=())


KILLS = int(os.environ.get("TRAINER_TEST_KILLS", "10"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "bool", "uint32"])
def test_every_type_of_variable_survives(dtype: str) -> None:
    import ml_dtypes

    array = np.array([[0, 1], [1, 0]]).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    parts = encode(Checkpoint({"step": 1}, {"x": array, "scalar": array[0, 1]}))
    back = decode(b"".join(parts), sha256_of(parts))
    assert back.arrays["x"].dtype == array.dtype
    assert back.arrays["x"].tobytes() == array.tobytes()
    assert back.arrays["scalar"].shape == ()


def test_a_file_of_another_hash_is_damaged_and_a_whole_one_of_another_format_is_refused() -> None:
    parts = encode(checkpoint(1))
    with pytest.raises(DamagedError):
        decode(b"".join(parts) + b"x", sha256_of(parts))
    newer = [b"tidegate checkpoint 2\n", *parts[1:]]
    with pytest.raises(RefusedError, match="tidegate checkpoint 2"):
        decode(b"".join(newer), sha256_of(newer))


@pytest.mark.parametrize("method", ["write", "create"])
def test_a_write_that_fails_leaves_nothing(method: str, tmp_path: Path) -> None:
    """As on a full disk: no file of this process may get bigger than 64 kB."""
    folder, soft = Folder(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, soft[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            folder.write("x", [bytes(70_000)]) if method == "write" else folder.create("x", bytes(70_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
    assert list(tmp_path.iterdir()) == []
