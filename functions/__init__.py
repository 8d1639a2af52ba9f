"""The triggers: one module an event source. A trigger translates, calls the runtime, and ends."""

from functions import container_registry, deferred, health, http_api, timers
from functions.event_grid_input import accept_any_event

accept_any_event()

BLUEPRINTS = (
    container_registry.blueprint,
    deferred.blueprint,
    timers.blueprint,
    http_api.blueprint,
    health.blueprint,
)
