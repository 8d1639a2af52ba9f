"""What commands of the local stack make of trouble."""

from __future__ import annotations

import subprocess
import sys

import pytest

from local import command
from local.__main__ import _arguments
from local.supervisor import StackError


def _raise(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "make down stops it"),
        (StackError("azurite: port 1 is in use"), 1, "azurite: port 1 is in use"),
        (ValueError("TIDEGATE_PORT_CLOUD: 'x' is not a port"), 1, "TIDEGATE_PORT_CLOUD"),
    ],
)
def test_trouble_is_one_line_and_an_exit_status(
    error: BaseException, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(lambda: _raise(error)) == status
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["env", "--as", "nobody"], "invalid choice: 'nobody'"),
        (["storm", "x"], "must be 1 to 20000"),
        (["storm", "0"], "must be 1 to 20000"),
    ],
)
def test_a_wrong_argument_is_told_with_those_that_are_right(
    wrong: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        _arguments().parse_args(wrong)
    assert words in capsys.readouterr().err
    assert _arguments().parse_args(["env", "--as", "model-developer"]).principal == "model-developer"


@pytest.mark.parametrize("module", ["local", "local.demo", "local.demo.job", "local.demo.model", "local.demo.training"])
def test_a_port_that_is_none_is_told_by_every_command(module: str) -> None:
    arguments = ["up"] if module == "local" else []
    environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "TIDEGATE_PORT_CLOUD": "x"}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stderr) == (1, "TIDEGATE_PORT_CLOUD: 'x' is not a port (1-65535)\n")
