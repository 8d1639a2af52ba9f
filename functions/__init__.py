"""The triggers: one module an event source. A trigger translates, calls the runtime, and ends."""

from functions import console, container_registry, deferred, deliveries, health, http_api, machine_learning, timers
from functions.event_grid_input import accept_any_event
from tidegate.bootstrap import warm_up_soon

accept_any_event()
warm_up_soon()

BLUEPRINTS = (
    container_registry.blueprint,
    machine_learning.blueprint,
    deferred.blueprint,
    timers.blueprint,
    http_api.blueprint,
    deliveries.blueprint,
    console.blueprint,
    health.blueprint,
)
