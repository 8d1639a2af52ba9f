"""The app settings of the function app in the local world: what infra/ sets on Azure, with local values."""

from __future__ import annotations

from local import world


def app_settings(storage_connection: str) -> dict[str, str]:
    """App settings by name. The product reads the same names on Azure; only the values differ."""
    return {
        "AzureWebJobsStorage": storage_connection,
        "FUNCTIONS_WORKER_RUNTIME": "python",
        # Blocking SDK calls run on the worker's threads; its default, 4 more than there are cores, queues events here.
        "PYTHON_THREADPOOL_THREAD_COUNT": "16",
        "TIDEGATE_STAGING_REGISTRY": world.STAGING,
        "TIDEGATE_HEALTHY_REGISTRY": world.HEALTHY,
        "TIDEGATE_SUBSCRIPTION_ID": world.SUBSCRIPTION,
        "TIDEGATE_RESOURCE_GROUP": world.RESOURCE_GROUP,
        "TIDEGATE_OUTCOMES_ENDPOINT": f"https://{world.topic_host(world.OUTCOMES_TOPIC)}/api/events",
        "TIDEGATE_KEY_VAULT_URL": world.VAULT_URL,
        "TIDEGATE_TENANT_ID": world.TENANT,
        "TIDEGATE_API_AUDIENCE": world.API_CLIENT,
        "TIDEGATE_WORKSPACES": ",".join(world.WORKSPACES),
        "TIDEGATE_SERVING_IDENTITY_ID": world.SERVING_IDENTITY,
    }
