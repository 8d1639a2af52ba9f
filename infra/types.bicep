// Types of the data files under data/. Every list that main.bicep loads is checked against them by the compiler.

@export()
@sealed()
@description('One Event Grid subscription of data/events.json.')
type subscriptionType = {
  @description('Required. Name of the event subscription.')
  name: string

  @description('Required. Whose events: the staging registry, or every workspace.')
  source: 'staging-registry' | 'workspaces'

  @description('Required. Name of the function that receives the events.')
  function: string

  @description('Required. Event types that are delivered.')
  eventTypes: string[]

  @description('Required. Schema of the delivered events.')
  schema: 'EventGridSchema' | 'CloudEventSchemaV1_0'

  @description('Required. Prefix of the subject; empty: any.')
  subjectBeginsWith: string

  @description('Required. Suffix of the subject; empty: any.')
  subjectEndsWith: string

  @description('Required. Filters on the event\'s data.')
  advancedFilters: filterType[]

  @description('Required. Attempts before an event is dead-lettered.')
  @minValue(1)
  @maxValue(30)
  maxDeliveryAttempts: int

  @description('Required. Minutes before an event is dead-lettered.')
  @minValue(1)
  @maxValue(1440)
  eventTimeToLiveInMinutes: int

  @description('Required. Events in one delivery; a delivery fails or succeeds as a whole.')
  @minValue(1)
  @maxValue(5000)
  maxEventsPerBatch: int

  @description('Required. Size of a delivery in kilobytes that is aimed at.')
  @minValue(1)
  @maxValue(1024)
  preferredBatchSizeInKilobytes: int
}

@export()
@sealed()
@description('A filter on one property of an event: it has one of the values. Other operators need a member of their own here.')
type filterType = {
  @description('Required. The comparison.')
  operatorType: 'StringIn'

  @description('Required. Path of the property, for example data.runStatus.')
  key: string

  @description('Required. Values that pass.')
  values: string[]
}

@export()
@sealed()
@description('One work package of data/workspaces.json.')
type workspaceType = {
  @description('Required. Name of the work package.')
  name: string

  @description('Required. Region of the workspace and its compute.')
  location: string

  @description('Required. What the work package is about.')
  description: string

  @description('Required. How models reach the next environment.')
  moveModelsBy: 'registry' | 'copy'

  @description('Required. Entra groups and what their members are.')
  groups: groupType[]

  @description('Required. Compute clusters.')
  computes: computeType[]

  @description('Required. Registered datastores.')
  datastores: datastoreType[]

  @description('Required. Online endpoints.')
  endpoints: endpointType[]
}

@export()
@sealed()
@description('One online endpoint, of one model.')
type endpointType = {
  @description('Required. Name of the model.')
  name: string

  @description('Required. What serves it.')
  compute: 'managed' | 'kubernetes'
}

@export()
@sealed()
@description('An Entra group and its principal of data/roles.json.')
type groupType = {
  @description('Required. Name of the group, a key of the parameter groupIds.')
  group: string

  @description('Required. What its members are.')
  role: 'model-developer' | 'ml-engineer'
}

@export()
@sealed()
@description('One compute cluster.')
type computeType = {
  @description('Required. Name of the cluster.')
  name: string

  @description('Required. What it is for.')
  purpose: 'cpu' | 'sweep' | 'gpu'

  @description('Required. Size of a node.')
  vmSize: string

  @description('Required. Dedicated nodes, or cheap ones that may be taken away.')
  tier: 'Dedicated' | 'LowPriority'

  @description('Required. Nodes kept when nothing runs.')
  @minValue(0)
  minNodes: int

  @description('Required. Most nodes at a time.')
  @minValue(1)
  maxNodes: int

  @description('Required. ISO 8601 duration after which an idle node is given back.')
  idleTime: string

  @description('Required. Whether the nodes join the virtual network, without public addresses.')
  inNetwork: bool

  @description('Required. SSH user of the nodes; empty: no SSH.')
  sshUser: string
}

@export()
@sealed()
@description('One registered datastore; access is by the identity of whoever uses it.')
type datastoreType = {
  @description('Required. Name of the datastore.')
  name: string

  @description('Required. Storage behind it.')
  kind: 'AzureBlob'

  @description('Required. Blob container of the data account.')
  container: string
}

@export()
@sealed()
@description('One custom role of data/roles.json.')
type roleType = {
  @description('Required. How grants name it.')
  key: string

  @description('Required. Display name.')
  roleName: string

  @description('Required. What it is for.')
  description: string

  @description('Required. Allowed control-plane actions.')
  actions: string[]

  @description('Required. Exceptions from the allowed actions.')
  notActions: string[]

  @description('Required. Allowed data-plane actions.')
  dataActions: string[]

  @description('Required. Exceptions from the allowed data-plane actions.')
  notDataActions: string[]
}

@export()
@sealed()
@description('One built-in role of data/roles.json; its permissions are Azure\'s and only read by the tests.')
type builtInRoleType = {
  @description('Required. How grants name it.')
  key: string

  @description('Required. GUID of the role definition.')
  id: string

  @description('Required. Azure\'s name of it.')
  roleName: string

  @description('Required. Control-plane actions that it allows.')
  actions: string[]

  @description('Required. Data-plane actions that it allows.')
  dataActions: string[]
}

@export()
@sealed()
@description('One grant of data/roles.json: a role assignment.')
type grantType = {
  @description('Required. Key of a principal.')
  principal: string

  @description('Required. Where it holds.')
  scope: string

  @description('Required. Key of a custom or built-in role.')
  role: string
}

@export()
@sealed()
@description('A principal that roles are assigned to.')
type principalType = {
  @description('Required. Key that grants name it by.')
  key: string

  @description('Required. Object id in Entra.')
  id: string

  @description('Required. What kind of object that is.')
  type: 'Group' | 'ServicePrincipal' | 'User'
}

@export()
@sealed()
@description('One alert rule over logs, of data/alerts.json.')
type alertType = {
  @description('Required. Name of the rule.')
  name: string

  @description('Required. Title that people see.')
  title: string

  @description('Required. What it means and what to do.')
  description: string

  @description('Required. 0 critical to 4 verbose.')
  @minValue(0)
  @maxValue(4)
  severity: int

  @description('Required. ISO 8601 duration between two evaluations.')
  every: string

  @description('Required. ISO 8601 duration that one evaluation looks back.')
  window: string

  @description('Required. Kusto query; its rows are counted.')
  query: string

  @description('Required. How the count is compared.')
  operator: 'GreaterThan' | 'LessThan'

  @description('Required. What it is compared with.')
  threshold: int
}

@export()
@sealed()
@description('A pipeline that an identity trusts.')
type trustType = {
  @description('Required. Name of the trust.')
  name: string

  @description('Required. Issuer of the tokens, for example https://token.actions.githubusercontent.com.')
  issuer: string

  @description('Required. Their subject, for example repo:contoso/tidegate:environment:dev.')
  subject: string
}
