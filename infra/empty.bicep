// Nothing: deployed in mode Complete, it empties a resource group (infra/scripts/deploy destroy).
