// One online endpoint of a model. Its deployments and its traffic belong to model delivery: the traffic of now is handed through.

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Name of the endpoint, unique in the region.')
@minLength(3)
@maxLength(32)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Resource id of the identity that pulls the image and reads the model.')
param identityId string

@description('Optional. Resource id of an attached Kubernetes compute; empty: the endpoint is managed by Azure ML.')
param computeId string = ''

@description('Optional. Whether it has a public address.')
param isPublic bool = false

@description('Required. Percent of traffic by deployment as it is now, so that another deployment of this template changes none; empty for a new endpoint.')
param traffic object

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource endpoint 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints@2025-12-01' = {
  parent: workspace
  name: name
  location: location
  tags: tags
  kind: empty(computeId) ? 'Managed' : 'Kubernetes'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    authMode: empty(computeId) ? 'AADToken' : 'AMLToken'
    compute: empty(computeId) ? null : computeId
    publicNetworkAccess: isPublic ? 'Enabled' : 'Disabled'
    traffic: traffic
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: endpoint
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

@description('Resource id of the endpoint.')
output id string = endpoint.id
