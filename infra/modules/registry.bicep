// A container registry without admin user and without anonymous pull.

@description('Required. Name of the registry.')
@minLength(5)
@maxLength(50)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Basic, Standard or Premium; private endpoints need Premium.')
@allowed([
  'Basic'
  'Standard'
  'Premium'
])
param sku string = 'Standard'

@description('Optional. Forbid to delete the registry, and with it every promoted image.')
param lock bool = false

@description('Optional. Take tokens of the resource manager\'s audience, which can do more than open a registry. Container Apps, and tasks that sign in as themselves, have no others.')
param acceptArmTokens bool = false

@description('Optional. Let ACR Tasks of this registry through its network rules; they run outside the virtual network.')
param allowTasks bool = false

@description('Optional. Subnet of the private endpoint; empty: the registry has a public address.')
param endpointSubnetId string = ''

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

var isPrivate = !empty(endpointSubnetId)

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: sku
  }
  properties: {
    adminUserEnabled: false
    anonymousPullEnabled: false
    dataEndpointEnabled: false
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkRuleBypassOptions: 'AzureServices'
    networkRuleBypassAllowedForTasks: isPrivate && allowTasks
    policies: {
      azureADAuthenticationAsArmPolicy: {
        status: acceptArmTokens ? 'enabled' : 'disabled'
      }
      // What was promoted leaves by pulls alone; staging must let its images be imported. Standard registries have no such policy.
      exportPolicy: isPrivate ? {
        status: lock ? 'disabled' : 'enabled'
      } : null
    }
  }
}

// The registry cannot be deleted while this stands. Tags and manifests are locked one by one when they are promoted.
resource deletionLock 'Microsoft.Authorization/locks@2020-05-01' = if (lock) {
  scope: registry
  name: 'promoted-images'
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds the images that production runs.'
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
    groupId: 'registry'
    zoneNames: [
      'privatelink${environment().suffixes.acrLoginServer}'
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
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

@description('Resource id of the registry.')
output id string = registry.id

@description('Name of the registry.')
output name string = registry.name

@description('Host that images are pulled from.')
output loginServer string = registry.properties.loginServer
