// The Azure ML extension of a Kubernetes cluster, by a nested template: its type is not among the published ones this project checks against.

@description('Required. Name of the cluster.')
param clusterName string

@description('Required. Whether the cluster serves production: several inference routers.')
param isProduction bool

@description('Optional. Name that the certificate of the inference router is for; empty: the router speaks HTTP at its internal address.')
param tlsName string = ''

resource extension 'Microsoft.Resources/deployments@2025-04-01' = {
  name: take('${clusterName}-azureml', 64)
  properties: {
    mode: 'Incremental'
    template: loadJsonContent('../data/machine-learning-extension.template.json')
    parameters: {
      clusterName: {
        value: clusterName
      }
      highlyAvailable: {
        value: isProduction
      }
      tlsName: {
        value: tlsName
      }
    }
  }
}
