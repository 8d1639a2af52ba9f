"""Answers of the internet in memory, for adapters that speak HTTP by `requests`."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, override

import requests
from requests.adapters import BaseAdapter

ELSEWHERE = "https://evil.example/"
"""Where redirects lead."""


class Wire(BaseAdapter):
    """Answers by the beginning of the address, and keeps what was asked."""

    def __init__(self, answers: Mapping[str, tuple[int, Any]]) -> None:
        super().__init__()
        self._answers = answers
        self.asked: list[tuple[str, bool]] = []
        """Address, and whether a token came with it."""

    @override
    def send(self, request: requests.PreparedRequest, *args: Any, **named: Any) -> requests.Response:
        url = request.url or ""
        self.asked.append((url, "Authorization" in request.headers))
        answer = requests.Response()
        answer.request, answer.url = request, url
        answer.status_code, body = next(found for start, found in self._answers.items() if url.startswith(start))
        data = json.dumps(body).encode()
        answer.raw = io.BytesIO(data)
        answer.headers["Content-Length"] = str(len(data))
        if 300 <= answer.status_code < 400:
            answer.headers["Location"] = ELSEWHERE
        return answer

    @override
    def close(self) -> None:
        pass
