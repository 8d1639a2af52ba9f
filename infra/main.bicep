// Everything that Tidegate and the platform around it need in one environment. Written for Bicep 0.36 or later, with types of 2026.

targetScope = 'subscription'

@description('Required. Name of the environment: dev, int, pro, or one\'s own.')
@minLength(2)
@maxLength(8)
param environmentName string

@description('Required. Region of everything that is shared.')
param location string

@description('Optional. Name of the resource group; it is created.')
param resourceGroupName string = 'rg-tidegate-${environmentName}'

@description('Optional. Tags of every resource.')
param tags object = {}

@description('Optional. public: for a trial, every service has a public address and Entra guards it; private: a virtual network with private endpoints.')
@allowed([
  'public'
  'private'
])
param networkMode string = 'public'

@description('Optional. Whether the API app of a private network answers at a private endpoint alone; otherwise at its public address, by sign-in.')
param privateApi bool = true

@description('Optional. The first two bytes of a new virtual network\'s addresses.')
param networkAddressPrefix string = '10.40'

@description('Optional. Resource id of a virtual network to use instead of a new one; it must have the subnets that modules/network.bicep makes.')
param existingNetworkId string = ''

@description('Optional. Resource id of a Key Vault to use instead of a new one; it must use Azure roles.')
param existingKeyVaultId string = ''

@description('Optional. Whether the vault was deleted with its environment and is brought back; infra/scripts/deploy finds out.')
param recoverKeyVault bool = false

@description('Optional. Resource id of a Log Analytics workspace to use instead of a new one.')
param existingLogAnalyticsId string = ''

@description('Optional. Resource id of an Application Insights component to use instead of a new one.')
param existingApplicationInsightsId string = ''

@description('Optional. Resource id of the storage account with the data instead of a new one; it needs the containers of data/state.json.')
param existingDataAccountId string = ''

@description('Optional. Days that logs are kept.')
param logRetentionDays int = 90

@description('Required. Object ids of the Entra groups that data/workspaces.json names, by name; a group that is missing here gets nothing.')
param groupIds object

@description('Optional. Object ids of the groups of operators.')
param operatorGroupIds string[] = []

@description('Optional. Object ids of the groups of approvers.')
param approverGroupIds string[] = []

@description('Optional. Object id of the identity that deploys by pipeline (output of bootstrap.bicep); it may then build in the staging registry.')
param pipelinePrincipalId string = ''

@description('Required. E-mail addresses that Azure Monitor and the budget write to.')
param operatorEmails string[]

@description('Required. Addresses of alert e-mails by severity: error, warning, info; several are separated by semicolons.')
param alertRecipients object

@description('Optional. What sends alert e-mails.')
@allowed([
  'office365'
  'communication'
])
param alertTransport string = 'office365'

@description('Required. Budget a month, in the currency of the subscription.')
param budgetAmount int

@description('Required. First day of the budget\'s first month, for example 2026-12-01: of the month of the first deployment or a later one, and never changed.')
param budgetStartDate string

@description('Optional. Client id of the Entra app registration that people sign in with; empty: only API keys open the API app, and without those it refuses every caller.')
param signInClientId string = ''

@description('Optional. Client ids of other applications that may call the API: the command line\'s.')
param signInAllowedApplications string[] = []

@description('Optional. API keys of machines, `name:<sha256 of the key>:Role,Role`, separated by semicolons; `tidegate new-key` makes one.')
param apiKeys string = ''

@description('Optional. App settings of both apps that are secrets of the vault, as Key Vault references: name of the setting -> name of the secret.')
param vaultSettings object = {}

@description('Optional. Whether one instance of each event function is kept warm; without it the first event after a pause waits for a start.')
param keepWarm bool = true

@description('Optional. Whether the functions are deployed by now, so that events can be sent to them. The first deployment of an environment leaves it off.')
param subscribe bool = false

@description('Optional. Names of the work packages that this deployment is about; empty: all. What is left out stays as it is.')
param workPackages string[] = []

@description('Optional. Whether the clusters of data/workspaces.json are made.')
param deployComputes bool = true

@description('Conditional. Public key of the SSH users. Required by trainingVm; without it no cluster has its SSH user.')
param sshPublicKey string = ''

@description('Optional. Whether there is an Azure ML registry to move models through.')
param deployModelRegistry bool = true

@description('Optional. Whether gates test images on clusters (`runner: azure-ml`): nodes of clusters may then pull images of staging, which nobody has tested yet.')
param testImagesOnClusters bool = false

@description('Optional. Whether endpoints are made or brought up to date. What deploys without knowing their traffic leaves them alone: azd after its first run.')
param deployEndpoints bool = true

@description('Optional. Traffic of each endpoint as it is now; infra/scripts/deploy reads it.')
param endpointTraffic object = {}

@description('Optional. The cluster for inference: none, a new one, or one that is there.')
@allowed([
  'none'
  'create'
  'attach'
])
param kubernetes string = 'none'

@description('Conditional. Resource id of the cluster. Required by kubernetes attach.')
param existingKubernetesId string = ''

