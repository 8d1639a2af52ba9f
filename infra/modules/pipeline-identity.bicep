// The identity of the pipelines: no secret, only tokens that a named pipeline of a named repository gets.

import { trustType } from '../types.bicep'

@description('Required. Name of the identity.')
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Whose tokens are taken.')
@minLength(1)
param trusts trustType[]

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

// One at a time: parallel writes to one identity are refused.
@batchSize(1)
resource credentials 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2024-11-30' = [for trust in trusts: {
  parent: identity
  name: trust.name
  properties: {
    issuer: trust.issuer
    subject: trust.subject
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}]

@description('Object id that roles are assigned to.')
output principalId string = identity.properties.principalId

@description('Client id that pipelines sign in with.')
output clientId string = identity.properties.clientId
