// Private DNS zones of the services that have private endpoints, linked to the network that the endpoints are in.

@description('Required. Resource id of the network.')
param networkId string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Storage suffix of this cloud, of which the zones are named.')
param storageSuffix string = environment().suffixes.storage

var zoneNames = [
  'privatelink.blob.${storageSuffix}'
  'privatelink.file.${storageSuffix}'
  'privatelink.queue.${storageSuffix}'
  'privatelink.table.${storageSuffix}'
  'privatelink${environment().suffixes.acrLoginServer}'
  'privatelink.vaultcore.azure.net'
  'privatelink.eventgrid.azure.net'
  'privatelink.azurewebsites.net'
  'privatelink.api.azureml.ms'
  'privatelink.notebooks.azure.net'
]

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [for zone in zoneNames: {
  name: zone
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (zone, index) in zoneNames: {
  parent: zones[index]
  name: last(split(networkId, '/'))
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: networkId
    }
  }
}]

@description('Resource id of the network: what is placed in it comes after its zones.')
output networkId string = networkId
