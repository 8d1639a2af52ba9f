// A private endpoint of one resource, with its names in private DNS zones of this resource group.

@description('Required. Name of the endpoint.')
param name string

@description('Required. Region of the subnet.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Subnet that the endpoint\'s address is taken from.')
param subnetId string

@description('Required. Resource that the endpoint leads to.')
param targetId string

@description('Required. Which of the resource\'s services: blob, registry, vault, amlworkspace ...')
param groupId string

@description('Required. Private DNS zones of this resource group that the endpoint registers in.')
param zoneNames string[]

resource endpoint 'Microsoft.Network/privateEndpoints@2025-09-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: name
        properties: {
          privateLinkServiceId: targetId
          groupIds: [
            groupId
          ]
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' existing = [for zone in zoneNames: {
  name: zone
}]

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-09-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [for (zone, index) in zoneNames: {
      name: replace(zone, '.', '-')
      properties: {
        privateDnsZoneId: zones[index].id
      }
    }]
  }
}

@description('Resource id of the endpoint.')
output id string = endpoint.id
