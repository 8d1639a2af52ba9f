"""`python -m local.functions_host --app DIR --port 7071`: serve a function app until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import pathlib
import signal
import sys

from local.functions_host import keys, log, settings
from local.functions_host.host import Options, run


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 after a graceful stop, 1 when the host could not start."""
    chosen = _parser().parse_args(arguments)
    log.configure(chosen.log, quiet=chosen.quiet)
    try:
        options = _options(chosen)
        asyncio.run(_until_signalled(options))
    except (settings.SettingsError, OSError) as error:
        print(f"functions host: {error}", file=sys.stderr)
        return 1
    return 0


async def _until_signalled(options: Options) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(options, stop)


def _options(chosen: argparse.Namespace) -> Options:
    app = chosen.app.resolve()
    environ = settings.merge(os.environ, settings.read_local(app))
    return Options(
        app=app,
        address=chosen.host,
        port=chosen.port,
        environ=environ,
        settings=settings.read_host(app, environ),
        keys=None if chosen.no_auth else keys.load_or_make(chosen.keys),
        folder=chosen.keys,
        queue_lease_s=chosen.queue_lease,
        stop_s=chosen.stop_timeout,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="functions_host", description=__doc__)
    parser.add_argument(
        "--app", type=pathlib.Path, required=True, metavar="DIR", help="folder of function_app.py and host.json"
    )
    parser.add_argument("--port", type=int, default=7071, help="0 takes a free port (default %(default)s)")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default %(default)s)"
    )
    parser.add_argument(
        "--keys", type=pathlib.Path, default=pathlib.Path(".local/functions"), metavar="DIR",
        help="folder of the keys, made on first start, and of the timers' status (default %(default)s)",
    )  # fmt: skip
    parser.add_argument("--no-auth", action="store_true", help="ask for no keys, as `func start` does")
    parser.add_argument("--log", choices=("text", "json"), default="text", help="lines to read, or JSON lines")
    parser.add_argument("--quiet", action="store_true", help="log warnings and errors only")
    parser.add_argument(
        "--queue-lease", type=float, default=600, metavar="SECONDS",
        help="how long a received message is invisible between renewals (default %(default)s, as on Azure)",
    )  # fmt: skip
    parser.add_argument(
        "--stop-timeout",
        type=float,
        default=30,
        metavar="SECONDS",
        help="how long a stop waits for what runs (default %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
