"""The table of ports: moved by the environment, refused with the variable's name, free where a second stack asks."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
from pathlib import Path

import pytest

from local.port_owner import is_free, owner
from local.ports import Ports, free_ports, ports


def test_without_variables_the_table_is_the_documented_one() -> None:
    assert ports({}) == Ports()


def test_the_documentation_has_every_port_with_its_variable() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "local-stack.md").read_text()
    documented = re.findall(r"^\| (\d+) \| `TIDEGATE_PORT_([A-Z_]+)` \|", page, re.MULTILINE)
    assert {name.lower(): int(port) for port, name in documented} == dataclasses.asdict(Ports())


def test_a_variable_moves_its_port_and_no_other() -> None:
    assert ports({"TIDEGATE_PORT_FRONT": "18443"}) == dataclasses.replace(Ports(), front=18443)


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "70.1", "٣٠٠٠", "http", "1e3"])
def test_a_value_that_is_no_port_is_refused_with_its_variable(text: str) -> None:
    with pytest.raises(ValueError, match=r"TIDEGATE_PORT_CLOUD: .* is not a port \(1-65535\)"):
        ports({"TIDEGATE_PORT_CLOUD": text})


def test_a_port_used_twice_is_refused_with_both_names() -> None:
    with pytest.raises(ValueError, match="TIDEGATE_PORT_CLOUD: port 17443 is already the port of front"):
        ports({"TIDEGATE_PORT_CLOUD": "17443"})


def test_a_name_that_no_port_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"TIDEGATE_PORT_REGISTRY: there is no such port; there are .*STAGING_REGISTRY"
    ):
        ports({"TIDEGATE_PORT_REGISTRY": "17501"})


def test_two_ports_may_swap() -> None:
    swapped = ports({"TIDEGATE_PORT_FRONT": "17080", "TIDEGATE_PORT_CLOUD": "17443"})
    assert (swapped.front, swapped.cloud) == (17080, 17443)


def test_free_ports_are_free_and_differ() -> None:
    table = dataclasses.asdict(free_ports())
    assert len(set(table.values())) == len(table)
    assert all(is_free(port) for port in table.values())


def test_the_owner_of_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert owner(port).startswith(f"pid {os.getpid()} (")
