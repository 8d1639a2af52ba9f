// One secret of a vault, which may be in another resource group than the rest.

@description('Required. Name of the vault.')
param vaultName string

@description('Required. Name of the secret.')
param name string

@description('Required. What kind of value it is, for people who list the vault.')
param contentType string

@description('Required. The value.')
@secure()
param value string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: name
  properties: {
    contentType: contentType
    value: value
  }
}

@description('Address of the secret, without a version.')
output uri string = secret.properties.secretUri