@description('Optional. Whether the cluster is for tests or for production, which needs 12 cores.')
@allowed([
  'dev-test'
  'production'
])
param kubernetesPurpose string = 'dev-test'

@description('Optional. Size of an inference node.')
param kubernetesVmSize string = 'Standard_D4s_v5'

@description('Optional. Cores of that size.')
param kubernetesCoresPerNode int = 4

@description('Optional. Inference nodes.')
param kubernetesNodeCount int = 1

@description('Optional. Name that the certificate of the inference router is for, in the secret inference-tls of the cluster\'s namespace azureml; empty: the router speaks HTTP at its internal address.')
param kubernetesTlsName string = ''

@description('Optional. Groups that administer a new cluster.')
param kubernetesAdminGroupIds string[] = []

@description('Optional. Whether a new cluster has a pool for GitLab runners.')
param gitlabRunners bool = false

@description('Optional. Scoring image in the healthy registry to serve from a container group for tests, `repository@sha256:...`; empty: none.')
param scoringImage string = ''

@description('Optional. Training image in the healthy registry, `repository@sha256:...`; empty: no training container, job or machine.')
param trainingImage string = ''

@description('Optional. Arguments of the training image.')
param trainingArguments string[] = [
  '--config'
  'QUICKTEST'
  '--workdir'
  '/mnt/training/run'
]

@description('Optional. Whether there is a container group for training on CPUs.')
param trainingContainer bool = false

@description('Optional. Whether there is a Container Apps job for training on a GPU.')
param trainingGpuJob bool = false

@description('Optional. GPU of that job.')
@allowed([
  'Consumption-GPU-NC8as-T4'
  'Consumption-GPU-NC24-A100'
])
param trainingGpuProfile string = 'Consumption-GPU-NC8as-T4'

@description('Optional. Region of that job: GPU profiles exist in some only; in a private network it is the network\'s.')
param trainingGpuLocation string = location

@description('Optional. Whether there is a spot virtual machine for training.')
param trainingVm bool = false

@description('Optional. Size of that machine.')
param trainingVmSize string = 'Standard_NC4as_T4_v3'

@description('Optional. Repository whose training image an ACR task builds; empty: none.')
param trainingRepositoryUrl string = ''

@description('Conditional. Token that reads that repository. Required for a private one, and for builds on a commit.')
@secure()
param trainingRepositoryToken string = ''

var events = loadJsonContent('data/events.json')
var allWorkspaces = loadJsonContent('data/workspaces.json').workspaces
var workspaces = filter(allWorkspaces, each => empty(workPackages) || contains(workPackages, each.name))
var access = loadJsonContent('data/roles.json')
var state = loadJsonContent('data/state.json')
var functions = loadJsonContent('data/functions.json')
var alerts = loadJsonContent('data/alerts.json').alerts

// Names that must be unique in all of Azure end in a token of subscription, environment and region.
var token = uniqueString(subscription().id, environmentName, location)
var names = {
  stateAccount: 'tgstate${token}'
  mlAccount: 'tgworks${token}'
  dataAccount: 'tgdata${token}'
  shareAccount: 'tgshare${token}'
  stagingRegistry: 'tidegatestaging${token}'
  healthyRegistry: 'tidegatehealthy${token}'
  keyVault: 'kv-tg-${token}'
  eventsApp: 'func-tidegate-events-${token}'
  apiApp: 'func-tidegate-api-${token}'
  outcomesTopic: 'evgt-outcomes-${token}'
  modelRegistry: 'mlr-tidegate-${token}'
  scoring: 'ci-scoring-${token}'
  kubernetes: 'aks-tidegate-${environmentName}'
  communication: 'acs-tidegate-${token}'
}
var allTags = union(tags, {
  environment: environmentName
  system: 'tidegate'
})
var isPrivate = networkMode == 'private'
var hasTraining = !empty(trainingImage) && (trainingContainer || trainingGpuJob || trainingVm)
var hasNetwork = isPrivate || (hasTraining && trainingVm)
var hasImageTask = !empty(trainingRepositoryUrl)
var hasKubernetes = kubernetes != 'none'
var computeWorkspaces = deployComputes ? workspaces : []
var existingDataWorkspaces = empty(existingDataAccountId) ? [] : workspaces
var endpointWorkspaces = deployEndpoints ? workspaces : []
var subscribedWorkspaces = subscribe ? workspaces : []
var alertSecretName = 'alert-email-url'
var shareKeySecretName = 'training-share-key'
var trainingCommand = concat(['python', '-m', 'trainer'], trainingArguments)

// What is used: the resource that is there already, or the one that is made here.
var logAnalyticsId = empty(existingLogAnalyticsId) ? logAnalytics!.outputs.id : existingLogAnalyticsId
var applicationInsightsId = empty(existingApplicationInsightsId) ? applicationInsights!.outputs.id : existingApplicationInsightsId
var keyVaultId = empty(existingKeyVaultId) ? keyVault!.outputs.id : existingKeyVaultId
var dataAccountName = empty(existingDataAccountId) ? dataAccount!.outputs.name : last(split(existingDataAccountId, '/'))
var keyVaultName = empty(existingKeyVaultId) ? names.keyVault : last(split(existingKeyVaultId, '/'))
var networkId = hasNetwork && empty(existingNetworkId) ? network!.outputs.id : existingNetworkId
var endpointSubnetId = isPrivate ? '${dnsZones!.outputs.networkId}/subnets/endpoints' : ''

