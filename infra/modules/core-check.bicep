// Fails before anything is made when a production cluster for inference would have fewer than 12 cores.

@description('Required. Cores of all nodes of the cluster\'s inference pool at its smallest.')
@minValue(12)
param cores int

@description('The cores that were checked.')
output cores int = cores
