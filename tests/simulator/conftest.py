"""Runs by the thousand do not log, and share the machine's cores."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

import pytest

CORES = 2


def be_quiet() -> None:
    logging.getLogger("tidegate").setLevel(logging.CRITICAL)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger("tidegate")
    level = logger.level
    be_quiet()
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def pool() -> Iterator[Executor]:
    """Other processes, for long searches."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(CORES, mp_context=context, initializer=be_quiet) as pool:
        yield pool
        pool.shutdown(cancel_futures=True)
