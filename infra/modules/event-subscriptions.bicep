// Subscriptions of one system topic, from the data: filters, retry policy, dead letters. The functions must be there already.

import { subscriptionType } from '../types.bicep'

@description('Required. Name of the system topic.')
param topicName string

@description('Required. Name of the function app with the functions.')
param functionAppName string

@description('Required. What to subscribe to, and which function receives it.')
param subscriptions subscriptionType[]

@description('Required. Resource id of the storage account for dead letters.')
param deadLetterAccountId string

@description('Required. Blob container for dead letters; the topic\'s identity needs to write there.')
param deadLetterContainer string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

// One at a time: Event Grid refuses parallel changes of one topic. A Functions destination knows no managed identity, the dead letters do.
@batchSize(1)
resource eventSubscriptions 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = [for subscription in subscriptions: {
  parent: topic
  name: subscription.name
  properties: {
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: resourceId('Microsoft.Web/sites/functions', functionAppName, subscription.function)
        maxEventsPerBatch: subscription.maxEventsPerBatch
        preferredBatchSizeInKilobytes: subscription.preferredBatchSizeInKilobytes
      }
    }
    eventDeliverySchema: subscription.schema
    filter: {
      includedEventTypes: subscription.eventTypes
      subjectBeginsWith: subscription.subjectBeginsWith
      subjectEndsWith: subscription.subjectEndsWith
      isSubjectCaseSensitive: false
      enableAdvancedFilteringOnArrays: true
      advancedFilters: [for condition in subscription.advancedFilters: {
        operatorType: 'StringIn'
        key: condition.key
        values: condition.values
      }]
    }
    retryPolicy: {
      maxDeliveryAttempts: subscription.maxDeliveryAttempts
      eventTimeToLiveInMinutes: subscription.eventTimeToLiveInMinutes
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: deadLetterAccountId
          blobContainerName: deadLetterContainer
        }
      }
    }
  }
}]
