"""How long a large image takes from registry to registry: fresh, again, and with one more layer.

Each round pushes an image of new bytes, and each way copies it to a repository of its own, so that nothing can be mounted.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence

from benchmarks.copies import Copy, importing, skopeo, streaming
from benchmarks.figures import Aim, Figure, compared, turned
from benchmarks.stage import arm, staged
from local import world
from local.image_blobs import push_blob_image
from local.site import Site

_MIB = 1 << 20
_SOURCE = "bench/source"
_AIMS = {"fresh": Aim("ratio", "<=", 1.1), "again": Aim("ratio", "<=", 1.5), "one more layer": Aim("ratio", "<=", 1.5)}

type Times = Mapping[tuple[str, str], list[float]]
"""(way, case) -> seconds of each round."""


def measure(*, quick: bool) -> Sequence[Figure]:
    """Five layers of 100 MiB, and one of 5 MiB more; in a quick run every layer is of 1 MiB."""
    layer, more, count = (1, 1, 1) if quick else (100, 5, 4)
    with staged() as site:
        ways = {"import": importing(arm(site)), "skopeo": skopeo(site.stack.ports), "raw": streaming(site.stack.ports)}
        times: Times = {(way, case): [] for way in ways for case in _AIMS}
        for number in range(count):
            _round(site, ways, number, (layer, more), times)
    size = 5 * layer
    return [figure for case in _AIMS for figure in _figures(f"copy {size} MiB, {case}", case, times)]


def _round(site: Site, ways: Mapping[str, Copy], number: int, sizes: tuple[int, int], times: Times) -> None:
    layer, more = sizes
    bits = random.Random(number)
    layers = [bits.randbytes(layer * _MIB) for _ in range(5)]
    image, larger = (_pushed(site, number, each) for each in (layers, [*layers, bits.randbytes(more * _MIB)]))
    for way in turned(tuple(ways), number):
        target = f"bench/{way}-{number}"
        for case, digest in (("fresh", image), ("again", image), ("one more layer", larger)):
            began = time.perf_counter()
            ways[way](_SOURCE, digest, target)
            times[way, case].append(time.perf_counter() - began)
            if site.digest(world.HEALTHY, target, digest) != digest:
                raise RuntimeError(f"{way}: {target}@{digest} is not there")


def _pushed(site: Site, number: int, layers: Sequence[bytes]) -> str:
    tag = f"round-{number}-{len(layers)}"
    return push_blob_image(site.registry_url(world.STAGING), _SOURCE, tag, layers=layers).digest


def _figures(name: str, case: str, times: Times) -> tuple[Figure, Figure]:
    return (
        compared(f"{name} / skopeo", times["import", case], times["skopeo", case], "s", _AIMS[case]),
        compared(f"{name} / raw streaming", times["import", case], times["raw", case], "s"),
    )
