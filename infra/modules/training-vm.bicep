// A spot virtual machine that runs the training container on every boot and saves before it is evicted.

@description('Required. Name of the machine.')
@minLength(1)
@maxLength(64)
param name string

@description('Required. Region.')
param location string

@description('Optional. Tags.')
param tags object = {}

@description('Required. Size of the machine.')
param vmSize string

@description('Required. Subnet; the machine has no public address.')
param subnetId string

@description('Required. Public key of the administrator.')
param sshPublicKey string

@description('Required. Resource id of the training identity.')
param identityId string

@description('Required. Client id of that identity.')
param identityClientId string

@description('Required. Image in the healthy registry, by digest.')
param image string

@description('Required. Login server of the healthy registry.')
param loginServer string

@description('Required. Arguments of the training image, as one line.')
param arguments string

@description('Required. Name of the storage account with the share.')
param shareAccountName string

@description('Required. Share mounted at /mnt/training, which holds checkpoints and logs.')
param shareName string

@description('Required. Address of the secret with the account\'s key; the machine reads it at boot as its identity.')
param shareKeyUri string

@description('Required. Log Analytics workspace that diagnostics go to.')
param logAnalyticsId string

// What the training of the next boot does; read-settings fetches it.
var settings = join([
  'CLIENT_ID=${identityClientId}'
  'IMAGE=${image}'
  'LOGIN_SERVER=${loginServer}'
  'SHARE_HOST=${shareAccountName}.file.${environment().suffixes.storage}'
  'SHARE_ACCOUNT=${shareAccountName}'
  'SHARE_NAME=${shareName}'
  'SHARE_KEY_URI=${shareKeyUri}'
  'TRAINING_ARGUMENTS="${arguments}"'
  ''
], '\n')

// The same for every machine: Azure refuses to change what a machine that is there does at its first boot.
var withRead = replace(loadTextContent('../data/training-vm/cloud-init.yaml'), '@READ@', loadFileAsBase64('../data/training-vm/read-settings'))
var withStart = replace(withRead, '@START@', loadFileAsBase64('../data/training-vm/start-training'))
var cloudInit = replace(withStart, '@WATCH@', loadFileAsBase64('../data/training-vm/watch-scheduled-events'))

var isGpu = startsWith(toLower(vmSize), 'standard_n')
var plainImage = {
  publisher: 'Debian'
  offer: 'debian-12'
  sku: '12-gen2'
  version: 'latest'
}
// Brings the drivers and the container toolkit; its kernel modules are not signed for secure boot.
var gpuImage = {
  publisher: 'microsoft-dsvm'
  offer: 'ubuntu-hpc'
  sku: '2204'
  version: 'latest'
}

resource networkInterface 'Microsoft.Network/networkInterfaces@2025-09-01' = {
  name: 'nic-${name}'
  location: location
  tags: tags
  properties: {
    ipConfigurations: [
      {
        name: 'primary'
        properties: {
          privateIPAllocationMethod: 'Dynamic'
          subnet: {
            id: subnetId
          }
        }
      }
    ]
  }
}

resource machine 'Microsoft.Compute/virtualMachines@2025-11-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    userData: base64(settings)
    priority: 'Spot'
    evictionPolicy: 'Deallocate'
    billingProfile: {
      maxPrice: -1
    }
    hardwareProfile: {
      vmSize: vmSize
    }
    storageProfile: {
      imageReference: isGpu ? gpuImage : plainImage
      osDisk: {
        createOption: 'FromImage'
        deleteOption: 'Delete'
        diskSizeGB: 128
        managedDisk: {
          storageAccountType: 'StandardSSD_LRS'
        }
      }
    }
    osProfile: {
      computerName: take(name, 63)
      adminUsername: 'tidegate'
      customData: base64(cloudInit)
      linuxConfiguration: {
        disablePasswordAuthentication: true
        ssh: {
          publicKeys: [
            {
              path: '/home/tidegate/.ssh/authorized_keys'
              keyData: sshPublicKey
            }
          ]
        }
      }
    }
    networkProfile: {
      networkInterfaces: [
        {
          id: networkInterface.id
          properties: {
            deleteOption: 'Delete'
          }
        }
      ]
    }
    securityProfile: {
      securityType: 'TrustedLaunch'
      uefiSettings: {
        secureBootEnabled: !isGpu
        vTpmEnabled: true
      }
    }
    diagnosticsProfile: {
      bootDiagnostics: {
        enabled: true
      }
    }
  }
}

resource interfaceDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: networkInterface
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
  scope: machine
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

@description('Resource id of the machine.')
output id string = machine.id
