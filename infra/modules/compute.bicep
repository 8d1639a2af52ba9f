// Compute clusters of one workspace: cpu, sweep and gpu, spot or dedicated, from the data.

import { computeType } from '../types.bicep'

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. The clusters.')
param computes computeType[]

@description('Required. Resource id of the identity that nodes pull images and read data as.')
param identityId string

@description('Optional. Subnet of clusters with inNetwork; empty: there is no network, and they run outside one.')
param subnetId string = ''

@description('Optional. Region of that subnet\'s network: nodes join a network of their own region only.')
param subnetLocation string = location

@description('Optional. Public key of the SSH users; empty: no cluster has one. Secure, because the published type of the property is.')
@secure()
param sshPublicKey string = ''

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource clusters 'Microsoft.MachineLearningServices/workspaces/computes@2025-12-01' = [for compute in computes: {
  parent: workspace
  name: compute.name
  location: empty(subnetId) || !compute.inNetwork ? location : subnetLocation
  tags: union(tags, { purpose: compute.purpose })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    computeType: 'AmlCompute'
    computeLocation: empty(subnetId) || !compute.inNetwork ? location : subnetLocation
    description: '${compute.purpose}, ${compute.tier}'
    disableLocalAuth: empty(sshPublicKey) || empty(compute.sshUser)
    properties: {
      osType: 'Linux'
      vmSize: compute.vmSize
      vmPriority: compute.tier
      enableNodePublicIp: empty(subnetId) || !compute.inNetwork
      // In the network SSH comes by the private address; a port of a public address needs a node that has one.
      remoteLoginPortPublicAccess: empty(sshPublicKey) || empty(compute.sshUser) || (!empty(subnetId) && compute.inNetwork) ? 'Disabled' : 'Enabled'
      scaleSettings: {
        minNodeCount: compute.minNodes
        maxNodeCount: compute.maxNodes
        nodeIdleTimeBeforeScaleDown: compute.idleTime
      }
      subnet: empty(subnetId) || !compute.inNetwork ? null : {
        id: subnetId
      }
      userAccountCredentials: empty(sshPublicKey) || empty(compute.sshUser) ? null : {
        adminUserName: compute.sshUser
        adminUserSshPublicKey: sshPublicKey
      }
    }
  }
}]

@description('Names of the clusters.')
output names array = [for (compute, index) in computes: clusters[index].name]
