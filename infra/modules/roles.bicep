// All role definitions and all role assignments. A grant names a principal, a scope and a role; data/roles.json has them all.

import { builtInRoleType, grantType, principalType, roleType } from '../types.bicep'

@description('Required. Name of the environment; part of the custom roles\' display names, which are unique in a tenant.')
param environmentName string

@description('Optional. Custom roles to define here.')
param roles roleType[] = []

@description('Required. Built-in roles that grants name.')
param builtInRoles builtInRoleType[]

@description('Required. Who has which role where.')
param grants grantType[]

@description('Required. The principals that exist by now; grants of others are left out.')
param principals principalType[]

@description('Required. Scopes that are granted on in this call; the names of their resources must be given.')
param scopes string[]

@description('Conditional. Name of the staging registry. Required by scope staging-registry.')
param stagingRegistryName string = 'none'

@description('Conditional. Name of the healthy registry. Required by scope healthy-registry.')
param healthyRegistryName string = 'none'

@description('Conditional. Name of the Key Vault. Required by scope key-vault.')
param keyVaultName string = 'none'

@description('Conditional. Name of the state account. Required by scopes state-account and dead-letters.')
param stateAccountName string = 'none'

@description('Conditional. Container for dead letters. Required by scope dead-letters.')
param deadLetterContainer string = 'none'

@description('Conditional. Name of the data account. Required by scope data-account.')
param dataAccountName string = 'none'

@description('Conditional. Name of the ML workspaces\' account. Required by scope ml-account.')
param mlAccountName string = 'none'

@description('Conditional. Name of the account with the file shares. Required by scope share-account.')
param shareAccountName string = 'none'

@description('Conditional. Name of the outcomes topic. Required by scope outcomes-topic.')
param outcomesTopicName string = 'none'

@description('Conditional. Name of the Application Insights component. Required by scope application-insights.')
param applicationInsightsName string = 'none'

@description('Conditional. Name of the communication resource. Required by scope communication.')
param communicationName string = 'none'

@description('Conditional. Name of the virtual network. Required by scope network.')
param networkName string = 'none'

@description('Conditional. Name of the identity that endpoints have. Required by scope serving-identity.')
param servingIdentityName string = 'none'

@description('Conditional. Name of the ML workspace. Required by scope workspace.')
param workspaceName string = 'none'

var builtInIds = toObject(builtInRoles, each => each.key, each => each.id)
var known = map(principals, each => each.key)
var here = filter(grants, each => contains(scopes, each.scope) && contains(known, each.principal))

// One entry for each principal of a grant: several groups can be model developers of one workspace.
var granted = flatten(map(here, grant => map(filter(principals, each => each.key == grant.principal), each => {
  scope: grant.scope
  principalId: each.id
  principalType: each.type
  roleKey: grant.role
  roleId: builtInIds[?grant.role] ?? guid(resourceGroup().id, environmentName, grant.role)
})))
// A group that is two things can get one role by two grants, and Azure refuses a template that makes one assignment twice.
var assignments = union(granted, granted)
var onGroup = filter(assignments, each => each.scope == 'resource-group')
var onStagingRegistry = filter(assignments, each => each.scope == 'staging-registry')
var onHealthyRegistry = filter(assignments, each => each.scope == 'healthy-registry')
var onKeyVault = filter(assignments, each => each.scope == 'key-vault')
var onStateAccount = filter(assignments, each => each.scope == 'state-account')
var onDeadLetters = filter(assignments, each => each.scope == 'dead-letters')
var onDataAccount = filter(assignments, each => each.scope == 'data-account')
var onMlAccount = filter(assignments, each => each.scope == 'ml-account')
var onShareAccount = filter(assignments, each => each.scope == 'share-account')
var onOutcomesTopic = filter(assignments, each => each.scope == 'outcomes-topic')
var onApplicationInsights = filter(assignments, each => each.scope == 'application-insights')
var onCommunication = filter(assignments, each => each.scope == 'communication')
var onNetwork = filter(assignments, each => each.scope == 'network')
var onServingIdentity = filter(assignments, each => each.scope == 'serving-identity')
var onWorkspace = filter(assignments, each => each.scope == 'workspace')

resource definitions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [for role in roles: {
  name: guid(resourceGroup().id, environmentName, role.key)
  properties: {
    roleName: '${role.roleName} (${environmentName})'
    description: role.description
    type: 'CustomRole'
    permissions: [
      {
        actions: role.actions
        notActions: role.notActions
        dataActions: role.dataActions
        notDataActions: role.notDataActions
      }
    ]
    assignableScopes: [
      resourceGroup().id
    ]
  }
}]

resource groupAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onGroup: {
  name: guid(resourceGroup().id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource stagingRegistry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: stagingRegistryName
}

resource stagingRegistryAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onStagingRegistry: {
  scope: stagingRegistry
  name: guid(stagingRegistry.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource healthyRegistry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: healthyRegistryName
}

resource healthyRegistryAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onHealthyRegistry: {
  scope: healthyRegistry
  name: guid(healthyRegistry.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource keyVault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: keyVaultName
}

resource keyVaultAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onKeyVault: {
  scope: keyVault
  name: guid(keyVault.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource stateAccount 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: stateAccountName
}

resource stateAccountAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onStateAccount: {
  scope: stateAccount
  name: guid(stateAccount.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource stateBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' existing = {
  parent: stateAccount
  name: 'default'
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = {
  parent: stateBlobs
  name: deadLetterContainer
}

resource deadLettersAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onDeadLetters: {
  scope: deadLetters
  name: guid(deadLetters.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource dataAccount 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: dataAccountName
}

resource dataAccountAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onDataAccount: {
  scope: dataAccount
  name: guid(dataAccount.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource mlAccount 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: mlAccountName
}

resource mlAccountAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onMlAccount: {
  scope: mlAccount
  name: guid(mlAccount.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource shareAccount 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: shareAccountName
}

resource shareAccountAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onShareAccount: {
  scope: shareAccount
  name: guid(shareAccount.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource outcomesTopic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: outcomesTopicName
}

resource outcomesTopicAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onOutcomesTopic: {
  scope: outcomesTopic
  name: guid(outcomesTopic.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource applicationInsightsAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onApplicationInsights: {
  scope: applicationInsights
  name: guid(applicationInsights.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: communicationName
}

resource communicationAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onCommunication: {
  scope: communication
  name: guid(communication.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource network 'Microsoft.Network/virtualNetworks@2025-09-01' existing = {
  name: networkName
}

resource networkAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onNetwork: {
  scope: network
  name: guid(network.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource servingIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: servingIdentityName
}

resource servingIdentityAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onServingIdentity: {
  scope: servingIdentity
  name: guid(servingIdentity.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource workspaceAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in onWorkspace: {
  scope: workspace
  name: guid(workspace.id, each.principalId, each.roleId)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.roleId)
    principalId: each.principalId
    principalType: each.principalType
    description: each.roleKey
  }
  dependsOn: [
    definitions
  ]
}]
