"""The commands. Each one is one call of the API, `--json` prints its answer unchanged, and what a person reads is made of it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import cast

import click

from tidegate import references
from tidegate.cli import answering, output
from tidegate.cli.connection import Connection, profile, segment
from tidegate.cli.following import Waiting, check_end
from tidegate.cli.problems import Exit, Problem
from tidegate.errors import MalformedEvent

VERSION = "0.1.0"

_EXITS = """\b
Exit status:
  0  done                         4  sign in first
  1  it failed, or no answer      5  there is no such thing
  2  wrong use                    8  not at its end yet
  3  refused by a gate or a role
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXITS)
@click.version_option(VERSION, prog_name="tidegate")
@click.option("--url", default="", help="Where the app is (TIDEGATE_URL).")
@click.option(
    "--profile", "profile_name", default="", help="Entry of profiles.toml (TIDEGATE_PROFILE); wins over variables."
)
@click.pass_context
def tidegate(context: click.Context, url: str, profile_name: str) -> None:
    """Promote images, deliver models, decide, roll back.

    The app is named by --url, TIDEGATE_URL or ~/.config/tidegate/profiles.toml; who asks is proved by TIDEGATE_AUDIENCE (a token
    is taken from az), TIDEGATE_TOKEN, or, for a machine, TIDEGATE_KEY (an API key).
    """
    context.obj = lambda: Connection(profile(profile_name, url, os.environ))


def _connection(context: click.Context) -> Connection:
    return cast("Callable[[], Connection]", context.find_root().obj)()


as_json = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
reason = click.option("--reason", required=True, help="Why; it is kept with the history.")
dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
wait = click.option("--wait", is_flag=True, help="Wait for the end, and say each change.")
timeout = click.option(
    "--timeout", type=click.FloatRange(min=0), default=1800.0, show_default=True, help="Seconds that --wait lasts."
)
limit = click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
state = click.option("--state", default="", help="Only those in this state.")


# Images --------------------------------------------------------------------------------------------------------------


