"""Traces: everything that is done about one record is one trace, over days and over processes, without anything being kept.

The trace's id follows from the record's key (W3C Trace Context, 16 bytes), so every worker, the API and other systems name the
same one. All spans hang on one parent that nobody writes, so it does not matter which of them was the first.
"""

from __future__ import annotations

import hashlib


def trace_id(key: str) -> str:
    """32 of 0-9 and a-f."""
    return _digest(key)[:32]


def root_span_id(key: str) -> str:
    """The parent of the record's spans: 16 of 0-9 and a-f."""
    return _digest(key)[32:48]


def _digest(key: str) -> str:
    return hashlib.sha256(f"trace of {key}".encode()).hexdigest()
