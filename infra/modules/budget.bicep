// A monthly budget of the resource group, and a mail when costs near it or will pass it.

@description('Required. Name of the budget.')
param name string

@description('Required. Amount a month, in the currency of the subscription.')
@minValue(1)
param amount int

@description('Required. First day of the first month, for example 2026-12-01. It cannot be changed later.')
param startDate string

@description('Required. E-mail addresses.')
param emailAddresses string[]

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      near: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: emailAddresses
      }
      forecast: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: emailAddresses
      }
    }
  }
}