@tidegate.command()
@click.argument("image")
@reason
@click.option("--override", is_flag=True, help="Promote it although its test or a requirement said no.")
@dry_run
@wait
@timeout
@as_json
@click.pass_context
def promote(
    context: click.Context,
    image: str,
    reason: str,
    override: bool,
    dry_run: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask for the promotion of IMAGE, REPOSITORY:TAG or REPOSITORY@DIGEST in the staging registry."""
    body = {**_image(image), "reason": reason, "override": override, "dry_run": dry_run}
    answering.ask(
        _connection(context), "/promotions", body, dry_run=dry_run, wait=timeout if wait else None, as_json=as_json
    )


@tidegate.command()
@state
@click.option("--repository", default="", help="Only this repository.")
@limit
@as_json
@click.pass_context
def promotions(context: click.Context, state: str, repository: str, limit: int, as_json: bool) -> None:
    """List promotions, newest first."""
    query = {"state": state, "repository": repository}
    columns = (("ID", "id"), ("STATE", "state"), ("REPOSITORY", "repository"), ("TAGS", "tags"), ("UPDATED", "updated"))
    answering.listed(_connection(context), "/promotions", query, (*columns, ("REASON", "reason")), limit, as_json)


@tidegate.command()
@click.argument("id")
@click.pass_context
def log(context: click.Context, id: str) -> None:
    """Print the kept log of a promotion's test."""
    output.raw(_connection(context).get(f"/promotions/{segment(id)}/log").body)


# Models --------------------------------------------------------------------------------------------------------------


@tidegate.command()
@click.argument("model")
@click.option("--workspace", required=True, help="Where the version is registered.")
@reason
@dry_run
@wait
@timeout
@as_json
@click.pass_context
def deliver(
    context: click.Context,
    model: str,
    workspace: str,
    reason: str,
    dry_run: bool,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask for the delivery of MODEL, given as NAME:VERSION."""
    name, colon, version = model.rpartition(":")
    if not colon:
        raise Problem(Exit.USAGE, f"MODEL: {model!r} names no version", "Give it as NAME:VERSION, for example digits:7")
    try:
        body = {"model": references.model(name, "MODEL"), "version": references.version(version, "MODEL")}
    except MalformedEvent as error:
        raise Problem(Exit.USAGE, str(error), "Give it as NAME:VERSION, for example digits:7") from error
    answering.ask(
        _connection(context),
        "/deliveries",
        {**body, "workspace": workspace, "reason": reason, "dry_run": dry_run},
        dry_run=dry_run,
        wait=timeout if wait else None,
        as_json=as_json,
    )


@tidegate.command()
@state
@click.option("--model", default="", help="Only versions of this model.")
@limit
@as_json
@click.pass_context
def deliveries(context: click.Context, state: str, model: str, limit: int, as_json: bool) -> None:
    """List deliveries, newest first."""
    query = {"state": state, "model": model}
    columns = (("ID", "id"), ("STATE", "state"), ("MODEL", "model"), ("VERSION", "version"), ("STAGE", "stage"))
    answering.listed(
        _connection(context),
        "/deliveries",
        query,
        (*columns, ("UPDATED", "updated"), ("REASON", "reason")),
        limit,
        as_json,
    )


@tidegate.command()
@state
@limit
@as_json
@click.pass_context
def endpoints(context: click.Context, state: str, limit: int, as_json: bool) -> None:
    """List endpoints: who serves, who comes, what is held."""
    columns = (("ENDPOINT", "endpoint"), ("WORKSPACE", "workspace"), ("STATE", "state"), ("SERVES", "champion"))
    more = (("COMES", "challenger"), ("DELIVERY", "delivery"), ("UPDATED", "updated"), ("REASON", "reason"))
    answering.listed(_connection(context), "/endpoints", {"state": state}, (*columns, *more), limit, as_json)


@tidegate.command()
@click.argument("id")
@reason
@click.option("--evidence", default="", help="Hash of what you looked at; without it, of what is shown now.")
@as_json
@click.pass_context
def approve(context: click.Context, id: str, reason: str, evidence: str, as_json: bool) -> None:
    """Say yes to the stage that delivery ID waits for.

    The yes is about the model as it is: a changed model makes it void.
    """
    connection = _connection(context)
    if not evidence:
        found = connection.get(f"/deliveries/{segment(id)}").json()
        evidence = str(found.get("evidence") or "")
        if not evidence:
            what = f"{found.get('model')}:{found.get('version')} waits for no approval: it is {found.get('state')}"
            raise Problem(Exit.REFUSED, what, f"See why: tidegate show {id}")
        output.words(
            f"approving {found.get('model')}:{found.get('version')} for {found.get('stage')}, evidence {evidence}"
        )
    answer = connection.post(f"/deliveries/{segment(id)}/approve", {"reason": reason, "evidence": evidence})
    answering.say(answer, as_json, "approved; see what comes of it: tidegate show " + id)


@tidegate.command()
@click.argument("id")
@reason
@as_json
@click.pass_context
def reject(context: click.Context, id: str, reason: str, as_json: bool) -> None:
    """Say no to the version of delivery ID.

    It is blocked everywhere, and where it serves the last good one is put back.
    """
    answering.say(
        _connection(context).post(f"/deliveries/{segment(id)}/reject", {"reason": reason}), as_json, "rejected"
    )


def _on_endpoints(name: str, text: str) -> None:
    """Add a command that acts on the endpoints of a delivery."""

    @click.argument("id")
    @reason
    @click.option("--stage", default="", help="Only at this stage's endpoint.")
    @as_json
    @click.pass_context
    def act(context: click.Context, id: str, reason: str, stage: str, as_json: bool) -> None:
        body = {"reason": reason, **({"stage": stage} if stage else {})}
        answer = _connection(context).post(f"/deliveries/{segment(id)}/{name}", body)
        stages = ", ".join(answer.json().get("stages", ()))
        answering.say(answer, as_json, f"{name} asked for at {stages}; see what comes of it: tidegate show {id}")

    tidegate.command(name, help=text)(act)


_on_endpoints("rollback", "Put the last good version back, and hold.\n\nOnly where the version of delivery ID serves.")
_on_endpoints("hold", "Begin nothing new, and move no traffic.\n\nAt all endpoints of delivery ID, or at one --stage.")
_on_endpoints("release", "End a hold or a pause.\n\nAt all endpoints of delivery ID, or at one --stage.")


# Both ----------------------------------------------------------------------------------------------------------------


@tidegate.command()
@click.argument("id")
@wait
@timeout
@click.option("--watch", is_flag=True, help="Wait, and print one line of JSON for each change.")
@as_json
@click.pass_context
def show(context: click.Context, id: str, wait: bool, timeout: float, watch: bool, as_json: bool) -> None:
    """Show the promotion or delivery ID with its history."""
    connection = _connection(context)
    path = answering.place(connection, id)
    if not wait and not watch:
        answering.show(connection.get(path).json(), as_json)
        return
    found = Waiting(connection, timeout, watch).until_end(path)
    if not watch:
        answering.show(found, as_json)
    check_end(found)


@tidegate.command("dead-letters")
@limit
@as_json
@click.pass_context
def dead_letters(context: click.Context, limit: int, as_json: bool) -> None:
    """List events that nobody could take."""
    answering.listed(
        _connection(context), "/dead-letters", {}, (("ID", "id"), ("AT", "at"), ("REASON", "reason")), limit, as_json
    )


@tidegate.command()
@click.argument("id")
@as_json
@click.pass_context
def replay(context: click.Context, id: str, as_json: bool) -> None:
    """Let the dead letter ID come in once more."""
    answering.say(_connection(context).post(f"/dead-letters/{segment(id)}/replay"), as_json, "replayed")


@tidegate.command()
@as_json
@click.pass_context
def health(context: click.Context, as_json: bool) -> None:
    """Ask the app whether it is sound."""
    answer = _connection(context).get("/health")
    if as_json:
        output.show_json(answer.json())
    else:
        output.pairs((str(name), value) for name, value in answer.json().items())


@tidegate.command("new-key")
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="App role of its holder, for example Operator; may be repeated.")
@as_json
def new_key(name: str, roles: tuple[str, ...], as_json: bool) -> None:
    """Make an API key for a machine called NAME. It is shown once, and kept nowhere.

    Asks no installation: the line printed beside the key goes into the setting TIDEGATE_API_KEYS, which holds the key's hash.
    """
    import hashlib
    import secrets

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise Problem(Exit.USAGE, "NAME is 1-40 of a-z, 0-9 and -")
    for role in roles:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,63}", role):
            raise Problem(Exit.USAGE, f"--role: {role!r} is no role; one is like Operator or Approver.pro")
    key = secrets.token_urlsafe(32)
    entry = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}:{','.join(roles)}"
    if as_json:
        output.show_json({"key": key, "setting": entry})
    else:
        output.pairs((("key", key), ("setting", entry)))


def _image(text: str) -> dict[str, str]:
    repository, at, digest = text.partition("@")
    todo = "Give it as REPOSITORY:TAG or REPOSITORY@DIGEST"
    if ":" not in text:
        raise Problem(Exit.USAGE, f"IMAGE: {text!r} names no tag and no digest", todo)
    if text.partition("/")[0].endswith(".azurecr.io"):
        raise Problem(Exit.USAGE, f"IMAGE: {text!r}: leave the registry out; it is always the staging one", todo)
    try:
        if at:
            return {
                "repository": references.repository(repository, "IMAGE"),
                "digest": references.digest(digest, "IMAGE"),
            }
        repository, _, tag = text.rpartition(":")
        return {"repository": references.repository(repository, "IMAGE"), "tag": references.tag(tag, "IMAGE")}
    except MalformedEvent as error:
        raise Problem(Exit.USAGE, str(error), todo) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    try:
        tidegate.main(args=None if arguments is None else list(arguments), prog_name="tidegate", standalone_mode=False)
    except Problem as problem:
        output.words(f"tidegate: {problem.what}")
        if problem.todo:
            output.words(problem.todo)
        return problem.status
    except click.Abort:
        return Exit.FAILED
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        output.give_up()
        return Exit.FAILED
    except OSError as error:  # standard output cannot be written: a full disk
        output.give_up()
        output.words(f"tidegate: {error}")
        return Exit.FAILED
    return 0
