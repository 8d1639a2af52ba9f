// Once per environment, by an owner: its resource group, and the identity that pipelines deploy as, in a group that outlives it.

targetScope = 'subscription'

import { trustType } from 'types.bicep'

@description('Required. Name of the environment.')
@minLength(2)
@maxLength(8)
param environmentName string

@description('Required. Region.')
param location string

@description('Optional. Name of the resource group.')
param resourceGroupName string = 'rg-tidegate-${environmentName}'

@description('Optional. Name of the resource group of the pipeline\'s identity.')
param pipelineGroupName string = 'rg-tidegate-${environmentName}-pipeline'

@description('Optional. Tags.')
param tags object = {}

@description('Required. Who may be this identity: issuer and subject of the tokens of a pipeline, for example of a GitHub environment or an Azure DevOps service connection.')
@minLength(1)
param trusts trustType[]

var access = loadJsonContent('data/roles.json')

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

resource pipelineGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: pipelineGroupName
  location: location
  tags: tags
}

module pipelineIdentity 'modules/pipeline-identity.bicep' = {
  name: 'pipeline-identity'
  scope: pipelineGroup
  params: {
    name: 'id-tidegate-pipeline'
    location: location
    tags: tags
    trusts: trusts
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles-pipeline'
  scope: group
  params: {
    environmentName: environmentName
    roles: filter(access.roles, each => each.key == 'pipeline')
    builtInRoles: access.builtIn
    grants: access.grants
    principals: [
      {
        key: 'pipeline'
        id: pipelineIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
    ]
    scopes: [
      'resource-group'
    ]
  }
}

module subscriptionRoles 'modules/subscription-roles.bicep' = {
  name: 'tidegate-${environmentName}-pipeline'
  params: {
    environmentName: environmentName
    principalId: pipelineIdentity.outputs.principalId
  }
}

@description('Object id of the pipelines\' identity: parameter pipelinePrincipalId of the environment.')
output PIPELINE_PRINCIPAL_ID string = pipelineIdentity.outputs.principalId

@description('Client id that pipelines sign in with.')
output PIPELINE_CLIENT_ID string = pipelineIdentity.outputs.clientId

@description('Name of the resource group.')
output AZURE_RESOURCE_GROUP string = group.name
