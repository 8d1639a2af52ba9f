// An Azure ML registry: models move through it from one environment's workspaces to the next.

@description('Required. Name of the registry.')
@minLength(3)
@maxLength(33)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Subnet of the private endpoint; empty: the registry has a public address.')
param endpointSubnetId string = ''

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

var isPrivate = !empty(endpointSubnetId)

resource registry 'Microsoft.MachineLearningServices/registries@2025-12-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    regionDetails: [
      {
        location: location
        acrDetails: [
          {
            systemCreatedAcrAccount: {
              acrAccountSku: 'Premium'
            }
          }
        ]
        storageAccountDetails: [
          {
            systemCreatedStorageAccount: {
              storageAccountType: 'Standard_LRS'
              storageAccountHnsEnabled: false
              allowBlobPublicAccess: false
            }
          }
        ]
      }
    ]
  }
}

module privateEndpoint 'private-endpoint.bicep' = if (isPrivate) {
  name: take('${name}-endpoint', 64)
  params: {
    name: 'pe-${name}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    targetId: registry.id
    groupId: 'amlregistry'
    zoneNames: [
      'privatelink.api.azureml.ms'
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: registry
  name: 'diagnostics'
  properties: {
    workspaceId: logAnalyticsId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

@description('Resource id of the registry.')
output id string = registry.id
