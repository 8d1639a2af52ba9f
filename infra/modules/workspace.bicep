// An Azure ML workspace on the shared storage, vault, registry and telemetry; its data is reached by identity.

import { datastoreType } from '../types.bicep'

@description('Required. Name of the workspace.')
@minLength(3)
@maxLength(33)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. What the workspace is for.')
param description string

@description('Required. Resource id of the storage account of the ML workspaces.')
param storageAccountId string

@description('Required. Blob container of this workspace in that account.')
param containerName string

@description('Required. Resource id of the Key Vault.')
param keyVaultId string

@description('Required. Resource id of the Application Insights component.')
param applicationInsightsId string

@description('Required. Resource id of the staging registry: environments that are built go through the gate like any image.')
param containerRegistryId string

@description('Optional. Cluster that builds environments where the registry has no public address; empty: ACR Tasks do.')
param imageBuildCompute string = ''

@description('Required. Registered datastores, on containers of the data account.')
param datastores datastoreType[]

@description('Required. Name of the data account.')
param dataAccountName string

@description('Optional. Subnet of the private endpoint; empty: the workspace has a public address.')
param endpointSubnetId string = ''

@description('Optional. Region of that subnet\'s network, where it is another than the workspace\'s.')
param endpointLocation string = location

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

var isPrivate = !empty(endpointSubnetId)

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' = {
  name: name
  location: location
  tags: tags
  kind: 'Default'
  sku: {
    name: 'Basic'
    tier: 'Basic'
  }
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    friendlyName: name
    description: description
    storageAccount: storageAccountId
    keyVault: keyVaultId
    applicationInsights: applicationInsightsId
    containerRegistry: containerRegistryId
    systemDatastoresAuthMode: 'Identity'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    v1LegacyMode: false
    // Workspaces share an account, a vault and a registry: names of containers, secrets and images begin with the workspace's own id. It cannot be changed later.
    enableDataIsolation: true
    // Clusters join the virtual network of the environment; Azure ML's own managed network would exclude that.
    managedNetwork: {
      isolationMode: 'Disabled'
    }
    imageBuildCompute: empty(imageBuildCompute) ? null : imageBuildCompute
  }
}

resource own 'Microsoft.MachineLearningServices/workspaces/datastores@2025-12-01' = {
  parent: workspace
  name: 'workspace_files'
  properties: {
    datastoreType: 'AzureBlob'
    description: 'The container of this workspace.'
    accountName: last(split(storageAccountId, '/'))
    containerName: containerName
    endpoint: environment().suffixes.storage
    protocol: 'https'
    serviceDataAccessAuthIdentity: 'WorkspaceSystemAssignedIdentity'
    credentials: {
      credentialsType: 'None'
    }
  }
}

resource shared 'Microsoft.MachineLearningServices/workspaces/datastores@2025-12-01' = [for datastore in datastores: {
  parent: workspace
  name: datastore.name
  properties: {
    datastoreType: 'AzureBlob'
    description: 'Container ${datastore.container} of the data account.'
    accountName: dataAccountName
    containerName: datastore.container
    endpoint: environment().suffixes.storage
    protocol: 'https'
    serviceDataAccessAuthIdentity: 'WorkspaceSystemAssignedIdentity'
    credentials: {
      credentialsType: 'None'
    }
  }
}]

module privateEndpoint 'private-endpoint.bicep' = if (isPrivate) {
  name: take('${name}-endpoint', 64)
  params: {
    name: 'pe-${name}'
    location: endpointLocation
    tags: tags
    subnetId: endpointSubnetId
    targetId: workspace.id
    groupId: 'amlworkspace'
    zoneNames: [
      'privatelink.api.azureml.ms'
      'privatelink.notebooks.azure.net'
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: workspace
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

@description('Resource id of the workspace.')
output id string = workspace.id

@description('Name of the workspace.')
output name string = workspace.name

@description('Object id of the workspace\'s identity.')
output principalId string = workspace.identity.principalId
