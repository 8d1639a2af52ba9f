"""Run by the Python of an installed az command line: says of each command line whether az's own parser takes it.

Reads a JSON list of argument lists from the standard input, and writes a JSON list of complaints; an empty one is none. No
command is run and nothing is asked for.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
from typing import Any

_CORE: Any = importlib.import_module("azure.cli.core")
_AZ: Any = importlib.import_module("azure.cli.core.commands.events")
_KNACK: Any = importlib.import_module("knack.events")


def complaint(arguments: list[str]) -> str:
    """What the parser says against a command line. The order of events is that of az's own `execute`."""
    cli = _CORE.get_default_cli()
    classes = {"parser_cls": cli.parser_cls, "commands_loader_cls": cli.commands_loader_cls, "help_cls": cli.help_cls}
    invocation: Any = cli.invocation_cls(cli_ctx=cli, **classes)
    cli.invocation = invocation
    loader = invocation.commands_loader
    loader.load_command_table(arguments)
    command = invocation._rudimentary_get_command(arguments)
    if command not in loader.command_table:
        return f"az has no command {command}"
    invocation.data["command_string"] = loader.command_name = command
    loader.command_table = {command: loader.command_table[command]}
    cli.raise_event(_AZ.EVENT_INVOKER_PRE_LOAD_ARGUMENTS, commands_loader=loader)
    loader.load_arguments(command)
    cli.raise_event(_AZ.EVENT_INVOKER_POST_LOAD_ARGUMENTS, commands_loader=loader)
    cli.raise_event(_KNACK.EVENT_INVOKER_POST_CMD_TBL_CREATE, commands_loader=loader)
    invocation.parser.cli_ctx = cli
    invocation.parser.load_command_table(loader)
    cli.raise_event(_KNACK.EVENT_INVOKER_CMD_TBL_LOADED, cmd_tbl=loader.command_table, parser=invocation.parser)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            invocation.parser.parse_args(arguments)
    except SystemExit:
        return said.getvalue().partition("\n")[0] or "refused"
    return ""


if __name__ == "__main__":
    json.dump([complaint(each) for each in json.load(sys.stdin)], sys.stdout)
