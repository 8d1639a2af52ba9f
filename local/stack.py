"""The local stack as a whole: Azure on this machine, brought up, looked at and taken down."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from local import local_servers, processes, world
from local.container_owner import remove_orphans
from local.containers import EngineMissingError, find_engine
from local.parts import ROOT, Layout
from local.ports import Ports, ports
from local.supervisor import Status, Supervisor

STATE = ROOT / ".local"


@dataclasses.dataclass(frozen=True, slots=True)
class Stack:
    """All parts on one table of ports with their state in one folder; as a context manager, up inside the block.

    Two stacks with different ports and folders run side by side: `Stack(folder, free_ports())` disturbs nobody.
    """

    state: Path = STATE
    ports: Ports = dataclasses.field(default_factory=ports)
    tell: Callable[[str], None] = lambda _line: None
    """Gets one line a part while the stack comes up or goes down."""
    app: Path = ROOT
    """Folder of the function_app.py to run."""
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """App settings that differ from those of app_settings.py."""

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.down()

    def up(self) -> None:
        """Start what does not run and leave alone what does; afterwards every part answers. Otherwise StackError."""
        processes.refuse_unsupported()
        self._supervisor.up()

    def down(self, grace_s: float = 10) -> None:
        """Stop every part, and what they left: containers and inference servers. Twice is the same as once."""
        self._supervisor.down(grace_s)
        local_servers.stop_all(self.state.resolve(), grace_s)
        with contextlib.suppress(EngineMissingError):
            remove_orphans(find_engine())

    def status(self) -> list[Status]:
        """One line a part, in the order in which they start."""
        return self._supervisor.status()

    def client_environment(self, principal: str = world.FUNCTION_IDENTITY) -> dict[str, str]:
        """Variables that turn a process into a client of this stack: Azure's host names are answered by it. `principal`
        is who the process is there: one of infra/data/roles.json, or the owner."""
        return self._layout.client_environment(principal)

    def api_key(self) -> str:
        """The API key of whoever uses this stack by hand: an operator's."""
        return self._layout.api_key()

    @property
    def storage_connection(self) -> str:
        """Connection string of the storage account."""
        return self._layout.account().connection_string

    @property
    def _layout(self) -> Layout:
        return Layout(self.ports, self.state.resolve(), self.app.resolve(), self.settings)

    @property
    def _supervisor(self) -> Supervisor:
        return Supervisor(self.state.resolve(), self._layout.stages(), self.tell)
