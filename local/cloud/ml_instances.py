"""How much memory one instance of a deployment has: of virtual machines, of Kubernetes instance types, of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.cloud.errors import ArmError

_GIB = 2**30
_MACHINES = {
    "standard_ds1_v2": 3.5,
    "standard_ds2_v2": 7,
    "standard_ds3_v2": 14,
    "standard_ds4_v2": 28,
    "standard_ds5_v2": 56,
    "standard_f2s_v2": 4,
    "standard_f4s_v2": 8,
    "standard_f8s_v2": 16,
    "standard_f16s_v2": 32,
    "standard_e2s_v3": 16,
    "standard_e4s_v3": 32,
    "standard_e8s_v3": 64,
    "standard_d2as_v4": 8,
    "standard_d4as_v4": 16,
    "standard_nc4as_t4_v3": 28,
    "standard_nc8as_t4_v3": 56,
    "standard_nc6s_v3": 112,
}
"""GiB, of Azure's published sizes; those that managed online endpoints list and this project names."""
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?")
_UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def machine_memory(size: str) -> int:
    """Bytes of a virtual machine. ArmError 400: endpoints do not have this size, as far as is known here."""
    gib = _MACHINES.get(size.lower())
    if gib is None:
        raise ArmError(400, "BadArgument", f"The instance type '{size}' is not supported for online deployments.")
    return int(gib * _GIB)


def kubernetes_memory(properties: Mapping[str, Any], instance_types: Mapping[str, Any]) -> int:
    """Bytes of one replica: its own limits, else those of its instance type. ArmError 400: no such type."""
    own = (properties.get("containerResourceRequirements") or {}).get("containerResourceLimits") or {}
    if own.get("memory"):
        return quantity(str(own["memory"]))
    name = str(properties.get("instanceType") or "defaultinstancetype")
    if name not in instance_types:
        raise ArmError(400, "BadArgument", f"The instance type '{name}' is not defined on the compute.")
    return quantity(str(instance_types[name]["resources"]["limits"]["memory"]))


def quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity, for example `512Mi`."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ArmError(400, "BadArgument", f"'{text}' is not a quantity of memory.")
    return int(float(found[1]) * _UNITS[found[2] or ""])
