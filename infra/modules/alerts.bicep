// Alert rules: queries over logs and telemetry from the data, and dead letters counted by Event Grid.

import { alertType } from '../types.bicep'

@description('Required. Region of the rules.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. The rules.')
param alerts alertType[]

@description('Required. Log Analytics workspace that the queries run in.')
param logAnalyticsId string

@description('Required. Resource id of the action group.')
param actionGroupId string

@description('Required. Names of the system topics whose dead letters raise an alert.')
param topicNames string[]

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in alerts: {
  name: 'alert-${alert.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: alert.title
    description: alert.description
    severity: alert.severity
    enabled: true
    scopes: [
      logAnalyticsId
    ]
    evaluationFrequency: alert.every
    windowSize: alert.window
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Count'
          operator: alert.operator
          threshold: alert.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: [
        actionGroupId
      ]
    }
    autoMitigate: true
    skipQueryValidation: true
  }
}]

resource topics 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = [for topic in topicNames: {
  name: topic
}]

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = [for (topic, index) in topicNames: {
  name: 'alert-dead-letters-${topic}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Grid gave up on an event of ${topic}. It lies in the dead-letter container and can be replayed.'
    severity: 1
    enabled: true
    scopes: [
      topics[index].id
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'dead-letters'
          metricName: 'DeadLetteredCount'
          metricNamespace: 'Microsoft.EventGrid/systemTopics'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: [
      {
        actionGroupId: actionGroupId
      }
    ]
    autoMitigate: true
  }
}]
