// The one role above the resource group: a pipeline starts deployments of the subscription. What is in them is still checked in the group.

targetScope = 'subscription'

@description('Required. Name of the environment.')
param environmentName string

@description('Required. Object id of the pipeline\'s identity.')
param principalId string

resource definition 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(subscription().id, environmentName, 'deployment-starter')
  properties: {
    roleName: 'Tidegate deployment starter (${environmentName})'
    description: 'Starts, validates and reads deployments at the subscription, and checks what preflight checks; makes nothing but the resource group by itself.'
    type: 'CustomRole'
    permissions: [
      {
        actions: [
          'Microsoft.Resources/deployments/*'
          'Microsoft.Resources/subscriptions/resourceGroups/read'
          'Microsoft.Resources/subscriptions/resourceGroups/write'
          'Microsoft.Resources/subscriptions/providers/read'
          'Microsoft.Authorization/permissions/read'
          'Microsoft.KeyVault/deletedVaults/read'
          'Microsoft.KeyVault/locations/deletedVaults/read'
          'Microsoft.ContainerRegistry/checkNameAvailability/read'
          'Microsoft.App/locations/availableManagedEnvironmentsWorkloadProfileTypes/read'
          'Microsoft.Compute/skus/read'
          'Microsoft.Compute/locations/usages/read'
          'Microsoft.MachineLearningServices/locations/quotas/read'
          'Microsoft.MachineLearningServices/locations/usages/read'
        ]
        notActions: []
        dataActions: []
        notDataActions: []
      }
    ]
    assignableScopes: [
      subscription().id
    ]
  }
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(subscription().id, principalId, 'deployment-starter')
  properties: {
    roleDefinitionId: definition.id
    principalId: principalId
    principalType: 'ServicePrincipal'
    description: 'deployment-starter'
  }
}
