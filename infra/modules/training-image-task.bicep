// An ACR task that builds the training image into the staging registry when its sources or its base image change.

@description('Required. Name of the staging registry.')
param registryName string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Address of the repository with the Dockerfile.')
param repositoryUrl string

@description('Optional. Branch that is built.')
param branch string = 'main'

@description('Optional. Dockerfile in the repository.')
param dockerfile string = 'trainer/Dockerfile'

@description('Optional. Name of the image.')
param repository string = 'training/trainer'

@description('Optional. Sign in to the registry as the task\'s own identity: for a registry with network rules. The registry must take tokens of the resource manager\'s audience then.')
param byOwnIdentity bool = false

@description('Conditional. Token that reads the repository. Required for a private one, and for builds on a commit.')
@secure()
param repositoryToken string = ''

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource build 'Microsoft.ContainerRegistry/registries/tasks@2019-04-01' = {
  parent: registry
  name: 'training-image'
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    status: 'Enabled'
    platform: {
      os: 'Linux'
      architecture: 'amd64'
    }
    agentConfiguration: {
      cpu: 2
    }
    timeout: 3600
    // Network rules let a task past them by the token of its own identity alone; without rules the registry's own token does.
    credentials: byOwnIdentity ? {
      customRegistries: {
        '${registryName}${environment().suffixes.acrLoginServer}': {
          identity: '[system]'
        }
      }
    } : null
    step: {
      type: 'Docker'
      contextPath: '${repositoryUrl}#${branch}'
      contextAccessToken: empty(repositoryToken) ? null : repositoryToken
      dockerFilePath: dockerfile
      // Gates take tags that begin with v.
      imageNames: [
        '${repository}:v{{.Run.ID}}'
      ]
      isPushEnabled: true
      noCache: false
    }
    trigger: {
      sourceTriggers: empty(repositoryToken) ? [] : [
        {
          name: 'commit'
          status: 'Enabled'
          sourceTriggerEvents: [
            'commit'
          ]
          sourceRepository: {
            sourceControlType: 'Github'
            repositoryUrl: repositoryUrl
            branch: branch
            sourceControlAuthProperties: {
              tokenType: 'PAT'
              token: repositoryToken
            }
          }
        }
      ]
      baseImageTrigger: {
        name: 'base-image'
        status: 'Enabled'
        baseImageTriggerType: 'All'
      }
    }
  }
}

@description('Object id of the task\'s identity.')
output principalId string = build.identity.principalId
