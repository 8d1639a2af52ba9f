// The workbook that an operator opens first: events, functions, work that waits, alerts.

@description('Required. Title.')
param title string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Log Analytics workspace that its queries run in.')
param logAnalyticsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'operations')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: title
    category: 'workbook'
    version: '1.0'
    sourceId: logAnalyticsId
    serializedData: loadTextContent('../data/operations.workbook.json')
  }
}

@description('Resource id of the workbook.')
output id string = workbook.id
