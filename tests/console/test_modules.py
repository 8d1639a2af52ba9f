"""The console's own modules, run by Node.js: words for states and times, and places as addresses."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from functions import console
from tidegate.api.deliveries import SHOWN
from tidegate.api.promotions import STATES

FOLDER = Path(console.__file__).with_name("console_files")
ROOT = Path(__file__).parents[2]


def _node(expression: str) -> Any:
    """The value of an expression over the modules, as JSON."""
    node = shutil.which("node", path=f"{ROOT / '.tools' / 'bin'}:/usr/local/bin:/usr/bin:/bin")
    assert node, "Node.js is there: set-up finds or installs it for Azurite"
    imports = "".join(
        f"import * as {name} from {json.dumps((FOLDER / f'{name}.mjs').as_uri())};" for name in ("address", "words")
    )
    code = f"{imports} console.log(JSON.stringify({expression}))"
    done = subprocess.run(
        [node, "--input-type=module", "-e", code], capture_output=True, text=True, check=True, timeout=30
    )
    return json.loads(done.stdout)


def test_a_place_survives_the_address_and_what_is_empty_is_left_out() -> None:
    place = {"view": "images", "repository": "a/b & c=d", "state": "Rejected"}
    assert _node(f"address.read(address.write({json.dumps(place)}))") == place
    assert _node("address.write({view: 'images', state: '', id: undefined})") == "?view=images"
    assert _node("address.write({})") == ""


def test_every_state_has_a_mood_and_only_those_under_way_are_busy() -> None:
    ended = {"Promoted", "Delivered", "Rejected", "Errored", "Failed", "RolledBack", "Ignored", "Superseded"}
    for state in {*STATES, *SHOWN.values()}:
        assert (_MOODS[state] != "busy") == (state in ended), state


def test_times_are_told_in_one_unit() -> None:
    now = "Date.parse('2026-01-02T00:00:00Z')"
    ages = {"2026-01-01T23:59:58Z": "2 s ago", "2026-01-01T23:00:00Z": "1 h ago", "2025-12-30T00:00:00Z": "3 d ago"}
    for time, words in ages.items():
        assert _node(f"words.ago('{time}', {now})") == words
    assert _node("words.ago('no time')") == ""


def test_sizes_and_digests_are_short() -> None:
    assert _node("[words.size(0), words.size(1023), words.size(1536), words.size(5e9)]") == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "4.7 GiB",
    ]
    assert _node("words.short('sha256:0123456789abcdef')") == "0123456789ab"
    assert _node("words.spoken('RolledBack')") == "rolled back"


_MOODS: dict[str, str] = _node(
    f"Object.fromEntries({json.dumps(sorted({*STATES, *SHOWN.values()}))}.map(state => [state, words.mood(state)]))"
)
