"""tools/setup on machines that lack things: one clear line each, and nothing is installed without the right to."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAIN = ["awk", "bash", "cat", "cp", "cut", "dirname", "env", "flock", "head", "id", "ln", "mkdir", "rm", "sed"]
PLAIN += ["sha256sum", "sort", "tail", "timeout", "tr"]


class Machine:
    """A checkout on a machine whose programs are the plain ones and those that a test adds."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in PLAIN:
            found = shutil.which(name)
            assert found, name
            self.add(
                name, f'exec {found} "$@"'
            )  # no link: a test that replaces it must not write through to the real one
        for name in ("tools", "requirements"):
            shutil.copytree(ROOT / name, self.checkout / name)

    def add(self, name: str, script: str) -> None:
        program = self.programs / name
        program.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        program.chmod(0o755)

    def setup(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        script = (self.checkout / "tools/setup").read_text().replace(':/usr/sbin:/sbin"', '"')
        (self.checkout / "tools/setup").write_text(script)
        environment = {"PATH": str(self.programs), "HOME": str(self.checkout), "LC_ALL": "C"}
        command = [str(self.programs / "bash"), "tools/setup", *arguments]
        return subprocess.run(
            command, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False, timeout=30
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_the_right_to_install_each_missing_package_is_one_line_and_one_command_installs_all(
    machine: Machine,
) -> None:
    machine.add("id", "echo 1000")
    machine.add("apt-get", "exit 1")
    done = machine.setup()
    *lines, command = done.stderr.splitlines()
    assert done.returncode == 1
    assert "setup: missing podman (builds and runs the images under test)" in lines
    packages = [line.removeprefix("setup: missing ").split()[0] for line in lines]
    assert command == f"setup: install them: sudo apt-get install --no-install-recommends {' '.join(packages)}"


def test_root_gets_all_packages_in_one_call(machine: Machine) -> None:
    machine.add("id", "echo 0")
    machine.add("apt-get", f'echo "$@" >> {machine.checkout}/calls')
    machine.setup()
    calls = (machine.checkout / "calls").read_text().splitlines()
    packages = "python3-venv skopeo docker-registry podman runc buildah mmdebstrap"
    assert calls == ["-qq update", f"-qq install -y --no-install-recommends {packages}"]


def test_a_user_whose_sudo_asks_for_a_password_is_told_the_command(machine: Machine) -> None:
    machine.add("id", "echo 1000")
    machine.add("sudo", "exit 1")
    machine.add("apt-get", f"touch {machine.checkout}/called")
    done = machine.setup()
    assert done.stderr.splitlines()[-1].startswith("setup: install them: sudo apt-get install ")
    assert not (machine.checkout / "called").exists()


def test_a_working_docker_replaces_podman_and_the_registry(machine: Machine) -> None:
    machine.add("docker", "echo 28.2.2")
    done = machine.setup()
    assert "missing podman" not in done.stderr
    assert "missing docker-registry" not in done.stderr
    assert "missing skopeo" in done.stderr


def test_a_docker_client_without_its_engine_replaces_nothing(machine: Machine) -> None:
    machine.add("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    assert "missing podman" in machine.setup().stderr


def test_a_uv_that_is_too_old_is_not_used(machine: Machine) -> None:
    machine.add("uv", "echo uv 0.4.30")
    assert "missing python3-venv" in machine.setup("python").stderr


def test_an_unknown_scope_is_refused(machine: Machine) -> None:
    done = machine.setup("everything")
    assert done.returncode == 2
    assert re.fullmatch(r"usage: tools/setup \[[a-z|-]+\]\n", done.stderr)
