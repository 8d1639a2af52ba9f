// A Container Apps job that runs the training image on a GPU and costs nothing while it does not run.

@description('Required. Name of the job.')
@minLength(2)
@maxLength(32)
param name string

@description('Required. Region; GPU workload profiles exist in some only.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Image in the healthy registry, by digest.')
param image string

@description('Required. Login server of the healthy registry.')
param loginServer string

@description('Required. Resource id of the training identity.')
param identityId string

@description('Required. Command that the container runs.')
param command string[]

@description('Required. Name of the storage account with the shares.')
param shareAccountName string

@description('Required. Address of the secret with its key.')
param shareKeyUri string

@description('Required. Shares, each mounted at /mnt/<share>.')
param shares string[]

@description('Optional. Workload profile type with a GPU; the container gets all of its cores and memory.')
@allowed([
  'Consumption-GPU-NC8as-T4'
  'Consumption-GPU-NC24-A100'
])
param workloadProfileType string = 'Consumption-GPU-NC8as-T4'

@description('Optional. Seconds after which a run is ended.')
param timeoutSeconds int = 86400

@description('Optional. Subnet of the environment; empty: it makes its own network.')
param subnetId string = ''

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

var isSmall = workloadProfileType == 'Consumption-GPU-NC8as-T4'

resource containerEnvironment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: 'cae-${name}'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    workloadProfiles: [
      {
        name: 'gpu'
        workloadProfileType: workloadProfileType
      }
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    vnetConfiguration: empty(subnetId) ? null : {
      infrastructureSubnetId: subnetId
      internal: true
    }
  }
}

resource storages 'Microsoft.App/managedEnvironments/storages@2025-07-01' = [for share in shares: {
  parent: containerEnvironment
  name: share
  properties: {
    azureFile: {
      accountName: shareAccountName
      shareName: share
      accessMode: 'ReadWrite'
      accountKeyVaultProperties: {
        identity: identityId
        keyVaultUrl: shareKeyUri
      }
    }
  }
}]

resource job 'Microsoft.App/jobs@2025-07-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: containerEnvironment.id
    workloadProfileName: 'gpu'
    configuration: {
      triggerType: 'Manual'
      manualTriggerConfig: {
        parallelism: 1
        replicaCompletionCount: 1
      }
      replicaTimeout: timeoutSeconds
      replicaRetryLimit: 3
      registries: [
        {
          server: loginServer
          identity: identityId
        }
      ]
    }
    template: {
      containers: [
        {
          name: 'training'
          image: image
          command: command
          env: [
            {
              name: 'TRAINER_IMAGE'
              value: image
            }
          ]
          resources: {
            cpu: isSmall ? 8 : 24
            memory: isSmall ? '56Gi' : '220Gi'
          }
          volumeMounts: [for share in shares: {
            volumeName: share
            mountPath: '/mnt/${share}'
          }]
        }
      ]
      volumes: [for share in shares: {
        name: share
        storageType: 'AzureFile'
        storageName: share
      }]
    }
  }
  dependsOn: [
    storages
  ]
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: containerEnvironment
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

@description('Resource id of the job.')
output id string = job.id
