"""Single cases of what happens to jobs: one that fails, one that is evicted, a storm of failures; and the mail about them."""

from __future__ import annotations

import datetime as dt
import sys
import uuid

from local import job_site
from local.site import Site

WORKSPACE = "vision"
MAIL_WITHIN_S = 120
"""Seconds that a mail may take: it waits half a minute for more of the same, and azure-ai-ml is imported first."""
AT_ONCE = 15
"""Mails that go one way at once by `alerts.rate` of gates.yaml: half of those of an hour."""
TRAINING = """\
step=$(cat ${{outputs.work}}/step 2>/dev/null || echo 0)
echo "training begins at step $step"
while [ $step -lt 100 ]; do step=$((step + 1)); echo $step > ${{outputs.work}}/step; sleep 0.1; done
echo "trained to step $step"
"""
FAILING = """\
python3 - <<'END'
labels = {"train/0001.jpg": "paper", "train/0002.jpg": "glass"}
print("reading 3 labels")
for name in ("train/0001.jpg", "train/0002.jpg", "train/0003.jpg"):
    print(name, labels[name])
END
"""


def name(kind: str) -> str:
    """A name that no job has."""
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def fail_run(site: Site) -> str:
    """Submit a job whose code fails; gives its name."""
    job = name("litter")
    properties = {"experimentName": f"demo-{job}", "displayName": "Litter classifier, more labels"}
    job_site.submit(site, WORKSPACE, job, FAILING, **properties)
    return job


def train(site: Site) -> str:
    """Submit a training job on a spot compute, with a checkpoint where its successors find it; gives its name."""
    job = name("train")
    place = f"azureml://datastores/models/paths/{job}"
    outputs = {"work": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": place}}
    job_site.submit(site, WORKSPACE, job, TRAINING, compute="gpu-spot", experimentName=f"demo-{job}", outputs=outputs)
    return job


def evict(site: Site) -> str:
    """Start a training job, and take its node away once it has a checkpoint; gives its name. RuntimeError: it never ran."""
    job = train(site)
    checkpoint = site.stack.state / "cloud" / "machine-learning" / "datastores" / "models" / "paths" / job / "step"
    if not job_site.until(lambda: checkpoint.exists() and int(checkpoint.read_text() or "0") >= 20, 60):
        raise RuntimeError(f"job {job}: made no step within 60 s")
    job_site.evict(site, WORKSPACE, job)
    return job


def storm(site: Site, count: int) -> str:
    """Jobs that all have failed already, each in an experiment of its own; gives the beginning of their names."""
    start = name("storm")
    for first in range(0, count, 500):
        numbers = range(first, min(first + 500, count))
        jobs = [
            {
                "workspace": WORKSPACE,
                "name": f"{start}-{number}",
                "error": {"code": "UserError", "message": "KeyError: 'label'"},
                "properties": {"experimentName": f"{start}-{number}"},
            }
            for number in numbers
        ]
        answer = site.cloud("POST", "/admin/jobs", {"jobs": jobs})
        if answer.status != 201:
            raise RuntimeError(f"storm: {answer.status} {answer.body.decode(errors='replace')[:300]}")
    return start


def mails_of_the_hour(site: Site) -> int:
    """How many mails were sent in the last hour; their names say when."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    return sum(each["name"].partition("-")[2] >= f"{since:%Y%m%dT%H%M%S}" for each in job_site.mails(site, ""))


def print_mail(mail: dict[str, str]) -> None:
    """One mail as plain text, as a mail program in a terminal shows it."""
    head = f"Subject: {mail['subject']}\nTo: {mail['to']}\n\n"
    text = "".join(each if each.isprintable() or each == "\n" else " " for each in head + mail["text"])
    sys.stdout.write("\n".join(f"  | {line}" for line in text.splitlines()) + "\n")
