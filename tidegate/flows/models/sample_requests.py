"""The model's own sample requests: read from its artefact, and answers to them compared.

The file is a JSON list. An item is the body of a request, or `{"request": ..., "response": ...}` with the answer that the model
gave when it was registered; an item of the second kind has no other keys.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

TOLERANCE = 0.05
"""How far two numbers may be apart, relative to the larger one or (below 1) absolutely, and still count as one answer."""
DEEPEST = 32
"""Levels of an answer that are compared."""


class SamplesError(ValueError):
    """The file is not a list of sample requests; the message says where."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One request. `expected` is text of JSON; None: any answer that is JSON will do."""

    body: bytes
    expected: str | None


def read(text: bytes, most: int) -> tuple[Sample, ...]:
    """The first `most` samples. SamplesError: there are none, or the text is no such list."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SamplesError("not JSON") from error
    if not isinstance(items, list) or not items:
        raise SamplesError("must be a list of at least one request")
    return tuple(_sample(item) for item in items[:most])


def _sample(item: Any) -> Sample:
    if isinstance(item, dict) and set(item) == {"request", "response"}:
        return Sample(json.dumps(item["request"]).encode(), json.dumps(item["response"]))
    return Sample(json.dumps(item).encode(), None)


def different(one: bytes, other: bytes) -> tuple[int, int] | None:
    """How many predictions differ between two answers, and of how many; None: one of them is not JSON.

    The items of two lists of one length are predictions; any other answer is one prediction.
    """
    first, second = parsed(one), parsed(other)
    if first is None or second is None:
        return None
    left, right = first[0], second[0]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right) and left:
        return sum(not same(a, b) for a, b in zip(left, right, strict=True)), len(left)
    return int(not same(left, right)), 1


def parsed(answer: bytes) -> tuple[Any] | None:
    """The JSON of an answer, in a tuple, since null is an answer; text in JSON is read once more, as the server sends it."""
    try:
        value = json.loads(answer)
        if isinstance(value, str):
            try:
                return (json.loads(value),)
            except ValueError:
                return (value,)
    except (ValueError, RecursionError):
        return None
    return (value,)


def same(one: Any, other: Any, depth: int = DEEPEST) -> bool:
    """Whether two JSON values are one answer: equal, but for fractions, which may differ by TOLERANCE."""
    if depth == 0:
        return bool(one == other)
    match one, other:
        case (bool(), _) | (_, bool()):
            return one is other
        case (float(), int() | float()) | (int(), float()):
            return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        case (list(), list()):
            return len(one) == len(other) and all(same(a, b, depth - 1) for a, b in zip(one, other, strict=True))
        case (dict(), dict()):
            return one.keys() == other.keys() and all(same(one[key], other[key], depth - 1) for key in one)
        case _:
            return bool(one == other)
