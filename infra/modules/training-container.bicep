// A container group that runs the training image on CPUs, with the shares mounted. Container Instances have no GPUs any more.

@description('Required. Name of the group.')
@minLength(1)
@maxLength(63)
param name string

@description('Required. Region.')
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

@description('Optional. Folder that TensorBoard shows: every run below it, of this group and of others.')
param logFolder string = '/mnt/models'

@description('Optional. Cores. A group has 4 at most, and TensorBoard takes one.')
@maxValue(3)
param cpu int = 3

@description('Optional. Gigabytes of memory. A group has 16 at most, and TensorBoard takes two.')
@maxValue(14)
param memoryInGB int = 14

@description('Optional. Subnet of the group; TensorBoard is reached only inside it. Empty: nothing of the container is reached.')
param subnetId string = ''

var hasAddress = !empty(subnetId)
var tensorBoard = [
  {
    protocol: 'TCP'
    port: 6006
  }
]

resource group 'Microsoft.ContainerInstance/containerGroups@2025-09-01' = {
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
    osType: 'Linux'
    sku: 'Standard'
    restartPolicy: 'OnFailure'
    secretReferences: [
      {
        name: 'share-key'
        identity: identityId
        secretReferenceUri: shareKeyUri
      }
    ]
    imageRegistryCredentials: [
      {
        server: loginServer
        identity: identityId
      }
    ]
    containers: [
      {
        name: 'training'
        properties: {
          image: image
          command: command
          environmentVariables: [
            {
              name: 'TRAINER_IMAGE'
              value: image
            }
          ]
          resources: {
            requests: {
              cpu: cpu
              memoryInGB: memoryInGB
            }
          }
          volumeMounts: [for share in shares: {
            name: share
            mountPath: '/mnt/${share}'
          }]
        }
      }
      {
        name: 'tensorboard'
        properties: {
          image: image
          command: [
            'tensorboard'
            '--logdir'
            logFolder
            '--bind_all'
            '--port'
            '6006'
          ]
          ports: tensorBoard
          resources: {
            requests: {
              cpu: 1
              memoryInGB: 2
            }
          }
          volumeMounts: [for share in shares: {
            name: share
            mountPath: '/mnt/${share}'
            readOnly: true
          }]
        }
      }
    ]
    volumes: [for share in shares: {
      name: share
      azureFile: {
        shareName: share
        storageAccountName: shareAccountName
        storageAccountKeyReference: 'share-key'
      }
    }]
    ipAddress: hasAddress ? {
      type: 'Private'
      ports: tensorBoard
    } : null
    subnetIds: hasAddress ? [
      {
        id: subnetId
      }
    ] : null
  }
}

@description('Resource id of the group.')
output id string = group.id
