"""Values that the flow tests share."""

from __future__ import annotations

from tidegate.flows.image_gate import (
    IMAGE_INDEXES,
    IMAGE_MANIFESTS,
    ImageGate,
    ImageRequirements,
    ImageTest,
    PromotionRules,
)

GATE = ImageGate(
    name="training",
    version="0123456789ab",
    test=ImageTest(
        runner="acr-task",
        command=("python3", "-m", "unittest"),
        timeout=60,
        cpu=1.0,
        memory=512 << 20,
        tmp=64 << 20,
        environment=(),
        attempts=3,
    ),
    require=ImageRequirements(
        non_root=False,
        labels=(),
        max_size=0,
        max_manifests=50,
        platforms=(),
        media_types=(*IMAGE_MANIFESTS, *IMAGE_INDEXES),
    ),
    promote=PromotionRules(
        repository="{repository}",
        tags="movable",
        lock_tag=False,
        lock_manifest=False,
        referrers=(),
        required_referrers=(),
    ),
)
