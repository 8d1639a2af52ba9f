"""`make demo-job`: fail a real job and show the mail, then evict a training job and show how it goes on."""

from __future__ import annotations

import re
import sys
import time

from local import command, job_cases, job_site
from local.site import Site
from local.stack import Stack


def main() -> int:
    """Exit status 0: the mail came and the evicted job went on. 1: one of them did not happen."""
    print("Tidegate demo: a failed job becomes one mail, an evicted one goes on")
    stack = Stack(tell=lambda line: print(f"  {line}"))
    stack.up()
    site = Site(stack)
    held = [_failure(site), _eviction(site)]
    mail = f"http://127.0.0.1:{stack.ports.cloud}/mail"
    print(f"\nThe mailbox: {mail} or make mail. Stop: make down")
    print("More: .venv/bin/python -m local fail-run | evict | storm 200")
    return 0 if all(held) else 1


def _failure(site: Site) -> bool:
    job = job_cases.fail_run(site)
    since = time.monotonic()
    print(f"\nJob {job} runs, and will fail. Its mail waits half a minute for more of the same ...")
    mails = job_site.until(lambda: job_site.mails(site, job), job_cases.MAIL_WITHIN_S)
    if not mails:
        print(f"NO mail came within {job_cases.MAIL_WITHIN_S} s{_reason(site)}; see .local/logs/functions.log")
        return False
    print(f"The mail, {time.monotonic() - since:.0f} s after the job was submitted:")
    job_cases.print_mail(mails[0])
    return True


def _reason(site: Site) -> str:
    """What holds a mail back where many were sent already, as after some runs of this demo."""
    recent = job_cases.mails_of_the_hour(site)
    if recent < job_cases.AT_ONCE:
        return ""
    return (
        f": {recent} went out in the last hour, and alerts.rate of gates.yaml lets no more than {job_cases.AT_ONCE} of 30 "
        "go one way at once. It comes some minutes later (make mail)"
    )


def _eviction(site: Site) -> bool:
    print("\nA training job runs on a spot compute ...")
    job = job_cases.evict(site)
    successor = f"{job}-attempt-1"
    print(f"Job {job} was evicted. It is submitted again in a minute (alerts.resubmit.backoff of gates.yaml) ...")
    if not job_site.until(lambda: _is_completed(site, successor), 180):
        print(f"{successor} did NOT complete within 180 s; see .local/logs/functions.log")
        return False
    log = job_site.log(site, job_cases.WORKSPACE, successor)
    for line in log.splitlines():
        print(f"  | {line}")
    begun = re.match(r"training begins at step (\d+)", log)
    resumed = begun is not None and int(begun[1]) > 0
    print(f"{successor} {'went on from its checkpoint' if resumed else 'did NOT go on from the checkpoint'}.")
    return resumed


def _is_completed(site: Site, name: str) -> bool:
    job = job_site.job(site, job_cases.WORKSPACE, name)
    return job is not None and job["status"] == "Completed"


if __name__ == "__main__":
    sys.exit(command.run(main))
