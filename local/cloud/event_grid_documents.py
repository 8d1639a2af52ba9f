"""Checks JSON documents against a JSON schema and says what is wrong with them, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema


class InvalidDocumentError(ValueError):
    """A file or a request does not describe what it should; the message has one line for each fault: where, and what."""


def check(document: Any, schema: Mapping[str, Any], label: str) -> None:
    """Pass, or raise InvalidDocumentError; `label` names the file or the request."""
    faults = sorted(jsonschema.Draft202012Validator(schema).iter_errors(document), key=lambda fault: fault.json_path)
    if faults:
        raise InvalidDocumentError("\n".join(_line(label, fault) for fault in faults))


def _line(label: str, fault: jsonschema.ValidationError) -> str:
    field = fault.json_path.removeprefix("$").removeprefix(".")
    return f"{label}: {field}: {fault.message}" if field else f"{label}: {fault.message}"
