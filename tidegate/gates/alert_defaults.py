"""What `alerts` of `gates.yaml` says where it says nothing."""

from __future__ import annotations

from tidegate.flows.alerts.alert_policy import AlertPolicy, ResubmitRules, Route
from tidegate.flows.jobs.cause_rules import SHIPPED

LAST_ROUTE = Route("default", ())
"""Takes what no other route takes; to whom the workflow knows for the severity."""

DEFAULT_ALERTS = AlertPolicy(
    canceled=False,
    window=24 * 3600,
    wait=30,
    repeat=4 * 3600,
    mails=10,  # what a domain managed by Azure Communication Services may send in an hour
    within=3600,
    hosts=("ml.azure.com",),
    resubmit=ResubmitRules(attempts=3, backoff=60, dedicated=()),
    causes=SHIPPED,
    ignore=(),
    routes=(LAST_ROUTE,),
)
