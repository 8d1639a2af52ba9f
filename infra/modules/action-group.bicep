// Who is told by Azure Monitor itself: the second channel, which does not need the alert e-mail to work.

@description('Required. Name of the group.')
param name string

@description('Optional. Tags.')
param tags object = {}

@description('Required. E-mail addresses.')
param emailAddresses string[]

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'tidegate'
    enabled: true
    emailReceivers: [for (address, index) in emailAddresses: {
      name: 'operator-${index}'
      emailAddress: address
      useCommonAlertSchema: true
    }]
  }
}

@description('Resource id of the group.')
output id string = group.id
