// Makes a Kubernetes cluster, created here or brought along, a compute of a workspace; the cluster has the Azure ML extension by then.

@description('Required. Name of the workspace.')
param workspaceName string

@description('Required. Region of the workspace.')
param location string

@description('Required. Name of the compute in the workspace.')
param name string

@description('Required. Resource id of the cluster; it may be in another resource group.')
param clusterId string

@description('Optional. Kubernetes namespace of the workspace\'s deployments; it must exist, since attaching makes none.')
param namespace string = 'default'

@description('Required. Whether the cluster serves production.')
param isProduction bool

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource compute 'Microsoft.MachineLearningServices/workspaces/computes@2025-12-01' = {
  parent: workspace
  name: name
  location: location
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    computeType: 'Kubernetes'
    description: isProduction ? 'Production inference' : 'Test inference, replicas by hand'
    resourceId: clusterId
    properties: {
      namespace: namespace
      defaultInstanceType: 'defaultinstancetype'
      instanceTypes: {
        defaultinstancetype: {
          nodeSelector: {
            workload: 'inference'
          }
          resources: {
            requests: {
              cpu: '1'
              memory: '2Gi'
            }
            limits: {
              cpu: '2'
              memory: '4Gi'
            }
          }
        }
      }
    }
  }
}

@description('Resource id of the compute.')
output id string = compute.id
