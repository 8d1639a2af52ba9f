"""Stand-in for Azure's control and data planes, on the wire: one aiohttp application behind `local.front`.

One module a service. How a service plugs in: its module has one function `install(cloud: Cloud) -> None` that adds its
routes and, when it owns tasks or connections, its lifetime; `app.py` calls every `install` once, then `cloud.build()`.

    from local.cloud.arm import REGISTRY, ArmCall
    from local.cloud.core import Cloud
    from local.cloud.errors import ArmError

    def install(cloud: Cloud) -> None:
        service = RegistryTasks(cloud)
        cloud.arm.add("POST", REGISTRY + "/scheduleRun", service.schedule_run)   # management.azure.com
        cloud.host("*.vault.azure.net").router.add_get("/secrets/{name}", ...)   # another host: an aiohttp application
        cloud.local.router.add_get("/health", ...)                               # no Azure host name
        cloud.lifetime(service.running)                                          # an aiohttp cleanup context

An ARM handler is `async def handler(call: ArmCall) -> web.StreamResponse`. When it runs, the api-version and the token
were checked; `call.names` holds the parts of the path (`{registry}` ...), which ARM compares without case. It refuses
by raising `ArmError`. Long-running work: `return cloud.operations.accepted(call, work)` answers 202 with a Location.
`cloud.http` is the shared client session. `await cloud.raise_events(topic_id, events)` publishes through Event Grid,
whose module sets `cloud.event_grid` in its `install`.
"""
