"""The order of samples is a permutation of every epoch, and a pure function of the step."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.order import Order, key, permuted


@given(st.integers(1, 3000), st.integers(-(2**63), 2**64 - 1), st.integers(0, 10**9))
def test_every_place_gets_another_sample(size: int, seed: int, epoch: int) -> None:
    places = permuted(np.arange(size, dtype=np.uint64), size, key(seed, epoch))
    assert sorted(places) == list(range(size))


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 2**32), st.integers(0, 3))
def test_an_epoch_sees_no_sample_twice(samples: int, batch: int, seed: int, epoch: int) -> None:
    order = Order(max(samples, batch), batch, seed)
    first = epoch * order.steps_per_epoch
    seen = np.concatenate([order.batch_at(step) for step in range(first, first + order.steps_per_epoch)])
    assert len(set(seen.tolist())) == order.steps_per_epoch * batch


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [
        tuple(permuted(np.arange(50, dtype=np.uint64), 50, key(seed, epoch))) for seed in range(5) for epoch in range(5)
    ]
    assert len(set(orders)) == 25


def test_every_sample_is_about_as_often_at_every_place() -> None:
    counts = np.zeros((10, 10))
    for epoch in range(2000):
        counts[np.arange(10), permuted(np.arange(10, dtype=np.uint64), 10, key(3, epoch))] += 1
    assert counts.min() > 150
    assert counts.max() < 250


def test_step_ten_million_costs_what_step_ten_costs() -> None:
    order = Order(1_000_000, 32, 1)

    def cost(step: int) -> float:
        began = time.perf_counter()
        for offset in range(50):
            order.batch_at(step + offset)
        return time.perf_counter() - began

    assert min(cost(10_000_000) for _ in range(5)) < 5 * min(cost(10) for _ in range(5))


def test_the_order_is_the_one_that_checkpoints_of_earlier_versions_count_on() -> None:
    assert Order(100, 5, 1).batch_at(7).tolist() == EARLIER


def test_a_batch_bigger_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 8"):
        Order(7, 8, 1)


EARLIER = [49, 18, 58, 78, 48]
