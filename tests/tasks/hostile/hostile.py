"""What a hostile image tries; it says what it got, and the tests say what it may get. One mode a run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

FOLDERS = ("/", "/etc", "/root", "/opt", "/usr/bin", "/var/tmp", "/run", "/home", "/proc/sys", "/sys", "/tmp", "/dev")
SECRETS = ("/var/run/docker.sock", "/run/podman/podman.sock", "/root/.docker/config.json", "/run/secrets")
DISKS = (" ext4 ", " xfs ", " btrfs ")


def network() -> None:
    """Every address of the machine that is worth reaching, and every interface there is."""
    reached = []
    for host, port in [("169.254.169.254", 80), ("127.0.0.1", int(sys.argv[2])), ("10.0.2.2", 80), ("192.0.2.2", 22)]:
        with socket.socket() as attempt:
            attempt.settimeout(1)
            if attempt.connect_ex((host, port)) == 0:
                reached.append(f"{host}:{port}")
    names = []
    with contextlib.suppress(OSError):
        names.append(socket.gethostbyname("example.com"))
    say(reached=reached, names=names, interfaces=[name for _, name in socket.if_nameindex()])


def fork() -> None:
    """As many processes as it gets, all alive at once."""
    started = 0
    with contextlib.suppress(OSError):
        while started < 5000:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            started += 1
    say(processes=started)


def memory() -> None:
    """More memory than any limit here."""
    held = [b"x" * 2**20 for _ in range(8 * 1024)]
    say(mebibytes=len(held))


def output() -> None:
    """As many MiB of output as it was told."""
    block = b"spam" * 64 * 1024
    os.write(1, b"BEGIN\n")
    for _ in range(int(sys.argv[2]) * 2**20 // len(block)):
        left = memoryview(block)
        while left:
            left = left[os.write(1, left) :]
    os.write(1, b"\nEND\n")


def stubborn() -> None:
    """Ignores every signal that can be ignored, and stays."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.write("staying\n")
    sys.stdout.flush()
    while True:
        time.sleep(1)


def write() -> None:
    """A file in every folder, and as large a file as it gets."""
    written = []
    for folder in FOLDERS:
        with contextlib.suppress(OSError):
            Path(folder, "planted").write_bytes(b"x")
            written.append(folder)
    large = Path("/tmp/large")
    with contextlib.suppress(OSError), large.open("wb", buffering=0) as file:
        for _ in range(64):
            file.write(b"x" * 2**20)
    say(written=written, large=large.stat().st_size // 2**20 if large.exists() else None)


def secrets() -> None:
    """Sockets, credentials, mounts, capabilities and the names of the machine."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    mounts = Path("/proc/mounts").read_text().splitlines()
    hosts = Path("/etc/hosts")
    say(
        environment=dict(os.environ),
        found=[place for place in SECRETS if Path(place).exists()],
        mounts=[line.split()[1] for line in mounts if any(disk in line for disk in DISKS)],
        hosts=hosts.read_text() if hosts.exists() else "",
        capabilities=[status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        no_new_privileges=status["NoNewPrivs"],
        processes=sum(path.name.isdigit() for path in Path("/proc").iterdir()),
        devices=sorted(path.name for path in Path("/dev").iterdir()),
    )


def say(**facts: object) -> None:
    sys.stdout.write(f"FACTS {json.dumps(facts)}\n")
    sys.stdout.flush()


MODES = (network, fork, memory, output, stubborn, write, secrets)
next(mode for mode in MODES if mode.__name__ == sys.argv[1])()
