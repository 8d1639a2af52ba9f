"""Proxy in front of the local cloud: ends TLS for Azure's host names and refuses every other host."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import fnmatch
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from local.authority import Authority, open_authority
from local.ports import ports

log = logging.getLogger("tidegate.local.front")

CLOUD_HOSTS = (
    "management.azure.com",
    "login.microsoftonline.com",
    "*.azurecr.io",
    "*.vault.azure.net",
    "*.eventgrid.azure.net",
    "*.logic.azure.com",
    "*.api.azureml.ms",
    "*.inference.ml.azure.com",
    "*.azurecontainer.io",
)
"""Host names that the cloud answers. Storage is not among them: its clients use Azurite's connection string."""
PLAIN_HOSTS = ("*.azurecontainer.io",)
"""Those of them that are asked by plain HTTP too, at any port: a container group has no TLS of its own."""

_HEAD_LIMIT = 16 * 1024
_HEAD_SECONDS = 30
"""A client that does not say where it wants to go is not waited for."""

_CHUNK = 256 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Front:
    """Bytes go through unread once TLS is ended, so the Host header and the streaming of bodies stay as they are."""

    authority: Authority
    routes: Mapping[str, int]
    """Host pattern -> port on 127.0.0.1 that speaks plain HTTP."""
    contexts: dict[str, ssl.SSLContext] = dataclasses.field(default_factory=dict)
    """TLS side of each host seen so far: a certificate is made once a host."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client connection, from CONNECT to the end of the tunnel, or one request by plain HTTP."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                asked = _parse(await reader.readuntil(b"\r\n\r\n"))
            backend = self._backend(asked)
            if backend is None:
                log.warning("refused host=%s port=%d", asked.host or "-", asked.port)
                await _refuse(writer)
                return
            log.info("open host=%s backend=%d", asked.host, backend)
            if not asked.plain:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                await writer.start_tls(self._context(asked.host))
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", backend)
            upstream_writer.write(asked.plain)
            await _pipe_both(reader, writer, upstream_reader, upstream_writer)
        except (OSError, ssl.SSLError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.info("closed %s: %s", type(error).__name__, error)
        finally:
            await _close(writer)

    def _backend(self, asked: _Asked) -> int | None:
        known = PLAIN_HOSTS if asked.plain else self.routes
        if (asked.port != 443 and not asked.plain) or not any(fnmatch.fnmatchcase(asked.host, each) for each in known):
            return None
        return next((to for pattern, to in self.routes.items() if fnmatch.fnmatchcase(asked.host, pattern)), None)

    def _context(self, host: str) -> ssl.SSLContext:
        if host not in self.contexts:
            self.contexts[host] = self.authority.server_context(host)
        return self.contexts[host]


@contextlib.asynccontextmanager
async def listening(front: Front, port: int) -> AsyncIterator[int]:
    """Serve on 127.0.0.1 until the context ends; gives the port, which a `port` of 0 leaves to the system."""
    server = await asyncio.start_server(front.serve, "127.0.0.1", port, limit=_HEAD_LIMIT)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        server.close_clients()  # a tunnel lasts as long as its client likes, and the end would wait for it


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """Where a client wants to go."""

    host: str
    """In lower case; empty for a request that no route matches."""
    port: int
    plain: bytes = b""
    """Of a request by plain HTTP: its head, as it is passed on. Empty: CONNECT."""


def _parse(head: bytes) -> _Asked:
    """By the head of the client's first request."""
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, _, rest = first.partition(" ")
    target = rest.partition(" ")[0]
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        return _Asked(host.lower(), int(port)) if port.isdecimal() else _Asked("", 0)
    scheme, _, place = target.partition("://")
    if scheme.lower() != "http":
        return _Asked("", 0)
    authority, _, path = place.partition("/")
    host, _, port = authority.partition(":")
    if port and not port.isdecimal():
        return _Asked("", 0)
    # One request a connection: the next one may be for another host.
    kept = [line for line in lines if line.partition(":")[0].lower() not in ("connection", "proxy-connection")]
    passed = [f"{method} /{path} {rest.rpartition(' ')[2]}", *kept, "Connection: close", "", ""]
    return _Asked(host.lower(), int(port or 80), "\r\n".join(passed).encode("latin-1"))


async def _refuse(writer: asyncio.StreamWriter) -> None:
    text = b"The local stack stands in for Azure; this host is not part of it.\n"
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + text)
    await writer.drain()


async def _pipe_both(
    client_reader: asyncio.StreamReader,
    client_writer: asyncio.StreamWriter,
    upstream_reader: asyncio.StreamReader,
    upstream_writer: asyncio.StreamWriter,
) -> None:
    """Both directions until either side ends: HTTP/1.1 over TLS knows no half-closed connection."""
    directions = {
        asyncio.create_task(_pipe_from_client(client_reader, upstream_writer, client_writer)),
        asyncio.create_task(_pipe(upstream_reader, client_writer)),
    }
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        await _close(upstream_writer)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()


async def _pipe_from_client(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter
) -> None:
    """As `_pipe`, and each piece is acknowledged at once.

    urllib3 turns Nagle's algorithm on when it talks to a proxy: a request's body leaves only when its head is acknowledged,
    which Linux puts off for 40 ms. Azure is reached without a proxy, so that no call waits like this there.
    """
    client_socket: socket.socket = client.get_extra_info("socket")
    while chunk := await reader.read(_CHUNK):
        if hasattr(socket, "TCP_QUICKACK"):  # Linux; it holds for what has arrived, not for ever
            client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        writer.write(chunk)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


async def _run(front: Front, port: int) -> None:
    async with listening(front, port) as bound:
        log.info("listening port=%d", bound)
        await asyncio.Event().wait()


def main() -> None:
    """Command line of the process."""
    table = ports()
    parser = argparse.ArgumentParser(prog="python -m local.front", description=__doc__)
    parser.add_argument("--port", type=int, default=table.front)
    parser.add_argument("--cloud-port", type=int, default=table.cloud)
    parser.add_argument("--ca-dir", type=Path, default=Path(".local/ca"))
    parser.add_argument(
        "--route", action="append", default=[], metavar="HOST=PORT", help="one more host pattern and its local port"
    )
    options = parser.parse_args()
    extra = {pattern: int(port) for pattern, _, port in (route.rpartition("=") for route in options.route)}
    routes = {**extra, **dict.fromkeys(CLOUD_HOSTS, options.cloud_port)}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(Front(open_authority(options.ca_dir), routes), options.port))


if __name__ == "__main__":
    main()
