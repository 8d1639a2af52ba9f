"""`gates.yaml`, what users edit: read it with every fault named, and find the gate an image must pass."""

from tidegate.gates.alert_defaults import DEFAULT_ALERTS
from tidegate.gates.loading import load
from tidegate.gates.matching import GateRule, Gates, ImageMatch
from tidegate.gates.problems import GatesError, Problem

__all__ = ["DEFAULT_ALERTS", "GateRule", "Gates", "GatesError", "ImageMatch", "Problem", "load"]
