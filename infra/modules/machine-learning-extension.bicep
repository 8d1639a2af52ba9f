// The Azure ML extension of a Kubernetes cluster, which places deployments of models on it and routes requests to them.

@description('Required. Name of the cluster.')
param clusterName string

@description('Required. Whether the cluster serves production: several inference routers.')
param isProduction bool

@description('Optional. Name that the certificate of the inference router is for; empty: the router speaks HTTP at its internal address.')
param tlsName string = ''

var settings = {
  enableTraining: 'False'
  enableInference: 'True'
  inferenceRouterServiceType: 'LoadBalancer'
  internalLoadBalancerProvider: 'azure'
  inferenceRouterHA: isProduction ? 'True' : 'False'
}
var withoutTls = {
  allowInsecureConnections: 'True'
}
var withTls = {
  allowInsecureConnections: 'False'
  sslSecret: 'inference-tls'
  sslCname: tlsName
}

resource cluster 'Microsoft.ContainerService/managedClusters@2025-10-01' existing = {
  name: clusterName
}

resource extension 'Microsoft.KubernetesConfiguration/extensions@2023-05-01' = {
  scope: cluster
  name: 'azureml'
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    extensionType: 'microsoft.azureml.kubernetes'
    autoUpgradeMinorVersion: true
    releaseTrain: 'stable'
    scope: {
      cluster: {
        releaseNamespace: 'azureml'
      }
    }
    configurationSettings: union(settings, empty(tlsName) ? withoutTls : withTls)
  }
}
