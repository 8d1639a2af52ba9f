// A user-assigned identity: it can get its roles before what uses it exists.

@description('Required. Name of the identity.')
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output id string = identity.id

@description('Object id that roles are assigned to.')
output principalId string = identity.properties.principalId

@description('Client id that code asks tokens with.')
output clientId string = identity.properties.clientId
