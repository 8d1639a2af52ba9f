"""Who listens on a TCP port of this machine: what a person needs to know when a port is taken."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

_LISTEN = "0A"


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now; a port in TIME_WAIT counts as free, as for servers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def owner(port: int) -> str:
    """`pid 4711 (nginx)`, or `another program` where this user may not see whose socket it is."""
    inodes = _listening_inodes(port)
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and inodes & _socket_inodes(folder):
            return f"pid {folder.name} ({_name(folder)})"
    return "another program"


def _listening_inodes(port: int) -> set[str]:
    """Inodes of listening sockets; columns as in proc_net_tcp of the kernel's documentation."""
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            columns = line.split()
            if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(columns[9])
    return found


def _socket_inodes(process: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):  # it ended, or belongs to another user
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                target = str(entry.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "ended"
