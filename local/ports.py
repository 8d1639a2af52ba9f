"""The one table of ports of the local stack; every port can be moved."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import socket
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1. `TIDEGATE_PORT_<NAME>` moves one, for example `TIDEGATE_PORT_FUNCTIONS=8071`."""

    functions: int = 7071
    """Functions host: /api, /admin and the Event Grid webhook; 7071 is what `func start` uses."""
    front: int = 17443
    """CONNECT proxy that ends TLS for Azure's host names."""
    cloud: int = 17080
    """Stand-in for Azure's control and data planes, plain HTTP; also its admin endpoint."""
    azurite_blob: int = 17100
    azurite_queue: int = 17101
    azurite_table: int = 17102
    staging_registry: int = 17501
    """docker-registry behind tidegatestaging.azurecr.io; push images here."""
    smtp: int = 17025
    """Mail server; what it gets is shown at http://127.0.0.1:17080/mail."""
    healthy_registry: int = 17502
    """docker-registry behind tidegatehealthy.azurecr.io; promoted images arrive here."""


def ports(environ: Mapping[str, str] = os.environ) -> Ports:
    """Read the table, moved by the environment.

    A value that is no port (1-65535), a port used twice, or a name that no port has, is a ValueError that names the variable.
    """
    known = {f"TIDEGATE_PORT_{field.name.upper()}" for field in dataclasses.fields(Ports)}
    if unknown := sorted(name for name in environ if name.startswith("TIDEGATE_PORT_") and name not in known):
        raise ValueError(f"{unknown[0]}: there is no such port; there are {', '.join(sorted(known))}")
    moved: dict[str, int] = {}
    for field in dataclasses.fields(Ports):
        variable = f"TIDEGATE_PORT_{field.name.upper()}"
        if variable in environ:
            moved[field.name] = _port(variable, environ[variable])
    table = Ports(**moved)
    owners: dict[int, str] = {}
    for name, port in dataclasses.asdict(table).items():
        if port in owners:
            raise ValueError(f"TIDEGATE_PORT_{name.upper()}: port {port} is already the port of {owners[port]}")
        owners[port] = name
    return table


def free_ports() -> Ports:
    """A table of ports that nobody listens on now, for a stack beside another one.

    Below the range from which Linux gives ports to outgoing connections (32768), so that none of those takes one
    before the stack does.
    """
    names = [field.name for field in dataclasses.fields(Ports)]
    candidates = iter(random.sample(range(20000, 32000), 2000))
    with contextlib.ExitStack() as stack:  # all open at the same time, so that they differ
        found = {name: next(port for port in candidates if _opens(port, stack)) for name in names}
    return Ports(**found)


def _opens(port: int, stack: contextlib.ExitStack) -> bool:
    try:
        stack.enter_context(socket.create_server(("127.0.0.1", port)))
    except OSError:
        return False
    return True


def _port(variable: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ValueError(f"{variable}: {text!r} is not a port (1-65535)")
    return int(text)
