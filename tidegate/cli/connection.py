"""Where the app is, who asks, and how it is asked. Imports of the standard library's HTTP are lazy: `--help` needs none."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, override
from urllib.parse import quote, urlencode, urlsplit

from tidegate.cli.problems import Exit, Problem, of_status

TIMEOUT = 35.0
"""Seconds for one answer: the Functions host itself may start first."""
MOST = 16 * 1024 * 1024
"""Bytes of an answer."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """One installation, and what proves who asks."""

    url: str
    key: str = ""
    """An API key."""
    token: str = ""
    """An access token for the app."""
    audience: str = ""
    """The app's id in Entra, for example `api://tidegate`; a token for it is taken from `az`."""


def profile(name: str, url: str, environ: Mapping[str, str]) -> Profile:
    """The installation to talk to: flags (`name`, `url`) win over variables, and variables over the default profile.

    So `--profile pro` is pro also in a shell whose TIDEGATE_URL is dev. Problem: none is named, or its address is no address.
    """
    stored = _stored(name or environ.get("TIDEGATE_PROFILE", ""), environ)
    variables = {field.name: environ.get(f"TIDEGATE_{field.name.upper()}", "") for field in dataclasses.fields(Profile)}
    first, second = (stored, variables) if name else (variables, stored)
    given = {field: first.get(field) or second.get(field, "") for field in variables}
    return _checked(Profile(**{**given, "url": (url or given["url"]).rstrip("/")}))


def _checked(found: Profile) -> Profile:
    todo = "Use --url or TIDEGATE_URL, for example https://func-tidegate.azurewebsites.net"
    host = _host(found.url)
    if not host:
        raise Problem(Exit.USAGE, f"{found.url}: is no address" if found.url else "no installation is named", todo)
    if not found.url.startswith("https://") and host not in _LOOPBACK:
        raise Problem(Exit.USAGE, f"{found.url}: must start with https://, or keys travel in the open")
    shown = f"{found.key}{found.token}"
    if not (shown.isascii() and shown.isprintable()):
        raise Problem(Exit.USAGE, "TIDEGATE_KEY, TIDEGATE_TOKEN: it has characters that no key and no token has")
    return found


def _host(url: str) -> str:
    """Empty: the text is no address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""


def _stored(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    folder = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = folder / "tidegate" / "profiles.toml"
    try:
        profiles = tomllib.loads(path.read_text())
    except FileNotFoundError:
        profiles = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise Problem(Exit.USAGE, f"{path}: {error}") from error
    if name and name not in profiles:
        raise Problem(Exit.USAGE, f"{path} has no profile {name}", f"It has: {', '.join(profiles) or 'none'}")
    chosen = profiles.get(name or "default", {})
    if not isinstance(chosen, dict) or not all(isinstance(value, str) for value in chosen.values()):
        raise Problem(Exit.USAGE, f"{path}: a profile holds url, key, token and audience, each text")
    return chosen


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A good answer."""

    status: int
    body: bytes
    location: str

    def json(self) -> Any:
        """Its JSON. Problem: it is none, as when something else answers at that address."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Problem(Exit.FAILED, "the answer is not JSON; is this the address of a Tidegate app?") from error


@dataclasses.dataclass(slots=True)
class Connection:
    """The API of one installation."""

    profile: Profile

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """GET `/api<path>`. Problem: the answer is not a good one, or there is none."""
        wanted = {name: value for name, value in (query or {}).items() if value}
        return self._ask("GET", f"{path}?{urlencode(wanted)}" if wanted else path, None)

    def post(self, path: str, body: Any = None) -> Answer:
        """POST `/api<path>`. Problem: as `get`."""
        return self._ask("POST", path, json.dumps(body if body is not None else {}).encode())

    def _ask(self, method: str, path: str, data: bytes | None) -> Answer:
        import http.client
        import urllib.error
        import urllib.request

        class NoRedirect(urllib.request.HTTPRedirectHandler):
            """A redirect leads to a sign-in page, or away with the key: it is an answer, and not followed."""

            @override
            def redirect_request(self, *_: Any) -> None:
                return None

        direct = _host(self.profile.url) in _LOOPBACK
        handlers = [NoRedirect(), *([urllib.request.ProxyHandler({})] if direct else [])]
        headers = {"Accept": "application/json", "Content-Type": "application/json", **self._credentials()}
        request = urllib.request.Request(f"{self.profile.url}/api{path}", data, headers, method=method)
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT) as response:
                return Answer(response.status, response.read(MOST), response.headers.get("Location", ""))
        except urllib.error.HTTPError as error:
            with error:
                problem = of_status(error.code, _detail(error.read(MOST)))
                if direct and problem.status is Exit.SIGN_IN:
                    problem.todo = 'Beside a local stack: eval "$(.venv/bin/python -m local env)"'
                raise problem from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            todo = "Check the address; where everything runs on this machine: make up"
            raise Problem(Exit.FAILED, f"{self.profile.url}: no answer ({reason})", todo) from error

    def _credentials(self) -> dict[str, str]:
        """A token says who asks, or else a key does: of two proofs the app looks at the token alone."""
        if token := self.profile.token or (_token(self.profile.audience) if self.profile.audience else ""):
            return {"Authorization": f"Bearer {token}"}
        return {"X-Api-Key": self.profile.key} if self.profile.key else {}


def _token(audience: str) -> str:
    """A token from the Azure command line, which keeps and renews it; nothing of it is stored here."""
    az = shutil.which("az")
    if az is None:
        raise Problem(Exit.SIGN_IN, "az is not installed", "Install the Azure CLI, or set TIDEGATE_KEY")
    command = [
        az,
        "account",
        "get-access-token",
        "--scope",
        f"{audience}/.default",
        "--query",
        "accessToken",
        "-o",
        "tsv",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    except subprocess.TimeoutExpired as error:
        raise Problem(Exit.SIGN_IN, "az gave no token within 60 s", "Sign in with: az login") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Problem(Exit.SIGN_IN, lines[0] if lines else "az gave no token", "Sign in with: az login")
    return done.stdout.strip()


def _detail(body: bytes) -> str:
    """What problem details (RFC 9457) say; anything else is left out: it may be a page."""
    try:
        problem = json.loads(body)
    except ValueError:
        return ""
    return str(problem.get("detail") or problem.get("title") or "") if isinstance(problem, dict) else ""


def segment(text: str) -> str:
    """An id as one segment of a path. Problem: it would be none, and the path another one."""
    if text in ("", ".", ".."):
        raise Problem(Exit.USAGE, f"ID: {text!r} is none")
    return quote(text, safe="")
