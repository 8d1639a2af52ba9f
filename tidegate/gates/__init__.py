"""`gates.yaml`, what users edit: read it with every fault named, and find the gate an image or a model must pass."""

from tidegate.gates.alert_defaults import DEFAULT_ALERTS
from tidegate.gates.loading import load
from tidegate.gates.matching import GateRule, Gates, ImageMatch, ModelMatch, ModelRule
from tidegate.gates.problems import GatesError, Problem

__all__ = [
    "DEFAULT_ALERTS",
    "GateRule",
    "Gates",
    "GatesError",
    "ImageMatch",
    "ModelMatch",
    "ModelRule",
    "Problem",
    "load",
]
