"""Stand-in for Azure Monitor's metrics of online endpoints and their deployments: what was asked, how fast, and memory.

Emulated. One route answers for both, as Azure Monitor's list of metrics does:

    GET {resource}/providers/microsoft.insights/metrics
        ?api-version=2018-01-01            any well-formed version
        &metricnames=RequestsPerMinute,RequestLatency_P95
        &timespan=2026-01-31T10:00:00Z/2026-01-31T10:05:00Z
        &interval=PT1M                     PT1M alone: the grain that Azure documents for these metrics
        &aggregation=average               average, minimum, maximum, total, count
        &$filter=deployment eq 'blue' and statusCodeClass eq '*'

`{resource}` is `.../workspaces/{w}/onlineEndpoints/{e}` or the same with `/deployments/{d}`. It takes the permission
`Microsoft.Insights/metrics/read` on the workspace. Names and dimensions are those of Azure Monitor's "Supported metrics
for Microsoft.MachineLearningServices/workspaces/onlineEndpoints" and ".../onlineEndpoints/deployments":

    endpoint     RequestsPerMinute                          deployment, statusCode, statusCodeClass, modelStatusCode
                 RequestLatency, RequestLatency_P50 ... P99  deployment                        (milliseconds)
    deployment   RequestsPerMinute                          envoy_response_code
                 RequestLatency_P50 ... P99                 none                              (milliseconds)
                 CpuMemoryUtilizationPercentage             instanceId     (percent of the memory of one instance)
                 DeploymentCapacity                         instanceId, State

The answer is Azure Monitor's: `{"value": [{"name": {"value": ...}, "unit": ..., "timeseries": [{"metadatavalues":
[{"name": {"value": "deployment"}, "value": "blue"}], "data": [{"timeStamp": ..., "average": ...}]}]}]}`, one series for
each value of a dimension that the filter names with `eq '*'` or `eq 'x'`. The average (and total) of RequestsPerMinute is
the number of requests of that minute: the requests of a window are the sum over its minutes.

The metrics of an endpoint count what its callers asked for; those of a deployment count all that it was sent, mirrored
copies included. Unverified: that Azure counts mirrored copies so, and which classes statusCodeClass has ("2xx").

Finer than Azure: a minute that the timespan cuts holds only the requests inside the timespan, and everything is there at
once, where Azure reports whole minutes, and late.
"""
