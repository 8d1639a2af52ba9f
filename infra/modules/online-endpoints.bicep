// The online endpoints of one workspace. Their deployments and their traffic belong to model delivery: the traffic of now is handed through.

import { endpointType } from '../types.bicep'

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. The endpoints.')
param endpoints endpointType[]

@description('Required. Added to each name: an endpoint\'s name is unique in its region.')
param suffix string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Resource id of the identity that pulls the image and reads the model.')
param identityId string

@description('Conditional. Resource id of the attached Kubernetes compute. Required where an endpoint is served by it.')
param kubernetesComputeId string = ''

@description('Optional. Whether the endpoints have a public address.')
param isPublic bool = false

@description('Required. Percent of traffic by deployment for each endpoint as it is now, so that another deployment of this template shifts none; no entry for a new endpoint.')
param traffic object

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource onlineEndpoints 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints@2025-12-01' = [for endpoint in endpoints: {
  parent: workspace
  name: '${endpoint.name}-${suffix}'
  location: location
  tags: tags
  kind: endpoint.compute == 'managed' ? 'Managed' : 'Kubernetes'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    authMode: endpoint.compute == 'managed' ? 'AADToken' : 'AMLToken'
    compute: endpoint.compute == 'managed' ? null : kubernetesComputeId
    publicNetworkAccess: isPublic ? 'Enabled' : 'Disabled'
    traffic: traffic[?'${endpoint.name}-${suffix}'] ?? {}
  }
}]

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [for (endpoint, index) in endpoints: {
  scope: onlineEndpoints[index]
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
}]
