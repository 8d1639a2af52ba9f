"""The key file, and what each key opens."""

from __future__ import annotations

import json
import pathlib
import stat

import pytest

from local.functions_host import keys
from local.functions_host.keys import Grant, KeyRing, Level


def test_keys_are_made_once_and_only_the_owner_can_read_them(tmp_path: pathlib.Path) -> None:
    made = keys.load_or_make(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new/host.json").stat().st_mode) == 0o600
    assert keys.load_or_make(tmp_path / "new") == keys.load(tmp_path / "new") == made
    assert len({made.master, made.default, made.event_grid}) == 3


def test_the_key_file_has_the_real_hosts_form(tmp_path: pathlib.Path) -> None:
    made = keys.load_or_make(tmp_path)
    document = json.loads((tmp_path / "host.json").read_text())
    assert document["masterKey"] == {"name": "master", "value": made.master, "encrypted": False}
    assert [each["name"] for each in document["functionKeys"]] == ["default"]
    assert [each["name"] for each in document["systemKeys"]] == ["eventgrid_extension"]


def test_no_key_is_printed(tmp_path: pathlib.Path) -> None:
    made = keys.load_or_make(tmp_path)
    assert made.master not in repr(made)
    assert made.default not in repr(made)


def test_a_functions_own_key_opens_that_function_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.json").write_text('{"keys": [{"name": "guest", "value": "own-key", "encrypted": false}]}')
    ring = KeyRing(keys.load_or_make(tmp_path), tmp_path)
    assert ring.grant("own-key", "Mine") == Grant(Level.FUNCTION, "guest")
    assert ring.grant("own-key", "other") == Grant(Level.ANONYMOUS)
    assert ring.grant("own-key") == Grant(Level.ANONYMOUS)


@pytest.mark.parametrize("granted", Level)
@pytest.mark.parametrize("needed", Level)
def test_a_level_opens_itself_and_admin_opens_all(granted: Level, needed: Level) -> None:
    expected = needed is Level.ANONYMOUS or granted is needed or granted is Level.ADMIN
    assert Grant(granted).opens(needed) is expected
