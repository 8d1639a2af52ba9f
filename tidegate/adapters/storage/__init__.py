"""The storage account: records in tables, deferred work in queues, evidence and folders in blobs."""
