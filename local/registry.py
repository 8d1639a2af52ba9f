"""docker-registry, the real registry behind each `<name>.azurecr.io`: its configuration and its start command."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import yaml

from local import world


@dataclasses.dataclass(frozen=True, slots=True)
class RegistryProcess:
    """One docker-registry process."""

    name: str
    """Name of the Azure registry it stands for, as in world.STAGING."""
    port: int
    folder: Path
    """Its configuration and, under `data/`, its images."""
    notifications: str | None = None
    """Base URL of the cloud; pushes and deletes are posted to `/notifications/<name>` there until it takes them."""

    def write_configuration(self) -> Path:
        """Write `config.yml` and return its path; the same values write the same file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "data").mkdir(exist_ok=True)
        path = self.folder / "config.yml"
        path.write_text(yaml.safe_dump(self._configuration(), sort_keys=False))
        return path

    def _configuration(self) -> dict[str, object]:
        configuration: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}, "fields": {"registry": self.name}},
            "storage": {
                "filesystem": {"rootdirectory": str((self.folder / "data").resolve())},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": True, "age": "24h", "interval": "24h", "dryrun": False}},
            },
            "http": {"addr": f"127.0.0.1:{self.port}", "relativeurls": True, "secret": f"local-{self.name}"},
            "health": {"storagedriver": {"enabled": False}},
        }
        if self.notifications:
            configuration["notifications"] = {"endpoints": [self._endpoint()]}
        return configuration

    def _endpoint(self) -> dict[str, object]:
        return {
            "name": world.login_server(self.name),
            "url": f"{self.notifications}/notifications/{self.name}",
            "timeout": "5s",
            "threshold": 3,
            "backoff": "1s",
            "ignore": {"mediatypes": ["application/octet-stream"], "actions": ["pull"]},
        }


def start_command(configuration: Path) -> list[str]:
    """Command line of the registry process. FileNotFoundError says what to install when the program is missing."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if program is None:
        raise FileNotFoundError("docker-registry is missing; on Debian or Ubuntu: apt-get install docker-registry")
    return [program, "serve", str(configuration)]
