"""What becomes of runs, seen from outside: the workspace, the mailbox, the buttons in mails."""

from __future__ import annotations

import uuid

from local import job_site
from tests.e2e.conftest import Scene


def test_a_failed_run_becomes_one_mail_that_says_why(scene: Scene) -> None:
    name = f"litter-{uuid.uuid4().hex[:8]}"
    job_site.submit(
        scene.site,
        "vision",
        name,
        "echo 'reading labels'; echo \"KeyError: 'label'\" >&2; exit 1",
        experimentName=f"exp-{name}",
        displayName="Litter <b>classifier</b>",
    )
    mails = job_site.until(lambda: job_site.mails(scene.site, name), 50)
    assert mails, scene.site.cloud("GET", "/admin/jobs").json()
    [mail] = mails
    assert "its code failed" in mail["subject"]
    assert "KeyError: 'label'" in mail["text"]
    assert f"https://ml.azure.com/runs/{name}" in mail["text"]
    assert "<b>classifier</b>" not in mail["html"]
