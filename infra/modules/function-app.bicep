// A function app on its own Flex Consumption plan, which holds exactly one app. Storage and telemetry by identity.

@description('Required. Name of the app.')
@minLength(2)
@maxLength(60)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Optional. Tags of the app alone: azd takes for a service the one resource that has its tag.')
param appTags object = {}

@description('Required. Resource id of the user-assigned identity that the app acts as.')
param identityId string

@description('Required. Client id of that identity.')
param identityClientId string

@description('Required. Blob endpoint of the storage account, with a slash at its end.')
param blobEndpoint string

@description('Required. Queue endpoint of the storage account, with a slash at its end.')
param queueEndpoint string

@description('Required. Table endpoint of the storage account, with a slash at its end.')
param tableEndpoint string

@description('Required. Blob container of the released packages.')
param packageContainer string

@description('Required. Resource id of the Application Insights component.')
param applicationInsightsId string

@description('Required. App settings of the code: the fields of tidegate.settings.Settings, named TIDEGATE_<FIELD>.')
param settings object

@description('Optional. App settings that are secrets of a vault: name of the setting -> name of the secret. The app reads them as its identity.')
param vaultSettings object = {}

@description('Required. Name of that vault.')
param vaultName string

@description('Required. Functions of the package that do not run in this app.')
param disabledFunctions string[]

@description('Optional. Functions that keep one instance warm.')
param alwaysReadyFunctions string[] = []

@description('Optional. Memory of an instance.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Optional. Most instances at a time.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Optional. Subnet that the app opens its connections from; empty: it needs none.')
param subnetId string = ''

@description('Optional. Service tag that may call the app, for example AzureEventGrid; empty: everybody, and the app checks who it is.')
param callersTag string = ''

@description('Optional. Refuse every caller: for an app whose sign-in is not set up yet.')
param isClosed bool = false

@description('Optional. Subnet of the private endpoint; empty: the app is called at its public address. With one, only releases come by the public address, with a token.')
param endpointSubnetId string = ''

@description('Optional. Whether Entra sign-in stands in front of the app (sign-in.bicep); the identity then proves the app to Entra, without a client secret.')
param signIn bool = false

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

var platformSettings = {
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__queueServiceUri: queueEndpoint
  AzureWebJobsStorage__tableServiceUri: tableEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
}
var referredSettings = toObject(items(vaultSettings), each => each.key, each => '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${each.value})')
var disabledSettings = toObject(disabledFunctions, each => 'AzureWebJobs.${each}.Disabled', each => 'true')
var signInSettings = signIn ? {
  OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId
  WEBSITE_AUTH_AAD_ALLOWED_TENANTS: tenant().tenantId
} : {}
var isPrivate = !empty(endpointSubnetId)
var callers = [
  {
    name: 'callers'
    description: 'Who may call this app.'
    priority: 100
    action: 'Allow'
    tag: 'ServiceTag'
    ipAddress: callersTag
  }
]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  scope: resourceGroup(split(applicationInsightsId, '/')[2], split(applicationInsightsId, '/')[4])
  name: last(split(applicationInsightsId, '/'))
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, appTags)
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: [for function in alwaysReadyFunctions: {
          name: 'function:${function}'
          instanceCount: 1
        }]
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
      http20Enabled: true
      // Whoever comes by the private endpoint is not asked for these: they are about the public address.
      ipSecurityRestrictionsDefaultAction: isClosed || isPrivate || !empty(callersTag) ? 'Deny' : 'Allow'
      ipSecurityRestrictions: empty(callersTag) ? [] : callers
      scmIpSecurityRestrictionsUseMain: false
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(platformSettings, signInSettings, settings, referredSettings, disabledSettings)
}

resource ftpPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scmPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

module privateEndpoint 'private-endpoint.bicep' = if (isPrivate && !isClosed) {
  name: take('${name}-endpoint', 64)
  params: {
    name: 'pe-${name}'
    location: location
    tags: tags
    subnetId: endpointSubnetId
    targetId: app.id
    groupId: 'sites'
    zoneNames: [
      'privatelink.azurewebsites.net'
    ]
  }
}

resource planDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: plan
  name: 'diagnostics'
  properties: {
    workspaceId: logAnalyticsId
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
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

@description('Resource id of the app.')
output id string = app.id

@description('Name of the app.')
output name string = app.name

@description('Host name of the app.')
output hostName string = app.properties.defaultHostName