var groupsOfPeople = flatten(map(workspaces, package => map(filter(package.groups, each => contains(groupIds, each.group)), each => {
  key: each.role
  id: groupIds[each.group]
  type: 'Group'
})))
var operators = map(operatorGroupIds, each => {
  key: 'operator'
  id: each
  type: 'Group'
})
var approvers = map(approverGroupIds, each => {
  key: 'approver'
  id: each
  type: 'Group'
})

var pipelines = map(empty(pipelinePrincipalId) ? [] : [pipelinePrincipalId], each => {
  key: 'pipeline'
  id: each
  type: 'ServicePrincipal'
})

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

// Shared: telemetry, network, storage, registries, vault.

module logAnalytics 'modules/log-analytics.bicep' = if (empty(existingLogAnalyticsId)) {
  name: 'log-analytics'
  scope: group
  params: {
    name: 'log-tidegate-${environmentName}'
    location: location
    tags: allTags
    retentionDays: logRetentionDays
  }
}

module applicationInsights 'modules/application-insights.bicep' = if (empty(existingApplicationInsightsId)) {
  name: 'application-insights'
  scope: group
  params: {
    name: 'appi-tidegate-${environmentName}'
    location: location
    tags: allTags
    logAnalyticsId: logAnalyticsId
  }
}

module network 'modules/network.bicep' = if (hasNetwork && empty(existingNetworkId)) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-tidegate-${environmentName}'
    location: location
    tags: allTags
    addressPrefix: networkAddressPrefix
    logAnalyticsId: logAnalyticsId
  }
}

module dnsZones 'modules/dns-zones.bicep' = if (isPrivate) {
  name: 'dns-zones'
  scope: group
  params: {
    networkId: networkId
    tags: allTags
  }
}

