"""`python -m local.cloud`: the stand-in as a process, on 127.0.0.1 and plain HTTP; clients reach it through the front."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from local import world
from local.cloud import roles
from local.cloud.app import create_app
from local.cloud.core import Options
from local.ports import Ports, ports

STORAGE = "TIDEGATE_STORAGE"
"""Environment variable with the storage account's connection string."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    table = ports()
    parsed = _parser(table).parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    registries = dict(pair.split("=", 1) for pair in parsed.registry or _default_registries(table))
    options = Options(
        registries=registries,
        state=parsed.state,
        storage=parsed.storage,
        functions_url=parsed.functions_url,
        functions_keys=parsed.functions_keys,
        poll_after=parsed.poll_after,
        identity_header=parsed.identity_header,
        smtp=parsed.smtp,
        front_port=parsed.front_port,
        bundle=parsed.bundle,
        roles=parsed.roles,
    )
    web.run_app(
        create_app(options), host="127.0.0.1", port=parsed.port, access_log=None, print=None, shutdown_timeout=2
    )


def _parser(table: Ports) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.cloud", description=__doc__)
    parser.add_argument("--port", type=int, default=table.cloud)
    parser.add_argument(
        "--registry", action="append", metavar="NAME=URL", help="a registry and its docker-registry (default: the two)"
    )
    parser.add_argument("--state", type=Path, default=Path(".local/cloud"), help="folder of what survives a restart")
    parser.add_argument(
        "--storage",
        default=os.environ.get(STORAGE),
        help=f"connection string of Azurite; better in {STORAGE}, where other processes do not see the key",
    )
    parser.add_argument("--functions-url", default=f"http://127.0.0.1:{table.functions}")
    parser.add_argument("--functions-keys", type=Path, help="folder of the Functions host's keys")
    parser.add_argument("--poll-after", type=float, default=1.0, help="seconds between polls that clients are told")
    parser.add_argument("--smtp", type=int, default=table.smtp, help="port of the mail server")
    parser.add_argument("--identity-header", default="local", help="IDENTITY_HEADER of the managed identity endpoint")
    parser.add_argument("--front-port", type=int, default=table.front, help="for code that stands for code on Azure")
    parser.add_argument("--bundle", type=Path, default=Path(".local/ca/bundle.pem"), help="certificates that it trusts")
    parser.add_argument("--roles", type=Path, default=roles.FILE, help="file of roles and grants that is enforced")
    return parser


def _default_registries(table: Ports) -> list[str]:
    return [
        f"{world.STAGING}=http://127.0.0.1:{table.staging_registry}",
        f"{world.HEALTHY}=http://127.0.0.1:{table.healthy_registry}",
    ]


if __name__ == "__main__":
    main()
