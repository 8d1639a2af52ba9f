"""What a gate of `models` says where it says nothing."""

from __future__ import annotations

from tidegate.flows.models.model_gate import AnalysisRules, FitRules, Instance, ModelRequirements, TrafficStep

SAMPLES = "samples.json"
DEFAULT_REQUIREMENTS = ModelRequirements(tags=(), lineage=(), metrics=(), max_size=0)
DEFAULT_FIT = FitRules(memory=0.9, latency=0.0, startup=0.0, size=0)
"""A size of 0 becomes the memory of the stage's instance: what is larger cannot be loaded."""
DEFAULT_STEPS = (TrafficStep(10, mirror=True), TrafficStep(10), TrafficStep(50), TrafficStep(100))
ALL_AT_ONCE = (TrafficStep(100),)
"""Where traffic cannot be divided."""
DEFAULT_ANALYSIS = AnalysisRules(
    window=5 * 60,
    requests=50,
    errors=0.01,
    latency=1.5,
    shift=0.2,
    patience=30 * 60,
    expires=86400,
    slack=0.02,
)
DEFAULT_SOAK = 3600
"""Seconds."""
QUORUM = 1
APPROVAL_EXPIRES = 3 * 86400
"""Seconds; over a weekend."""
PIPELINE_REF = "main"
PIPELINE_TIMEOUT = 2 * 3600
"""Seconds."""
NO_INSTANCE = Instance(type="", count=0, cpu=0.0, memory=0)
"""Of a stage that another system carries out."""
