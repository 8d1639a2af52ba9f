// The custom Event Grid topic that Tidegate tells other systems its outcomes through.

@description('Required. Name of the topic.')
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Subnet of the private endpoint; empty: the topic has a public address.')
param endpointSubnetId string = ''

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

var isPrivate = !empty(endpointSubnetId)

resource topic 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }
}

module privateEndpoint 'private-endpoint.bicep' = if (isPrivate) {
  name: take('${name}-endpoint', 64)
  params: {
    name: 'pe-${name}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    targetId: topic.id
    groupId: 'topic'
    zoneNames: [
      'privatelink.eventgrid.azure.net'
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: topic
  name: 'diagnostics'
  properties: {
    workspaceId: logAnalyticsId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

@description('Resource id of the topic.')
output id string = topic.id

@description('Name of the topic.')
output name string = topic.name

@description('Address that events are published to.')
output endpoint string = topic.properties.endpoint
