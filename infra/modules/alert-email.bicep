// The Logic App that turns one alert into one e-mail, its connection, and its address as a secret of the vault.

@description('Required. Name of the workflow.')
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. What sends the mail: the mailbox of an Office 365 connection, or Azure Communication Services.')
@allowed([
  'office365'
  'communication'
])
param transport string

@description('Required. Addresses by severity (error, warning, info), several separated by semicolons.')
param recipients object

@description('Required. Resource id of the Key Vault that gets the workflow\'s address.')
param keyVaultId string

@description('Required. Name of the secret with the address.')
param secretName string

@description('Required. Name of the communication resources, unique in all of Azure.')
@maxLength(58)
param communicationName string

@description('Optional. Data location of the communication resources.')
param dataLocation string = 'Europe'

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

var byCommunication = transport == 'communication'

// A person has to consent to this connection once, in the portal: until then mails are refused and the workflow answers 502.
// It is there with the other transport too, unused: the workflow is one definition, and its action names the connection.
resource connection 'Microsoft.Web/connections@2016-06-01' = {
  name: 'office365-${name}'
  location: location
  tags: tags
  properties: {
    displayName: 'Alert e-mail'
    api: {
      id: subscriptionResourceId('Microsoft.Web/locations/managedApis', location, 'office365')
    }
  }
}

resource mail 'Microsoft.Communication/emailServices@2025-09-01' = if (byCommunication) {
  name: '${communicationName}-mail'
  location: 'global'
  tags: tags
  properties: {
    dataLocation: dataLocation
  }
}

resource domain 'Microsoft.Communication/emailServices/domains@2025-09-01' = if (byCommunication) {
  parent: mail
  name: 'AzureManagedDomain'
  location: 'global'
  tags: tags
  properties: {
    domainManagement: 'AzureManaged'
    userEngagementTracking: 'Disabled'
  }
}

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' = if (byCommunication) {
  name: communicationName
  location: 'global'
  tags: tags
  properties: {
    dataLocation: dataLocation
    disableLocalAuth: true
    linkedDomains: [
      domain!.id
    ]
  }
}

resource communicationDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (byCommunication) {
  scope: communication
  name: 'diagnostics'
  properties: {
    workspaceId: logAnalyticsId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

resource workflow 'Microsoft.Logic/workflows@2019-05-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    state: 'Enabled'
    definition: loadJsonContent('../data/alert-email.workflow.json')
    parameters: {
      '$connections': {
        value: {
          office365: {
            connectionId: connection.id
            connectionName: 'office365-${name}'
            id: subscriptionResourceId('Microsoft.Web/locations/managedApis', location, 'office365')
          }
        }
      }
      transport: {
        value: transport
      }
      communicationEndpoint: {
        value: byCommunication ? 'https://${communication!.properties.hostName}' : ''
      }
      sender: {
        value: byCommunication ? 'DoNotReply@${domain!.properties.mailFromSenderDomain}' : ''
      }
      recipients: {
        value: recipients
      }
    }
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: workflow
  name: 'diagnostics'
  properties: {
    workspaceId: logAnalyticsId
    logs: [
      {
        categoryGroup: 'allLogs'
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

// The address carries its own signature: whoever has it can send alerts. It goes from here into the vault and nowhere else.
module address 'secret.bicep' = {
  name: take('${name}-address', 64)
  scope: resourceGroup(split(keyVaultId, '/')[2], split(keyVaultId, '/')[4])
  params: {
    vaultName: last(split(keyVaultId, '/'))
    name: secretName
    contentType: 'address of the alert workflow'
    value: listCallbackUrl('${workflow.id}/triggers/manual', '2019-05-01').value
  }
}

@description('Resource id of the workflow.')
output id string = workflow.id

@description('Object id of the workflow\'s identity.')
output principalId string = workflow.identity.principalId

@description('Name of the communication resource, if there is one.')
output communicationName string = byCommunication ? communicationName : 'none'
