// A Kubernetes cluster for inference: dev-test without autoscaling, or production with it; optionally nodes for GitLab runners.

@description('Required. Name of the cluster.')
@minLength(1)
@maxLength(63)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. dev-test: replicas are set by hand; production: at least 12 cores, nodes and replicas scale.')
@allowed([
  'dev-test'
  'production'
])
param purpose string

@description('Required. Size of an inference node.')
param vmSize string

@description('Required. Cores of that size: Azure gives the number, `infra/scripts/deploy preflight` compares it.')
@minValue(1)
param coresPerNode int

@description('Required. Inference nodes; in production the least.')
@minValue(1)
param nodeCount int

@description('Optional. Most inference nodes in production; never less than nodeCount.')
param maxNodeCount int = 6

@description('Optional. Whether there is a pool for GitLab runners; data/gitlab-runner.values.yaml are the values of its Helm chart.')
param runnerPool bool = false

@description('Optional. Subnet of the nodes; empty: the cluster makes its own network.')
param subnetId string = ''

@description('Required. Resource id of the identity of the control plane; it must be allowed to join the subnet.')
param identityId string

@description('Required. Entra groups whose members administer the cluster.')
param adminGroupIds string[]

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

var isProduction = purpose == 'production'

module coreCheck 'core-check.bicep' = if (isProduction) {
  name: take('${name}-cores', 64)
  params: {
    cores: nodeCount * coresPerNode
  }
}

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Base'
    tier: isProduction ? 'Standard' : 'Free'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    dnsPrefix: name
    enableRBAC: true
    // Azure ML attaches no cluster without local accounts. Who may list their credential is the pipeline alone.
    disableLocalAccounts: false
    aadProfile: {
      managed: true
      enableAzureRBAC: true
      adminGroupObjectIDs: adminGroupIds
    }
    oidcIssuerProfile: {
      enabled: true
    }
    securityProfile: {
      workloadIdentity: {
        enabled: true
      }
    }
    autoUpgradeProfile: {
      upgradeChannel: 'patch'
      nodeOSUpgradeChannel: 'NodeImage'
    }
    networkProfile: {
      networkPlugin: 'azure'
      networkPluginMode: 'overlay'
      networkPolicy: 'azure'
      loadBalancerSku: 'standard'
      outboundType: empty(subnetId) ? 'loadBalancer' : 'userAssignedNATGateway'
    }
    agentPoolProfiles: [
      {
        name: 'system'
        mode: 'System'
        type: 'VirtualMachineScaleSets'
        osType: 'Linux'
        osSKU: 'AzureLinux'
        vmSize: 'Standard_D2s_v5'
        count: isProduction ? 3 : 1
        vnetSubnetID: empty(subnetId) ? null : subnetId
      }
    ]
  }
}

resource inference 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = {
  parent: cluster
  name: 'inference'
  properties: {
    mode: 'User'
    type: 'VirtualMachineScaleSets'
    osType: 'Linux'
    osSKU: 'AzureLinux'
    vmSize: vmSize
    count: nodeCount
    enableAutoScaling: isProduction
    minCount: isProduction ? nodeCount : null
    maxCount: isProduction ? max(nodeCount, maxNodeCount) : null
    vnetSubnetID: empty(subnetId) ? null : subnetId
    nodeLabels: {
      workload: 'inference'
    }
  }
}

resource runners 'Microsoft.ContainerService/managedClusters/agentPools@2025-10-01' = if (runnerPool) {
  parent: cluster
  name: 'runners'
  properties: {
    mode: 'User'
    type: 'VirtualMachineScaleSets'
    osType: 'Linux'
    osSKU: 'AzureLinux'
    vmSize: 'Standard_D4s_v5'
    count: 0
    enableAutoScaling: true
    minCount: 0
    maxCount: 4
    scaleSetPriority: 'Spot'
    scaleSetEvictionPolicy: 'Delete'
    vnetSubnetID: empty(subnetId) ? null : subnetId
    nodeLabels: {
      workload: 'runners'
      'kubernetes.azure.com/scalesetpriority': 'spot'
    }
    // Azure puts the second taint and the second label on spot nodes itself: a template without them would take them off again.
    nodeTaints: [
      'workload=runners:NoSchedule'
      'kubernetes.azure.com/scalesetpriority=spot:NoSchedule'
    ]
  }
  dependsOn: [
    inference
  ]
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: cluster
  name: 'diagnostics'
  properties: {
    workspaceId: logAnalyticsId
    logs: [
      {
        category: 'kube-audit-admin'
        enabled: true
      }
      {
        category: 'guard'
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

@description('Resource id of the cluster.')
output id string = cluster.id

@description('Object id of the identity that pulls images onto the nodes.')
output kubeletPrincipalId string = cluster.properties.identityProfile.kubeletidentity.objectId
