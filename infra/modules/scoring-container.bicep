// A container group that serves one scoring image for tests, where there is no cluster yet.

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

@description('Required. Resource id of the identity that pulls it.')
param identityId string

@description('Optional. Cores.')
param cpu int = 1

@description('Optional. Gigabytes of memory.')
param memoryInGB int = 2

@description('Optional. Port of the inference server.')
param port int = 5001

@description('Optional. Subnet of the group; empty: the group has a public address and a DNS name, for a trial.')
param subnetId string = ''

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
    restartPolicy: 'Always'
    imageRegistryCredentials: [
      {
        server: loginServer
        identity: identityId
      }
    ]
    containers: [
      {
        name: 'scoring'
        properties: {
          image: image
          ports: [
            {
              protocol: 'TCP'
              port: port
            }
          ]
          resources: {
            requests: {
              cpu: cpu
              memoryInGB: memoryInGB
            }
          }
          readinessProbe: {
            httpGet: {
              path: '/'
              port: port
              scheme: 'http'
            }
            initialDelaySeconds: 10
            periodSeconds: 10
            failureThreshold: 6
          }
        }
      }
    ]
    ipAddress: {
      type: empty(subnetId) ? 'Public' : 'Private'
      dnsNameLabel: empty(subnetId) ? name : null
      ports: [
        {
          protocol: 'TCP'
          port: port
        }
      ]
    }
    subnetIds: empty(subnetId) ? null : [
      {
        id: subnetId
      }
    ]
  }
}

@description('Resource id of the group.')
output id string = group.id
