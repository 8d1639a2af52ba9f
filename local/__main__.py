"""Command line of the local stack: up, down, status, env, token; and what can happen to jobs: fail-run, evict, storm, mail."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
import time
from pathlib import Path

from infra import access
from local import command, job_cases, job_site, world
from local.ports import ports
from local.site import Site
from local.stack import STATE, Stack
from local.supervisor import StackError, State


def main() -> int:
    """Exit status 0: done. 1: the stack could not be brought up, or `status` found a part that does not run."""
    options = _arguments().parse_args()
    stack = Stack(options.state, ports(), print)
    if options.command == "env":
        return _env(stack, options.principal, options.json)
    if options.command == "token":
        return _token(Site(stack), options)
    if options.command in _CASES:
        return _case(Site(stack), options.command, getattr(options, "count", 0))
    return {"up": _up, "down": _down, "status": _status}[options.command](stack, options.json)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=".venv/bin/python -m local", description="Azure on this machine.")
    parser.add_argument("--state", type=Path, default=STATE, help="folder of the stack's state (default: .local)")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "start what does not run"),
        ("down", "stop everything"),
        ("status", "what runs, and where"),
        ("fail-run", "submit a job that fails; a mail follows"),
        ("evict", "start a training job on a spot compute and take its node away; a resubmission follows"),
        ("storm", "let many jobs fail at once; a few mails and digests follow"),
        ("mail", "print the mails that were sent"),
        ("token", "print the Entra token of a person, made up, who is signed in to the local app"),
        ("env", 'variables for a shell that talks to the local Azure: eval "$(.venv/bin/python -m local env)"'),
    ):
        parsed = commands.add_parser(name, help=text, description=text)
        parsed.set_defaults(json=False)
        if name in {"status", "env"}:
            parsed.add_argument("--json", action="store_true", help="print JSON")
        if name == "token":
            parsed.add_argument("--as", dest="person", metavar="NAME", required=True, help="who, for example alice")
            parsed.add_argument(
                "--roles", nargs="*", default=[], metavar="ROLE", help="app roles, for example Approver.pro"
            )
            parsed.add_argument("--seconds", type=int, default=3600, help="how long it is good (default: %(default)s)")
        if name == "storm":
            parsed.add_argument("count", type=_several, help="how many")
        if name == "env":
            who = "who the shell is in Azure: a principal of infra/data/roles.json (default: owner, who may do everything)"
            known = sorted({world.OWNER, *(grant.principal for grant in access.read().grants)})
            parsed.add_argument(
                "--as", dest="principal", choices=known, metavar="PRINCIPAL", default=world.OWNER, help=who
            )
    return parser


_MOST = 20_000
"""Jobs of a storm; the workspace of the stand-in is one file."""
_CASES = ("fail-run", "evict", "storm", "mail")


def _case(site: Site, command: str, count: int) -> int:
    if not all(row.state is State.RUNNING for row in site.stack.status()):
        raise StackError("The local stack is not up. Start it with: make up")
    match command:
        case "mail":
            return _mail(site)
        case "fail-run":
            words = f"Job {job_cases.fail_run(site)} runs, and will fail. Its mail comes in about a minute: make mail"
        case "evict":
            job = job_cases.evict(site)
            words = (
                f"Job {job} was evicted. In about a minute {job}-attempt-1 goes on from its checkpoint; no mail comes"
            )
        case _:
            start = job_cases.storm(site, count)
            words = (
                f"{count} jobs have failed: {start}-0 ... {start}-{count - 1}. Their first mails come in about a minute, "
                "the others as digests, no faster than alerts.rate of gates.yaml allows (30 an hour): make mail"
            )
    print(words)
    return 0


def _mail(site: Site) -> int:
    mails = job_site.mails(site, "")
    for mail in mails:
        job_cases.print_mail(mail)
        print()
    print(
        f"{len(mails)} {'mail' if len(mails) == 1 else 'mails'}. In a browser: http://127.0.0.1:{site.stack.ports.cloud}/mail"
    )
    return 0


def _several(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST}")
    return int(text)


def _token(site: Site, options: argparse.Namespace) -> int:
    """Alone on standard output, to be put into a variable of a shell."""
    print(site.token(options.person, *options.roles, seconds=options.seconds))
    return 0


def _up(stack: Stack, _json: bool) -> int:
    since = time.monotonic()
    stack.up()
    print(f"The local stack is up ({time.monotonic() - since:.1f} s). Stop it with: make down")
    return 0


def _down(stack: Stack, _json: bool) -> int:
    stack.down()
    print("The local stack is down.")
    return 0


def _status(stack: Stack, as_json: bool) -> int:
    rows = stack.status()
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        print(f"{'PART':<18}{'STATE':<10}{'PORT':>6}{'PID':>9}  URL")
        for row in rows:
            print(f"{row.part:<18}{row.state:<10}{row.port:>6}{row.pid or '-':>9}  {row.url}")
    return 0 if all(row.state is State.RUNNING for row in rows) else 1


def _env(stack: Stack, principal: str, as_json: bool) -> int:
    variables = stack.client_environment(principal) | {
        "AZURE_STORAGE_CONNECTION_STRING": stack.storage_connection,
        "TIDEGATE_URL": f"http://127.0.0.1:{stack.ports.functions}",
        "TIDEGATE_KEY": Site(stack).key,
    }
    if as_json:
        print(json.dumps(variables, indent=2))
    else:
        for name, value in variables.items():
            print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