module stateAccount 'modules/storage.bicep' = {
  name: 'state-account'
  scope: group
  params: {
    name: names.stateAccount
    location: location
    tags: allTags
    containers: state.containers
    queues: state.queues
    tables: state.tables
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

// One account for all workspaces, a container for each; the share is for notebooks.
module mlAccount 'modules/storage.bicep' = {
  name: 'ml-account'
  scope: group
  params: {
    name: names.mlAccount
    location: location
    tags: allTags
    containers: map(workspaces, each => each.name)
    shares: [
      'notebooks'
    ]
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

module dataAccount 'modules/storage.bicep' = if (empty(existingDataAccountId)) {
  name: 'data-account'
  scope: group
  params: {
    name: names.dataAccount
    location: location
    tags: allTags
    containers: state.dataContainers
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

// Shares that training containers mount. Mounting asks for the account's key, so the key opens this account only, and only where something mounts it.
module shareAccount 'modules/storage.bicep' = {
  name: 'share-account'
  scope: group
  params: {
    name: names.shareAccount
    location: location
    tags: allTags
    shares: state.dataShares
    allowSharedKeyAccess: hasTraining
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

module stagingRegistry 'modules/registry.bicep' = {
  name: 'staging-registry'
  scope: group
  params: {
    name: names.stagingRegistry
    location: location
    tags: allTags
    sku: isPrivate ? 'Premium' : 'Standard'
    acceptArmTokens: isPrivate && hasImageTask
    allowTasks: true
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

module healthyRegistry 'modules/registry.bicep' = {
  name: 'healthy-registry'
  scope: group
  params: {
    name: names.healthyRegistry
    location: location
    tags: allTags
    sku: isPrivate ? 'Premium' : 'Standard'
    lock: true
    acceptArmTokens: hasTraining && trainingGpuJob
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

module keyVault 'modules/key-vault.bicep' = if (empty(existingKeyVaultId)) {
  name: 'key-vault'
  scope: group
  params: {
    name: names.keyVault
    location: location
    tags: allTags
    recover: recoverKeyVault
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

module budget 'modules/budget.bicep' = {
  name: 'budget'
  scope: group
  params: {
    name: 'budget-tidegate-${environmentName}'
    amount: budgetAmount
    startDate: budgetStartDate
    emailAddresses: operatorEmails
  }
}

// Identities.

module eventsIdentity 'modules/identity.bicep' = {
  name: 'events-identity'
  scope: group
  params: {
    name: 'id-tidegate-events'
    location: location
    tags: allTags
  }
}

module apiIdentity 'modules/identity.bicep' = {
  name: 'api-identity'
  scope: group
  params: {
    name: 'id-tidegate-api'
    location: location
    tags: allTags
  }
}

module trainingIdentity 'modules/identity.bicep' = {
  name: 'training-identity'
  scope: group
  params: {
    name: 'id-tidegate-training'
    location: location
    tags: allTags
  }
}

module servingIdentity 'modules/identity.bicep' = {
  name: 'serving-identity'
  scope: group
  params: {
    name: 'id-tidegate-serving'
    location: location
    tags: allTags
  }
}

module kubernetesIdentity 'modules/identity.bicep' = if (kubernetes == 'create') {
  name: 'kubernetes-identity'
  scope: group
  params: {
    name: 'id-tidegate-kubernetes'
    location: location
    tags: allTags
  }
}

// Events, and the two apps of one package: Event Grid calls the first, people the second. Sign-in guards a whole app and refuses Event Grid.

module outcomesTopic 'modules/outcomes-topic.bicep' = {
  name: 'outcomes-topic'
  scope: group
  params: {
    name: names.outcomesTopic
    location: location
    tags: allTags
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

module stagingTopic 'modules/system-topic.bicep' = {
  name: 'staging-topic'
  scope: group
  params: {
    name: 'evgt-staging-registry'
    location: location
    tags: allTags
    sourceId: stagingRegistry.outputs.id
    topicType: 'Microsoft.ContainerRegistry.Registries'
    logAnalyticsId: logAnalyticsId
  }
}

var commonSettings = {
  TIDEGATE_STAGING_REGISTRY: names.stagingRegistry
  TIDEGATE_HEALTHY_REGISTRY: names.healthyRegistry
  TIDEGATE_SUBSCRIPTION_ID: subscription().subscriptionId
  TIDEGATE_RESOURCE_GROUP: resourceGroupName
  TIDEGATE_OUTCOMES_ENDPOINT: outcomesTopic.outputs.endpoint
  TIDEGATE_KEY_VAULT_URL: 'https://${keyVaultName}${environment().suffixes.keyvaultDns}'
  TIDEGATE_GATES_FILE: 'gates.yaml'
  TIDEGATE_TABLE: 'tidegate'
  TIDEGATE_EVIDENCE_CONTAINER: state.containers[0]
  TIDEGATE_DEAD_LETTER_CONTAINER: events.deadLetterContainer
  TIDEGATE_WORKSPACES: join(map(allWorkspaces, each => 'mlw-${each.name}-${environmentName}'), ',')
  TIDEGATE_ALERT_URL_SECRET: alertSecretName
  TIDEGATE_PUBLIC_URL: 'https://${names.apiApp}.azurewebsites.net'
  TIDEGATE_TENANT_ID: tenant().tenantId
  TIDEGATE_API_AUDIENCE: signInClientId
  TIDEGATE_API_KEYS: apiKeys
  TIDEGATE_SERVING_IDENTITY_ID: servingIdentity.outputs.id
  TIDEGATE_SERVING_SUBNET_ID: isPrivate ? '${networkId}/subnets/containers' : ''
  TIDEGATE_LOCAL_ENDPOINTS: ''
  TIDEGATE_LOCAL_PYTHON: ''
  TIDEGATE_DEVOPS_TOKEN_SECRET: 'azure-devops-token'
  TIDEGATE_GITHUB_TOKEN_SECRET: 'github-token'
}

module eventsApp 'modules/function-app.bicep' = {
  name: 'events-app'
  scope: group
  params: {
    name: names.eventsApp
    location: location
    tags: allTags
    appTags: { 'azd-service-name': 'events' }
    identityId: eventsIdentity.outputs.id
    identityClientId: eventsIdentity.outputs.clientId
    blobEndpoint: stateAccount.outputs.blobEndpoint
    queueEndpoint: stateAccount.outputs.queueEndpoint
    tableEndpoint: stateAccount.outputs.tableEndpoint
    packageContainer: 'releases-events'
    applicationInsightsId: applicationInsightsId
    settings: union(commonSettings, { TIDEGATE_IDENTITY_CLIENT_ID: eventsIdentity.outputs.clientId })
    vaultSettings: vaultSettings
    vaultName: keyVaultName
    disabledFunctions: functions.api
    alwaysReadyFunctions: keepWarm ? functions.alwaysReady : []
    callersTag: 'AzureEventGrid'
    subnetId: isPrivate ? '${networkId}/subnets/functions' : ''
    logAnalyticsId: logAnalyticsId
  }
  dependsOn: [
    sharedRoles
  ]
}

module apiApp 'modules/function-app.bicep' = {
  name: 'api-app'
  scope: group
  params: {
    name: names.apiApp
    location: location
    tags: allTags
    appTags: { 'azd-service-name': 'api' }
    identityId: apiIdentity.outputs.id
    identityClientId: apiIdentity.outputs.clientId
    blobEndpoint: stateAccount.outputs.blobEndpoint
    queueEndpoint: stateAccount.outputs.queueEndpoint
    tableEndpoint: stateAccount.outputs.tableEndpoint
    packageContainer: 'releases-api'
    applicationInsightsId: applicationInsightsId
    settings: union(commonSettings, { TIDEGATE_IDENTITY_CLIENT_ID: apiIdentity.outputs.clientId })
    vaultSettings: vaultSettings
    vaultName: keyVaultName
    disabledFunctions: functions.events
    signIn: true
    isClosed: empty(signInClientId) && empty(apiKeys)
    endpointSubnetId: privateApi ? endpointSubnetId : ''
    subnetId: isPrivate ? '${networkId}/subnets/api' : ''
    logAnalyticsId: logAnalyticsId
  }
  dependsOn: [
    sharedRoles
  ]
}

module signIn 'modules/sign-in.bicep' = if (!empty(signInClientId)) {
  name: 'sign-in'
  scope: group
  params: {
    appName: apiApp.outputs.name
    clientId: signInClientId
    allowedApplications: signInAllowedApplications
  }
}

module stagingSubscriptions 'modules/event-subscriptions.bicep' = if (subscribe) {
  name: 'staging-subscriptions'
  scope: group
  params: {
    topicName: stagingTopic.outputs.name
    functionAppName: eventsApp.outputs.name
    subscriptions: filter(events.subscriptions, each => each.source == 'staging-registry')
    deadLetterAccountId: stateAccount.outputs.id
    deadLetterContainer: events.deadLetterContainer
  }
  dependsOn: [
    sharedRoles
  ]
}

// Work packages.

module workspace 'modules/workspace.bicep' = [for each in workspaces: {
  name: 'workspace-${each.name}'
  scope: group
  params: {
    name: 'mlw-${each.name}-${environmentName}'
    location: each.location
    tags: allTags
    description: each.description
    storageAccountId: mlAccount.outputs.id
    containerName: each.name
    keyVaultId: keyVaultId
    applicationInsightsId: applicationInsightsId
    containerRegistryId: stagingRegistry.outputs.id
    imageBuildCompute: isPrivate ? first(map(filter(each.computes, one => one.purpose == 'cpu'), one => one.name)) ?? '' : ''
    datastores: each.datastores
    dataAccountName: dataAccountName
    endpointSubnetId: endpointSubnetId
    endpointLocation: location
    logAnalyticsId: logAnalyticsId
  }
}]

module compute 'modules/compute.bicep' = [for (each, index) in computeWorkspaces: {
  name: 'compute-${each.name}'
  scope: group
  params: {
    workspaceName: workspace[index].outputs.name
    location: each.location
    tags: allTags
    computes: each.computes
    identityId: trainingIdentity.outputs.id
    subnetId: isPrivate ? '${networkId}/subnets/compute' : ''
    subnetLocation: location
    sshPublicKey: sshPublicKey
  }
}]

module workspaceTopic 'modules/system-topic.bicep' = [for (each, index) in workspaces: {
  name: 'topic-${each.name}'
  scope: group
  params: {
    name: 'evgt-${each.name}'
    location: each.location
    tags: allTags
    sourceId: workspace[index].outputs.id
    topicType: 'Microsoft.MachineLearningServices.Workspaces'
    logAnalyticsId: logAnalyticsId
  }
}]

module workspaceSubscriptions 'modules/event-subscriptions.bicep' = [for (each, index) in subscribedWorkspaces: {
  name: 'subscriptions-${each.name}'
  scope: group
  params: {
    topicName: workspaceTopic[index].outputs.name
    functionAppName: eventsApp.outputs.name
    subscriptions: filter(events.subscriptions, one => one.source == 'workspaces')
    deadLetterAccountId: stateAccount.outputs.id
    deadLetterContainer: events.deadLetterContainer
  }
  dependsOn: [
    workspaceIdentityRoles
  ]
}]

module onlineEndpoints 'modules/online-endpoints.bicep' = [for (each, index) in endpointWorkspaces: {
  name: 'endpoints-${each.name}'
  scope: group
  params: {
    workspaceName: workspace[index].outputs.name
    endpoints: filter(each.endpoints, one => one.compute == 'managed' || hasKubernetes)
    suffix: '${environmentName}-${take(token, 5)}'
    location: each.location
    tags: allTags
    identityId: servingIdentity.outputs.id
    kubernetesComputeId: hasKubernetes ? kubernetesCompute[index]!.outputs.id : ''
    isPublic: !isPrivate
    traffic: endpointTraffic
    logAnalyticsId: logAnalyticsId
  }
  dependsOn: [
    sharedRoles
  ]
}]

module modelRegistry 'modules/ml-registry.bicep' = if (deployModelRegistry) {
  name: 'model-registry'
  scope: group
  params: {
    name: names.modelRegistry
    location: location
    tags: allTags
    endpointSubnetId: endpointSubnetId
    logAnalyticsId: logAnalyticsId
  }
}

// Alerts.

module alertEmail 'modules/alert-email.bicep' = {
  name: 'alert-email'
  scope: group
  params: {
    name: 'logic-alert-email'
    location: location
    tags: allTags
    transport: alertTransport
    recipients: alertRecipients
    communicationName: names.communication
    keyVaultId: keyVaultId
    secretName: alertSecretName
    logAnalyticsId: logAnalyticsId
  }
}

module actionGroup 'modules/action-group.bicep' = {
  name: 'action-group'
  scope: group
  params: {
    name: 'ag-tidegate-operators'
    tags: allTags
    emailAddresses: operatorEmails
  }
}

module alertRules 'modules/alerts.bicep' = {
  name: 'alert-rules'
  scope: group
  params: {
    location: location
    tags: allTags
    alerts: alerts
    logAnalyticsId: logAnalyticsId
    actionGroupId: actionGroup.outputs.id
    topicNames: concat(['evgt-staging-registry'], map(workspaces, each => 'evgt-${each.name}'))
  }
  dependsOn: [
    stagingTopic
    workspaceTopic
  ]
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    title: 'Tidegate operations (${environmentName})'
    location: location
    tags: allTags
    logAnalyticsId: logAnalyticsId
  }
}

// Serving.

module cluster 'modules/kubernetes.bicep' = if (kubernetes == 'create') {
  name: 'kubernetes'
  scope: group
  params: {
    name: names.kubernetes
    location: location
    tags: allTags
    purpose: kubernetesPurpose
    vmSize: kubernetesVmSize
    coresPerNode: kubernetesCoresPerNode
    nodeCount: kubernetesNodeCount
    runnerPool: gitlabRunners
    subnetId: isPrivate ? '${networkId}/subnets/kubernetes' : ''
    identityId: kubernetesIdentity!.outputs.id
    adminGroupIds: kubernetesAdminGroupIds
    logAnalyticsId: logAnalyticsId
  }
  dependsOn: [
    kubernetesRoles
  ]
}

// Once for the cluster, which several workspaces attach, and in the cluster's own resource group.
module kubernetesExtension 'modules/machine-learning-extension.bicep' = if (hasKubernetes) {
  name: 'tidegate-${environmentName}-kubernetes-extension'
  scope: resourceGroup(kubernetes == 'attach' ? split(existingKubernetesId, '/')[2] : subscription().subscriptionId, kubernetes == 'attach' ? split(existingKubernetesId, '/')[4] : resourceGroupName)
  params: {
    clusterName: last(split(kubernetes == 'create' ? cluster!.outputs.id : existingKubernetesId, '/'))
    isProduction: kubernetesPurpose == 'production'
    tlsName: kubernetesTlsName
  }
}

module kubernetesCompute 'modules/kubernetes-attachment.bicep' = [for (each, index) in workspaces: if (hasKubernetes) {
  name: 'kubernetes-${each.name}'
  scope: group
  params: {
    workspaceName: workspace[index].outputs.name
    location: each.location
    name: 'kubernetes'
    clusterId: kubernetes == 'create' ? cluster!.outputs.id : existingKubernetesId
    isProduction: kubernetesPurpose == 'production'
  }
  dependsOn: [
    kubernetesExtension
  ]
}]

module scoring 'modules/scoring-container.bicep' = if (!empty(scoringImage)) {
  name: 'scoring-container'
  scope: group
  params: {
    name: names.scoring
    location: location
    tags: allTags
    image: '${healthyRegistry.outputs.loginServer}/${scoringImage}'
    loginServer: healthyRegistry.outputs.loginServer
    identityId: servingIdentity.outputs.id
    subnetId: isPrivate ? '${networkId}/subnets/containers' : ''
  }
  dependsOn: [
    sharedRoles
  ]
}

// Training.

module shareKey 'modules/share-key.bicep' = if (hasTraining) {
  name: 'share-key'
  scope: group
  params: {
    accountName: shareAccount.outputs.name
    keyVaultId: keyVaultId
    secretName: shareKeySecretName
  }
}

module training 'modules/training-container.bicep' = if (hasTraining && trainingContainer) {
  name: 'training-container'
  scope: group
  params: {
    name: 'ci-training'
    location: location
    tags: allTags
    image: '${healthyRegistry.outputs.loginServer}/${trainingImage}'
    loginServer: healthyRegistry.outputs.loginServer
    identityId: trainingIdentity.outputs.id
    command: trainingCommand
    shareAccountName: names.shareAccount
    shareKeyUri: shareKey!.outputs.uri
    shares: state.dataShares
    subnetId: isPrivate ? '${networkId}/subnets/containers' : ''
  }
  dependsOn: [
    sharedRoles
  ]
}

module trainingJob 'modules/training-job.bicep' = if (hasTraining && trainingGpuJob) {
  name: 'training-job'
  scope: group
  params: {
    name: 'caj-training'
    location: trainingGpuLocation
    workloadProfileType: trainingGpuProfile
    tags: allTags
    image: '${healthyRegistry.outputs.loginServer}/${trainingImage}'
    loginServer: healthyRegistry.outputs.loginServer
    identityId: trainingIdentity.outputs.id
    command: trainingCommand
    shareAccountName: names.shareAccount
    shareKeyUri: shareKey!.outputs.uri
    shares: state.dataShares
    subnetId: isPrivate ? '${networkId}/subnets/jobs' : ''
    logAnalyticsId: logAnalyticsId
  }
  dependsOn: [
    sharedRoles
  ]
}

module trainingMachine 'modules/training-vm.bicep' = if (hasTraining && trainingVm) {
  name: 'training-machine'
  scope: group
  params: {
    name: 'vm-training'
    location: location
    tags: allTags
    vmSize: trainingVmSize
    subnetId: '${networkId}/subnets/compute'
    sshPublicKey: sshPublicKey
    identityId: trainingIdentity.outputs.id
    identityClientId: trainingIdentity.outputs.clientId
    image: '${healthyRegistry.outputs.loginServer}/${trainingImage}'
    loginServer: healthyRegistry.outputs.loginServer
    arguments: join(trainingArguments, ' ')
    shareAccountName: names.shareAccount
    shareName: 'models'
    shareKeyUri: shareKey!.outputs.uri
    logAnalyticsId: logAnalyticsId
  }
  dependsOn: [
    sharedRoles
  ]
}

module trainingImageTask 'modules/training-image-task.bicep' = if (hasImageTask) {
  name: 'training-image-task'
  scope: group
  params: {
    registryName: stagingRegistry.outputs.name
    location: location
    tags: allTags
    repositoryUrl: trainingRepositoryUrl
    byOwnIdentity: isPrivate
    repositoryToken: trainingRepositoryToken
  }
  dependsOn: [
    sharedRoles
  ]
}

// Roles: one module with every definition and assignment, called once for what is shared, twice for each workspace, once for each resource that was there before.

module sharedRoles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    environmentName: environmentName
    roles: access.roles
    builtInRoles: access.builtIn
    grants: access.grants
    principals: concat([
      {
        key: 'events-app'
        id: eventsIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'api-app'
        id: apiIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'training'
        id: trainingIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'serving'
        id: servingIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'staging-topic'
        id: stagingTopic.outputs.principalId
        type: 'ServicePrincipal'
      }
    ], union(groupsOfPeople, groupsOfPeople), operators, approvers, pipelines)
    scopes: concat([
      'resource-group'
      'staging-registry'
      'healthy-registry'
      'state-account'
      'dead-letters'
      'ml-account'
      'share-account'
      'outcomes-topic'
      'serving-identity'
    ], empty(existingDataAccountId) ? ['data-account'] : [], empty(existingKeyVaultId) ? ['key-vault'] : [], empty(existingApplicationInsightsId) ? ['application-insights'] : [], isPrivate && empty(existingNetworkId) ? ['network'] : [])
    stagingRegistryName: stagingRegistry.outputs.name
    healthyRegistryName: healthyRegistry.outputs.name
    keyVaultName: last(split(keyVaultId, '/'))
    stateAccountName: stateAccount.outputs.name
    deadLetterContainer: events.deadLetterContainer
    dataAccountName: dataAccountName
    mlAccountName: mlAccount.outputs.name
    shareAccountName: shareAccount.outputs.name
    outcomesTopicName: outcomesTopic.outputs.name
    applicationInsightsName: last(split(applicationInsightsId, '/'))
    servingIdentityName: last(split(servingIdentity.outputs.id, '/'))
    networkName: empty(networkId) ? 'none' : last(split(networkId, '/'))
  }
}

// Principals that exist only where their part is deployed.
module optionalRoles 'modules/roles.bicep' = {
  name: 'roles-optional'
  scope: group
  params: {
    environmentName: environmentName
    builtInRoles: access.builtIn
    grants: access.grants
    principals: concat(
      hasImageTask ? [
        {
          key: 'image-task'
          id: trainingImageTask!.outputs.principalId
          type: 'ServicePrincipal'
        }
      ] : [],
      testImagesOnClusters ? [
        {
          key: 'image-test-cluster'
          id: trainingIdentity.outputs.principalId
          type: 'ServicePrincipal'
        }
      ] : [],
      alertTransport == 'communication' ? [
        {
          key: 'alert-workflow'
          id: alertEmail.outputs.principalId
          type: 'ServicePrincipal'
        }
      ] : [],
      kubernetes == 'create' ? [
        {
          key: 'kubernetes'
          id: cluster!.outputs.kubeletPrincipalId
          type: 'ServicePrincipal'
        }
      ] : []
    )
    scopes: [
      'staging-registry'
      'healthy-registry'
      'communication'
    ]
    stagingRegistryName: stagingRegistry.outputs.name
    healthyRegistryName: healthyRegistry.outputs.name
    communicationName: alertEmail.outputs.communicationName
  }
  dependsOn: [
    sharedRoles
  ]
}

// Before the cluster: its nodes join a subnet. A role that is defined in this group cannot be given in another one: on a
// network that was there before, the cluster's identity gets its right from the owner.
module kubernetesRoles 'modules/roles.bicep' = if (kubernetes == 'create' && isPrivate && empty(existingNetworkId)) {
  name: 'roles-kubernetes'
  scope: group
  params: {
    environmentName: environmentName
    builtInRoles: access.builtIn
    grants: access.grants
    principals: [
      {
        key: 'kubernetes-plane'
        id: kubernetesIdentity!.outputs.principalId
        type: 'ServicePrincipal'
      }
    ]
    scopes: [
      'network'
    ]
    networkName: last(split(networkId, '/'))
  }
  dependsOn: [
    sharedRoles
  ]
}

module workspaceRoles 'modules/roles.bicep' = [for (each, index) in workspaces: {
  name: 'roles-${each.name}'
  scope: group
  params: {
    environmentName: environmentName
    builtInRoles: access.builtIn
    grants: access.grants
    principals: concat([
      {
        key: 'events-app'
        id: eventsIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'api-app'
        id: apiIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'training'
        id: trainingIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'serving'
        id: servingIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
    ], map(filter(each.groups, one => contains(groupIds, one.group)), one => {
      key: one.role
      id: groupIds[one.group]
      type: 'Group'
    }))
    scopes: [
      'workspace'
    ]
    workspaceName: workspace[index].outputs.name
  }
  dependsOn: [
    sharedRoles
  ]
}]

module workspaceIdentityRoles 'modules/roles.bicep' = [for (each, index) in workspaces: {
  name: 'roles-identity-${each.name}'
  scope: group
  params: {
    environmentName: environmentName
    builtInRoles: access.builtIn
    grants: access.grants
    principals: [
      {
        key: 'workspace-identity'
        id: workspace[index].outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'workspace-topic'
        id: workspaceTopic[index].outputs.principalId
        type: 'ServicePrincipal'
      }
    ]
    scopes: concat([
      'healthy-registry'
      'ml-account'
      'dead-letters'
    ], empty(existingDataAccountId) ? ['data-account'] : [])
    healthyRegistryName: healthyRegistry.outputs.name
    dataAccountName: dataAccountName
    mlAccountName: mlAccount.outputs.name
    stateAccountName: stateAccount.outputs.name
    deadLetterContainer: events.deadLetterContainer
  }
  dependsOn: [
    sharedRoles
  ]
}]

module existingVaultRoles 'modules/roles.bicep' = if (!empty(existingKeyVaultId)) {
  name: 'tidegate-${environmentName}-vault-roles'
  scope: resourceGroup(empty(existingKeyVaultId) ? subscription().subscriptionId : split(existingKeyVaultId, '/')[2], empty(existingKeyVaultId) ? resourceGroupName : split(existingKeyVaultId, '/')[4])
  params: {
    environmentName: environmentName
    builtInRoles: access.builtIn
    grants: access.grants
    principals: [
      {
        key: 'events-app'
        id: eventsIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'api-app'
        id: apiIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'training'
        id: trainingIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
    ]
    scopes: [
      'key-vault'
    ]
    keyVaultName: last(split(existingKeyVaultId, '/'))
  }
}

module existingDataRoles 'modules/roles.bicep' = if (!empty(existingDataAccountId)) {
  name: 'tidegate-${environmentName}-data-roles'
  scope: resourceGroup(empty(existingDataAccountId) ? subscription().subscriptionId : split(existingDataAccountId, '/')[2], empty(existingDataAccountId) ? resourceGroupName : split(existingDataAccountId, '/')[4])
  params: {
    environmentName: environmentName
    builtInRoles: access.builtIn
    grants: access.grants
    principals: concat([
      {
        key: 'events-app'
        id: eventsIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'api-app'
        id: apiIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'training'
        id: trainingIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
    ], union(groupsOfPeople, groupsOfPeople))
    scopes: [
      'data-account'
    ]
    dataAccountName: dataAccountName
  }
}

module existingDataIdentityRoles 'modules/roles.bicep' = [for (each, index) in existingDataWorkspaces: {
  name: 'tidegate-${environmentName}-data-roles-${each.name}'
  scope: resourceGroup(empty(existingDataAccountId) ? subscription().subscriptionId : split(existingDataAccountId, '/')[2], empty(existingDataAccountId) ? resourceGroupName : split(existingDataAccountId, '/')[4])
  params: {
    environmentName: environmentName
    builtInRoles: access.builtIn
    grants: access.grants
    principals: [
      {
        key: 'workspace-identity'
        id: workspace[index].outputs.principalId
        type: 'ServicePrincipal'
      }
    ]
    scopes: [
      'data-account'
    ]
    dataAccountName: dataAccountName
  }
}]

module existingInsightsRoles 'modules/roles.bicep' = if (!empty(existingApplicationInsightsId)) {
  name: 'tidegate-${environmentName}-insights-roles'
  scope: resourceGroup(empty(existingApplicationInsightsId) ? subscription().subscriptionId : split(existingApplicationInsightsId, '/')[2], empty(existingApplicationInsightsId) ? resourceGroupName : split(existingApplicationInsightsId, '/')[4])
  params: {
    environmentName: environmentName
    builtInRoles: access.builtIn
    grants: access.grants
    principals: [
      {
        key: 'events-app'
        id: eventsIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
      {
        key: 'api-app'
        id: apiIdentity.outputs.principalId
        type: 'ServicePrincipal'
      }
    ]
    scopes: [
      'application-insights'
    ]
    applicationInsightsName: last(split(existingApplicationInsightsId, '/'))
  }
}

@description('Name of the resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Name of the app that takes events.')
output EVENTS_APP_NAME string = eventsApp.outputs.name

@description('Name of the app that people reach.')
output API_APP_NAME string = apiApp.outputs.name

@description('Address of the API and the console.')
output API_URL string = 'https://${apiApp.outputs.hostName}'

@description('Name of the registry that images are pushed to.')
output STAGING_REGISTRY string = names.stagingRegistry

@description('Name of the registry that holds promoted images.')
output HEALTHY_REGISTRY string = names.healthyRegistry

@description('Name of the state account.')
output STATE_ACCOUNT string = names.stateAccount

@description('Name of the Key Vault.')
output VAULT_NAME string = keyVaultName

@description('Names of the workspaces.')
output WORKSPACES array = [for each in workspaces: 'mlw-${each.name}-${environmentName}']
