// The system topic of one resource: its events, and the identity that writes what could not be delivered.

@description('Required. Name of the topic.')
param name string

@description('Required. Region of the resource.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Resource whose events these are.')
param sourceId string

@description('Required. Its topic type, for example Microsoft.ContainerRegistry.Registries.')
param topicType string

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: sourceId
    topicType: topicType
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

@description('Name of the topic.')
output name string = topic.name

@description('Object id of the topic\'s identity.')
output principalId string = topic.identity.principalId
