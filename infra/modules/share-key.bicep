// Puts the key of the account with the file shares into the vault: containers and virtual machines can mount a share in no other way.

@description('Required. Name of the storage account.')
param accountName string

@description('Required. Resource id of the Key Vault.')
param keyVaultId string

@description('Required. Name of the secret.')
param secretName string

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: accountName
}

module secret 'secret.bicep' = {
  name: take('${accountName}-key', 64)
  scope: resourceGroup(split(keyVaultId, '/')[2], split(keyVaultId, '/')[4])
  params: {
    vaultName: last(split(keyVaultId, '/'))
    name: secretName
    contentType: 'key of the file shares'
    value: account.listKeys().keys[0].value
  }
}

@description('Address of the secret, without a version.')
output uri string = secret.outputs.uri
